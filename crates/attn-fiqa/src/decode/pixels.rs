//! Decoded samples of any layout to upright RGB of 8 bits.

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ExtendedColorType, RgbImage};

use super::{Note, broken, unsupported};
use crate::picture::Picture;
use crate::status::Failure;

/// Refuses sample layouts that have no certain 8-bit meaning, before decoding.
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
        other => Err(unsupported(format!(
            "the picture holds {other:?} samples, whose range is not known: \
             convert it to 8-bit RGB"
        ))),
    }
}

/// Brings samples, `[row, column, channel]` and 16-bit ones in the machine's
/// byte order, to RGB of 8 bits.
pub(super) fn to_rgb(
    samples: Vec<u8>,
    layout: ColorType,
    (width, height): (u32, u32),
    notes: &mut Vec<Note>,
) -> Result<Picture, Failure> {
    let channels = usize::from(layout.channel_count());
    let wide = usize::from(layout.bytes_per_pixel()) == 2 * channels;
    if wide {
        notes.push(Note::SixteenBitReduced);
    }
    if layout.has_alpha() {
        notes.push(Note::AlphaDropped);
    }
    let samples = if wide { upper_bytes(&samples) } else { samples };
    let rgb = match channels {
        1 | 2 => samples.chunks_exact(channels).flat_map(|pixel| [pixel[0]; 3]).collect(),
        3 => samples,
        _ => samples
            .chunks_exact(channels)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect(),
    };
    // A picture within the limits has sides that fit.
    Picture::from_rgb(width as usize, height as usize, rgb)
        .ok_or_else(|| broken("the decoder gave fewer pixels than the file declares"))
}

fn upper_bytes(samples: &[u8]) -> Vec<u8> {
    samples
        .chunks_exact(2)
        .map(|sample| (u16::from_ne_bytes([sample[0], sample[1]]) >> 8) as u8)
        .collect()
}

/// Turns and mirrors a picture as its EXIF orientation asks.
pub(super) fn turn(
    picture: Picture,
    orientation: Orientation,
    notes: &mut Vec<Note>,
) -> Result<Picture, Failure> {
    if orientation == Orientation::NoTransforms {
        return Ok(picture);
    }
    notes.push(Note::OrientationApplied(orientation.to_exif()));
    let sides = u32::try_from(picture.width()).ok().zip(u32::try_from(picture.height()).ok());
    sides
        .and_then(|(width, height)| RgbImage::from_raw(width, height, picture.into_rgb()))
        .and_then(|stored| {
            let mut upright = DynamicImage::ImageRgb8(stored);
            upright.apply_orientation(orientation);
            let (width, height) = (upright.width() as usize, upright.height() as usize);
            Picture::from_rgb(width, height, upright.into_rgb8().into_raw())
        })
        .ok_or_else(|| broken("the picture cannot be turned upright"))
}
