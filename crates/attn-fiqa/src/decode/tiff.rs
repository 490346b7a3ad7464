//! What the first directory of a TIFF file says, read before decoding.

use super::container::{u16_at, u32_at};
use super::memory::{Needs, times};

const ENTRY: usize = 12;

/// The tags that decide how much memory is needed (TIFF 6.0, section 8).
#[derive(Debug)]
struct Directory {
    width: u64,
    height: u64,
    bits: u64,
    samples: u64,
    compression: u64,
    orientation: u64,
}

fn directory(bytes: &[u8]) -> Option<Directory> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    let little = bytes.starts_with(b"II");
    let start = usize::try_from(u32_at(bytes, 4, little)?).ok()?;
    let entries = usize::from(u16_at(bytes, start, little)?);
    let mut found =
        Directory { width: 0, height: 0, bits: 1, samples: 1, compression: 1, orientation: 1 };
    for entry in 0..entries {
        let at = start.checked_add(2 + entry * ENTRY)?;
        let (tag, kind) = (u16_at(bytes, at, little)?, u16_at(bytes, at + 2, little)?);
        let count = u32_at(bytes, at + 4, little)?;
        let value = |at| match kind {
            SHORT => u16_at(bytes, at, little).map(u64::from),
            LONG => u32_at(bytes, at, little).map(u64::from),
            _ => None,
        };
        // More than two numbers of 16 bits stand elsewhere; the first one counts.
        let elsewhere = || usize::try_from(u32_at(bytes, at + 8, little)?).ok();
        let first = || if count > 2 { value(elsewhere()?) } else { value(at + 8) };
        let place = match tag {
            256 => &mut found.width,
            257 => &mut found.height,
            258 => &mut found.bits,
            259 => &mut found.compression,
            274 => &mut found.orientation,
            277 => &mut found.samples,
            _ => continue,
        };
        if let Some(value) = first() {
            *place = value;
        }
    }
    Some(found)
}

/// What decoding needs: the decoder's own picture and a copy of it, which becomes RGB in
/// place, or, of grey, in a third one.
pub(super) fn needs(bytes: &[u8]) -> Option<Needs> {
    const JPEG: u64 = 7;
    const INKS: u64 = 4;
    let directory = directory(bytes)?;
    // The decoder takes no other samples than these.
    let sample = if directory.bits > 16 { 4 } else { directory.bits.div_ceil(8) };
    let samples = directory.samples.min(INKS);
    let decoded = samples * sample;
    let grey = if samples < 3 { 3 } else { 0 };
    // A strip of JPEG is decoded whole; there may be one only.
    let strip = if directory.compression == JPEG { decoded } else { 0 };
    Some(Needs {
        width: directory.width,
        height: directory.height,
        decoding: times(
            directory.width,
            directory.height,
            (2 * decoded).max(decoded + grey) + strip,
        ),
        // Compressed strips, and a profile, as numbers of the decoder's own kind.
        copies: bytes.len() as u64,
        turned: directory.orientation > 1,
    })
}

/// Whether the first directory is followed by another.
///
/// The answer is only for a note: bytes that do not parse mean no.
pub(super) fn has_second_page(bytes: &[u8]) -> bool {
    let little = bytes.starts_with(b"II");
    let next = || {
        let directory = usize::try_from(u32_at(bytes, 4, little)?).ok()?;
        let entries = usize::from(u16_at(bytes, directory, little)?);
        let next_at = directory.checked_add(2 + entries * ENTRY)?;
        u32_at(bytes, next_at, little)
    };
    next().is_some_and(|offset| offset != 0)
}
