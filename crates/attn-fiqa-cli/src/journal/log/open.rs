//! Opens the log of a run: continues what an earlier run left, or starts from scratch.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use super::RunLog;
use crate::journal::files::boot;
use crate::journal::reader::{Lines, MAGIC, read_header};
use crate::journal::recovery::RecoverableRun;
use crate::journal::{Done, Fingerprint, Line, RunPaths};
use crate::log as report;

/// What was found where a run keeps its rows.
enum Earlier {
    /// Nothing to continue.
    Nothing,
    /// A run that this one continues.
    Unfinished,
    /// A complete shard that this run computes again.
    Finished,
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
        let data = data.open(&place.data).with_context(cannot)?;
        Self::from_files(place, journal, data, had_data, fingerprint, overwrite)
    }

    /// The same with the opened files; `had_data` says whether the data existed before.
    pub(super) fn from_files(
        place: RunPaths,
        journal: File,
        data: File,
        had_data: bool,
        fingerprint: &Fingerprint,
        overwrite: bool,
    ) -> anyhow::Result<Self> {
        let mut log = Self {
            data,
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
            held: None,
            // Until it is known whose they are.
            completed: true,
            place,
        };
        match log.resume(fingerprint, overwrite, had_data) {
            Ok(Earlier::Unfinished) => log.completed = false,
            Ok(earlier) => {
                log.held = matches!(earlier, Earlier::Finished).then(String::new);
                log.completed = false;
                log.start(fingerprint)?;
            }
            Err(error) => {
                if !had_data {
                    let _ = fs::remove_file(&log.place.data);
                }
                return Err(error);
            }
        }
        Ok(log)
    }

    /// Looks for a run to continue, and keeps what can be trusted of it.
    fn resume(
        &mut self,
        fingerprint: &Fingerprint,
        overwrite: bool,
        had_data: bool,
    ) -> anyhow::Result<Earlier> {
        let (journal, data) = (self.journal.metadata()?.len(), self.data.metadata()?.len());
        if journal == 0 && data == 0 {
            return Ok(Earlier::Nothing);
        }
        let found = read_header(&mut BufReader::new(&self.journal));
        let found = match found.with_context(|| self.cannot_read())? {
            Ok(found) => found,
            // A run that was killed before its first row.
            Err(bad) if data == 0 && bad.is_truncated => return Ok(Earlier::Nothing),
            Err(_) if overwrite => return Ok(Earlier::Nothing),
            Err(bad) => bail!(
                "'{}' cannot be continued, since its journal '{}' {}: {}",
                self.place.data.display(),
                self.place.journal.display(),
                bad.what,
                self.place.remedy()
            ),
        };
        let differences = found.differences(fingerprint);
        if !differences.is_empty() && overwrite {
            return Ok(Earlier::Nothing);
        }
        let ended = self.has_ended().with_context(|| self.cannot_read())?;
        if !differences.is_empty() {
            self.refuse(&differences, ended && !had_data)?;
        }
        let whole = RecoverableRun::find(&mut self.journal, &mut self.data, boot())
            .with_context(|| self.cannot_read())?;
        if ended && found.shard.is_some() && (!had_data || whole.damaged > 0) {
            return Ok(Earlier::Finished);
        }
        if ended && !had_data && whole.damaged > 0 {
            // Killed just before it removed its journal; its rows are in the output.
            self.continues = true;
            return Ok(Earlier::Nothing);
        }
        self.keep(whole)?;
        Ok(Earlier::Unfinished)
    }

    /// Refuses to mix this run with another one.
    fn refuse(&self, differences: &[String], finished: bool) -> anyhow::Result<()> {
        let differences = differences.join(", ");
        let RunPaths { output, data, journal } = &self.place;
        if finished {
            bail!(
                "'{}' is the output of a different run, whose journal is '{}': {differences}; name \
                 another output, or start over with --overwrite",
                output.display(),
                journal.display()
            );
        }
        bail!(
            "'{}' is from a different unfinished run, and the two cannot be mixed: {differences}; \
             {}",
            data.display(),
            self.place.remedy()
        )
    }

    /// Whether the run of the journal saw all its images.
    fn has_ended(&mut self) -> io::Result<bool> {
        for located in Lines::new(&mut self.journal)? {
            if let Line::End { .. } = located?.line {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the part of the data that can be trusted, and drops the rest.
    fn keep(&mut self, whole: RecoverableRun) -> anyhow::Result<()> {
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
        self.data.rewind()?;
        let header = format!("{MAGIC}\n{}\n", serde_json::to_string(fingerprint)?);
        self.first_line = header.len() as u64;
        if let Some(held) = &mut self.held {
            *held = header;
            self.started = self.data.metadata()?.modified()?;
        } else {
            self.journal.set_len(0).with_context(|| self.cannot_write())?;
            self.journal.rewind()?;
            self.journal.write_all(header.as_bytes()).with_context(|| self.cannot_write())?;
            self.started = self.journal.metadata()?.modified()?;
        }
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
}
