//! Estimates from an image's header how much memory decoding it needs.
//!
//! The figures are the bytes per pixel that the decoder of each format holds at once;
//! `tests/decode_memory.rs` measures them with a counting allocator. They err upwards: an image
//! must not use more than it was admitted for.

use bytemuck::allocation::try_zeroed_vec;
#[cfg(feature = "video")]
use image::ImageFormat;
use rayon::prelude::*;

use super::container::WebpKind;
use super::format::Format;
use super::{DecodeLimits, broken, container, jpeg, jpeg_xl, jpeg2000, pnm, tiff};
use crate::status::{Failure, Status};

/// A decoder's tables, whatever the image.
const TABLES: u64 = 1 << 20;

/// Rows buffered by decoders, in bytes per column: the largest is JPEG's, two rows of blocks of
/// 16-bit samples and their upsampled copy, for four components.
const ROWS: u64 = 1 << 10;

/// Bytes per output pixel.
const RGB: u64 = 3;

/// The memory that decoding needs, in independent parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) width: u64,
    pub(super) height: u64,
    /// Bytes while the decoder works, including its result.
    pub(super) decoding: u64,
    /// Bytes that do not grow with the image: copies of the file's contents.
    pub(super) copies: u64,
    /// Whether the image may have to be rotated afterwards, which needs a second image.
    pub(super) turned: bool,
}

impl Needs {
    fn bytes(&self) -> u64 {
        let turning = if self.turned { times(self.width, self.height, 2 * RGB) } else { 0 };
        self.decoding
            .max(turning)
            .saturating_add(self.copies)
            .saturating_add(self.width.saturating_mul(ROWS))
            .saturating_add(TABLES)
    }
}

/// `width · height · bytes`, saturating: declared sizes may overflow.
pub(super) fn times(width: u64, height: u64, bytes: u64) -> u64 {
    width.saturating_mul(height).saturating_mul(bytes)
}

/// Upper estimate of the peak memory of [`super::decode`] for this file, in bytes: its buffers, its
/// result and copies of parts of the file, excluding `bytes` itself.
pub(super) fn needed(format: Format, bytes: &[u8], limits: &DecodeLimits) -> Result<u64, Failure> {
    let length = bytes.len() as u64;
    let needs = match format {
        Format::Jpeg => jpeg::needs(bytes, limits)?,
        Format::Png => png(bytes)?,
        Format::WebP => webp(bytes)?,
        Format::Gif => gif(bytes)?,
        Format::Bmp => match bmp(bytes) {
            Some(needs) => needs,
            // The decoder refuses it before allocating.
            None => return Ok(TABLES),
        },
        Format::Tiff => match tiff::needs(bytes) {
            Some(needs) => needs,
            None => return Ok(TABLES.saturating_add(length)),
        },
        Format::Jpeg2000 => jpeg2000::needs(bytes).ok_or_else(super::truncated)?,
        Format::JpegXl => jpeg_xl::needs(bytes).ok_or_else(super::truncated)?,
        #[cfg(feature = "heic")]
        Format::Heic => super::heic::needs(bytes, limits)?,
        Format::Pnm => pnm::needs(bytes).ok_or_else(super::truncated)?,
        Format::Qoi => {
            let (width, height) = container::qoi_size(bytes)?;
            // The decoder reads the whole file.
            let copies = bytes.len() as u64;
            Needs { width, height, decoding: times(width, height, 4), copies, turned: false }
        }
    };
    limits.check_pixels(needs.width, needs.height)?;
    Ok(needs.bytes())
}

