//! JPEG 2000, in JP2 files and as a bare codestream.

use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};

use super::container::{u16_at, u32_at};
use super::memory::{Needs, times};
use super::{DecodeLimits, Decoded, Note, broken, memory, pixels, unsupported};
use crate::picture::Picture;
use crate::status::Failure;

const CODESTREAM: &[u8] = b"\xFF\x4F\xFF\x51";

/// What the codestream's first marker, SIZ (ISO/IEC 15444-1, A.5.1), says.
#[derive(Debug)]
struct Size {
    width: u64,
    height: u64,
    components: u64,
    tiles: u64,
    /// Samples of a code-block at least: they may be as small as 4×4 (A.6.1).
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

fn size(bytes: &[u8]) -> Option<Size> {
    const COD: u16 = 0xFF52;
    const COC: u16 = 0xFF53;
    const TILE_PART: u16 = 0xFF90;
    let stream = codestream(bytes)?;
    let number = |at| u32_at(stream, at, false).map(u64::from);
    let (right, bottom) = (number(8)?, number(12)?);
    let (left, top) = (number(16)?, number(20)?);
    let (tile_width, tile_height) = (number(24)?.max(1), number(28)?.max(1));
    let (tiles_left, tiles_top) = (number(32)?, number(36)?);
    let tiles = |end: u64, start: u64, side: u64| end.saturating_sub(start).div_ceil(side);
    let components = u64::from(u16_at(stream, 40, false)?);
    let mut code_block = 1 << 12;
    let mut at = 4;
    // Further markers, up to the first tile.
    at += usize::from(u16_at(stream, at, false)?);
    while let Some(marker) = u16_at(stream, at, false).filter(|&marker| marker != TILE_PART) {
        let exponents_at = match marker {
            COD => Some(at + 10),
            COC => Some(at + if components < 257 { 7 } else { 8 }),
            _ => None,
        };
        if let Some(&[width, height]) = exponents_at.and_then(|at| stream.get(at..at + 2)) {
            code_block = code_block.min(1 << (width.min(8) + height.min(8) + 4));
        }
        at += 2 + usize::from(u16_at(stream, at + 2, false)?.max(2));
    }
    Some(Size {
        width: right.saturating_sub(left),
        height: bottom.saturating_sub(top),
        components,
        tiles: times(
            tiles(right, tiles_left, tile_width),
            tiles(bottom, tiles_top, tile_height),
            1,
        ),
        code_block,
    })
}

/// Of each component the samples, the coefficients and their sum across, as 32 bits each;
/// and what is kept of each code-block.
pub(super) fn needs(bytes: &[u8]) -> Option<Needs> {
    const SAMPLE: u64 = 4;
    const BUFFERS: u64 = 3;
    const CODE_BLOCK: u64 = 512;
    const TILE: u64 = 4096;
    let size = size(bytes)?;
    let blocks = CODE_BLOCK.div_ceil(size.code_block);
    let each = SAMPLE * BUFFERS + blocks;
    Some(Needs {
        width: size.width,
        height: size.height,
        // And the samples of 8 bits, of grey the colours.
        decoding: times(size.width, size.height, size.components * (each + 1) + 3)
            .saturating_add(size.tiles.saturating_mul(TILE)),
        copies: bytes.len() as u64,
        turned: false,
    })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    const MOST_TILES: u64 = 65_535;
    const MOST_COMPONENTS: u64 = 5;
    let size = size(bytes).ok_or_else(super::cut)?;
    limits.check_pixels(size.width, size.height)?;
    if size.components > MOST_COMPONENTS {
        return Err(unsupported(format!(
            "the picture has {} channels, and at most {MOST_COMPONENTS} are read: convert it to \
             8-bit RGB",
            size.components
        )));
    }
    if size.tiles > MOST_TILES {
        return Err(broken("the file declares more tiles than JPEG 2000 allows"));
    }
    // Otherwise half a file would be decoded without a word.
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(failure)?;
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
                "the picture's colours are neither grey nor red, green and blue: convert it to \
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
            "the picture's channels are not as its colours need them: convert it to 8-bit RGB",
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
        1 | 2 => pixels::three_times_the_first(&samples, channels)?,
        3 => samples,
        _ => {
            pixels::drop_alpha(&mut samples);
            samples
        }
    };
    let picture = Picture::from_rgb(size.width as usize, size.height as usize, rgb)
        .ok_or_else(|| broken("the decoder gave fewer pixels than the file declares"))?;
    Ok(Decoded { picture, notes })
}

fn failure(error: hayro_jpeg2000::DecodeError) -> Failure {
    use hayro_jpeg2000::{DecodeError, DecodingError, FormatError, MarkerError};
    match error {
        DecodeError::Format(FormatError::Unsupported)
        | DecodeError::Marker(MarkerError::Unsupported) => super::not_handled(),
        DecodeError::Format(FormatError::MissingCodestream)
        | DecodeError::Decoding(DecodingError::UnexpectedEof) => super::cut(),
        _ => super::damaged(),
    }
}
