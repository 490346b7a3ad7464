//! JPEG 2000, in JP2 files and as a bare codestream.

use std::collections::BTreeSet;

use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext};

use super::container::{u16_at, u32_at};
use super::memory::{Needs, times};
use super::{DecodeLimits, Decoded, Note, broken, memory, pixels, unsupported};
use crate::pixels::Image;
use crate::status::Failure;

const CODESTREAM: &[u8] = b"\xFF\x4F\xFF\x51";

/// What the codestream's SIZ marker segment (ISO/IEC 15444-1, A.5.1) declares.
#[derive(Debug)]
struct Size {
    width: u64,
    height: u64,
    components: u64,
    tiles: u64,
    parts: Parts,
}

/// What the headers of the tile-parts say.
#[derive(Debug)]
struct Parts {
    /// Number of tiles that have a tile-part.
    tiles: u64,
    /// Minimum samples per code-block: 4×4 (A.6.1), fewer where precincts are smaller.
    code_block: u64,
}

/// Where the codestream begins.
fn codestream(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(CODESTREAM) {
        return Some(bytes);
    }
    let mut at = 0_usize;
    loop {
        let length = u32_at(bytes, at, false)?;
        let name = bytes.get(at + 4..at + 8)?;
        let (header, length) = match length {
            1 => (
                16,
                usize::try_from(
                    u64::from(u32_at(bytes, at + 8, false)?) << 32
                        | u64::from(u32_at(bytes, at + 12, false)?),
                )
                .ok()?,
            ),
            0 => (8, bytes.len() - at),
            length => (8, length as usize),
        };
        if name == b"jp2c" {
            return bytes.get(at + header..).filter(|inside| inside.starts_with(CODESTREAM));
        }
        if length < header {
            return None;
        }
        at = at.checked_add(length)?;
    }
}

/// Walks the main header and those of all tile-parts, which may define other coding styles
/// (A.6.1, A.6.2).
fn parts(stream: &[u8], components: u64) -> Option<Parts> {
    const COD: u16 = 0xFF52;
    const COC: u16 = 0xFF53;
    const TILE_PART: u16 = 0xFF90;
    const DATA: u16 = 0xFF93;
    const END: u16 = 0xFFD9;
    let mut code_block = 1 << 12;
    let mut tiles = BTreeSet::new();
    // After SIZ, which follows the SOC marker.
    let mut at = CODESTREAM.len() + usize::from(u16_at(stream, CODESTREAM.len(), false)?);
    // Where the current tile-part's data end.
    let mut end_of_part = None;
    while let Some(marker) = u16_at(stream, at, false) {
        let block = match marker {
            COD => style(stream, at + 4, at + 9),
            COC => {
                let index = if components < 257 { 1 } else { 2 };
                style(stream, at + 4 + index, at + 5 + index)
            }
            TILE_PART => {
                tiles.extend(u16_at(stream, at + 4, false));
                let length = u32_at(stream, at + 6, false)? as usize;
                // Zero means the rest of the file.
                end_of_part = (length > 0).then(|| at.saturating_add(length));
                None
            }
            DATA => match end_of_part.take() {
                Some(end) if end > at => {
                    at = end;
                    continue;
                }
                _ => break,
            },
            END => break,
            _ => None,
        };
        code_block = block.unwrap_or(code_block).min(code_block);
        at += 2 + usize::from(u16_at(stream, at + 2, false)?.max(2));
    }
    Some(Parts { tiles: tiles.len() as u64, code_block })
}

/// Samples of the smallest code-block of a coding style, given the offsets of its first byte and of
/// the number of levels and the fields after it. Precincts bound code-blocks (B.7).
fn style(stream: &[u8], style_at: usize, levels_at: usize) -> Option<u64> {
    const MAX_LEVELS: u8 = 32;
    let own_precincts = stream.get(style_at)? & 1 == 1;
    let &[levels, width, height] = stream.get(levels_at..levels_at + 3)? else { return None };
    let (mut width, mut height) = (width.min(8) + 2, height.min(8) + 2);
    if own_precincts {
        let sizes = (levels_at + 5)..(levels_at + 6 + usize::from(levels.min(MAX_LEVELS)));
        for (level, size) in stream.get(sizes)?.iter().enumerate() {
            // Bands of all levels but the first have half the width and height.
            let halved = u8::from(level > 0);
            width = width.min((size & 15).saturating_sub(halved));
            height = height.min((size >> 4).saturating_sub(halved));
        }
    }
    Some(1 << (width + height))
}

