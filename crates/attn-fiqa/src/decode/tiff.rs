//! TIFF: the facts in the first directory, and the variants that `image` does not decode.
//!
//! Those are palettes, planar storage, JPEG-compressed YCbCr, and LZW data without an end code.
//! Their strips or tiles are unpacked here.

mod directory;
mod unpack;

use self::directory::Directory;
use super::format::Format;
use super::memory::{Needs, times};
use super::{DecodeLimits, Decoded, Note, broken, memory, pixels, unsupported};
use crate::pixels::Image;
use crate::status::{Failure, Status};

const NONE: u64 = 1;
const LZW: u64 = 5;
const JPEG: u64 = 7;
const DEFLATE: u64 = 8;
const OLD_DEFLATE: u64 = 32_946;
const PACK_BITS: u64 = 32_773;

const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const PALETTE: u64 = 3;
const LUMA_AND_CHROMA: u64 = 6;

/// Memory that decoding needs: the decoder's image and a copy of it, which becomes RGB in place or,
/// from grey, in a third image.
pub(super) fn needs(bytes: &[u8]) -> Option<Needs> {
    const INKS: u64 = 4;
    let directory = Directory::read(bytes)?;
    let (width, height) = directory.size();
    let bits = directory.one(directory::BITS, 1);
    // The decoder supports no other samples.
    let sample = if bits > 16 { 4 } else { bits.div_ceil(8) };
    let samples = directory.one(directory::SAMPLES, 1).min(INKS);
    let decoded = samples * sample;
    let grey = if samples < 3 { 3 } else { 0 };
    // A JPEG strip is decoded as a whole; it may be the only one.
    let jpeg = directory.one(directory::COMPRESSION, NONE) == JPEG;
    let strip = if jpeg { 2 * decoded } else { 0 };
    let chunk = match directory.chunk() {
        // A tile may be larger than the image.
        Some((wide, high)) if directory.is_tiled() => times(wide, high, decoded + strip),
        _ => 0,
    };
    Some(Needs {
        width,
        height,
        decoding: times(width, height, (2 * decoded).max(decoded + grey) + strip)
            .saturating_add(chunk),
        // The decoder's copies of compressed strips and of a profile.
        copies: bytes.len() as u64,
        turned: directory.one(directory::ORIENTATION, 1) > 1,
    })
}

/// Whether the first directory is followed by another one.
///
/// Only used for a note: bytes that do not parse mean no.
pub(super) fn has_second_page(bytes: &[u8]) -> bool {
    Directory::read(bytes).is_some_and(|directory| directory.has_next())
}

/// Decodes the variants handled here; `None` leaves the file to the `image` crate.
///
/// # Errors
///
/// Also for files that `image` would decode to something other than the stored image.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Option<Result<Decoded, Failure>> {
    let directory = Directory::read(bytes)?;
    let (width, height) = directory.size();
    if let Err(failure) = limits.check_pixels(width, height) {
        return Some(Err(failure));
    }
    if directory.is_camera_raw() {
        return Some(Err(unsupported(
            "the file is a camera's raw image, and only a preview of it could be read: export \
             it as JPEG or TIFF from a raw converter",
        )));
    }
    match Plan::of(&directory) {
        Some(plan) => Some(plan.decode(&directory, limits)),
        // The `image` crate fails halfway through these.
        None if directory.one(directory::PLANES, 1) == 2 => Some(Err(super::not_handled())),
        // It would not reverse the bits of these.
        None if directory.has_reversed_bits() => Some(Err(super::not_handled())),
        None => None,
    }
}

/// How an image that is decoded here is stored.
struct Plan {
    width: usize,
    height: usize,
    bits: usize,
    little: bool,
    /// Samples per pixel.
    samples: usize,
    /// Whether each sample has its own strips or tiles.
    planes: bool,
    compression: u64,
    photometric: u64,
    /// Whether samples are stored as differences from the pixel to the left.
    differences: bool,
    /// The size of a strip or tile.
    chunk: (usize, usize),
    /// The levels of each colour, for palettes.
    colours: Vec<[u8; 3]>,
}

