//! What a run over images has done so far, and the lines that say so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::{CropRow, FacesRow, Row};
use attn_fiqa::source::Progress as SourceProgress;
use attn_fiqa::status::{Failure, Status};
use serde_json::json;

use crate::exit::Exit;
use crate::hint::message_of;
use crate::interrupt;
use crate::log::{self, Level};
use crate::output::describe_notes;
use crate::progress::Progress;

/// Failures that are reported one by one before only their number is.
const FAILURES_REPORTED: u64 = 5;

/// While lists and archives are read the number of images is unknown, and a time left would
/// be a guess.
const WHILE_FINDING: &str =
    "{spinner} {human_pos} images  {per_sec}  {elapsed}, still finding images";
const WITH_TOTAL: &str = "{bar:30} {human_pos}/{human_len}  {per_sec}  {eta} left";

/// What is done to images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Scoring faces.
    Score,
    /// Detecting them only.
    Detect,
    /// Something else, in the past tense, such as "cropped".
    Other(&'static str),
}

/// Counts what happened to images and faces, and reports it.
pub(crate) struct Summary {
    activity: Activity,
    progress: Progress,
    /// Whether the number of images is known.
    total_known: bool,
    tally: SourceProgress,
    started: Instant,
    /// Images so far, and those of them with a face that was scored.
    images: u64,
    images_scored: u64,
    /// Faces.
    scored: u64,
    found: u64,
    failures: BTreeMap<&'static str, u64>,
    notes: BTreeMap<String, u64>,
}

