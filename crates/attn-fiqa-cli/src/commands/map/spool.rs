//! Scored images kept in the run's log until the colour range of the set is known.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use attn_fiqa::crop::Crop;

use super::section::{Reader, Section, write_section};
use crate::journal::RunLog;

/// One scored image.
pub(super) struct Spooled {
    pub(super) path: String,
    /// The common stem of its files.
    pub(super) file_stem: PathBuf,
    pub(super) score: f32,
    pub(super) crop: Crop,
    /// The mean over heads, then the grid of each head if requested.
    pub(super) grids: Vec<Vec<f32>>,
}

/// Score and position of every image: all that stays in memory.
#[derive(Default)]
pub(super) struct Spool {
    index: Vec<(f32, u64, u32)>,
}

impl Spool {
    /// Score and number of every image, in input order.
    pub(super) fn scores(&self) -> impl Iterator<Item = (f32, usize)> + '_ {
        self.index.iter().enumerate().map(|(number, &(score, ..))| (score, number))
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn push(&mut self, log: &mut RunLog, image: &Spooled) -> anyhow::Result<()> {
        let bytes = image.encode()?;
        let at = write_section(log, Section::Image, &bytes)?;
        self.index.push((image.score, at, u32::try_from(bytes.len())?));
        Ok(())
    }

    /// Records an image that an earlier run wrote to the log.
    pub(super) fn found(&mut self, at: u64, bytes: &[u8]) -> anyhow::Result<Spooled> {
        let image = Spooled::decode(bytes).context(UNREADABLE)?;
        self.index.push((image.score, at, u32::try_from(bytes.len())?));
        Ok(image)
    }

    /// Reads image `number` back.
    pub(super) fn get(&self, log: &mut RunLog, number: usize) -> anyhow::Result<Spooled> {
        let (_, at, length) = self.index[number];
        let mut bytes = vec![0; length as usize];
        log.read_at(at, &mut bytes)?;
        Spooled::decode(&bytes).context(UNREADABLE)
    }
}

const UNREADABLE: &str = "an image that cannot be read back: this is a bug";

impl Spooled {
    fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, self.path.as_bytes())?;
        put_bytes(&mut bytes, self.file_stem.as_os_str().as_encoded_bytes())?;
        bytes.extend(self.score.to_le_bytes());
        put_bytes(&mut bytes, self.crop.rgb())?;
        bytes.extend(u32::try_from(self.grids.len())?.to_le_bytes());
        for grid in &self.grids {
            let values: Vec<u8> = grid.iter().flat_map(|value| value.to_le_bytes()).collect();
            put_bytes(&mut bytes, &values)?;
        }
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let path = reader.text()?;
        let file_stem = reader.path()?;
        let score = f32::from_le_bytes(reader.array()?);
        let rgb = reader.bytes()?.to_vec();
        let side = (rgb.len() / 3).isqrt();
        let crop = Crop::from_rgb(side, rgb)?;
        let grids = (0..u32::from_le_bytes(reader.array()?))
            .map(|_| {
                let values = reader.bytes()?.chunks_exact(4);
                Some(values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
            })
            .collect::<Option<Vec<Vec<f32>>>>()?;
        Some(Self { path, file_stem, score, crop, grids })
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> anyhow::Result<()> {
    out.extend(u32::try_from(bytes.len())?.to_le_bytes());
    Ok(out.write_all(bytes)?)
}
