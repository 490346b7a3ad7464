//! The typed status of one image, which every row carries.

use std::fmt;

/// The outcome of one image. The names are stable: scripts match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Scored.
    Ok,
    /// No such file.
    NotFound,
    /// The file is there but its bytes could not be read.
    Unreadable,
    /// More bytes or pixels than the limits allow; nothing was decoded.
    TooLarge,
    /// Not an image in a known format.
    NotAnImage,
    /// An image in a known format whose data is damaged or truncated.
    BrokenImage,
    /// A valid image of a kind that the decoder does not support.
    UnsupportedImage,
    /// The detector could not be run on the image.
    DetectorFailed,
    /// An image in which no face was found, or none that satisfies the choice of faces.
    NoFace,
    /// The landmark file does not list this image.
    NoLandmarks,
    /// Landmarks that are not those of a face in the image.
    BadLandmarks,
    /// A crop of a size other than the network's, without resizing.
    WrongSize,
    /// An archive that could not be read to its end.
    BrokenArchive,
    /// The network could not be run on the crop.
    NetworkFailed,
    /// The network's arithmetic produced NaN or infinity.
    NonFinite,
    /// The image was scored, but a requested output could not be written.
    NotWritten,
}

impl Status {
    /// Every status, in the order in which they can occur.
    pub const ALL: [Self; 16] = [
        Self::Ok,
        Self::NotFound,
        Self::Unreadable,
        Self::TooLarge,
        Self::NotAnImage,
        Self::BrokenImage,
        Self::UnsupportedImage,
        Self::DetectorFailed,
        Self::NoFace,
        Self::NoLandmarks,
        Self::BadLandmarks,
        Self::WrongSize,
        Self::BrokenArchive,
        Self::NetworkFailed,
        Self::NonFinite,
        Self::NotWritten,
    ];

    /// The name in output files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not-found",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::NotAnImage => "not-an-image",
            Self::BrokenImage => "broken-image",
            Self::UnsupportedImage => "unsupported-image",
            Self::DetectorFailed => "detector-failed",
            Self::NoFace => "no-face",
            Self::NoLandmarks => "no-landmarks",
            Self::BadLandmarks => "bad-landmarks",
            Self::WrongSize => "wrong-size",
            Self::BrokenArchive => "broken-archive",
            Self::NetworkFailed => "network-failed",
            Self::NonFinite => "non-finite",
            Self::NotWritten => "not-written",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why one image has no score. It becomes that image's row and never ends a run.
///
/// # Examples
///
/// ```
/// use attn_fiqa::decode::{DecodeLimits, decode};
/// use attn_fiqa::status::Status;
///
/// let failure = decode(b"a text", &DecodeLimits::default()).expect_err("not an image");
/// assert_eq!(failure.status, Status::NotAnImage);
/// assert_eq!(failure.status.name(), "not-an-image");
/// assert!(failure.message.contains("not an image in a known format"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind of failure; never [`Status::Ok`].
    pub status: Status,
    /// What was expected, what was found and what to do; without the path,
    /// which the row carries. One line of at most [`Failure::MAX_MESSAGE`] characters.
    pub message: String,
}

impl Failure {
    /// Maximum number of characters in a message.
    pub const MAX_MESSAGE: usize = 500;

    /// A failure of the given kind.
    ///
    /// Messages quote decoders and the system, and therefore parts of untrusted files. To keep a
    /// row on one line, control characters and line breaks become spaces. A message longer than
    /// [`Failure::MAX_MESSAGE`] loses its middle, since the cause comes first and the advice last.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        debug_assert!(status != Status::Ok, "a failure cannot be ok: this is a bug");
        Self { status, message: one_short_line(message.into()) }
    }
}

/// Marks the part of a message that is left out.
const LEFT_OUT: &str = " … ";

fn one_short_line(message: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let message = if message.contains(breaks) { message.replace(breaks, " ") } else { message };
    let length = message.chars().count();
    if length <= Failure::MAX_MESSAGE {
        return message;
    }
    let kept = Failure::MAX_MESSAGE - LEFT_OUT.chars().count();
    let (head, tail) = (kept - kept / 4, kept / 4);
    let head = message.chars().take(head);
    head.chain(LEFT_OUT.chars()).chain(message.chars().skip(length - tail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Failure::new(Status::BrokenImage, text).message
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(message("a\r\nb\tc\u{1b}[31m\u{85}d\u{2028}e"), "a  b c [31m d e");
        assert_eq!(message("the side is 7×9, ‘so’"), "the side is 7×9, ‘so’");
    }

    #[test]
    fn a_long_message_keeps_its_ends() {
        let exact = "ß".repeat(Failure::MAX_MESSAGE);
        assert_eq!(message(&exact), exact);
        let long = format!("expected {} so do this", "ß,".repeat(100_000));
        let short = message(&long);
        assert_eq!(short.chars().count(), Failure::MAX_MESSAGE);
        assert!(short.starts_with("expected ß,ß,") && short.ends_with("ß, so do this"));
        assert!(short.contains(LEFT_OUT));
    }
}
