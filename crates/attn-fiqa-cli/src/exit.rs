//! The exit status, as read by scripts.

use crate::hint;
use crate::log;
use crate::output::is_output_closed;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// The run finished, but some images failed; their rows say why.
    SomeFailed = 1,
    /// The run could not start, or its output could not be written.
    NotDone = 2,
    /// The reader of the output left before everything was written, as `| head` does; the status
    /// that shells expect of a program terminated by SIGPIPE.
    OutputClosed = 141,
}

impl From<anyhow::Result<Exit>> for Exit {
    /// Reports the error; a reader of the output that left is not worth a message.
    fn from(outcome: anyhow::Result<Self>) -> Self {
        match outcome {
            Ok(exit) => exit,
            Err(error) if is_output_closed(&error) => Self::OutputClosed,
            Err(error) => {
                log::error(describe(&error));
                Self::NotDone
            }
        }
    }
}

/// An error and its causes, omitting causes that are already in the text.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    if let Some(hint) = hint::for_error(error) {
        text = format!("{text} ({hint})");
    }
    text
}
