//! Reads back what is in the log of a run.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use anyhow::{Context, bail};

use super::RunLog;
use crate::journal::reader::Lines;
use crate::journal::{DoneImage, Line};

impl RunLog {
    /// Calls `each` with the finished images, in order.
    pub(crate) fn for_each_image(
        &mut self,
        mut each: impl FnMut(DoneImage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.held.is_some() {
            return Ok(());
        }
        let cannot_read = self.cannot_read();
        let mut images = 0;
        for located in Lines::new(&mut self.journal).with_context(|| cannot_read.clone())? {
            if let Line::Image { image, .. } = located.with_context(|| cannot_read.clone())?.line {
                images += 1;
                each(image)?;
            }
        }
        self.journal.seek(SeekFrom::End(0))?;
        self.check_count(images, self.done.images)
    }

    /// Fails if the journal no longer lists all images: without their rows, the output would be
    /// incomplete.
    fn check_count(&self, listed: u64, expected: u64) -> anyhow::Result<()> {
        if listed != expected {
            bail!(
                "'{}' was changed during the run: it lists {listed} images, and should list \
                 {expected}; start the same command again",
                self.place.journal.display()
            );
        }
        Ok(())
    }

    /// Writes the heading to `to`; returns whether there is one.
    pub(crate) fn read_heading(&mut self, to: &mut impl Write) -> anyhow::Result<bool> {
        if !self.has_heading {
            return Ok(false);
        }
        let cannot_read = self.cannot_read();
        let changed = format!("'{}' was changed during the run", self.place.data.display());
        let mut found = None;
        for located in Lines::starting_at(&mut self.journal, self.first_line)? {
            let located = located.with_context(|| cannot_read.clone())?;
            if let Line::Heading { bytes, crc } = located.line {
                found = Some((bytes, crc));
                break;
            }
        }
        self.journal.seek(SeekFrom::End(0))?;
        let (bytes, crc) = found.with_context(|| changed.clone())?;
        let mut hasher = crc32fast::Hasher::new();
        let (mut at, mut buffer) = (0, vec![0; 1 << 16]);
        while at < bytes {
            let length = buffer.len().min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
            self.read_at(at, &mut buffer[..length])?;
            hasher.update(&buffer[..length]);
            to.write_all(&buffer[..length])?;
            at += length as u64;
        }
        if hasher.finalize() != crc {
            bail!(changed);
        }
        Ok(true)
    }

    /// Reads back bytes of finished images.
    pub(crate) fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> anyhow::Result<()> {
        let read = self.data.seek(SeekFrom::Start(at)).and_then(|_| self.data.read_exact(bytes));
        self.data.seek(SeekFrom::End(0))?;
        read.with_context(|| format!("cannot read back '{}'", self.place.data.display()))
    }

    /// Calls `each` for every image with rows in the data: the image, the position of its bytes,
    /// and the bytes.
    pub(crate) fn replay(
        &mut self,
        mut each: impl FnMut(&DoneImage, u64, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.held.is_some() {
            return Ok(());
        }
        self.data.rewind()?;
        let cannot_read = self.cannot_read();
        let mut data = BufReader::with_capacity(1 << 18, &self.data);
        let (mut rows, mut at, mut images) = (Vec::new(), 0, 0);
        for located in Lines::starting_at(&mut self.journal, self.first_line)? {
            let located = located.with_context(|| cannot_read.clone())?;
            let (bytes, crc) = match &located.line {
                Line::Heading { bytes, .. } => {
                    data.seek_relative(i64::try_from(*bytes)?)?;
                    at += bytes;
                    continue;
                }
                Line::Image { bytes, crc, .. } => (*bytes, *crc),
                Line::Started { .. }
                | Line::Files { .. }
                | Line::Part { .. }
                | Line::End { .. } => continue,
            };
            rows.clear();
            let read = data.by_ref().take(bytes).read_to_end(&mut rows);
            read.with_context(|| cannot_read.clone())?;
            if crc32fast::hash(&rows) != crc || rows.len() as u64 != bytes {
                bail!("'{}' was changed during the run", self.place.data.display());
            }
            if let Line::Image { image, .. } = &located.line {
                images += 1;
                each(image, at, &rows)?;
            }
            at += bytes;
        }
        self.data.seek(SeekFrom::End(0))?;
        self.journal.seek(SeekFrom::End(0))?;
        self.check_count(images, self.done.images_in_data)
    }
}