impl Plan {
    fn of(directory: &Directory<'_>) -> Option<Self> {
        let all_bits = directory.all(directory::BITS).unwrap_or_else(|| vec![1]);
        let bits = *all_bits.first()?;
        let samples = directory.one(directory::SAMPLES, 1);
        let compression = directory.one(directory::COMPRESSION, NONE);
        let photometric = directory.one(directory::PHOTOMETRIC, u64::MAX);
        let planes = directory.one(directory::PLANES, 1) == 2;
        let predictor = directory.one(directory::PREDICTOR, 1);
        let formats = directory.all(directory::SAMPLE_FORMAT).unwrap_or_default();
        let plain = all_bits.iter().all(|&other| other == bits)
            && formats.iter().all(|&format| format == 1)
            && !directory.has_reversed_bits()
            && (1..=5).contains(&samples)
            && matches!(predictor, 1 | 2);
        let packed = matches!(compression, NONE | LZW | DEFLATE | OLD_DEFLATE | PACK_BITS);
        let fits = match photometric {
            PALETTE => {
                packed && samples == 1 && (matches!(bits, 1 | 2 | 4) && predictor == 1 || bits == 8)
            }
            WHITE_IS_ZERO | BLACK_IS_ZERO => {
                packed && matches!(bits, 8 | 16) && (planes || compression == LZW || samples > 1)
            }
            RGB => {
                packed && matches!(bits, 8 | 16) && samples >= 3 && (planes || compression == LZW)
            }
            LUMA_AND_CHROMA => compression == JPEG && bits == 8 && samples == 3 && !planes,
            _ => false,
        };
        if !plain || !fits {
            return None;
        }
        let colours = if photometric == PALETTE { directory.palette(bits)? } else { Vec::new() };
        let (width, height) = directory.size();
        let (wide, high) = directory.chunk()?;
        Some(Self {
            width: usize::try_from(width).ok()?,
            height: usize::try_from(height).ok()?,
            bits: bits as usize,
            little: directory.little,
            samples: samples as usize,
            planes: planes && samples > 1,
            compression,
            photometric,
            differences: predictor == 2,
            chunk: (usize::try_from(wide).ok()?, usize::try_from(high).ok()?),
            colours,
        })
    }

    fn decode(&self, directory: &Directory<'_>, limits: &DecodeLimits) -> Result<Decoded, Failure> {
        let (wide, high) = self.chunk;
        limits.check_pixels(wide as u64, high as u64)?;
        let mut rgb = memory::zeros(self.width * self.height * 3)?;
        let across = self.width.div_ceil(wide);
        let down = self.height.div_ceil(high);
        let planes = if self.planes { self.samples } else { 1 };
        let mut chunks = directory.chunks().ok_or_else(super::damaged)?;
        if chunks.len() < across * down * planes {
            return Err(broken("the file lists fewer strips or tiles than the image has"));
        }
        // Planes that are not colours are not needed.
        chunks.truncate(across * down * planes.min(if self.photometric == RGB { 3 } else { 1 }));
        let mut notes = Vec::new();
        for (number, &(at, length)) in chunks.iter().enumerate() {
            let stored = usize::try_from(at)
                .ok()
                .zip(usize::try_from(length).ok())
                .and_then(|(at, length)| directory.bytes.get(at..at.checked_add(length)?))
                .ok_or_else(super::truncated)?;
            let (plane, place) = (number / (across * down), number % (across * down));
            let (x, y) = (place % across * wide, place / across * high);
            // The last strip has the remaining rows; tiles are always complete.
            let rows = if directory.is_tiled() { high } else { high.min(self.height - y) };
            if self.compression == JPEG {
                self.put_jpeg(directory, stored, (x, y), rows, &mut rgb)?;
            } else {
                self.put(stored, plane, (x, y), rows, &mut rgb)?;
            }
        }
        let colours = if self.photometric == RGB { 3 } else { 1 };
        if self.bits == 16 {
            notes.push(Note::SixteenBitReduced);
        }
        if self.photometric != LUMA_AND_CHROMA && self.samples > colours {
            notes.push(Note::AlphaDropped);
        }
        if directory.has(directory::PROFILE) {
            notes.push(Note::IccIgnored);
        }
        let image = Image::from_rgb(self.width, self.height, rgb)
            .ok_or_else(|| broken("the image holds no pixels"))?;
        let orientation = u8::try_from(directory.one(directory::ORIENTATION, 1)).ok();
        let orientation = orientation.and_then(image::metadata::Orientation::from_exif);
        let orientation = orientation.unwrap_or(image::metadata::Orientation::NoTransforms);
        let image = pixels::turn(image, orientation, &mut notes)?;
        Ok(Decoded { image, notes })
    }

