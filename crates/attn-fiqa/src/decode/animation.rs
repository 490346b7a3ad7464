//! Every frame of an animated GIF, WebP or PNG, one at a time.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, ImageDecoder, ImageFormat, RgbaImage};

use super::{
    DecodeLimits, broken, codec_limits, container, failure, memory, pixels, too_many_bytes,
};
use crate::panics::{catching, reported};
use crate::pixels::Image;
use crate::status::Failure;

/// Whether a file holds an animation: any GIF, and a WebP or PNG that declares one.
pub(crate) fn is_animation(bytes: &[u8]) -> bool {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Gif) => true,
        Ok(ImageFormat::WebP) => container::webp_is_animated(bytes),
        Ok(ImageFormat::Png) => container::png_is_animated(bytes),
        _ => false,
    }
}

/// Decodes an animation frame by frame, each as displayed, and passes each frame with its display
/// duration to `each` until it breaks.
///
/// Transparency is dropped, as for still images.
///
/// # Errors
///
/// As [`super::decode`]; frames before the damaged one have been passed on.
pub(crate) fn each_frame(
    bytes: &[u8],
    limits: &DecodeLimits,
    mut each: impl FnMut(Image, Duration) -> ControlFlow<()>,
) -> Result<(), Failure> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(too_many_bytes(bytes.len() as u64, limits.max_bytes));
    }
    let format = image::guess_format(bytes).ok();
    if let Some(format @ (ImageFormat::Gif | ImageFormat::WebP | ImageFormat::Png)) = format {
        memory::check_available(memory::needed_for_frames(format, bytes, limits)?)?;
    }
    // The consumer of the frames is not a decoder: its panics are reported as usual.
    let mut each = |image, duration| reported(|| each(image, duration));
    // As in `decode`: a decoder's panic is the fault of the file.
    catching(|| match format {
        Some(ImageFormat::Gif) => {
            let (width, height) = container::gif_size(bytes)?;
            limits.check_pixels(width, height)?;
            let decoder = GifDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            frames_within_limits(decoder, limits, &mut each)
        }
        Some(ImageFormat::WebP) => {
            container::check_webp(bytes)?;
            frames_within_limits(
                WebPDecoder::new(Cursor::new(bytes)).map_err(failure)?,
                limits,
                &mut each,
            )
        }
        Some(ImageFormat::Png) => {
            let (width, height) = container::png_size(bytes)?;
            limits.check_pixels(width, height)?;
            let without_profile = container::png_without_profile(bytes);
            let bytes = without_profile.as_deref().unwrap_or(bytes);
            let decoder = PngDecoder::with_limits(Cursor::new(bytes), codec_limits(limits));
            let decoder = decoder.and_then(PngDecoder::apng).map_err(failure)?;
            frames(decoder, &mut each)
        }
        _ => Err(broken("the file is not a supported animation: GIF, WebP and PNG are supported")),
    })
    .unwrap_or_else(|_| Err(broken("the decoder failed on this file: its data are damaged")))
}

fn frames_within_limits<'a>(
    mut decoder: impl ImageDecoder + AnimationDecoder<'a>,
    limits: &DecodeLimits,
    each: &mut impl FnMut(Image, Duration) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let (width, height) = decoder.dimensions();
    limits.check_pixels(u64::from(width), u64::from(height))?;
    decoder.set_limits(codec_limits(limits)).map_err(failure)?;
    frames(decoder, each)
}

fn frames<'a>(
    decoder: impl AnimationDecoder<'a>,
    each: &mut impl FnMut(Image, Duration) -> ControlFlow<()>,
) -> Result<(), Failure> {
    for frame in decoder.into_frames() {
        let frame = frame.map_err(failure)?;
        let duration = Duration::from(frame.delay());
        if each(opaque(frame.into_buffer())?, duration).is_break() {
            break;
        }
    }
    Ok(())
}

fn opaque(frame: RgbaImage) -> Result<Image, Failure> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let mut rgb = frame.into_raw();
    pixels::drop_alpha(&mut rgb);
    Image::from_rgb(width, height, rgb).ok_or_else(|| broken("a frame holds no pixels"))
}
