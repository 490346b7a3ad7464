//! What became of one image: the typed status that every row carries.

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
    /// Not a picture in a known format.
    NotAnImage,
    /// A picture in a known format whose data is damaged or cut short.
    BrokenImage,
    /// A valid picture of a kind that the decoder does not handle.
    UnsupportedImage,
    /// The detector could not be run on the picture.
    DetectorFailed,
    /// A picture in which no face was found, or none of those asked for.
    NoFace,
    /// A landmark file was given and says nothing about this picture.
    NoLandmarks,
    /// Landmarks that are not those of a face in the picture.
    BadLandmarks,
    /// A crop whose size is not the network's, and nobody asked for resizing.
    WrongSize,
    /// An archive that could not be read to its end.
    BrokenArchive,
    /// The network could not be run on the crop.
    NetworkFailed,
    /// The network's arithmetic gave NaN or infinity.
    NonFinite,
    /// The image was scored but what was asked for could not be written.
    NotWritten,
}

impl Status {
    /// Every status, in the order of an image's way.
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
/// let failure = decode(b"a text", &DecodeLimits::default()).expect_err("not a picture");
/// assert_eq!(failure.status, Status::NotAnImage);
/// assert_eq!(failure.status.name(), "not-an-image");
/// assert!(failure.message.contains("not a picture in a known format"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind of failure; never [`Status::Ok`].
    pub status: Status,
    /// What was expected, what was found and what to do; without the path,
    /// which the row carries.
    pub message: String,
}

impl Failure {
    /// A failure of the given kind.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        debug_assert!(status != Status::Ok, "a failure cannot be ok: this is a bug");
        Self { status, message: message.into() }
    }
}
