//! JPEG files that the decoder for ordinary ones gets wrong, decoded by `jpeg-decoder`: sequential
//! images in several scans, and colour spaces determined by libjpeg's rules.

use jpeg_decoder::{ColorTransform, Decoder, Error, PixelFormat};

use super::jpeg::{Colours, JpegFacts};
use super::{DecodeLimits, Decoded, Note, broken, pixels, unsupported};
use crate::pixels::Image;
use crate::status::Failure;

pub(super) fn decode(
    facts: &JpegFacts<'_>,
    limits: &DecodeLimits,
    mut notes: Vec<Note>,
) -> Result<Decoded, Failure> {
    let mut decoder = Decoder::new(&*facts.complete);
    decoder.set_max_decoding_buffer_size(usize::try_from(limits.max_alloc()).unwrap_or(usize::MAX));
    decoder.set_color_transform(match facts.colours {
        Colours::Grey => ColorTransform::Grayscale,
        Colours::YCbCr => ColorTransform::YCbCr,
        Colours::Rgb => ColorTransform::RGB,
        Colours::Cmyk => ColorTransform::CMYK,
        Colours::Ycck => ColorTransform::YCCK,
    });
    let samples = decoder.decode().map_err(failure)?;
    let has_profile = decoder.icc_profile().is_some_and(|profile| !profile.is_empty());
    let info = decoder.info().ok_or_else(|| broken("the JPEG has no header"))?;
    let rgb: Vec<u8> = match info.pixel_format {
        PixelFormat::L8 => samples.into_iter().flat_map(|level| [level; 3]).collect(),
        PixelFormat::RGB24 => samples,
        PixelFormat::CMYK32 => samples
            .chunks_exact(4)
            .flat_map(|ink| [0, 1, 2].map(|colour| cmyk_channel_to_rgb(ink[colour], ink[3])))
            .collect(),
        PixelFormat::L16 => return Err(unsupported("the JPEG has 16 bits per sample")),
    };
    if has_profile {
        notes.push(Note::IccIgnored);
    }
    let image = Image::from_rgb(usize::from(info.width), usize::from(info.height), rgb)
        .ok_or_else(|| {
            broken("the decoder returned a different number of pixels than the file declares")
        })?;
    let image = pixels::turn(image, facts.orientation, &mut notes)?;
    Ok(Decoded { image, notes })
}

/// The light left by an ink and black.
fn cmyk_channel_to_rgb(ink: u8, black: u8) -> u8 {
    let light = (255 - u32::from(ink)) * (255 - u32::from(black));
    ((light + 127) / 255) as u8
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Unsupported(_) => unsupported(
            "the JPEG uses a feature that is not supported: save it as an ordinary JPEG or as PNG",
        ),
        Error::Format(what) => broken(format!("the image's data are damaged: {what}")),
        _ => broken("the image's data are damaged"),
    }
}
