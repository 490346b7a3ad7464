//! Converts decoded samples of any layout to upright 8-bit RGB.

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ExtendedColorType, RgbImage};

use super::{Note, broken, memory, unsupported};
use crate::pixels::Image;
use crate::status::Failure;

/// Refuses, before decoding, sample layouts without a well-defined 8-bit meaning.
pub(super) fn check_layout(
    layout: ColorType,
    original: ExtendedColorType,
    notes: &mut Vec<Note>,
) -> Result<(), Failure> {
    if matches!(original, ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        notes.push(Note::CmykConverted);
    }
    match layout {
        ColorType::L8
        | ColorType::La8
        | ColorType::Rgb8
        | ColorType::Rgba8
        | ColorType::L16
        | ColorType::La16
        | ColorType::Rgb16
        | ColorType::Rgba16 => Ok(()),
        _ => Err(unsupported(
            "the image holds 32-bit or floating-point samples, whose range is not known: convert \
             it to 8-bit RGB",
        )),
    }
}

/// Converts samples, `[row, column, channel]` with 16-bit ones in native byte order, to 8-bit RGB.
pub(super) fn to_rgb(
    mut samples: Vec<u8>,
    layout: ColorType,
    (width, height): (u32, u32),
    notes: &mut Vec<Note>,
) -> Result<Image, Failure> {
    let channels = usize::from(layout.channel_count());
    let wide = usize::from(layout.bytes_per_pixel()) == 2 * channels;
    if wide {
        notes.push(Note::SixteenBitReduced);
    }
    if layout.has_alpha() {
        notes.push(Note::AlphaDropped);
    }
    if wide {
        keep_upper_bytes(&mut samples);
    }
    let rgb = match channels {
        1 | 2 => replicate_first_channel(&samples, channels)?,
        3 => samples,
        _ => {
            drop_alpha(&mut samples);
            samples
        }
    };
    // Within the limits, width and height fit a `usize`.
    Image::from_rgb(width as usize, height as usize, rgb)
        .ok_or_else(|| broken("the decoder returned fewer pixels than the file declares"))
}

/// 16-bit to 8-bit samples, in place: a second image would double the memory.
fn keep_upper_bytes(samples: &mut Vec<u8>) {
    let count = samples.len() / 2;
    for at in 0..count {
        let sample = u16::from_ne_bytes([samples[2 * at], samples[2 * at + 1]]);
        samples[at] = (sample >> 8) as u8;
    }
    samples.truncate(count);
    samples.shrink_to_fit();
}

/// RGBA to RGB, in place.
pub(super) fn drop_alpha(samples: &mut Vec<u8>) {
    let pixels = samples.len() / 4;
    for pixel in 0..pixels {
        samples.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    samples.truncate(3 * pixels);
    samples.shrink_to_fit();
}

/// Grey, with or without alpha, to RGB.
pub(super) fn replicate_first_channel(samples: &[u8], channels: usize) -> Result<Vec<u8>, Failure> {
    let mut rgb = memory::zeros(samples.len() / channels * 3)?;
    for (colours, pixel) in rgb.chunks_exact_mut(3).zip(samples.chunks_exact(channels)) {
        colours.fill(pixel[0]);
    }
    Ok(rgb)
}

/// Grey to RGB.
pub(super) fn grey_to_rgb(samples: &[u8]) -> Result<Vec<u8>, Failure> {
    replicate_first_channel(samples, 1)
}

/// Rotates and mirrors an image according to its EXIF orientation.
pub(super) fn turn(
    image: Image,
    orientation: Orientation,
    notes: &mut Vec<Note>,
) -> Result<Image, Failure> {
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    notes.push(Note::OrientationApplied(orientation.to_exif()));
    let sides = u32::try_from(image.width()).ok().zip(u32::try_from(image.height()).ok());
    sides
        .and_then(|(width, height)| RgbImage::from_raw(width, height, image.into_rgb()))
        .and_then(|stored| {
            let mut upright = DynamicImage::ImageRgb8(stored);
            upright.apply_orientation(orientation);
            let (width, height) = (upright.width() as usize, upright.height() as usize);
            Image::from_rgb(width, height, upright.into_rgb8().into_raw())
        })
        .ok_or_else(|| broken("the image cannot be turned upright"))
}