/// Upper estimate of the peak memory of reading an animation frame by frame, in bytes, including
/// one frame passed on: the canvas, the previous one, a frame and their composite, in RGBA.
#[cfg(feature = "video")]
pub(super) fn needed_for_frames(
    format: ImageFormat,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<u64, Failure> {
    const RGBA_CANVASES: u64 = 4 * 4;
    let pixels = match format {
        ImageFormat::Gif => container::gif_size(bytes)?,
        ImageFormat::Png => container::png_size(bytes)?,
        _ => {
            let needs = webp(bytes)?;
            (needs.width, needs.height)
        }
    };
    limits.check_pixels(pixels.0, pixels.1)?;
    let (width, height) = pixels;
    let needs = Needs {
        width,
        height,
        decoding: times(width, height, RGBA_CANVASES),
        copies: bytes.len() as u64,
        turned: false,
    };
    Ok(needs.bytes())
}

/// Fails if `needed` bytes are not available now.
///
/// A decoder whose allocation fails aborts the process. The memory is therefore reserved and
/// released untouched first, which costs nothing.
pub(super) fn check_available(needed: u64) -> Result<(), Failure> {
    let mut probe: Vec<u8> = Vec::new();
    let available = usize::try_from(needed).is_ok_and(|n| probe.try_reserve_exact(n).is_ok());
    // The probe must not be optimised away.
    std::hint::black_box(&mut probe);
    if available { Ok(()) } else { Err(does_not_fit(needed)) }
}

fn does_not_fit(needed: u64) -> Failure {
    Failure::new(
        Status::TooLarge,
        format!(
            "the image takes {needed} bytes of memory to decode, which are not available: make \
             it smaller, or decode fewer images at once"
        ),
    )
}

/// A zeroed buffer, or a failure if it cannot be allocated. Its pages are committed when they are
/// first written.
pub(super) fn zeros(length: usize) -> Result<Vec<u8>, Failure> {
    try_zeroed_vec(length).map_err(|()| does_not_fit(length as u64))
}

/// As [`zeros`], with the pages committed by the threads of the current pool: for a large photo,
/// committing takes as long as decoding.
pub(super) fn written_zeros(length: usize) -> Result<Vec<u8>, Failure> {
    /// Writing a part takes some hundred microseconds.
    const PART: usize = 1 << 20;
    let mut buffer = zeros(length)?;
    buffer.par_chunks_mut(PART).for_each(|part| part.fill(0));
    Ok(buffer)
}

/// Samples are expanded to 8 or 16 bits, palettes to colours; a transparent colour adds an alpha
/// channel. Everything is converted in place except grey to RGB.
fn png(bytes: &[u8]) -> Result<Needs, Failure> {
    const DEPTH_AT: usize = 24;
    const COLOUR_AT: usize = 25;
    let (width, height) = container::png_size(bytes)?;
    let (Some(&depth), Some(&colour)) = (bytes.get(DEPTH_AT), bytes.get(COLOUR_AT)) else {
        return Err(broken("the file ends inside the PNG header"));
    };
    let turned = container::png_exif(bytes).is_some();
    let mut needs = Needs { width, height, decoding: 0, copies: 0, turned };
    let mut transparent = false;
    let mut profile = false;
    for chunk in container::png_chunks_before_pixels(bytes) {
        match &chunk.name {
            b"tRNS" => transparent = true,
            b"iCCP" => profile = true,
            _ => {}
        }
        // The decoder's buffer, which doubles as it grows, and the part that is kept.
        needs.copies = needs.copies.saturating_add(3 * chunk.whole.len() as u64);
    }
    if profile {
        // The copy of the file without the chunk.
        needs.copies = needs.copies.saturating_add(bytes.len() as u64);
    }
    let channels = match (colour, transparent) {
        (0, false) => 1,
        (0, true) | (4, _) => 2,
        (2 | 3, false) => 3,
        _ => 4,
    };
    let sample = if depth == 16 { 2 } else { 1 };
    let colours = if channels < 3 { RGB } else { 0 };
    needs.decoding = times(width, height, channels * sample + colours);
    Ok(needs)
}

/// RGBA, converted to RGB in place, and once more if the first frame is narrower than the image.
fn gif(bytes: &[u8]) -> Result<Needs, Failure> {
    let (width, height) = container::gif_size(bytes)?;
    let whole = container::gif_first_frame(bytes)
        .is_some_and(|(left, frame_width)| left == 0 && frame_width == width);
    let decoding = times(width, height, if whole { 4 } else { 8 });
    Ok(Needs { width, height, decoding, copies: 0, turned: false })
}

fn bmp(bytes: &[u8]) -> Option<Needs> {
    const BITS_AT: usize = 28;
    let (width, height) = container::bmp_size(bytes)?;
    let bits = bytes.get(BITS_AT).copied().unwrap_or(32);
    let decoding = times(width, height, if bits == 32 || bits == 16 { 4 } else { RGB });
    // OS/2 headers are rewritten in a copy.
    let copies = if container::bmp_header_is_of_os2(bytes) { bytes.len() as u64 } else { 0 };
    Some(Needs { width, height, decoding, copies, turned: false })
}

/// Decided by the first chunk.
fn webp(bytes: &[u8]) -> Result<Needs, Failure> {
    const ALPHA: u8 = 0x10;
    let header = container::webp_header(bytes).ok_or_else(super::truncated)?;
    let halves = match header.kind {
        // Luma, chroma at half width and height, and RGB.
        WebpKind::Lossy => 2 + 1 + 2 * RGB,
        // RGBA, or RGBA and RGB; for both, code groups per 4×4 block.
        WebpKind::Lossless { alpha: true } => 2 * 4 + 1,
        WebpKind::Lossless { alpha: false } => 2 * (4 + RGB) + 1,
        // The canvas, a frame and the result, in RGBA.
        WebpKind::Extended { animated: true, .. } => 2 * 12 + 1,
        // Alpha is a lossless image of its own, in addition to a lossy one and the result.
        WebpKind::Extended { flags, .. } if flags & ALPHA != 0 => 2 * (4 + 1 + 4) + 3 + 1,
        WebpKind::Extended { .. } => 2 * (4 + RGB) + 1,
    };
    // Lossy images consist of 16×16 macroblocks.
    let blocks = |side: u64| side.next_multiple_of(16);
    let decoding = times(blocks(header.width), blocks(header.height), halves) / 2;
    // A chunk, and for lossy images its partitions as words; an extended file declares how its
    // image is stored only further on.
    let copies = match header.kind {
        WebpKind::Lossy => 3,
        WebpKind::Extended { .. } => 2,
        WebpKind::Lossless { .. } => 1,
    };
    Ok(Needs {
        width: header.width,
        height: header.height,
        decoding,
        copies: copies * bytes.len() as u64,
        turned: matches!(header.kind, WebpKind::Extended { .. }),
    })
}
