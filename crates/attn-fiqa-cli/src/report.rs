//! What is said to a person on standard error: progress, failures, a summary.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::{CropRow, FacesRow, Row};
use attn_fiqa::source::Progress;
use attn_fiqa::status::{Failure, Status};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::hint::message_of;
use crate::interrupt;
use crate::output::{describe_notes, printable};

/// Failures that are shown one by one before only their number is.
const FAILURES_SHOWN: u64 = 5;

/// How often a run whose standard error is a file says how far it is, in seconds.
const SELDOM: u64 = 30;

/// Another number of seconds in place of [`SELDOM`].
const SECONDS_VARIABLE: &str = "ATTN_FIQA_PROGRESS_SECONDS";

/// While lists and archives are read nobody knows how many images are to come, and
/// a time left would be a guess.
const WHILE_FINDING: &str =
    "{spinner} {human_pos} images  {per_sec}  {elapsed}, still finding images";
const WITH_TOTAL: &str = "{bar:30} {human_pos}/{human_len}  {per_sec}  {eta} left";

fn set_style(bar: &ProgressBar, template: &str) {
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.expect("a template that cannot be read: this is a bug"));
}

/// A line on standard error. Whoever closed it does not want to hear, and file
/// names must not steer the terminal.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

/// What a run is about, for its summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Scoring faces.
    Scoring,
    /// Finding them only.
    Finding,
    /// Something else, in the past tense.
    Other(&'static str),
}

/// Follows a run and tells about it.
pub(crate) struct Report {
    doing: Doing,
    quiet: bool,
    verbose: bool,
    bar: ProgressBar,
    /// How often a line says how far the run is; never on a terminal, which has the bar.
    line_every: Option<Duration>,
    last_line: Instant,
    /// Whether the bar shows how much is left.
    total_known: bool,
    tally: Progress,
    started: Instant,
    /// Images that came by, and those of them with a face that was scored.
    images: u64,
    images_scored: u64,
    /// Faces.
    scored: u64,
    found: u64,
    failures: BTreeMap<&'static str, u64>,
    notes: BTreeMap<String, u64>,
}

impl Report {
    /// A progress bar is drawn only for a person: on a terminal and unless quiet.
    pub(crate) fn start(args: &RunArgs, tally: Progress) -> Self {
        Self::start_doing(args.quiet, args.verbose, Doing::Scoring, tally)
    }

    /// The same for a run that does something else than score; `done` says what
    /// is done to an image, in the past tense.
    pub(crate) fn start_other(
        quiet: bool,
        verbose: bool,
        done: &'static str,
        tally: Progress,
    ) -> Self {
        Self::start_doing(quiet, verbose, Doing::Other(done), tally)
    }

    /// The same for a run that finds faces and scores none.
    pub(crate) fn start_finding(quiet: bool, verbose: bool, tally: Progress) -> Self {
        Self::start_doing(quiet, verbose, Doing::Finding, tally)
    }

    fn start_doing(quiet: bool, verbose: bool, doing: Doing, tally: Progress) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        let target = if visible {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        set_style(&bar, WHILE_FINDING);
        Self {
            doing,
            quiet,
            verbose,
            bar,
            line_every: (!quiet && !visible).then(line_every),
            last_line: Instant::now(),
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

    /// A line for a person, unless quiet.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| say(line));
        }
    }

    /// A line for a person who asked for everything.
    pub(crate) fn say_in_detail(&self, line: &str) {
        if self.verbose {
            self.say(line);
        }
    }

    /// Takes note of one image.
    pub(crate) fn count(&mut self, row: &Row) {
        if row.is_first {
            self.count_notes(&row.notes);
        }
        let notes = if row.is_first { &row.notes[..] } else { &[] };
        self.images_scored += u64::from(row.is_first && row.outcome.is_ok());
        self.count_outcome(&row.path, notes, row.outcome.as_ref().err());
    }

    /// Takes note of an image that is neither done nor failed.
    pub(crate) fn count_passed_over(&mut self, notes: &[Note]) {
        self.count_notes(notes);
    }

    /// Takes note of one face that was cut out, or of an image without any.
    pub(crate) fn count_crop(&mut self, row: &CropRow) {
        if row.is_first {
            self.count_notes(&row.notes);
        }
        let notes = if row.is_first { &row.notes[..] } else { &[] };
        self.count_outcome(&row.path, notes, row.crop.as_ref().err());
    }

    /// Takes note of an image whose faces were looked for.
    pub(crate) fn count_faces(&mut self, row: &FacesRow) {
        self.found += row.faces.as_ref().map_or(0, Vec::len) as u64;
        self.count_image(&row.path, &row.notes, row.faces.as_ref().err());
    }

