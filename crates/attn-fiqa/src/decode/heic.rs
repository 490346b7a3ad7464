//! HEIC, the format of phone cameras: HEVC in a HEIF container, decoded by `heifer`.
//!
//! The container is parsed here first, so that the decoder's memory use is known: a coded image or
//! a grid of them is decoded, overlays are not.

use heifer::heifer_isobmff::boxes::{ColorInfo, Property};
use heifer::heifer_isobmff::{HeifFile, ItemId};
use heifer::{Error, Options};

use super::memory::{Needs, times};
use super::{DecodeLimits, Decoded, Note, broken, pixels, unsupported};
use crate::pixels::Image;
use crate::status::Failure;

/// Coded width and height are multiples of the coding block size, which is at most this.
const LARGEST_BLOCK: u32 = 64;

/// What the container says about the image.
struct Facts {
    /// Before cropping and rotation.
    width: u32,
    height: u32,
    /// Pixels of the largest image that is coded in one piece, or of the whole image.
    largest: u64,
    /// Whether a rotation swaps width and height.
    turned: bool,
    /// Whether the image is cropped for display.
    cut: bool,
    transparent: bool,
    notes: Vec<Note>,
}

fn container(error: heifer::heifer_isobmff::Error) -> Failure {
    failure(Error::Container(error))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Unsupported(_) => super::not_handled(),
        _ => super::damaged(),
    }
}

/// Parses the container. A file whose container is truncated or damaged is refused.
fn facts(bytes: &[u8], limits: &DecodeLimits) -> Result<Facts, Failure> {
    let file = HeifFile::parse(bytes).map_err(container)?;
    let primary = file.primary_id;
    let size_of = |id: ItemId| -> Result<(u32, u32), Failure> {
        let size = file.image_size(id).map_err(container)?;
        let (width, height) = size.ok_or_else(super::damaged)?;
        limits.check_pixels(width.into(), height.into())?;
        Ok((width, height))
    };
    let (width, height) = size_of(primary)?;
    let mut largest = coded_pixels(width, height);
    match &file.item(primary).map_err(container)?.item_type.0 {
        b"hvc1" => {}
        b"grid" => {
            let grid = file.grid(primary).map_err(container)?;
            if (grid.output_width, grid.output_height) != (width, height) {
                return Err(broken("the file declares two sizes"));
            }
            for &tile in file.referenced_items(primary, b"dimg") {
                if file.item(tile).map_err(container)?.item_type.0 != *b"hvc1" {
                    return Err(super::not_handled());
                }
                let (width, height) = size_of(tile)?;
                largest = largest.max(coded_pixels(width, height));
            }
        }
        _ => return Err(super::not_handled()),
    }
    // An alpha plane is decoded in addition to the image.
    let mut transparent = false;
    for mask in file.referencing_items(primary, b"auxl") {
        transparent = true;
        if !matches!(&file.item(mask).map_err(container)?.item_type.0, b"hvc1" | b"grid") {
            return Err(super::not_handled());
        }
        let (width, height) = size_of(mask)?;
        largest = largest.max(coded_pixels(width, height));
    }

    let mut notes = Vec::new();
    let (mut quarters, mut mirror, mut cut) = (0, None, false);
    for property in file.item_properties(primary).map_err(container)? {
        match property {
            Property::Color(ColorInfo::Nclx { transfer: 16 | 18, .. }) => {
                return Err(unsupported(
                    "the image has a high dynamic range, which does not fit in 8 bits: convert it \
                     to 8-bit RGB",
                ));
            }
            Property::HevcConfig(config) if config.bit_depth_luma > 8 => {
                notes.push(Note::SixteenBitReduced);
            }
            Property::Rotation(turns) => quarters = usize::from(turns % 4),
            Property::CleanAperture { .. } => cut = true,
            Property::Mirror(top_bottom) => mirror = Some(*top_bottom),
            _ => {}
        }
    }
    if file.icc_profile(primary).map_err(container)?.is_some() {
        notes.push(Note::IccIgnored);
    }
    let orientation = orientation(quarters, mirror);
    if orientation > 1 {
        notes.push(Note::OrientationApplied(orientation));
    }
    Ok(Facts { width, height, largest, turned: quarters % 2 == 1, cut, transparent, notes })
}

