//! The rows of a run so far, and the journal that vouches for them.

mod open;
mod read;

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

use super::files::{boot, sync_folder};
use super::{DoneImage, Line, RunFiles, RunPaths};
use crate::interrupt;

/// How often rows and journal are flushed to disk. A loss of power loses everything since; a killed
/// process loses nothing that it wrote.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// What earlier runs of the same command did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) images: u64,
    /// Complete files of a data set.
    pub(crate) parts: u64,
    /// Images whose rows are in the data.
    pub(crate) images_in_data: u64,
    pub(crate) rows_in_data: u64,
}

/// Rows that are kept whatever happens to the run.
pub(crate) struct RunLog {
    place: RunPaths,
    data: File,
    journal: File,
    /// Bytes of the image or heading that is being written.
    pending: Vec<u8>,
    has_heading: bool,
    /// Length of the data in bytes.
    data_end: u64,
    /// Where the journal lines for the rows in the data start.
    first_line: u64,
    done: Done,
    /// Whether an earlier run finished images, even if all of them are processed again.
    continues: bool,
    /// When the first of these runs started, by the clock of the file system.
    started: SystemTime,
    last_sync: Instant,
    /// Files that the rows refer to.
    files: Option<RunFiles>,
    /// Lines that are not in the journal yet: until there is an image, it is that of the complete
    /// shard that this run replaces.
    held: Option<String>,
    /// The files are not, or no longer, this run's to remove.
    completed: bool,
}

impl RunLog {
    fn cannot_write(&self) -> String {
        format!("cannot write '{}'", self.place.data.display())
    }

    fn cannot_read(&self) -> String {
        let RunPaths { data, journal, .. } = &self.place;
        format!("cannot read '{}' or '{}'", journal.display(), data.display())
    }

    /// From now on vouches for these files, to which rows refer: after a loss of power, images
    /// whose files may be lost are processed again.
    pub(crate) fn track_files(&mut self, files: RunFiles) -> anyhow::Result<()> {
        self.files = Some(files);
        // A new run has no files yet.
        if self.done.images == 0 { self.note_files() } else { self.sync() }
    }

    /// What earlier runs did, and this one so far.
    pub(crate) fn done(&self) -> &Done {
        &self.done
    }

    /// Whether an earlier run finished images, even if all of them are processed again.
    pub(crate) fn continues(&self) -> bool {
        self.continues
    }

