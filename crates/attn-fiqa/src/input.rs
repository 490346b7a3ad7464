//! Input images: encoded or decoded, alone or with the names for their rows.

use std::path::PathBuf;

use crate::decode::{DecodeLimits, Decoded, decode, memory_needed};
use crate::pixels::Image;
use crate::status::Failure;

/// One image: an encoded file, or decoded pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageData {
    /// An image file's bytes, still encoded.
    Encoded(Vec<u8>),
    /// Decoded pixels, upright, such as a frame of an animation or a video.
    Pixels(Image),
}

impl ImageData {
    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.capacity(),
            Self::Pixels(image) => image.rgb().len(),
        }
    }

    /// Peak memory, in bytes, that [`ImageData::decode`] needs in addition to these; see
    /// [`memory_needed`]. Pixels need none.
    ///
    /// # Errors
    ///
    /// As [`memory_needed`].
    pub fn memory_to_decode(&self, limits: &DecodeLimits) -> Result<u64, Failure> {
        match self {
            Self::Encoded(bytes) => memory_needed(bytes, limits),
            Self::Pixels(_) => Ok(0),
        }
    }

    /// The image: encoded bytes are decoded within `limits`; pixels are returned unchanged and
    /// without a note, whatever `limits`.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn decode(self, limits: &DecodeLimits) -> Result<Decoded, Failure> {
        match self {
            Self::Encoded(bytes) => decode(&bytes, limits),
            Self::Pixels(image) => Ok(Decoded { image, notes: Vec::new() }),
        }
    }
}

impl From<Vec<u8>> for ImageData {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Encoded(bytes)
    }
}

impl From<Image> for ImageData {
    fn from(image: Image) -> Self {
        Self::Pixels(image)
    }
}

/// One image, or why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceItem {
    /// The name to show: a path as the user or the list wrote it, or `archive.tar/member`. Bytes
    /// that are not UTF-8 are shown as `\xNN`, and a backslash before what looks like such an
    /// escape as `\x5c`, so that no two names look alike. (On Windows, where names are not bytes,
    /// invalid Unicode is replaced.)
    pub path: String,
    /// The name within its input, for output files: relative, without `..`, never empty. Two inputs
    /// may contain the same name.
    pub relative: PathBuf,
    /// The file's bytes, still encoded, or a frame's pixels.
    pub image: Result<ImageData, Failure>,
}
