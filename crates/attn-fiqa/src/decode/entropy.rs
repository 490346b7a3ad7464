//! Checks that a JPEG's entropy-coded data contain every block (ITU-T T.81, annexes F and G). Codes
//! are read and discarded: no pixel is computed, so this costs a fraction of decoding.

pub(super) use super::huffman::Huffman;
use super::huffman::{BitReader, EntropyError};

const BLOCK: usize = 8;
const COEFFICIENTS: u8 = 64;

/// One colour component of a frame.
pub(super) struct FrameComponent {
    pub(super) id: u8,
    horizontal: usize,
    vertical: usize,
    /// Blocks per row of the component, padded to whole MCUs.
    row_blocks: usize,
    /// Blocks that cover the image, horizontally and vertically.
    own_blocks: (usize, usize),
    /// One bit per coefficient of each block of a progressive image, set if it is known to be
    /// non-zero: a refinement scan has one more bit for each of those.
    non_zero: Vec<u64>,
    /// Whether a scan has delivered the component's first coefficients.
    pub(super) seen: bool,
    /// One bit per coefficient, set once a scan has delivered its lowest bit.
    whole: u64,
}

impl FrameComponent {
    /// `None` unless both sampling factors are 1 … 4.
    pub(super) fn new(id: u8, horizontal: u8, vertical: u8) -> Option<Self> {
        let valid = (1..=4).contains(&horizontal) && (1..=4).contains(&vertical);
        valid.then(|| Self {
            id,
            horizontal: usize::from(horizontal),
            vertical: usize::from(vertical),
            row_blocks: 0,
            own_blocks: (0, 0),
            non_zero: Vec::new(),
            seen: false,
            whole: 0,
        })
    }
}

/// A frame: the image's size and components.
pub(super) struct Frame {
    pub(super) size: (usize, usize),
    pub(super) progressive: bool,
    mcus: (usize, usize),
    pub(super) components: Vec<FrameComponent>,
}

/// One component's part in a scan; `None` for a table that was never defined.
pub(super) struct ScanComponent<'a> {
    pub(super) index: usize,
    pub(super) dc: Option<&'a Huffman>,
    pub(super) ac: Option<&'a Huffman>,
}

/// A scan header.
pub(super) struct Scan<'a> {
    pub(super) components: Vec<ScanComponent<'a>>,
    /// First and last coefficient of a progressive scan, in zigzag order.
    pub(super) first: u8,
    pub(super) last: u8,
    /// Whether a progressive scan refines coefficients by one bit.
    pub(super) refining: bool,
    /// Whether a progressive scan leaves the lowest bits to later scans.
    pub(super) leaves_bits: bool,
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: usize,
}

/// How a scan's data end.
pub(super) enum ScanEnd {
    /// All blocks are present; the scan occupies this many bytes, up to the next marker.
    Complete {
        /// Bytes of entropy-coded data.
        used: usize,
    },
    /// The file ends first.
    OutOfData,
    /// The data contradict themselves.
    Damaged(&'static str),
}

impl Frame {
    pub(super) fn new(
        width: u16,
        height: u16,
        progressive: bool,
        mut components: Vec<FrameComponent>,
    ) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        let across = components.iter().map(|c| c.horizontal).max().unwrap_or(1);
        let down = components.iter().map(|c| c.vertical).max().unwrap_or(1);
        let mcus = (width.div_ceil(BLOCK * across), height.div_ceil(BLOCK * down));
        for component in &mut components {
            let own_width = (width * component.horizontal).div_ceil(across);
            let own_height = (height * component.vertical).div_ceil(down);
            component.own_blocks = (own_width.div_ceil(BLOCK), own_height.div_ceil(BLOCK));
            component.row_blocks = mcus.0 * component.horizontal;
        }
        Self { size: (width, height), progressive, mcus, components }
    }

    /// Whether every component has its first coefficients, so that an image can be shown.
    pub(super) fn is_seen(&self) -> bool {
        self.components.iter().all(|component| component.seen)
    }

    /// Whether every bit of every coefficient has arrived: no scan can be missing.
    pub(super) fn is_complete(&self) -> bool {
        self.components.iter().all(|component| component.whole == u64::MAX)
    }

    /// Whether the first component has the most samples, and every other one a half, a quarter or
    /// as many, horizontally and vertically.
    pub(super) fn has_common_sampling(&self) -> bool {
        let Some(first) = self.components.first() else { return false };
        let is_common = |most: usize, own: usize| [own, 2 * own, 4 * own].contains(&most);
        self.components.iter().all(|component| {
            is_common(first.horizontal, component.horizontal)
                && is_common(first.vertical, component.vertical)
        })
    }