    /// Takes note of one image by what there is to tell of it.
    pub(crate) fn count_image(&mut self, path: &str, notes: &[Note], failure: Option<&Failure>) {
        self.count_notes(notes);
        self.images_scored += u64::from(failure.is_none());
        self.count_outcome(path, notes, failure);
    }

    fn count_notes(&mut self, notes: &[Note]) {
        let counts = self.tally.counts();
        if counts.exact && !self.total_known {
            self.total_known = true;
            self.bar.set_length(counts.known);
            set_style(&self.bar, WITH_TOTAL);
        }
        self.images += 1;
        self.bar.inc(1);
        if self.line_every.is_some_and(|every| self.last_line.elapsed() >= every) {
            self.last_line = Instant::now();
            self.say_how_far(counts.known);
        }
        for note in notes {
            *self.notes.entry(kind_of(note)).or_default() += 1;
        }
    }

    /// What the bar shows on a terminal, as a line of a log.
    fn say_how_far(&self, known: u64) {
        let of = if self.total_known { format!(" of {known}") } else { String::new() };
        let failed: u64 = self.failures.values().sum();
        let (images, rate) = (self.images, self.rate());
        self.say(&format!("progress: {images}{of} images, {rate:.0} images/s, {failed} failed"));
    }

    /// Images a second since the start.
    fn rate(&self) -> f64 {
        let elapsed = self.started.elapsed().max(Duration::from_millis(1));
        self.images as f64 / elapsed.as_secs_f64()
    }

    fn count_outcome(&mut self, path: &str, notes: &[Note], failure: Option<&Failure>) {
        match failure {
            None => {
                self.scored += 1;
                if !notes.is_empty() {
                    self.say_in_detail(&format!("{path}: {}", describe_notes(notes)));
                }
            }
            Some(failure) => self.count_failure(path, failure),
        }
    }

    /// Takes note of an image that failed.
    pub(crate) fn count_failure(&mut self, path: &str, failure: &Failure) {
        let before: u64 = self.failures.values().sum();
        *self.failures.entry(failure.status.name()).or_default() += 1;
        if self.verbose || before < FAILURES_SHOWN {
            self.say(&format!("{path}: {}: {}", failure.status, message_of(failure)));
        } else if before == FAILURES_SHOWN {
            self.say("further failures are in the rows; --verbose shows them all here");
        }
    }

    /// A face that was scored failed later on.
    pub(crate) fn retract(&mut self, row: &Row, status: Status, message: &str) {
        self.scored -= 1;
        self.images_scored -= u64::from(row.is_first);
        self.count_failure(&row.path, &Failure::new(status, message));
    }

    /// Whether no image came by, though none was kept from coming.
    pub(crate) fn is_empty(&self) -> bool {
        self.images == 0 && !interrupt::asked()
    }

    /// Ends the bar, says how it went, and gives the exit status.
    pub(crate) fn finish(self) -> Exit {
        self.bar.finish_and_clear();
        let failed: u64 = self.failures.values().sum();
        let mut summary = match self.doing {
            Doing::Finding => format!("{} in {}", faces(self.found), images(self.images)),
            Doing::Other(done) => format!("{} {done}", self.scored),
            Doing::Scoring if self.scored == self.images_scored => {
                format!("{} scored", self.scored)
            }
            Doing::Scoring => {
                format!("{} of {} scored", faces(self.scored), images(self.images_scored))
            }
        };
        if failed > 0 {
            let kinds: Vec<String> =
                self.failures.iter().map(|(status, count)| format!("{count} {status}")).collect();
            summary += &format!(", {failed} failed ({})", kinds.join(", "));
        }
        let elapsed = self.started.elapsed();
        let rate = self.rate();
        summary += &format!(" in {:.1} s, {rate:.0} images/s", elapsed.as_secs_f64());
        self.say(&summary);
        for (note, count) in &self.notes {
            self.say(&format!("note: {count} × {note}"));
        }
        let passed_over = self.tally.skipped();
        if passed_over > 0 {
            let files =
                if passed_over == 1 { "file that is no image" } else { "files that are no images" };
            self.say(&format!("note: {passed_over} {files} passed over"));
        }
        if failed > 0 { Exit::SomeFailed } else { Exit::Done }
    }
}

fn line_every() -> Duration {
    let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(SELDOM))
}

fn faces(count: u64) -> String {
    format!("{count} {}", if count == 1 { "face" } else { "faces" })
}

fn images(count: u64) -> String {
    format!("{count} {}", if count == 1 { "image" } else { "images" })
}

/// A note without what differs from image to image, so that it can be counted.
fn kind_of(note: &Note) -> String {
    match note {
        Note::Resized { to, .. } => format!("resized to {}×{}", to.0, to.1),
        Note::FacesLookedForReduced { .. } => {
            "faces looked for in a reduced picture, small ones may be missed".to_owned()
        }
        Note::OrientationApplied(_) => "EXIF orientation applied".to_owned(),
        other => other.to_string(),
    }
}
