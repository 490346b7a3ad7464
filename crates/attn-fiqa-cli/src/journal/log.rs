//! The rows of a run so far, and the journal that vouches for them.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use super::files::{boot, sync_folder};
use super::reader::{Lines, MAGIC, read_header};
use super::recovery::RecoverableRun;
use super::{DoneImage, Fingerprint, Line, RunFiles, RunPaths};
use crate::{interrupt, log as report};

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
    /// The files are no longer this run's to remove.
    completed: bool,
}

impl RunLog {
    /// Continues the run with this fingerprint whose files are at `place`, or starts it.
    /// `overwrite` discards what a run with another fingerprint left.
    ///
    /// # Errors
    ///
    /// If another run is writing there, if what is there was left by a run with another fingerprint
    /// or is not from a run, or if it cannot be written.
    pub(crate) fn open(
        place: RunPaths,
        fingerprint: &Fingerprint,
        overwrite: bool,
    ) -> anyhow::Result<Self> {
        let journal = place.lock()?;
        let cannot = || format!("cannot write '{}'", place.data.display());
        let had_data = place.data.exists();
        let mut options = File::options();
        let data = options.read(true).write(true).create(true).truncate(false);
        let mut log = Self {
            data: data.open(&place.data).with_context(cannot)?,
            journal,
            pending: Vec::new(),
            has_heading: false,
            data_end: 0,
            first_line: 0,
            done: Done::default(),
            continues: false,
            started: SystemTime::now(),
            last_sync: Instant::now(),
            files: None,
            completed: false,
            place,
        };
        if !log.resume(fingerprint, overwrite, had_data)? {
            log.start(fingerprint)?;
        }
        Ok(log)
    }

    /// Whether there is a run to continue.
    fn resume(
        &mut self,
        fingerprint: &Fingerprint,
        overwrite: bool,
        had_data: bool,
    ) -> anyhow::Result<bool> {
        let (journal, data) = (self.journal.metadata()?.len(), self.data.metadata()?.len());
        if journal == 0 && data == 0 {
            return Ok(false);
        }
        let found = read_header(&mut BufReader::new(&self.journal));
        let found = match found {
            Ok(found) => found,
            // A run that was killed before its first row.
            Err(_) if data == 0 => return Ok(false),
            Err(_) if overwrite => return Ok(false),
            Err(error) => {
                self.leave_untouched(had_data);
                bail!(
                    "'{}' cannot be continued, since its journal '{}' {error}: {}",
                    self.place.data.display(),
                    self.place.journal.display(),
                    self.place.remedy()
                )
            }
        };
        let differences = found.differences(fingerprint);
        let finished = !had_data && self.is_finished()?;
        if finished || (!differences.is_empty() && overwrite) {
            return Ok(false);
        }
        if !differences.is_empty() {
            self.leave_untouched(had_data);
            bail!(
                "'{}' is from a different unfinished run, and the two cannot be mixed: {}; {}",
                self.place.data.display(),
                differences.join(", "),
                self.place.remedy()
            );
        }
        self.truncate_to_recoverable()?;
        Ok(true)
    }

    /// Leaves another run's files alone: nothing is removed and nothing added.
    fn leave_untouched(&mut self, had_data: bool) {
        self.completed = true;
        if !had_data {
            let _ = fs::remove_file(&self.place.data);
        }
    }

    /// Whether the journal belongs to a complete shard.
    fn is_finished(&mut self) -> anyhow::Result<bool> {
        let mut last = None;
        for line in Lines::new(&mut self.journal)? {
            last = Some(line.line);
        }
        Ok(matches!(last, Some(Line::End { .. })))
    }

    /// Keeps the longest part of the data that the journal vouches for, and drops the rest.
    fn truncate_to_recoverable(&mut self) -> anyhow::Result<()> {
        let whole = RecoverableRun::find(&mut self.journal, &mut self.data, boot())?;
        if whole.damaged > 0 {
            report::warning(format!(
                "the rows of {} images in '{}' are damaged or missing, and are made again",
                whole.damaged,
                self.place.data.display()
            ));
        }
        if whole.not_synced > 0 {
            report::info(format!(
                "the files of {} images may not have reached the disk before the machine was \
                 restarted, and are made again",
                whole.not_synced
            ));
        }
        self.data.set_len(whole.data_end).with_context(|| self.cannot_write())?;
        self.journal.set_len(whole.journal_end).with_context(|| self.cannot_write())?;
        self.data.seek(SeekFrom::End(0))?;
        self.journal.seek(SeekFrom::End(0))?;
        self.continues = whole.done.images + whole.not_synced > 0;
        (self.done, self.has_heading) = (whole.done, whole.has_heading);
        (self.data_end, self.first_line) = (whole.data_end, whole.first_line);
        self.started = whole.started.unwrap_or(self.started);
        Ok(())
    }

    /// Starts from scratch.
    fn start(&mut self, fingerprint: &Fingerprint) -> anyhow::Result<()> {
        self.data.set_len(0).with_context(|| self.cannot_write())?;
        self.journal.set_len(0).with_context(|| self.cannot_write())?;
        self.data.rewind()?;
        self.journal.rewind()?;
        let header = format!("{MAGIC}\n{}\n", serde_json::to_string(fingerprint)?);
        self.first_line = header.len() as u64;
        self.journal.write_all(header.as_bytes()).with_context(|| self.cannot_write())?;
        self.started = self.journal.metadata()?.modified()?;
        let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.note(&Line::Started { nanoseconds })?;
        if let Ok(existing) = fs::metadata(&self.place.output)
            && existing.is_file()
        {
            // Anyone who could not read the replaced file must not be able to read this one.
            self.data.set_permissions(existing.permissions())?;
        }
        Ok(())
    }

    fn cannot_write(&self) -> String {
        format!("cannot write '{}'", self.place.data.display())
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

    /// Calls `each` with the finished images, in order.
    pub(crate) fn for_each_image(
        &mut self,
        mut each: impl FnMut(DoneImage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for located in Lines::new(&mut self.journal)? {
            if let Line::Image { image, .. } = located.line {
                each(image)?;
            }
        }
        self.journal.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// The position in the data of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.data_end + self.pending.len() as u64
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
        self.data.rewind()?;
        let mut data = BufReader::with_capacity(1 << 18, &self.data);
        let (mut rows, mut at) = (Vec::new(), 0);
        for located in Lines::starting_at(&mut self.journal, self.first_line)? {
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
            data.by_ref().take(bytes).read_to_end(&mut rows)?;
            if crc32fast::hash(&rows) != crc || rows.len() as u64 != bytes {
                bail!("'{}' was changed during the run", self.place.data.display());
            }
            if let Line::Image { image, .. } = &located.line {
                each(image, at, &rows)?;
            }
            at += bytes;
        }
        self.data.seek(SeekFrom::End(0))?;
        self.journal.seek(SeekFrom::End(0))?;
        Ok(())
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
        self.note(&Line::End { images })
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
        let written = self.journal.write_all(line.to_string().as_bytes());
        written.with_context(|| self.kept())
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

    /// Turns the data into the output; the journal is kept if `keep_journal` is set.
    pub(crate) fn complete(mut self, keep_journal: bool) -> anyhow::Result<()> {
        self.sync()?;
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
            return Ok(self.journal.sync_data()?);
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
            let _ = fs::remove_file(&self.place.journal);
        } else if self.files.is_some() {
            let _ = self.sync();
        }
    }
}