    /// Unpacks a strip or tile and copies its pixels to their place in the image.
    fn put(
        &self,
        stored: &[u8],
        plane: usize,
        (x, y): (usize, usize),
        rows: usize,
        rgb: &mut [u8],
    ) -> Result<(), Failure> {
        let samples = if self.planes { 1 } else { self.samples };
        let row = (self.chunk.0 * samples * self.bits).div_ceil(8);
        let mut unpacked = memory::zeros(row * rows)?;
        unpack::unpack(self.compression, stored, &mut unpacked)?;
        let sample = self.bits.div_ceil(8);
        for (row, bytes) in unpacked.chunks_exact_mut(row).enumerate() {
            let Some(from) = (y + row < self.height).then_some((y + row) * self.width) else {
                break;
            };
            let pixels = self.chunk.0.min(self.width - x);
            let levels = &mut rgb[3 * (from + x)..][..3 * pixels];
            if self.bits == 16 {
                unpack::upper_bytes(bytes, samples, self.differences, self.little);
            } else if self.differences {
                unpack::sum_differences(bytes, samples);
            }
            for (at, level) in levels.chunks_exact_mut(3).enumerate() {
                let own = |channel: usize| bytes[(at * samples + channel) * sample];
                match self.photometric {
                    PALETTE => {
                        let index = unpack::sample(bytes, at, self.bits);
                        level.copy_from_slice(&self.colours[usize::from(index)]);
                    }
                    RGB if self.planes => level[plane] = own(0),
                    RGB => level.copy_from_slice(&[own(0), own(1), own(2)]),
                    WHITE_IS_ZERO => level.fill(!own(0)),
                    _ => level.fill(own(0)),
                }
            }
        }
        Ok(())
    }
    /// Decodes a strip or tile that is a JPEG file without its tables, which are stored once for
    /// all of them (TIFF technical note 2).
    fn put_jpeg(
        &self,
        directory: &Directory<'_>,
        stored: &[u8],
        (x, y): (usize, usize),
        rows: usize,
        rgb: &mut [u8],
    ) -> Result<(), Failure> {
        const START: &[u8] = b"\xFF\xD8";
        const END: &[u8] = b"\xFF\xD9";
        let tables = directory.raw(directory::JPEG_TABLES).unwrap_or_default();
        let tables = tables.strip_prefix(START).unwrap_or(tables);
        let tables = tables.strip_suffix(END).unwrap_or(tables);
        let stored = stored.strip_prefix(START).ok_or_else(super::damaged)?;
        let file = [START, tables, stored].concat();
        // 16-row blocks may extend beyond the last row.
        let most = times(self.chunk.0 as u64, rows.next_multiple_of(16) as u64, 1);
        let limits = DecodeLimits { max_pixels: most, max_bytes: u64::MAX };
        let decoded = super::decode_as(Format::Jpeg, &file, &limits).map_err(|failure| {
            if failure.status == Status::TooLarge { super::damaged() } else { failure }
        })?;
        let image = decoded.image;
        let pixels = self.chunk.0.min(self.width - x);
        if image.width() < pixels || image.height() < rows.min(self.height - y) {
            return Err(super::damaged());
        }
        for row in 0..rows.min(self.height - y) {
            let from = &image.rgb()[3 * row * image.width()..][..3 * pixels];
            rgb[3 * ((y + row) * self.width + x)..][..3 * pixels].copy_from_slice(from);
        }
        Ok(())
    }
}
