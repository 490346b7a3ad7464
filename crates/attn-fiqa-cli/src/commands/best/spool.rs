//! Crops kept on disk until the best are known.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context;
use attn_fiqa::crop::Crop;

/// An unnamed file that the system removes however the program ends; all crops of a run have the
/// same side.
pub(super) struct CropSpool {
    file: File,
    side: usize,
}

impl CropSpool {
    /// Created in `folder`, where there must be room for crops anyway; the system's temporary
    /// folder may be small, or in memory.
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder).with_context(|| {
            format!("cannot create a temporary file for crops in '{}'", folder.display())
        })?;
        Ok(Self { file, side: 0 })
    }

    pub(super) fn push(&mut self, crop: &Crop) -> anyhow::Result<()> {
        self.side = crop.side();
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(crop.rgb()).context("cannot write a crop to a temporary file")
    }

    /// Reads crop `number` back.
    pub(super) fn get(&mut self, number: usize) -> anyhow::Result<Crop> {
        let length = self.side * self.side * 3;
        let mut rgb = vec![0; length];
        self.file.seek(SeekFrom::Start(number as u64 * length as u64))?;
        self.file.read_exact(&mut rgb).context("cannot read a crop back from a temporary file")?;
        Crop::from_rgb(self.side, rgb).context("a crop that is not square: this is a bug")
    }
}
