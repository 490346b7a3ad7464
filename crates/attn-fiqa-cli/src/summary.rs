//! What a run over images has done so far, and the lines that report it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::{CropRow, FacesRow, Row};
use attn_fiqa::source::Progress as SourceProgress;
use attn_fiqa::status::{Failure, Status};
use serde_json::json;

use crate::exit::Exit;
use crate::hint::{message_of, message_of_crop};
use crate::interrupt;
use crate::journal::{Found, Images};
use crate::log::{self, Level};
use crate::output::describe_notes;
use crate::progress::Progress;

/// Failures reported individually before only their number is reported.
const FAILURES_REPORTED: u64 = 5;

/// While lists and archives are being read, the number of images is unknown and an estimate of the
/// time left would be a guess.
const WHILE_FINDING: &str =
    "{spinner} {human_pos} images  {per_sec}  {elapsed}, still finding images";
const WITH_TOTAL: &str = "{bar:30} {human_pos}/{human_len}  {per_sec}  {eta} left";

/// What is done to the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Scoring faces.
    Score,
    /// Detecting faces only.
    Detect,
    /// Something else, as a past participle such as "cropped".
    Other(&'static str),
    /// The same, by a command that takes only aligned crops.
    OnCrops(&'static str),
}

/// Counts what happened to images and faces, and reports it.
pub(crate) struct Summary {
    activity: Activity,
    progress: Progress,
    /// Whether the number of images is known.
    total_known: bool,
    source_progress: SourceProgress,
    started: Instant,
    /// Images so far, and how many of them have a scored face.
    images: u64,
    images_scored: u64,
    /// Number of faces.
    scored: u64,
    found: u64,
    failures: BTreeMap<&'static str, u64>,
    notes: BTreeMap<String, u64>,
    /// The fraction of the found images that belongs to this run.
    shard_fraction: f64,
    /// Whether there are any images, even if this run processes none of them.
    inputs: Option<Found>,
    /// Images done by earlier runs, which this one continues.
    earlier: u64,
    /// Counts of the current image and of the previous one: see [`Summary::outcome`].
    outcome: Vec<&'static str>,
    outcome_before: Vec<&'static str>,
}

/// In an image's outcome: a face that was scored, or an image that was searched.
pub(crate) const SCORED: &str = "ok";
/// In an image's outcome: a face that was found, where none are scored.
pub(crate) const FOUND: &str = "face";

impl Summary {
    /// Starts a run over the images of `source_progress`.
    pub(crate) fn start(activity: Activity, source_progress: SourceProgress) -> Self {
        Self {
            activity,
            progress: Progress::start(WHILE_FINDING),
            total_known: false,
            source_progress,
            started: Instant::now(),
            images: 0,
            images_scored: 0,
            scored: 0,
            found: 0,
            failures: BTreeMap::new(),
            notes: BTreeMap::new(),
            shard_fraction: 1.0,
            inputs: None,
            earlier: 0,
            outcome: Vec::new(),
            outcome_before: Vec::new(),
        }
    }

    /// Starts a run over images, some of which earlier runs may have done.
    pub(crate) fn of_images(activity: Activity, images: &Images) -> Self {
        let mut summary = Self::start(activity, images.progress());
        summary.add_earlier(images.earlier());
        summary.inputs = Some(images.found());
        summary.shard_fraction = images.shard_fraction();
        summary
    }

    /// Counts the images of earlier runs, given how often each outcome occurred.
    fn add_earlier(&mut self, outcomes: &BTreeMap<String, u64>) {
        for (outcome, &count) in outcomes {
            self.images += count;
            self.earlier += count;
            for (place, word) in outcome.split(',').enumerate() {
                match word {
                    SCORED => {
                        self.scored += count;
                        self.images_scored += if place == 0 { count } else { 0 };
                    }
                    FOUND => self.found += count,
                    word => {
                        let status = Status::ALL.iter().find(|status| status.name() == word);
                        let name = status.map_or("failed", |status| status.name());
                        *self.failures.entry(name).or_default() += count;
                    }
                }
            }
        }
        if self.earlier > 0 {
            self.progress.start_step("", self.earlier);
        }
    }

    /// What was counted for the current image, as one text: one word per face, which is a status.
    /// Later runs read it from the journal.
    pub(crate) fn outcome(&self) -> String {
        described(&self.outcome)
    }

    /// The same for the previous image.
    pub(crate) fn outcome_before(&self) -> String {
        described(&self.outcome_before)
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

    /// Counts an image that was neither processed nor failed.
    pub(crate) fn count_skipped(&mut self, notes: &[Note]) {
        self.count_notes(notes);
    }

    /// Counts one cropped face, or an image without a face.
    pub(crate) fn count_crop(&mut self, row: &CropRow) {
        if row.is_first {
            self.count_notes(&row.notes);
        }
        let notes = if row.is_first { &row.notes[..] } else { &[] };
        self.count_outcome(&row.path, notes, row.crop.as_ref().err());
    }

    /// Counts an image that was searched for faces.
    pub(crate) fn count_faces(&mut self, row: &FacesRow) {
        let found = row.faces.as_ref().map_or(0, Vec::len);
        self.found += found as u64;
        self.count_image(&row.path, &row.notes, row.faces.as_ref().err());
        self.outcome.extend(std::iter::repeat_n(FOUND, found));
    }

    /// Counts one image, with its notes and its failure if it failed.
    pub(crate) fn count_image(&mut self, path: &str, notes: &[Note], failure: Option<&Failure>) {
        self.count_notes(notes);
        self.images_scored += u64::from(failure.is_none());
        self.count_outcome(path, notes, failure);
    }

    /// Starts the next image.
    fn count_notes(&mut self, notes: &[Note]) {
        self.outcome_before = std::mem::take(&mut self.outcome);
        let counts = self.source_progress.counts();
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
        // For a shard, only the images found so far are known to belong to it.
        let total = (self.total_known && self.shard_fraction == 1.0).then_some(known);
        let of = total.map_or(String::new(), |total| format!(" of {total}"));
        let failed: u64 = self.failures.values().sum();
        let (images, rate) = (self.images, self.rate());
        let left = self.time_left(known);
        let shown = left.map_or(String::new(), |left| format!(", {} left", describe_time(left)));
        log::event(
            Level::Info,
            &format!("progress: {images}{of} images, {rate:.0} images/s, {failed} failed{shown}"),
            "progress",
            [
                ("images", images.into()),
                ("total", json!(total)),
                ("failed", failed.into()),
                ("images_per_second", json!(rate)),
                ("seconds_left", json!(left.map(|left| left.as_secs()))),
            ],
        );
    }

    /// The time needed for the remaining images at the rate so far, once their number is known.
    fn time_left(&self, known: u64) -> Option<Duration> {
        let left = known.saturating_sub(self.images) as f64 * self.shard_fraction;
        let rate = self.rate();
        let known = self.total_known && left > 0.0 && rate > 0.0;
        known.then(|| Duration::try_from_secs_f64(left / rate).ok()).flatten()
    }

    /// Images per second since the start.
    fn rate(&self) -> f64 {
        let elapsed = self.started.elapsed().max(Duration::from_millis(1));
        (self.images - self.earlier) as f64 / elapsed.as_secs_f64()
    }

    fn count_outcome(&mut self, path: &str, notes: &[Note], failure: Option<&Failure>) {
        match failure {
            None => {
                self.scored += 1;
                self.outcome.push(SCORED);
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
        self.outcome.push(failure.status.name());
        if before < FAILURES_REPORTED || log::shows(Level::Debug) {
            let message = match self.activity {
                Activity::OnCrops(_) => message_of_crop(failure),
                _ => message_of(failure),
            };
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

    /// Counts a face that was scored but failed later.
    pub(crate) fn retract(&mut self, row: &Row, status: Status, message: &str) {
        self.scored -= 1;
        self.images_scored -= u64::from(row.is_first);
        let last = self.outcome.iter().rposition(|&word| word == SCORED);
        last.map(|last| self.outcome.remove(last));
        self.count_failure(&row.path, &Failure::new(status, message));
    }

    /// Fails if the inputs held no image; an interrupted run does not count as empty.
    pub(crate) fn refuse_empty(&self) -> anyhow::Result<()> {
        let found = self.inputs.as_ref().is_some_and(Found::any);
        if self.images == 0 && !found && !interrupt::is_interrupted() {
            anyhow::bail!("the inputs hold no image");
        }
        Ok(())
    }

    /// Reports how the run went, and returns the exit status.
    pub(crate) fn finish(self) -> Exit {
        let elapsed = self.started.elapsed();
        let (rate, skipped) = (self.rate(), self.source_progress.skipped());
        let links = self.source_progress.links_to_folders();
        let Self {
            activity,
            images,
            images_scored,
            scored,
            found,
            failures,
            notes,
            progress,
            earlier,
            ..
        } = self;
        drop(progress);
        let failed: u64 = failures.values().sum();
        let mut line = match activity {
            Activity::Detect => format!("{} in {}", faces(found), of_images(images)),
            Activity::Other(done) | Activity::OnCrops(done) => format!("{scored} {done}"),
            Activity::Score if scored == images_scored => format!("{scored} scored"),
            Activity::Score => format!("{} of {} scored", faces(scored), of_images(images_scored)),
        };
        if failed > 0 {
            let kinds: Vec<String> =
                failures.iter().map(|(status, count)| format!("{count} {status}")).collect();
            line += &format!(", {failed} failed ({})", kinds.join(", "));
        }
        if earlier > 0 {
            line += &format!(", {} by earlier runs", of_images(earlier));
        }
        line += &format!(" in {:.1} s, {rate:.0} images/s", elapsed.as_secs_f64());
        log::event(
            Level::Info,
            &line,
            "summary",
            [
                ("images", images.into()),
                ("images_of_earlier_runs", earlier.into()),
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
            let files = if skipped == 1 {
                "file that is not an image"
            } else {
                "files that are not images"
            };
            log::note(format!("{skipped} {files} skipped"));
        }
        match links {
            0 => {}
            1 => log::note("1 link to a folder not followed: name that folder, or use a pattern"),
            links => log::note(format!(
                "{links} links to folders not followed: name those folders, or use a pattern"
            )),
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

/// A duration in its two largest units.
fn describe_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds.max(1)),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn described(outcome: &[&'static str]) -> String {
    if outcome.is_empty() { SCORED.to_owned() } else { outcome.join(",") }
}

/// A note without the details that differ between images, so that it can be counted.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_use_at_most_two_units() {
        let shown = |seconds| describe_time(Duration::from_secs(seconds));
        assert_eq!(
            [0, 59, 61, 3_660, 90_000].map(shown),
            ["1 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }

    #[test]
    fn earlier_outcomes_are_added_to_counts() {
        let mut summary = Summary::start(Activity::Score, SourceProgress::default());
        let outcomes = [("ok,ok,not-written", 2), ("not-found", 3), ("ok", 1), ("ok,face,face", 1)];
        let outcomes = outcomes.map(|(outcome, count)| (outcome.to_owned(), count));
        summary.add_earlier(&BTreeMap::from(outcomes));
        assert_eq!((summary.images, summary.images_scored, summary.scored), (7, 4, 6));
        assert_eq!((summary.found, summary.earlier), (2, 7));
        assert_eq!(summary.failures, BTreeMap::from([("not-found", 3), ("not-written", 2)]));
    }
}