impl Summary {
    /// Starts a run over the images of `tally`.
    pub(crate) fn start(activity: Activity, tally: SourceProgress) -> Self {
        Self {
            activity,
            progress: Progress::start(WHILE_FINDING),
            total_known: false,
            tally,
            started: Instant::now(),
            images: 0,
            images_scored: 0,
            scored: 0,
            found: 0,
            failures: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Counts one row of scores.
    pub(crate) fn count(&mut self, row: &Row) {
        if row.is_first {
            self.count_notes(&row.notes);
        }
        let notes = if row.is_first { &row.notes[..] } else { &[] };
        self.images_scored += u64::from(row.is_first && row.outcome.is_ok());
        self.count_outcome(&row.path, notes, row.outcome.as_ref().err());
    }

    /// Counts an image that is neither done nor failed.
    pub(crate) fn count_skipped(&mut self, notes: &[Note]) {
        self.count_notes(notes);
    }

    /// Counts one face that was cropped, or an image without any.
    pub(crate) fn count_crop(&mut self, row: &CropRow) {
        if row.is_first {
            self.count_notes(&row.notes);
        }
        let notes = if row.is_first { &row.notes[..] } else { &[] };
        self.count_outcome(&row.path, notes, row.crop.as_ref().err());
    }

    /// Counts an image that was searched for faces.
    pub(crate) fn count_faces(&mut self, row: &FacesRow) {
        self.found += row.faces.as_ref().map_or(0, Vec::len) as u64;
        self.count_image(&row.path, &row.notes, row.faces.as_ref().err());
    }

    /// Counts one image by its notes and its failure, if it failed.
    pub(crate) fn count_image(&mut self, path: &str, notes: &[Note], failure: Option<&Failure>) {
        self.count_notes(notes);
        self.images_scored += u64::from(failure.is_none());
        self.count_outcome(path, notes, failure);
    }

    fn count_notes(&mut self, notes: &[Note]) {
        let counts = self.tally.counts();
        if counts.exact && !self.total_known {
            self.total_known = true;
            self.progress.set_total(counts.known);
            self.progress.set_template(WITH_TOTAL);
        }
        self.images += 1;
        self.progress.set_done(self.images);
        if self.progress.is_line_due() {
            self.report_progress(counts.known);
        }
        for note in notes {
            *self.notes.entry(kind_of(note)).or_default() += 1;
        }
    }

    fn report_progress(&self, known: u64) {
        let total = self.total_known.then_some(known);
        let of = total.map_or(String::new(), |total| format!(" of {total}"));
        let failed: u64 = self.failures.values().sum();
        let (images, rate) = (self.images, self.rate());
        log::event(
            Level::Info,
            &format!("progress: {images}{of} images, {rate:.0} images/s, {failed} failed"),
            "progress",
            [
                ("images", images.into()),
                ("total", json!(total)),
                ("failed", failed.into()),
                ("images_per_second", json!(rate)),
            ],
        );
    }

    /// Images per second since the start.
    fn rate(&self) -> f64 {
        let elapsed = self.started.elapsed().max(Duration::from_millis(1));
        self.images as f64 / elapsed.as_secs_f64()
    }

    fn count_outcome(&mut self, path: &str, notes: &[Note], failure: Option<&Failure>) {
        match failure {
            None => {
                self.scored += 1;
                if !notes.is_empty() {
                    log::debug(format!("{path}: {}", describe_notes(notes)));
                }
            }
            Some(failure) => self.count_failure(path, failure),
        }
    }

    /// Counts an image that failed.
    pub(crate) fn count_failure(&mut self, path: &str, failure: &Failure) {
        let before: u64 = self.failures.values().sum();
        *self.failures.entry(failure.status.name()).or_default() += 1;
        if before < FAILURES_REPORTED || log::shows(Level::Debug) {
            let message = message_of(failure);
            log::event(
                Level::Info,
                &format!("{path}: {}: {message}", failure.status),
                "failure",
                [("path", path.into()), ("status", failure.status.name().into())],
            );
        } else if before == FAILURES_REPORTED {
            log::info("further failures are in the rows; --verbose reports all of them here");
        }
    }

    /// A face that was scored failed later.
    pub(crate) fn retract(&mut self, row: &Row, status: Status, message: &str) {
        self.scored -= 1;
        self.images_scored -= u64::from(row.is_first);
        self.count_failure(&row.path, &Failure::new(status, message));
    }

    /// Fails if the inputs held no image; an interrupted run is none that had none.
    pub(crate) fn refuse_empty(&self) -> anyhow::Result<()> {
        if self.images == 0 && !interrupt::asked() {
            anyhow::bail!("the inputs hold no image");
        }
        Ok(())
    }

    /// Reports how the run went, and gives the exit status.
    pub(crate) fn finish(self) -> Exit {
        let elapsed = self.started.elapsed();
        let (rate, skipped) = (self.rate(), self.tally.skipped());
        let Self {
            activity, images, images_scored, scored, found, failures, notes, progress, ..
        } = self;
        drop(progress);
        let failed: u64 = failures.values().sum();
        let mut line = match activity {
            Activity::Detect => format!("{} in {}", faces(found), of_images(images)),
            Activity::Other(done) => format!("{scored} {done}"),
            Activity::Score if scored == images_scored => format!("{scored} scored"),
            Activity::Score => format!("{} of {} scored", faces(scored), of_images(images_scored)),
        };
        if failed > 0 {
            let kinds: Vec<String> =
                failures.iter().map(|(status, count)| format!("{count} {status}")).collect();
            line += &format!(", {failed} failed ({})", kinds.join(", "));
        }
        line += &format!(" in {:.1} s, {rate:.0} images/s", elapsed.as_secs_f64());
        log::event(
            Level::Info,
            &line,
            "summary",
            [
                ("images", images.into()),
                ("faces", if activity == Activity::Detect { found } else { scored }.into()),
                ("failed", failed.into()),
                ("failures", json!(failures)),
                ("skipped_files", skipped.into()),
                ("seconds", json!(elapsed.as_secs_f64())),
            ],
        );
        for (note, count) in &notes {
            log::note(format!("{count} × {note}"));
        }
        if skipped > 0 {
            let files =
                if skipped == 1 { "file that is no image" } else { "files that are no images" };
            log::note(format!("{skipped} {files} skipped"));
        }
        if failed > 0 { Exit::SomeFailed } else { Exit::Done }
    }
}

fn faces(count: u64) -> String {
    format!("{count} {}", if count == 1 { "face" } else { "faces" })
}

fn of_images(count: u64) -> String {
    format!("{count} {}", if count == 1 { "image" } else { "images" })
}

/// A note without what differs from image to image, so that it can be counted.
fn kind_of(note: &Note) -> String {
    match note {
        Note::Resized { to, .. } => format!("resized to {}×{}", to.0, to.1),
        Note::FacesLookedForReduced { .. } => {
            "faces detected in a reduced image, small ones may be missed".to_owned()
        }
        Note::OrientationApplied(_) => "EXIF orientation applied".to_owned(),
        other => other.to_string(),
    }
}
