//! The tags of a TIFF file's first directory (TIFF 6.0, section 2, and BigTIFF).

use super::super::container::{u16_at, u32_at};

const SUBFILE: u16 = 254;
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
pub(super) const BITS: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
pub(super) const ORIENTATION: u16 = 274;
pub(super) const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
pub(super) const PLANES: u16 = 284;
pub(super) const PREDICTOR: u16 = 317;
const COLOUR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const JPEG_TABLES: u16 = 347;
pub(super) const PROFILE: u16 = 34_675;
const DNG_VERSION: u16 = 50_706;

/// The first directory; entries are read on demand.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) little: bool,
    /// BigTIFF, with 64-bit numbers.
    big: bool,
    /// Where the entries begin, and their number.
    entries: (usize, usize),
}

/// Where an entry's values are.
struct Values {
    kind: u16,
    count: usize,
    at: usize,
}

impl<'a> Directory<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let little = bytes.starts_with(b"II");
        let big = u16_at(bytes, 2, little)? == 43;
        let mut directory = Self { bytes, little, big, entries: (0, 0) };
        directory.entries = if big {
            let start = directory.offset(8)?;
            (start.checked_add(8)?, directory.offset(start)?)
        } else {
            let start = directory.offset(4)?;
            (start.checked_add(2)?, usize::from(u16_at(bytes, start, little)?))
        };
        // An incomplete directory decides nothing.
        let (at, count) = directory.entries;
        let end = at.checked_add(count.checked_mul(directory.entry_length())?)?;
        (end <= bytes.len()).then_some(directory)
    }

    fn entry_length(&self) -> usize {
        if self.big { 20 } else { 12 }
    }

    /// A number as wide as an offset.
    fn offset(&self, at: usize) -> Option<usize> {
        usize::try_from(if self.big { self.long_8(at)? } else { u64::from(self.long(at)?) }).ok()
    }

    fn long(&self, at: usize) -> Option<u32> {
        u32_at(self.bytes, at, self.little)
    }

    fn long_8(&self, at: usize) -> Option<u64> {
        let halves = (self.long(at)?, self.long(at.checked_add(4)?)?);
        let (low, high) = if self.little { halves } else { (halves.1, halves.0) };
        Some(u64::from(high) << 32 | u64::from(low))
    }

    fn find(&self, tag: u16) -> Option<Values> {
        let (start, count) = self.entries;
        let entry = (0..count)
            .map(|entry| start + entry * self.entry_length())
            .find(|&at| u16_at(self.bytes, at, self.little) == Some(tag))?;
        let kind = u16_at(self.bytes, entry + 2, self.little)?;
        let count = self.offset(entry + 4)?;
        let (inline_at, inline) = if self.big { (entry + 12, 8) } else { (entry + 8, 4) };
        let length = count.checked_mul(size(kind)?)?;
        let at = if length <= inline { inline_at } else { self.offset(inline_at)? };
        // An incomplete value counts as absent: nothing is allocated for it.
        self.bytes.get(at..at.checked_add(length)?)?;
        Some(Values { kind, count, at })
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.find(tag).is_some()
    }

    fn number(&self, values: &Values, index: usize) -> Option<u64> {
        match values.kind {
            1 => self.bytes.get(values.at + index).copied().map(u64::from),
            3 => u16_at(self.bytes, values.at + 2 * index, self.little).map(u64::from),
            4 => self.long(values.at + 4 * index).map(u64::from),
            16 => self.long_8(values.at + 8 * index),
            _ => None,
        }
    }

    /// A tag's first number, or the default.
    pub(super) fn one(&self, tag: u16, default: u64) -> u64 {
        self.find(tag).and_then(|values| self.number(&values, 0)).unwrap_or(default)
    }

    /// A tag's numbers.
    pub(super) fn all(&self, tag: u16) -> Option<Vec<u64>> {
        let values = self.find(tag)?;
        (0..values.count).map(|index| self.number(&values, index)).collect()
    }

    /// A tag's bytes.
    pub(super) fn raw(&self, tag: u16) -> Option<&'a [u8]> {
        let values = self.find(tag)?;
        self.bytes.get(values.at..values.at + values.count * size(values.kind)?)
    }

    /// Width and height of the image.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.one(WIDTH, 0), self.one(HEIGHT, 0))
    }

    /// Whether the lowest bit of each stored byte comes first. JPEG data are never stored so.
    pub(super) fn has_reversed_bits(&self) -> bool {
        self.one(FILL_ORDER, 1) == 2 && self.one(COMPRESSION, super::NONE) != super::JPEG
    }

    pub(super) fn is_tiled(&self) -> bool {
        self.has(TILE_WIDTH)
    }

    /// Width and height of a tile or strip, positive.
    pub(super) fn chunk(&self) -> Option<(u64, u64)> {
        let (width, height) = self.size();
        let (wide, high) = if self.is_tiled() {
            (self.one(TILE_WIDTH, 0), self.one(TILE_HEIGHT, 0))
        } else {
            (width, self.one(ROWS_PER_STRIP, height).min(height))
        };
        (wide > 0 && high > 0).then_some((wide, high))
    }

    /// Offsets and lengths of the strips or tiles.
    pub(super) fn chunks(&self) -> Option<Vec<(u64, u64)>> {
        let (offsets, lengths) = if self.is_tiled() {
            (TILE_OFFSETS, TILE_LENGTHS)
        } else {
            (STRIP_OFFSETS, STRIP_LENGTHS)
        };
        Some(self.all(offsets)?.into_iter().zip(self.all(lengths)?).collect())
    }

    /// The palette's colours, for `bits`-bit samples.
    pub(super) fn palette(&self, bits: u64) -> Option<Vec<[u8; 3]>> {
        let colours = 1_usize << bits;
        let levels = self.all(COLOUR_MAP).filter(|levels| levels.len() == 3 * colours)?;
        // Levels have 16 bits; some writers use only 8.
        let shift = if levels.iter().all(|&level| level < 256) { 0 } else { 8 };
        let level =
            |channel: usize, index: usize| (levels[channel * colours + index] >> shift) as u8;
        Some(
            (0..colours).map(|index| [level(0, index), level(1, index), level(2, index)]).collect(),
        )
    }

    /// Whether the first image is a preview of raw sensor data, or the raw data themselves.
    pub(super) fn is_camera_raw(&self) -> bool {
        const SUB_DIRECTORIES: u16 = 330;
        const COLOUR_FILTERS: u64 = 32_803;
        let preview = self.one(SUBFILE, 0) & 1 == 1 && self.has(SUB_DIRECTORIES);
        preview || self.has(DNG_VERSION) || self.one(PHOTOMETRIC, 0) == COLOUR_FILTERS
    }

    /// Whether another directory follows.
    pub(super) fn has_next(&self) -> bool {
        let (at, count) = self.entries;
        self.offset(at + count * self.entry_length()).is_some_and(|next| next != 0)
    }
}

/// The bytes of a value.
fn size(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 | 17 | 18 => Some(8),
        _ => None,
    }
}
