//! The exit status, as read by scripts.

use std::io::ErrorKind;

use crate::hint;
use crate::log;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// The run finished, but some images failed; their rows say why.
    SomeFailed = 1,
    /// The run could not start, or its output could not be written.
    NotDone = 2,
}

impl From<anyhow::Result<Exit>> for Exit {
    /// Reports the error; a closed pipe (`| head`) does not count as one.
    fn from(outcome: anyhow::Result<Self>) -> Self {
        match outcome {
            Ok(exit) => exit,
            Err(error) if is_broken_pipe(&error) => Self::Done,
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

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
            || cause.downcast_ref::<csv::Error>().is_some_and(|error| match error.kind() {
                csv::ErrorKind::Io(error) => error.kind() == ErrorKind::BrokenPipe,
                _ => false,
            })
    })
}
