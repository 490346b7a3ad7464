//! Progress of a run: a bar on a terminal, a line every half minute elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::log;

/// Seconds between two lines.
const LINE_SECONDS: u64 = 30;

/// Environment variable that overrides [`LINE_SECONDS`].
const SECONDS_VARIABLE: &str = "ATTN_FIQA_PROGRESS_SECONDS";

/// The progress of a run or of one of its steps.
pub(crate) struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
    line_every: Duration,
    last_line: Instant,
}

impl Progress {
    /// Starts at 0 with an unknown total.
    pub(crate) fn start(template: &str) -> Self {
        let on_terminal = log::shows_bar();
        let target = if on_terminal {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if on_terminal {
            log::set_bar(Some(bar.clone()));
        }
        let progress =
            Self { bar, on_terminal, line_every: line_every(), last_line: Instant::now() };
        progress.set_template(template);
        progress
    }

    /// Changes what the bar shows.
    pub(crate) fn set_template(&self, template: &str) {
        let style = ProgressStyle::with_template(template);
        self.bar.set_style(style.expect("the template is valid: this is a bug"));
    }

    /// Sets the total.
    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Sets the text of `{msg}`, and restarts the estimate of the time left from `done`.
    pub(crate) fn start_step(&self, step: &str, done: u64) {
        self.bar.set_message(step.to_owned());
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Sets the amount done.
    pub(crate) fn set_done(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Adds to the amount done.
    pub(crate) fn advance(&self, more: u64) {
        self.bar.inc(more);
    }

    /// Whether a progress line is due; never on a terminal, which has the bar.
    pub(crate) fn is_line_due(&mut self) -> bool {
        let due = !self.on_terminal && self.last_line.elapsed() >= self.line_every;
        if due {
            self.last_line = Instant::now();
        }
        due
    }

    /// The time left, estimated from what has been done so far.
    pub(crate) fn time_left(&self) -> Duration {
        self.bar.eta()
    }
}

impl Drop for Progress {
    /// Removes the bar, even if a run ends with an error.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        log::set_bar(None);
    }
}

fn line_every() -> Duration {
    let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(LINE_SECONDS))
}