fn coded_pixels(width: u32, height: u32) -> u64 {
    let side = |side: u32| u64::from(side).next_multiple_of(LARGEST_BLOCK.into());
    times(side(width), side(height), 1)
}

/// The EXIF orientation for quarter turns to the left followed by a mirroring.
fn orientation(quarters: usize, mirror: Option<bool>) -> u8 {
    let row: [u8; 4] = match mirror {
        None => [1, 8, 3, 6],
        Some(false) => [2, 7, 4, 5],
        Some(true) => [4, 5, 2, 7],
    };
    row[quarters]
}

/// Three 16-bit planes, the filters' output and per-block state, twice if there is an alpha plane;
/// RGBA, once more if it is rotated or cropped.
pub(super) fn needs(bytes: &[u8], limits: &DecodeLimits) -> Result<Needs, Failure> {
    const CODED: u64 = 3 * 2 * 2 + 4;
    const RGBA: u64 = 4;
    let facts = facts(bytes, limits)?;
    let (width, height) = (u64::from(facts.width), u64::from(facts.height));
    let coded = if facts.transparent { 2 * CODED } else { CODED };
    let decoding = times(facts.largest, 1, coded).saturating_add(times(width, height, 2 * RGBA));
    Ok(Needs { width, height, decoding, copies: 3 * bytes.len() as u64, turned: false })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let Facts { width, height, largest, turned, cut, mut notes, .. } = facts(bytes, limits)?;
    // The run has its own threads, and no coded image may be larger than was counted.
    let options = Options { max_threads: 1, max_pixels: largest };
    let image = heifer::decode_rgba8(bytes, &options).map_err(failure)?;
    let (whole_width, whole_height) = if turned { (height, width) } else { (width, height) };
    let (width, height) = (image.width, image.height);
    // The decoder returns a smaller image if less is coded than the container declares.
    let fits = if cut {
        width <= whole_width && height <= whole_height
    } else {
        (width, height) == (whole_width, whole_height)
    };
    if !fits || image.data.len() as u64 != times(width.into(), height.into(), 4) {
        return Err(broken("the file declares two sizes"));
    }
    if image.has_alpha {
        notes.push(Note::AlphaDropped);
    }
    let mut samples = image.data;
    pixels::drop_alpha(&mut samples);
    let image = Image::from_rgb(width as usize, height as usize, samples)
        .ok_or_else(|| broken("the image holds no pixels"))?;
    Ok(Decoded { image, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_and_mirror_map_to_exif_orientation() {
        // Marks at (x, y) of a 3×2 image, and where a viewer displays them.
        let place = |number: u8, (x, y): (i32, i32)| match number {
            1 => (x, y),
            2 => (2 - x, y),
            3 => (2 - x, 1 - y),
            4 => (x, 1 - y),
            5 => (y, x),
            6 => (1 - y, x),
            7 => (1 - y, 2 - x),
            _ => (y, 2 - x),
        };
        for quarters in 0..4 {
            for mirror in [None, Some(false), Some(true)] {
                for mark in [(0, 0), (2, 0), (1, 1)] {
                    let (mut at, mut size) = (mark, (3, 2));
                    for _ in 0..quarters {
                        at = (at.1, size.0 - 1 - at.0);
                        size = (size.1, size.0);
                    }
                    at = match mirror {
                        None => at,
                        Some(false) => (size.0 - 1 - at.0, at.1),
                        Some(true) => (at.0, size.1 - 1 - at.1),
                    };
                    assert_eq!(at, place(orientation(quarters, mirror), mark));
                }
            }
        }
    }
}
