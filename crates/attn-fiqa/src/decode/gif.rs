//! The first image of a GIF file.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::gif::GifDecoder;

use super::{
    DecodeLimits, Decoded, Note, broken, codec_limits, container, failure, memory, pixels,
};
use crate::pixels::Image;
use crate::status::Failure;

/// Decodes the first image, with a note if there are more.
///
/// The decoder gives every GIF an alpha channel; the note that alpha was dropped is only added if a
/// pixel is transparent.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let (width, height) = container::gif_size(bytes)?;
    limits.check_pixels(width, height)?;
    let mut notes = Vec::new();
    if container::gif_has_second_image(bytes)? {
        notes.push(Note::FirstFrame);
    }
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(failure)?;
    decoder.set_limits(codec_limits(limits)).map_err(failure)?;
    let length = width.saturating_mul(height).saturating_mul(4);
    let length = usize::try_from(length).map_err(|_| broken("the image does not fit"))?;
    if decoder.total_bytes() != length as u64 {
        return Err(broken("the image's size is not what the GIF header declares"));
    }
    let mut samples = memory::zeros(length)?;
    decoder.read_image(&mut samples).map_err(failure)?;
    if samples.chunks_exact(4).any(|pixel| pixel[3] != u8::MAX) {
        notes.push(Note::AlphaDropped);
    }
    pixels::drop_alpha(&mut samples);
    // Within the limits, width and height fit a `usize`.
    let image = Image::from_rgb(width as usize, height as usize, samples)
        .ok_or_else(|| broken("the decoder returned fewer pixels than the file declares"))?;
    Ok(Decoded { image, notes })
}