    pub(crate) fn has_heading(&self) -> bool {
        self.has_heading
    }

    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }

    pub(crate) fn place(&self) -> &RunPaths {
        &self.place
    }

    /// The position in the data of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.data_end + self.pending.len() as u64
    }

    /// Commits what was written as the heading.
    pub(crate) fn end_heading(&mut self) -> anyhow::Result<()> {
        if self.has_heading {
            self.pending.clear();
            return Ok(());
        }
        let crc = crc32fast::hash(&self.pending);
        let line = Line::Heading { bytes: self.pending.len() as u64, crc };
        self.commit(&line)?;
        self.has_heading = true;
        Ok(())
    }

    /// Commits the contents of `from` as the heading, however long it is.
    pub(crate) fn copy_heading(&mut self, from: &mut impl Read) -> anyhow::Result<()> {
        // Otherwise the data may look like those of the run that this one replaces.
        self.replace_finished()?;
        let mut hasher = crc32fast::Hasher::new();
        let (mut bytes, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.data.write_all(&buffer[..read]).with_context(|| self.kept())?;
            hasher.update(&buffer[..read]);
            bytes += read as u64;
        }
        self.note(&Line::Heading { bytes, crc: hasher.finalize() })?;
        self.data_end += bytes;
        self.has_heading = true;
        Ok(())
    }

    /// Commits what was written as the rows of one image.
    pub(crate) fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        let crc = crc32fast::hash(&self.pending);
        let bytes = self.pending.len() as u64;
        self.commit(&Line::Image { image: image.clone(), bytes, crc })?;
        self.done.images += 1;
        self.done.images_in_data += 1;
        self.done.rows_in_data += u64::from(image.rows);
        Ok(())
    }

    /// Records that the rows so far are in file number `part` of a data set; the data start again
    /// from empty.
    pub(crate) fn end_part(&mut self, part: u64) -> anyhow::Result<()> {
        self.sync_files()?;
        self.note(&Line::Part { part })?;
        // Otherwise a run after a loss of power would not trust the line before, and would find no
        // data.
        self.note_files()?;
        self.journal.sync_data().with_context(|| self.cannot_write())?;
        self.data.set_len(0).with_context(|| self.cannot_write())?;
        self.data.rewind()?;
        self.data_end = 0;
        self.first_line = self.journal.stream_position()?;
        self.done.parts = part + 1;
        (self.done.images_in_data, self.done.rows_in_data) = (0, 0);
        Ok(())
    }

    /// Records that all images are done; `images` includes those of other shards.
    pub(crate) fn end(&mut self, images: u64) -> anyhow::Result<()> {
        self.sync()?;
        self.note(&Line::End { images })?;
        self.journal.sync_data().with_context(|| self.kept())
    }

    fn commit(&mut self, line: &Line) -> anyhow::Result<()> {
        let written = self.data.write_all(&self.pending);
        written.with_context(|| self.kept())?;
        self.data_end += self.pending.len() as u64;
        self.pending.clear();
        self.note(line)?;
        if self.last_sync.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    fn note(&mut self, line: &Line) -> anyhow::Result<()> {
        let text = line.to_string();
        let Some(held) = &mut self.held else {
            let written = self.journal.write_all(text.as_bytes());
            return written.with_context(|| self.kept());
        };
        held.push_str(&text);
        match line {
            Line::Started { .. } | Line::Heading { .. } | Line::Files { .. } => Ok(()),
            Line::Image { .. } | Line::Part { .. } | Line::End { .. } => self.replace_finished(),
        }
    }

    /// From now on the journal is that of this run, and no longer that of a complete shard that it
    /// replaces.
    pub(crate) fn replace_finished(&mut self) -> anyhow::Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let mut replace = || {
            self.journal.rewind()?;
            self.journal.write_all(held.as_bytes())?;
            self.journal.set_len(held.len() as u64)
        };
        replace().with_context(|| self.kept())
    }

    /// Rows and files come first: the journal must not vouch for what is not there.
    pub(crate) fn sync(&mut self) -> anyhow::Result<()> {
        self.data.sync_data().with_context(|| self.kept())?;
        self.sync_files()?;
        self.note_files()?;
        self.journal.sync_data().with_context(|| self.kept())?;
        self.last_sync = Instant::now();
        Ok(())
    }

    fn sync_files(&self) -> anyhow::Result<()> {
        match &self.files {
            Some(files) => files.sync().with_context(|| self.kept()),
            None => Ok(()),
        }
    }

    /// Records that all files so far are on disk.
    fn note_files(&mut self) -> anyhow::Result<()> {
        match self.files {
            Some(_) => self.note(&Line::Files { boot: boot() }),
            None => Ok(()),
        }
    }

    /// The message for a failed write, such as on a full disk.
    fn kept(&self) -> String {
        format!(
            "cannot write '{}'; the rows of {} images are kept, and the same command continues \
             after them",
            self.place.data.display(),
            self.done.images
        )
    }

    /// Turns the data of a run that has ended into the output; the journal is kept if
    /// `keep_journal` is set.
    pub(crate) fn complete(mut self, keep_journal: bool) -> anyhow::Result<()> {
        self.completed = true;
        let output = &self.place.output;
        fs::rename(&self.place.data, output)
            .with_context(|| format!("cannot write '{}'", output.display()))?;
        sync_folder(output.parent().unwrap_or(Path::new("")));
        self.remove_journal(keep_journal)
    }

    /// Removes the data, which are in the output in another form.
    pub(crate) fn discard(mut self, keep_journal: bool) -> anyhow::Result<()> {
        self.completed = true;
        let removed = fs::remove_file(&self.place.data);
        removed.with_context(|| format!("cannot remove '{}'", self.place.data.display()))?;
        self.remove_journal(keep_journal)
    }

    fn remove_journal(&self, keep: bool) -> anyhow::Result<()> {
        if keep {
            return Ok(());
        }
        let journal = &self.place.journal;
        fs::remove_file(journal).with_context(|| format!("cannot remove '{}'", journal.display()))
    }

    /// Leaves everything for a later run, and reports where it is.
    pub(crate) fn leave(mut self) -> anyhow::Result<()> {
        self.sync()?;
        self.completed = true;
        interrupt::mark_resumable(&self.place.data);
        Ok(())
    }
}

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for RunLog {
    /// A run that ends without a single image leaves nothing behind; one that fails later keeps
    /// what it has done.
    fn drop(&mut self) {
        if self.completed {
            return;
        }
        if self.done.images == 0 {
            let _ = fs::remove_file(&self.place.data);
            if self.held.is_none() {
                let _ = fs::remove_file(&self.place.journal);
            }
        } else if self.files.is_some() {
            let _ = self.sync();
        }
    }
}

#[cfg(test)]
mod tests;
