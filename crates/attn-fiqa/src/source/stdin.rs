//! One image on standard input.

use std::io::{self, Read};
use std::path::Path;

use super::{Context, Step};
use crate::status::{Failure, Status};

/// Whether a path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads the image.
pub(super) fn read(context: &Context) -> Step {
    context.item("-".to_owned(), "stdin".into(), || {
        read_bytes(io::stdin().lock(), context.options.max_bytes)
    })
}

fn read_bytes(input: impl Read, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = input.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
    let unreadable = |message: String| Failure::new(Status::Unreadable, message);
    read.map_err(|error| unreadable(format!("standard input cannot be read: {error}")))?;
    match bytes.len() as u64 {
        0 => Err(unreadable("standard input is empty, but an image was expected".to_owned())),
        length if length > max_bytes => Err(Failure::new(
            Status::TooLarge,
            format!("standard input holds more than the limit of {max_bytes} bytes"),
        )),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_or_empty_stdin_is_rejected() {
        assert_eq!(read_bytes(&b"123"[..], 3).as_deref(), Ok(&b"123"[..]));
        let refused = |bytes: &[u8]| read_bytes(bytes, 3).map_err(|failure| failure.status);
        assert_eq!(refused(b"1234"), Err(Status::TooLarge));
        assert_eq!(refused(b""), Err(Status::Unreadable));
    }
}
