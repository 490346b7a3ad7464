//! The few facts about each container format that are needed before decoding.

use super::{broken, truncated};
use crate::status::Failure;

pub(super) fn u32_at(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
}

pub(super) fn u16_at(bytes: &[u8], at: usize, little: bool) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
}

/// The declared `(width, height)` of a PNG, whose header is at a fixed offset.
///
/// It is read here because the decoder allocates a row of pixels as soon as it is created.
pub(super) fn png_size(bytes: &[u8]) -> Result<(u64, u64), Failure> {
    const WIDTH_AT: usize = 16;
    const HEIGHT_AT: usize = 20;
    let size = u32_at(bytes, WIDTH_AT, false).zip(u32_at(bytes, HEIGHT_AT, false));
    match size {
        Some((width, height)) => Ok((u64::from(width), u64::from(height))),
        None => Err(broken("the file ends inside the PNG header")),
    }
}

/// The declared `(width, height)` of a GIF.
pub(super) fn gif_size(bytes: &[u8]) -> Result<(u64, u64), Failure> {
    const WIDTH_AT: usize = 6;
    const HEIGHT_AT: usize = 8;
    match u16_at(bytes, WIDTH_AT, true).zip(u16_at(bytes, HEIGHT_AT, true)) {
        Some((width, height)) => Ok((u64::from(width), u64::from(height))),
        None => Err(broken("the file ends inside the GIF header")),
    }
}

/// The declared `(width, height)` of a BMP; `None` if the file ends first.
///
/// It is read here because the decoder reports an image without pixels as too large.
pub(super) fn bmp_size(bytes: &[u8]) -> Option<(u64, u64)> {
    const HEADER_LENGTH_AT: usize = 14;
    /// The OS/2 header, with 16-bit width and height.
    const OLD_HEADER: u32 = 12;
    const WIDTH_AT: usize = 18;
    if u32_at(bytes, HEADER_LENGTH_AT, true)? == OLD_HEADER {
        let side = |at| u16_at(bytes, at, true).map(u64::from);
        return side(WIDTH_AT).zip(side(WIDTH_AT + 2));
    }
    // A negative height means that rows are stored top-down.
    let side = |at| u32_at(bytes, at, true).map(|side| u64::from((side as i32).unsigned_abs()));
    side(WIDTH_AT).zip(side(WIDTH_AT + 4))
}

/// Header lengths of OS/2 2.x.
const OS2_HEADERS: [u32; 2] = [16, 64];

/// Whether a BMP has an OS/2 2.x header.
pub(super) fn bmp_header_is_of_os2(bytes: &[u8]) -> bool {
    u32_at(bytes, 14, true).is_some_and(|length| OS2_HEADERS.contains(&length))
}

/// An OS/2 2.x BMP rewritten with a Windows header, which the decoder supports; `None` if there is
/// nothing to rewrite or the file uses features that only OS/2 has.
///
/// The 64-byte header starts with the fields of the Windows header and continues; the 16-byte
/// header is a prefix of it.
pub(super) fn bmp_with_header_of_windows(bytes: &[u8]) -> Option<Vec<u8>> {
    const FILE_HEADER: usize = 14;
    const WINDOWS: usize = 40;
    const PIXELS_AT: usize = 10;
    const COMPRESSION_AT: usize = FILE_HEADER + 16;
    /// No compression, and run-length encoding of 8-bit and of 4-bit pixels.
    const COMMON: u32 = 2;
    if !bmp_header_is_of_os2(bytes) {
        return None;
    }
    let length = u32_at(bytes, FILE_HEADER, true)? as usize;
    let header = bytes.get(..FILE_HEADER + length)?;
    if length > 16 && u32_at(bytes, COMPRESSION_AT, true)? > COMMON {
        return None;
    }
    let pixels_at = (u32_at(bytes, PIXELS_AT, true)? as usize + WINDOWS).checked_sub(length)?;
    let mut changed = header[..FILE_HEADER + length.min(WINDOWS)].to_vec();
    changed.resize(FILE_HEADER + WINDOWS, 0);
    changed[PIXELS_AT..PIXELS_AT + 4]
        .copy_from_slice(&u32::try_from(pixels_at).ok()?.to_le_bytes());
    changed[FILE_HEADER..FILE_HEADER + 4].copy_from_slice(&(WINDOWS as u32).to_le_bytes());
    changed.extend_from_slice(&bytes[FILE_HEADER + length..]);
    Some(changed)
}