fn size(bytes: &[u8]) -> Option<Size> {
    let stream = codestream(bytes)?;
    let number = |at| u32_at(stream, at, false).map(u64::from);
    let (right, bottom) = (number(8)?, number(12)?);
    let (left, top) = (number(16)?, number(20)?);
    let (tile_width, tile_height) = (number(24)?.max(1), number(28)?.max(1));
    let (tiles_left, tiles_top) = (number(32)?, number(36)?);
    let tiles = |end: u64, start: u64, side: u64| end.saturating_sub(start).div_ceil(side);
    let components = u64::from(u16_at(stream, 40, false)?);
    let parts = parts(stream, components)?;
    Some(Size {
        width: right.saturating_sub(left),
        height: bottom.saturating_sub(top),
        components,
        tiles: times(
            tiles(right, tiles_left, tile_width),
            tiles(bottom, tiles_top, tile_height),
            1,
        ),
        parts,
    })
}

/// For each component the samples, the coefficients and their horizontal sums, 32 bits each; plus
/// the state of each code-block.
pub(super) fn needs(bytes: &[u8]) -> Option<Needs> {
    const SAMPLE: u64 = 4;
    const BUFFERS: u64 = 3;
    const CODE_BLOCK: u64 = 512;
    const TILE: u64 = 4096;
    let size = size(bytes)?;
    let blocks = CODE_BLOCK.div_ceil(size.parts.code_block);
    let each = SAMPLE * BUFFERS + blocks;
    Some(Needs {
        width: size.width,
        height: size.height,
        // Plus the 8-bit samples, and RGB where they are grey.
        decoding: times(size.width, size.height, size.components * (each + 1) + 3)
            .saturating_add(size.tiles.saturating_mul(TILE)),
        copies: bytes.len() as u64,
        turned: false,
    })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    const MAX_TILES: u64 = 65_535;
    const MAX_COMPONENTS: u64 = 5;
    let size = size(bytes).ok_or_else(super::truncated)?;
    limits.check_pixels(size.width, size.height)?;
    if size.components > MAX_COMPONENTS {
        return Err(unsupported(format!(
            "the image has {} channels, but at most {MAX_COMPONENTS} are supported: convert it to \
             8-bit RGB",
            size.components
        )));
    }
    if size.tiles > MAX_TILES {
        return Err(broken("the file declares more tiles than JPEG 2000 allows"));
    }
    // The decoder would leave the others black.
    if size.parts.tiles < size.tiles {
        return Err(broken(format!(
            "the file holds {} of the image's {} tiles: copy or download it again",
            size.parts.tiles, size.tiles
        )));
    }
    // Without it, half a file would be decoded without an error.
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = hayro_jpeg2000::Image::new(bytes, &settings).map_err(failure)?;
    if (u64::from(image.width()), u64::from(image.height())) != (size.width, size.height) {
        return Err(broken("the file declares two sizes"));
    }
    let mut notes = Vec::new();
    let colours = match image.color_space() {
        ColorSpace::Gray => 1,
        ColorSpace::RGB => 3,
        ColorSpace::Icc { num_channels: channels @ (1 | 3), .. } => {
            notes.push(Note::IccIgnored);
            usize::from(*channels)
        }
        ColorSpace::CMYK | ColorSpace::Icc { .. } | ColorSpace::Unknown { .. } => {
            return Err(unsupported(
                "the image's colours are neither grey nor red, green and blue: convert it to \
                 8-bit RGB",
            ));
        }
    };
    let channels = colours + usize::from(image.has_alpha());
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(failure)?;
    let pixel_count = times(size.width, size.height, 1);
    let components = decoded.components();
    if components.len() != channels
        || components.iter().any(|component| component.samples().len() as u64 != pixel_count)
    {
        return Err(unsupported(
            "the image's channels do not match its colour space: convert it to 8-bit RGB",
        ));
    }
    if components.iter().any(|component| component.bit_depth() > 8) {
        notes.push(Note::SixteenBitReduced);
    }
    let mut samples = memory::zeros(pixel_count as usize * channels)?;
    decoded.store_u8_into(&mut samples);
    drop(context);
    if image.has_alpha() {
        notes.push(Note::AlphaDropped);
    }
    let rgb = match channels {
        1 | 2 => pixels::replicate_first_channel(&samples, channels)?,
        3 => samples,
        _ => {
            pixels::drop_alpha(&mut samples);
            samples
        }
    };
    let image = Image::from_rgb(size.width as usize, size.height as usize, rgb)
        .ok_or_else(|| broken("the decoder returned fewer pixels than the file declares"))?;
    Ok(Decoded { image, notes })
}

fn failure(error: hayro_jpeg2000::DecodeError) -> Failure {
    use hayro_jpeg2000::{DecodeError, DecodingError, FormatError, MarkerError};
    match error {
        DecodeError::Format(FormatError::Unsupported)
        | DecodeError::Marker(MarkerError::Unsupported) => super::not_handled(),
        DecodeError::Format(FormatError::MissingCodestream)
        | DecodeError::Decoding(DecodingError::UnexpectedEof) => super::truncated(),
        _ => super::damaged(),
    }
}
