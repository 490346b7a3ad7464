//! The little of each container format that must be known before decoding.

use super::broken;
use crate::status::Failure;

fn u32_at(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
}

fn u16_at(bytes: &[u8], at: usize, little: bool) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
}

/// The declared `(width, height)` of a PNG, whose header stands at a fixed place.
///
/// It is read here because the decoder takes memory for a row of pixels as soon
/// as it is opened.
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

/// The declared `(width, height)` of a BMP, `None` where the file ends before.
///
/// It is read here because the decoder calls a picture without pixels too large.
pub(super) fn bmp_size(bytes: &[u8]) -> Option<(u64, u64)> {
    const HEADER_LENGTH_AT: usize = 14;
    /// OS/2's header, with sides of 16 bits.
    const OLD_HEADER: u32 = 12;
    const WIDTH_AT: usize = 18;
    if u32_at(bytes, HEADER_LENGTH_AT, true)? == OLD_HEADER {
        let side = |at| u16_at(bytes, at, true).map(u64::from);
        return side(WIDTH_AT).zip(side(WIDTH_AT + 2));
    }
    // A negative height means that the upper row comes first.
    let side = |at| u32_at(bytes, at, true).map(|side| u64::from((side as i32).unsigned_abs()));
    side(WIDTH_AT).zip(side(WIDTH_AT + 4))
}

/// Whether a GIF holds more than one picture, once the blocks of the first are
/// known to be whole: the decoder takes a cut picture for a complete one.
pub(super) fn gif_has_second_picture(bytes: &[u8]) -> Result<bool, Failure> {
    const HEADER: usize = 13;
    const EXTENSION: u8 = 0x21;
    const PICTURE: u8 = 0x2c;
    const TRAILER: u8 = 0x3b;
    let cut = || broken("the file ends before the picture is complete: copy or download it again");
    let byte = |at: usize| bytes.get(at).copied().ok_or_else(cut);
    // A table of colours follows where the upper bit says so.
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let after_blocks = |mut at: usize| loop {
        match usize::from(byte(at)?) {
            0 => return Ok::<usize, Failure>(at + 1),
            length => at += 1 + length,
        }
    };
    let mut at = HEADER + table(byte(10)?);
    let mut pictures = 0;
    loop {
        // A file without its end mark is whole once it has a picture.
        let Some(&introducer) = bytes.get(at) else {
            return if pictures > 0 { Ok(false) } else { Err(cut()) };
        };
        match introducer {
            EXTENSION => at = after_blocks(at + 2)?,
            PICTURE if pictures > 0 => return Ok(true),
            PICTURE => {
                pictures += 1;
                // Place, size and flags, the table, and the width of the first code.
                at = after_blocks(at + 10 + table(byte(at + 9)?) + 1)?;
            }
            TRAILER if pictures > 0 => return Ok(false),
            TRAILER => return Err(broken("the GIF file holds no picture")),
            _ => return Err(broken("the GIF file's blocks are damaged")),
        }
    }
}

/// Whether a WebP's extended header declares an animation.
pub(super) fn webp_is_animated(bytes: &[u8]) -> bool {
    const FLAGS_AT: usize = 20;
    const ANIMATION: u8 = 0x02;
    bytes.get(12..16) == Some(b"VP8X")
        && bytes.get(FLAGS_AT).is_some_and(|flags| flags & ANIMATION != 0)
}

/// Whether a PNG has an animation's control chunk before its first pixels.
pub(super) fn png_is_animated(bytes: &[u8]) -> bool {
    const SIGNATURE: usize = 8;
    // Length, name and checksum.
    const AROUND_DATA: usize = 12;
    let mut at = SIGNATURE;
    loop {
        match (u32_at(bytes, at, false), bytes.get(at + 4..at + 8)) {
            (Some(_), Some(b"acTL")) => return true,
            (Some(length), Some(name)) if name != b"IDAT" => {
                at = at.saturating_add(AROUND_DATA).saturating_add(length as usize);
                // What follows must not overflow.
                if at > bytes.len() {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Checks that every chunk that a WebP file declares lies inside the file.
///
/// The decoder takes memory for some chunks by their declared sizes, and a cut
/// lossy picture would be completed with grey.
pub(super) fn check_webp(bytes: &[u8]) -> Result<(), Failure> {
    const CHUNK_HEADER: u64 = 8;
    const RIFF_HEADER: u64 = 12;
    let cut = || broken("the file ends before the picture is complete: copy or download it again");
    let length = bytes.len() as u64;
    let declared = u32_at(bytes, 4, true).ok_or_else(cut)?;
    let end = u64::from(declared) + CHUNK_HEADER;
    if end > length {
        return Err(cut());
    }
    let mut at = RIFF_HEADER;
    while at + CHUNK_HEADER <= end {
        let size_at = usize::try_from(at + 4).map_err(|_| cut())?;
        let size = u64::from(u32_at(bytes, size_at, true).ok_or_else(cut)?);
        at += CHUNK_HEADER + size;
        if at > end {
            return Err(cut());
        }
        // Chunks start at even places.
        at += size & 1;
    }
    Ok(())
}

/// Whether a TIFF's first directory is followed by another.
///
/// The answer is only for a note: bytes that do not parse mean no.
pub(super) fn tiff_has_second_page(bytes: &[u8]) -> bool {
    const ENTRY: usize = 12;
    let little = bytes.starts_with(b"II");
    let next = || {
        let directory = usize::try_from(u32_at(bytes, 4, little)?).ok()?;
        let entries = usize::from(u16_at(bytes, directory, little)?);
        let next_at = directory.checked_add(2 + entries * ENTRY)?;
        u32_at(bytes, next_at, little)
    };
    next().is_some_and(|offset| offset != 0)
}