/// The declared `(width, height)` of a QOI image.
pub(super) fn qoi_size(bytes: &[u8]) -> Result<(u64, u64), Failure> {
    match u32_at(bytes, 4, false).zip(u32_at(bytes, 8, false)) {
        Some((width, height)) => Ok((u64::from(width), u64::from(height))),
        None => Err(broken("the file ends inside the QOI header")),
    }
}

/// Where a GIF's blocks begin, according to the flags in its header.
fn gif_blocks_at(flags: u8) -> usize {
    const HEADER: usize = 13;
    HEADER + gif_colours(flags)
}

/// Size in bytes of a colour table, which is present if the top bit is set.
fn gif_colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Whether a GIF holds more than one image. Also checks that the blocks of the first image are
/// complete: the decoder accepts a truncated image as a complete one.
pub(super) fn gif_has_second_image(bytes: &[u8]) -> Result<bool, Failure> {
    const EXTENSION: u8 = 0x21;
    const IMAGE: u8 = 0x2c;
    const TRAILER: u8 = 0x3b;
    let byte = |at: usize| bytes.get(at).copied().ok_or_else(truncated);
    let table = gif_colours;
    let after_blocks = |mut at: usize| loop {
        match usize::from(byte(at)?) {
            0 => return Ok::<usize, Failure>(at + 1),
            length => at += 1 + length,
        }
    };
    let mut at = gif_blocks_at(byte(10)?);
    let mut images = 0;
    loop {
        // A file without its trailer is complete once it has an image.
        let Some(&introducer) = bytes.get(at) else {
            return if images > 0 { Ok(false) } else { Err(truncated()) };
        };
        match introducer {
            EXTENSION => at = after_blocks(at + 2)?,
            IMAGE if images > 0 => return Ok(true),
            IMAGE => {
                images += 1;
                // Position, size and flags, the colour table, and the minimum code size.
                at = after_blocks(at + 10 + table(byte(at + 9)?) + 1)?;
            }
            TRAILER if images > 0 => return Ok(false),
            TRAILER => return Err(broken("the GIF file holds no image")),
            _ => return Err(broken("the GIF file's blocks are damaged")),
        }
    }
}

/// Whether a WebP's extended header declares an animation.
#[cfg(feature = "video")]
pub(super) fn webp_is_animated(bytes: &[u8]) -> bool {
    let kind = webp_header(bytes).map(|header| header.kind);
    matches!(kind, Some(WebpKind::Extended { animated: true, .. }))
}

/// A PNG's chunk.
pub(super) struct PngChunk<'a> {
    pub(super) name: [u8; 4],
    /// The whole chunk: length, type, data and checksum.
    pub(super) whole: &'a [u8],
}

/// A PNG's chunks, up to the first incomplete one.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = PngChunk<'_>> {
    const SIGNATURE: usize = 8;
    // Length, type and checksum.
    const AROUND_DATA: usize = 12;
    let mut at = SIGNATURE;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, at, false)?).ok()?;
        let name = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let whole = bytes.get(at..at.checked_add(length)?.checked_add(AROUND_DATA)?)?;
        at += whole.len();
        Some(PngChunk { name, whole })
    })
}

/// A PNG's chunks before the first image data, up to the first incomplete one.
pub(super) fn png_chunks_before_pixels(bytes: &[u8]) -> impl Iterator<Item = PngChunk<'_>> {
    png_chunks(bytes).take_while(|chunk| chunk.name != *b"IDAT")
}

/// A PNG's EXIF data, which may also follow the image data; `None` if their checksum is wrong.
pub(super) fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    const LENGTH: usize = 4;
    const NAME: usize = 4;
    let chunk = png_chunks(bytes)
        .take_while(|chunk| chunk.name != *b"IEND")
        .find(|chunk| chunk.name == *b"eXIf")?;
    let (named, checksum) = chunk.whole[LENGTH..].split_last_chunk()?;
    let mut found = flate2::Crc::new();
    found.update(named);
    (found.sum() == u32::from_be_bytes(*checksum)).then(|| &named[NAME..])
}

/// Whether a PNG has an animation control chunk before its first image data.
#[cfg(feature = "video")]
pub(super) fn png_is_animated(bytes: &[u8]) -> bool {
    png_chunks_before_pixels(bytes).any(|chunk| chunk.name == *b"acTL")
}

