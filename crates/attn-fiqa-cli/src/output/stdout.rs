//! Standard output and other pipes, whose readers may leave early.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Stdout, Write};

/// The reader of an output closed it, as `| head` does.
#[derive(Debug)]
struct OutputClosed;

impl fmt::Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the output closed it")
    }
}

impl Error for OutputClosed {}

/// Marks an error of writing to an output: connections and other pipes break too.
pub(super) fn mark_closed(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, OutputClosed),
        _ => error,
    }
}

/// Whether an error means that the reader of an output closed it.
pub(crate) fn is_output_closed(error: &anyhow::Error) -> bool {
    let is_closed =
        |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<OutputClosed>());
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(is_closed)
            || cause.downcast_ref::<csv::Error>().is_some_and(|error| match error.kind() {
                csv::ErrorKind::Io(error) => is_closed(error),
                _ => false,
            })
    })
}

/// Standard output.
pub(crate) struct StandardOutput(Stdout);

/// Standard output; its errors say when its reader has left.
pub(crate) fn stdout() -> StandardOutput {
    StandardOutput(io::stdout())
}

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(mark_closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(mark_closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_broken_pipes_of_outputs_count_as_closed() {
        let broken = || io::Error::from(ErrorKind::BrokenPipe);
        assert!(!is_output_closed(&broken().into()));
        assert!(!is_output_closed(&mark_closed(ErrorKind::StorageFull.into()).into()));
        assert!(is_output_closed(
            &anyhow::Error::from(mark_closed(broken())).context("cannot write")
        ));
        assert!(is_output_closed(&csv::Error::from(mark_closed(broken())).into()));
    }
}