    /// Whether a component has a horizontal sampling factor of 4.
    pub(super) fn has_factor_of_four(&self) -> bool {
        self.components.iter().any(|component| component.horizontal == 4)
    }

    /// Number of coefficients of all components, padded to whole MCUs.
    pub(super) fn coefficients(&self) -> u64 {
        let blocks = |c: &FrameComponent| c.row_blocks as u64 * (self.mcus.1 * c.vertical) as u64;
        self.components.iter().map(blocks).sum::<u64>() * u64::from(COEFFICIENTS)
    }

    /// Reads all codes of a scan from `data`, which starts after its header.
    pub(super) fn walk_scan(&mut self, scan: &Scan<'_>, data: &[u8]) -> ScanEnd {
        let mcus_down = self.mcus.1;
        for component in self.components.iter_mut().filter(|c| c.non_zero.is_empty()) {
            if self.progressive {
                let blocks = component.row_blocks * mcus_down * component.vertical;
                component.non_zero = vec![0; blocks];
            }
        }
        let mut bits = BitReader::new(data);
        let walked = self.walk_blocks(scan, &mut bits);
        match walked {
            Ok(()) => ScanEnd::Complete { used: bits.skip_to_marker() },
            // A premature marker means damage; the end of the file means truncation.
            Err(EntropyError::OutOfBits) if bits.at_end() => ScanEnd::OutOfData,
            Err(EntropyError::OutOfBits) => ScanEnd::Damaged("a scan ends before its last block"),
            Err(EntropyError::Damaged(what)) => ScanEnd::Damaged(what),
        }
    }

    fn walk_blocks(
        &mut self,
        scan: &Scan<'_>,
        bits: &mut BitReader<'_>,
    ) -> Result<(), EntropyError> {
        let (first, last) =
            if self.progressive { (scan.first, scan.last) } else { (0, COEFFICIENTS - 1) };
        let dc_only = first == 0 && last == 0;
        let valid = first <= last
            && last < COEFFICIENTS
            && (!self.progressive || dc_only || (first > 0 && scan.components.len() == 1));
        if !valid {
            return Err(EntropyError::Damaged("a scan covers impossible coefficients"));
        }
        let (across, down) = match scan.components.as_slice() {
            [] => return Err(EntropyError::Damaged("a scan has no component")),
            [only] => self.components[only.index].own_blocks,
            _ => self.mcus,
        };
        let interleaved = scan.components.len() > 1;
        let mut end_of_band_run = 0_u32;
        for mcu in 0..across * down {
            if scan.restart_interval > 0 && mcu > 0 && mcu % scan.restart_interval == 0 {
                bits.restart(mcu / scan.restart_interval - 1)?;
                end_of_band_run = 0;
            }
            let (row, column) = (mcu / across, mcu % across);
            for part in &scan.components {
                let component = &mut self.components[part.index];
                let (height, width) =
                    if interleaved { (component.vertical, component.horizontal) } else { (1, 1) };
                for block in 0..height * width {
                    if !self.progressive {
                        sequential_block(part, bits)?;
                    } else if dc_only {
                        if scan.refining {
                            bits.skip(1)?;
                        } else {
                            dc_difference(part, bits)?;
                        }
                    } else {
                        let at = (row * height + block / width) * component.row_blocks
                            + column * width
                            + block % width;
                        let mut band = Band {
                            first,
                            last,
                            table: part.ac.ok_or(NO_TABLE)?,
                            run: &mut end_of_band_run,
                            non_zero: &mut component.non_zero[at],
                        };
                        if scan.refining {
                            band.refine(bits)?;
                        } else {
                            band.read(bits)?;
                        }
                    }
                }
            }
        }
        let covered = (u64::MAX >> (COEFFICIENTS - 1 - last + first)) << first;
        for part in &scan.components {
            let component = &mut self.components[part.index];
            component.seen |= first == 0;
            if !self.progressive || !scan.leaves_bits {
                component.whole |= covered;
            }
        }
        Ok(())
    }
}

const NO_TABLE: EntropyError =
    EntropyError::Damaged("a scan uses a Huffman table that was never defined");

fn dc_difference(part: &ScanComponent<'_>, bits: &mut BitReader<'_>) -> Result<(), EntropyError> {
    const MAX_CATEGORY: u8 = 11;
    let category = bits.symbol(part.dc.ok_or(NO_TABLE)?)?;
    if category > MAX_CATEGORY {
        return Err(EntropyError::Damaged("a difference has too many bits"));
    }
    bits.skip(category)
}