/// A PNG without its colour profile; `None` if it has none.
///
/// The profile is not used, but the decoder would decompress it, possibly to a thousand times the
/// size of the file.
pub(super) fn png_without_profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_profile = |chunk: &PngChunk<'_>| chunk.name == *b"iCCP";
    if !png_chunks_before_pixels(bytes).any(|chunk| is_profile(&chunk)) {
        return None;
    }
    const SIGNATURE: usize = 8;
    let mut kept = Vec::new();
    kept.try_reserve_exact(bytes.len()).ok()?;
    kept.extend_from_slice(&bytes[..SIGNATURE]);
    let mut end = SIGNATURE;
    for chunk in png_chunks_before_pixels(bytes) {
        end += chunk.whole.len();
        if !is_profile(&chunk) {
            kept.extend_from_slice(chunk.whole);
        }
    }
    kept.extend_from_slice(&bytes[end..]);
    Some(kept)
}

/// Left offset and width of a GIF's first image; `None` if the file ends before it.
pub(super) fn gif_first_frame(bytes: &[u8]) -> Option<(u64, u64)> {
    const EXTENSION: u8 = 0x21;
    const IMAGE: u8 = 0x2c;
    let mut at = gif_blocks_at(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            EXTENSION => {
                at += 2;
                loop {
                    let length = usize::from(*bytes.get(at)?);
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
            }
            IMAGE => {
                let number = |at| u16_at(bytes, at, true).map(u64::from);
                return number(at + 1).zip(number(at + 5));
            }
            _ => return None,
        }
    }
}

/// What the first chunk of a WebP declares.
pub(super) struct WebpHeader {
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) kind: WebpKind,
}

/// How a WebP's image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WebpKind {
    Lossy,
    Lossless { alpha: bool },
    Extended { animated: bool, flags: u8 },
}

/// Reads the first chunk of a WebP (RFC 9649); `None` if the file ends inside it or it is of an
/// unknown kind.
pub(super) fn webp_header(bytes: &[u8]) -> Option<WebpHeader> {
    const DATA_AT: usize = 20;
    const ANIMATION: u8 = 0x02;
    let little = |at: usize, count: usize| {
        let part = bytes.get(at..at + count)?;
        Some(part.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)))
    };
    let (width, height, kind) = match bytes.get(12..16)? {
        b"VP8 " => {
            // Three bytes of frame tag and three bytes of start code.
            let side = |at| Some(little(at, 2)? & 0x3FFF);
            (side(DATA_AT + 6)?, side(DATA_AT + 8)?, WebpKind::Lossy)
        }
        b"VP8L" => {
            let packed = little(DATA_AT + 1, 4)?;
            let side = |shift: u32| (packed >> shift & 0x3FFF) + 1;
            (side(0), side(14), WebpKind::Lossless { alpha: packed >> 28 & 1 == 1 })
        }
        b"VP8X" => {
            let flags = *bytes.get(DATA_AT)?;
            let kind = WebpKind::Extended { animated: flags & ANIMATION != 0, flags };
            (little(DATA_AT + 4, 3)? + 1, little(DATA_AT + 7, 3)? + 1, kind)
        }
        _ => return None,
    };
    Some(WebpHeader { width, height, kind })
}

/// Checks that every chunk declared by a WebP file lies inside the file.
///
/// The decoder allocates some chunks by their declared sizes, and completes a truncated lossy image
/// with grey.
pub(super) fn check_webp(bytes: &[u8]) -> Result<(), Failure> {
    const CHUNK_HEADER: u64 = 8;
    const RIFF_HEADER: u64 = 12;
    let length = bytes.len() as u64;
    let declared = u32_at(bytes, 4, true).ok_or_else(truncated)?;
    let end = u64::from(declared) + CHUNK_HEADER;
    if end > length {
        return Err(truncated());
    }
    let mut at = RIFF_HEADER;
    while at + CHUNK_HEADER <= end {
        let size_at = usize::try_from(at + 4).map_err(|_| truncated())?;
        let size = u64::from(u32_at(bytes, size_at, true).ok_or_else(truncated)?);
        at += CHUNK_HEADER + size;
        if at > end {
            return Err(truncated());
        }
        // Chunks start at even offsets.
        at += size & 1;
    }
    Ok(())
}
