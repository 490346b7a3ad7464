//! Scored images put aside on disk until the colours of the set are known.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::crop::Crop;

/// One scored image.
pub(super) struct Spooled {
    pub(super) path: String,
    /// The name of its files, without their endings.
    pub(super) file_stem: PathBuf,
    pub(super) score: f32,
    pub(super) crop: Crop,
    /// The mean over heads, then every head's own if they were asked for.
    pub(super) grids: Vec<Vec<f32>>,
}

/// A nameless file that the system removes whatever becomes of the program.
pub(super) struct Spool {
    file: BufWriter<File>,
    /// Score and place of every image: all that stays in memory.
    index: Vec<(f32, u64)>,
    end: u64,
}

impl Spool {
    /// In `folder`, which needs room for the images anyway.
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot write into the folder '{}'", folder.display()))?;
        Ok(Self { file: BufWriter::new(file), index: Vec::new(), end: 0 })
    }

    /// Score and number of every image, in the order of the input.
    pub(super) fn scores(&self) -> impl Iterator<Item = (f32, usize)> + '_ {
        self.index.iter().enumerate().map(|(number, &(score, _))| (score, number))
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn push(&mut self, image: &Spooled) -> anyhow::Result<()> {
        let file_stem = image.file_stem.to_string_lossy();
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, image.path.as_bytes());
        put_bytes(&mut bytes, file_stem.as_bytes());
        bytes.extend(image.score.to_le_bytes());
        put_bytes(&mut bytes, image.crop.rgb());
        bytes.extend((image.grids.len() as u32).to_le_bytes());
        for grid in &image.grids {
            let values: Vec<u8> = grid.iter().flat_map(|value| value.to_le_bytes()).collect();
            put_bytes(&mut bytes, &values);
        }
        self.file.write_all(&bytes).context("cannot put an image aside on disk")?;
        self.index.push((image.score, self.end));
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Reads image `number` back.
    pub(super) fn get(&mut self, number: usize) -> anyhow::Result<Spooled> {
        self.read(number).context("cannot read back an image that was put aside on disk")
    }

    fn read(&mut self, number: usize) -> anyhow::Result<Spooled> {
        self.file.flush()?;
        let (score, place) = self.index[number];
        let mut file = self.file.get_ref();
        file.seek(SeekFrom::Start(place))?;
        let mut reader = BufReader::new(file);
        let path = String::from_utf8(get_bytes(&mut reader)?)?;
        let file_stem = PathBuf::from(String::from_utf8(get_bytes(&mut reader)?)?);
        get_array(&mut reader)?;
        let rgb = get_bytes(&mut reader)?;
        let side = (rgb.len() / 3).isqrt();
        let crop = Crop::from_rgb(side, rgb).context("a crop that is not square")?;
        let grids = (0..u32::from_le_bytes(get_array(&mut reader)?))
            .map(|_| {
                let bytes = get_bytes(&mut reader)?;
                let values = bytes.chunks_exact(4);
                Ok(values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
            })
            .collect::<anyhow::Result<Vec<Vec<f32>>>>()?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(Spooled { path, file_stem, score, crop, grids })
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn get_array(reader: &mut impl Read) -> std::io::Result<[u8; 4]> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn get_bytes(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; u32::from_le_bytes(get_array(reader)?) as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
