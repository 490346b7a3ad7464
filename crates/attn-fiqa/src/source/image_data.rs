//! What a source hands over: an encoded image, or a frame that is decoded already.

use crate::decode::{DecodeLimits, Decoded, decode, memory_needed};
use crate::pixels::Image;
use crate::status::Failure;

/// One image as it comes from its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageData {
    /// An image file's bytes, still encoded.
    Encoded(Vec<u8>),
    /// Decoded pixels, upright: a frame of an animation or a video.
    Pixels(Image),
}

impl ImageData {
    /// The bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.capacity(),
            Self::Pixels(image) => image.rgb().len(),
        }
    }

    /// The most bytes that [`ImageData::decode`] takes at once beside these; see
    /// [`memory_needed`]. Pixels take none.
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

    /// The image: encoded bytes are decoded within `limits`; pixels are taken as
    /// they are, without a note, since they were checked when they were decoded.
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
