//! JPEG XL, as a bare codestream and in its container.

use jxl_oxide::color::{ColourEncoding, TransferFunction};
use jxl_oxide::{AllocTracker, EnumColourEncoding, JxlImage, PixelFormat, RenderingIntent};

use super::container::u32_at;
use super::memory::{Needs, times};
use super::{DecodeLimits, Decoded, Note, broken, memory, pixels, unsupported};
use crate::pixels::Image;
use crate::status::Failure;

const CODESTREAM: &[u8] = b"\xFF\x0A";

/// The start of the codestream: of the file itself, or of the container's first part.
fn codestream(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(CODESTREAM) {
        return Some(bytes);
    }
    let mut at = 0_usize;
    loop {
        let (header, length) = match u32_at(bytes, at, false)? {
            1 => {
                let (high, low) = (u32_at(bytes, at + 8, false)?, u32_at(bytes, at + 12, false)?);
                (16, usize::try_from(u64::from(high) << 32 | u64::from(low)).ok()?)
            }
            0 => (8, bytes.len() - at),
            length => (8, length as usize),
        };
        let inside = match bytes.get(at + 4..at + 8)? {
            b"jxlc" => Some(at + header),
            // The part's index comes first.
            b"jxlp" => Some(at + header + 4),
            _ => None,
        };
        if let Some(inside) = inside {
            return bytes.get(inside..).filter(|stream| stream.starts_with(CODESTREAM));
        }
        if length < header {
            return None;
        }
        at = at.checked_add(length)?;
    }
}

/// A bit reader, least significant bit of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self, count: usize) -> Option<u64> {
        let mut value = 0;
        for place in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value |= u64::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(value)
    }

    /// Width or height of an image whose `small` flag is not set.
    fn side(&mut self) -> Option<u64> {
        let count = [9, 13, 18, 30][self.next(2)? as usize];
        Some(1 + self.next(count)?)
    }
}

/// Stored width and height, from the size header (ISO/IEC 18181-1, D.2).
fn size(bytes: &[u8]) -> Option<(u64, u64)> {
    const RATIOS: [(u64, u64); 7] = [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)];
    let mut bits = Bits { bytes: codestream(bytes)?, at: 8 * CODESTREAM.len() };
    let small = bits.next(1)? == 1;
    let side = |bits: &mut Bits<'_>| {
        if small { Some(8 * (1 + bits.next(5)?)) } else { bits.side() }
    };
    let height = side(&mut bits)?;
    let width = match bits.next(3)? as usize {
        0 => side(&mut bits)?,
        ratio => {
            let (across, down) = RATIOS[ratio - 1];
            height * across / down
        }
    };
    Some((width, height))
}

/// Memory that the decoder may use for an image: 32-bit samples of the frame being decoded, of the
/// one being displayed, and of copies between their stages.
fn allowance(width: u64, height: u64) -> u64 {
    const SAMPLES: u64 = 4 * 12;
    const MIN_ALLOWANCE: u64 = 8 << 20;
    let groups = |side: u64| side.next_multiple_of(256);
    times(groups(width), groups(height), SAMPLES).saturating_add(MIN_ALLOWANCE)
}

pub(super) fn needs(bytes: &[u8]) -> Option<Needs> {
    let (width, height) = size(bytes)?;
    Some(Needs {
        width,
        height,
        decoding: allowance(width, height).saturating_add(times(width, height, 6)),
        copies: 2 * bytes.len() as u64,
        turned: false,
    })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let (width, height) = size(bytes).ok_or_else(super::truncated)?;
    limits.check_pixels(width, height)?;
    let allowance = usize::try_from(allowance(width, height)).unwrap_or(usize::MAX);
    let mut image = JxlImage::builder()
        .alloc_tracker(AllocTracker::with_limit(allowance))
        .read(bytes)
        .map_err(failure)?;
    // Even a truncated file could be partly displayed.
    if !image.is_loading_done() {
        return Err(super::truncated());
    }
    let mut notes = Vec::new();
    let metadata = &image.image_header().metadata;
    let (wide, orientation) = (metadata.bit_depth.bits_per_sample() > 8, metadata.orientation);
    let linear = matches!(
        &metadata.colour_encoding,
        ColourEncoding::Enum(EnumColourEncoding { tf: TransferFunction::Linear, .. })
    );
    if image.hdr_type().is_some() {
        return Err(unsupported(
            "the image has a high dynamic range, which does not fit in 8 bits: convert it to 8-bit \
             RGB",
        ));
    }
    if linear {
        let intent = RenderingIntent::Relative;
        image.request_color_encoding(if metadata.grayscale() {
            EnumColourEncoding::gray_srgb(intent)
        } else {
            EnumColourEncoding::srgb(intent)
        });
    }
    let channels = match image.pixel_format() {
        PixelFormat::Gray | PixelFormat::Graya => 1,
        PixelFormat::Rgb | PixelFormat::Rgba => 3,
        PixelFormat::Cmyk | PixelFormat::Cmyka => {
            return Err(unsupported("the image is CMYK: convert it to 8-bit RGB"));
        }
    };
    let (width, height) = (image.width() as usize, image.height() as usize);
    limits.check_pixels(width as u64, height as u64)?;
    let render = image.render_frame(0).map_err(failure)?;
    let mut stream = render.stream_no_alpha();
    if (stream.width() as usize, stream.height() as usize) != (width, height)
        || stream.channels() as usize != channels
    {
        return Err(broken("the first frame is not what the file declares"));
    }
    let mut samples = memory::zeros(width * height * channels)?;
    if stream.write_to_buffer::<u8>(&mut samples) != samples.len() {
        return Err(broken("the decoder returned fewer pixels than the file declares"));
    }
    if image.num_loaded_keyframes() > 1 {
        notes.push(Note::FirstFrame);
    }
    if image.original_icc().is_some() {
        notes.push(Note::IccIgnored);
    }
    if wide {
        notes.push(Note::SixteenBitReduced);
    }
    if image.pixel_format().has_alpha() {
        notes.push(Note::AlphaDropped);
    }
    // The decoder has applied the orientation; EXIF data must not apply it again.
    if let Some(orientation) = u8::try_from(orientation).ok().filter(|&turn| turn > 1) {
        notes.push(Note::OrientationApplied(orientation));
    }
    let rgb = if channels == 1 { pixels::grey_to_rgb(&samples)? } else { samples };
    let image =
        Image::from_rgb(width, height, rgb).ok_or_else(|| broken("the image holds no pixels"))?;
    Ok(Decoded { image, notes })
}

/// The decoder's errors are of many types, with messages written for its authors.
fn failure(error: Box<dyn std::error::Error + Send + Sync>) -> Failure {
    let text = error.to_string().to_ascii_lowercase();
    if text.contains("unexpected end") || text.contains("reader ended") || text.contains("eof") {
        super::truncated()
    } else if text.contains("support") || text.contains("memory") || text.contains("alloc") {
        super::not_handled()
    } else {
        super::damaged()
    }
}