fn sequential_block(
    part: &ScanComponent<'_>,
    bits: &mut BitReader<'_>,
) -> Result<(), EntropyError> {
    dc_difference(part, bits)?;
    let table = part.ac.ok_or(NO_TABLE)?;
    let mut at = 1;
    loop {
        let run = bits.coefficients(table, at, COEFFICIENTS);
        at = run.at;
        if at > COEFFICIENTS {
            return Err(BEYOND_BLOCK);
        }
        if run.is_end || at == COEFFICIENTS {
            break;
        }
        let symbol = bits.symbol(table)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        match (zeros, size) {
            (15, 0) if at + 16 < COEFFICIENTS => at += 16,
            (_, 0) => break,
            _ => {
                at += zeros;
                if at >= COEFFICIENTS {
                    return Err(BEYOND_BLOCK);
                }
                bits.skip(size)?;
                at += 1;
            }
        }
    }
    Ok(())
}

const BEYOND_BLOCK: EntropyError = EntropyError::Damaged("a block has more than 64 coefficients");

/// Reads the coefficients `first … last` of one block in a progressive scan.
struct Band<'a> {
    first: u8,
    last: u8,
    table: &'a Huffman,
    /// Number of blocks, from the current one on, that have nothing more in this band.
    run: &'a mut u32,
    non_zero: &'a mut u64,
}

impl Band<'_> {
    fn read(&mut self, bits: &mut BitReader<'_>) -> Result<(), EntropyError> {
        if *self.run > 0 {
            *self.run -= 1;
            return Ok(());
        }
        let mut at = self.first;
        loop {
            let run = bits.coefficients(self.table, at, self.last + 1);
            at = run.at;
            if at > self.last + 1 {
                return Err(BEYOND_BLOCK);
            }
            *self.non_zero |= run.non_zero;
            if run.is_end || at > self.last {
                break;
            }
            let symbol = bits.symbol(self.table)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) if at + 16 <= self.last => at += 16,
                (15, 0) => break,
                (_, 0) => {
                    *self.run = (1 << zeros) + bits.take(zeros)? - 1;
                    break;
                }
                _ => {
                    at += zeros;
                    if at > self.last {
                        return Err(BEYOND_BLOCK);
                    }
                    bits.skip(size)?;
                    *self.non_zero |= 1 << at;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    fn refine(&mut self, bits: &mut BitReader<'_>) -> Result<(), EntropyError> {
        let mut at = self.first;
        while *self.run == 0 && at <= self.last {
            let symbol = bits.symbol(self.table)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match size {
                0 if zeros < 15 => {
                    *self.run = (1 << zeros) + bits.take(zeros)?;
                    break;
                }
                0 => {}
                1 => bits.skip(1)?,
                _ => return Err(EntropyError::Damaged("a refining bit is more than one bit")),
            }
            at = self.correct(at, Some(zeros), bits)?;
            if size == 1 {
                if at > self.last {
                    return Err(BEYOND_BLOCK);
                }
                *self.non_zero |= 1 << at;
            }
            at += 1;
        }
        if *self.run > 0 {
            self.correct(at, None, bits)?;
            *self.run -= 1;
        }
        Ok(())
    }

    /// Reads a correction bit for every known coefficient from `at` on, up to the zero that follows
    /// `zeros` other zeros (or to the end of the band), and returns the position of that zero.
    fn correct(
        &self,
        at: u8,
        zeros: Option<u8>,
        bits: &mut BitReader<'_>,
    ) -> Result<u8, EntropyError> {
        // Bits from `at` to `last`; none if `at` is beyond `last`.
        let from = u64::MAX.checked_shl(u32::from(at)).unwrap_or(0);
        let band = from & (u64::MAX >> (COEFFICIENTS - 1 - self.last));
        let end = zeros.map_or(self.last + 1, |zeros| {
            let mut left = band & !*self.non_zero;
            for _ in 0..zeros {
                left &= left.wrapping_sub(1);
            }
            if left == 0 { self.last + 1 } else { left.trailing_zeros() as u8 }
        });
        let before = 1_u64.checked_shl(u32::from(end)).map_or(u64::MAX, |bit| bit - 1);
        let known = (*self.non_zero & band & before).count_ones() as u8;
        bits.skip(known / 2)?;
        bits.skip(known - known / 2)?;
        Ok(end)
    }
}
