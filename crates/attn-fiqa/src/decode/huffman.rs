//! Huffman codes and the bit stream of JPEG's entropy-coded data
//! (ITU-T T.81, annexes C and F.2.2).

/// Codes of up to this many bits are looked up in one step.
const SHORT: u8 = 9;
const LONGEST: u8 = 16;

/// With this many bits available, a code and the bits after it can be skipped without a check: a
/// code and a coefficient have at most 31.
const UNCHECKED_BITS: u8 = 32;

/// Why reading stopped.
pub(super) enum EntropyError {
    /// A marker or the end of the file came first.
    OutOfBits,
    /// The data contradict themselves.
    Damaged(&'static str),
}

/// A canonical Huffman code.
pub(super) struct Huffman {
    /// Indexed by the next `SHORT` bits: the code's length (0 if it is longer) and symbol.
    short: Vec<(u8, u8)>,
    /// Indexed in the same way.
    steps: Vec<Step>,
    /// Indexed by length: the first code after those of that length, shifted to 16 bits.
    limits: [u32; LONGEST as usize + 1],
    /// Indexed by length: the offset from a code to the index of its symbol.
    offsets: [i32; LONGEST as usize + 1],
    symbols: Vec<u8>,
}

/// The effect of a symbol of an AC coefficient table, together with the bits after it.
#[derive(Clone, Copy, Default)]
struct Step {
    /// Length of the code and of the bits after it; 0 if the code is longer than `SHORT` or the
    /// symbol is neither a coefficient nor an end of block.
    bits: u8,
    /// Number of coefficients that it covers, including the zeros before it; 0 at the end of a
    /// block.
    coefficients: u8,
}

impl Step {
    fn of(length: u8, symbol: u8) -> Self {
        match (symbol >> 4, symbol & 15) {
            (0, 0) => Self { bits: length, coefficients: 0 },
            (_, 0) => Self::default(),
            (zeros, size) => Self { bits: length + size, coefficients: zeros + 1 },
        }
    }
}

impl Huffman {
    /// Parses a table's 16 counts and its symbols; returns the remaining bytes.
    pub(super) fn parse(body: &[u8]) -> Option<(Self, &[u8])> {
        let counts = body.get(..usize::from(LONGEST))?;
        let total = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        let rest = body.get(usize::from(LONGEST)..)?;
        let symbols = rest.get(..total)?.to_vec();
        let mut short = vec![(0, 0); 1 << SHORT];
        let mut steps = vec![Step::default(); 1 << SHORT];
        let mut limits = [0; LONGEST as usize + 1];
        let mut offsets = [0; LONGEST as usize + 1];
        let mut code = 0_u32;
        let mut index = 0_usize;
        for length in 1..=LONGEST {
            let count = counts[usize::from(length) - 1];
            offsets[usize::from(length)] = index as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << length {
                    return None;
                }
                if length <= SHORT {
                    let spread = SHORT - length;
                    let from = (code as usize) << spread;
                    let all = from..from + (1 << spread);
                    short[all.clone()].fill((length, symbols[index]));
                    steps[all].fill(Step::of(length, symbols[index]));
                }
                code += 1;
                index += 1;
            }
            limits[usize::from(length)] = code << (LONGEST - length);
            code <<= 1;
        }
        let table = Self { short, steps, limits, offsets, symbols };
        Some((table, &rest[total..]))
    }

    /// Length and symbol of the code at the start of these 16 bits.
    fn find(&self, head: u32) -> Option<(u8, u8)> {
        let (length, symbol) = self.short[(head >> (LONGEST - SHORT)) as usize];
        if length > 0 {
            return Some((length, symbol));
        }
        let length = (SHORT + 1..=LONGEST).find(|&l| head < self.limits[usize::from(l)])?;
        let code = (head >> (LONGEST - length)) as i32;
        let index = usize::try_from(code + self.offsets[usize::from(length)]).ok()?;
        Some((length, *self.symbols.get(index)?))
    }
}

/// A run of coefficients that were read.
pub(super) struct Run {
    /// Index of the next coefficient; beyond the requested end if the codes are damaged.
    pub(super) at: u8,
    /// One bit per coefficient, set if it is not zero.
    pub(super) non_zero: u64,
    /// Whether the end of the block was read.
    pub(super) is_end: bool,
}

/// The bits of entropy-coded data: a byte FF is followed by a stuffed zero, or starts a marker,
/// which ends the bits.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the most significant down, padded with zeros.
    window: u64,
    count: u8,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, window: 0, count: 0 }
    }

    fn fill(&mut self) {
        // Eight bytes at once if none of them is FF.
        if let Some(ahead) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            let ahead = u64::from_be_bytes(*ahead);
            if !has_ff(ahead) {
                // The bits of a byte that does not fit are cleared below and read again.
                self.window |= ahead >> self.count;
                let bytes = (64 - self.count) / 8;
                self.at += usize::from(bytes);
                self.count += 8 * bytes;
                self.window &= u64::MAX << (64 - self.count);
                return;
            }
        }
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else {
                return;
            };
            if byte == 0xFF {
                match self.data.get(self.at + 1) {
                    Some(0) => self.at += 2,
                    _ => return,
                }
            } else {
                self.at += 1;
            }
            self.window |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn drop_bits(&mut self, count: u8) -> Result<(), EntropyError> {
        if count > self.count {
            return Err(EntropyError::OutOfBits);
        }
        self.window <<= count;
        self.count -= count;
        Ok(())
    }

    /// Reads coefficients of a block from `at` on while their codes are short and enough bits are
    /// left.
    #[inline(always)]
    pub(super) fn coefficients(&mut self, table: &Huffman, mut at: u8, end: u8) -> Run {
        let mut non_zero = 0;
        while at < end {
            if self.count < UNCHECKED_BITS {
                self.fill();
                if self.count < UNCHECKED_BITS {
                    break;
                }
            }
            let step = table.steps[(self.window >> (64 - u32::from(SHORT))) as usize];
            if step.bits == 0 {
                break;
            }
            self.window <<= step.bits;
            self.count -= step.bits;
            if step.coefficients == 0 {
                return Run { at, non_zero, is_end: true };
            }
            at += step.coefficients;
            non_zero |= 1_u64.wrapping_shl(u32::from(at) - 1);
        }
        Run { at, non_zero, is_end: false }
    }

    /// The next symbol.
    #[inline(always)]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, EntropyError> {
        if self.count < LONGEST {
            self.fill();
        }
        let head = (self.window >> (64 - u32::from(LONGEST))) as u32;
        match table.find(head) {
            Some((length, symbol)) => {
                self.drop_bits(length)?;
                Ok(symbol)
            }
            // The zero padding after the last bit may form an undefined code.
            None if self.count < LONGEST => Err(EntropyError::OutOfBits),
            None => Err(EntropyError::Damaged("a code is not in its Huffman table")),
        }
    }

    /// Skips up to 32 bits.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u8) -> Result<(), EntropyError> {
        if self.count < count {
            self.fill();
        }
        self.drop_bits(count)
    }

    /// The next bits, up to 16, as a number.
    pub(super) fn take(&mut self, count: u8) -> Result<u32, EntropyError> {
        if self.count < count {
            self.fill();
        }
        let taken = if count == 0 { 0 } else { (self.window >> (64 - u32::from(count))) as u32 };
        self.drop_bits(count)?;
        Ok(taken)
    }

    /// Moves past the restart marker that ends interval `number`; up to 7 bits before it are
    /// padding.
    pub(super) fn restart(&mut self, number: usize) -> Result<(), EntropyError> {
        const RST0: u8 = 0xD0;
        const RST7: u8 = 0xD7;
        let (unread, bits) = (self.at, self.count);
        let at = self.skip_to_marker();
        match self.data.get(at + 1) {
            Some(&marker @ RST0..=RST7) => {
                let is_fill = |&byte: &u8| byte == 0xFF;
                if bits >= 8 || !self.data[unread..at].iter().all(is_fill) {
                    return Err(EntropyError::Damaged("an interval holds more than its blocks"));
                }
                if usize::from(marker - RST0) != number % 8 {
                    return Err(EntropyError::Damaged("a restart marker is out of order"));
                }
                self.at = at + 2;
                Ok(())
            }
            None => Err(EntropyError::OutOfBits),
            Some(_) => Err(EntropyError::Damaged("a restart marker is missing")),
        }
    }

    /// Discards the remaining bits and moves to the FF byte of the next marker or to the end;
    /// returns that position.
    pub(super) fn skip_to_marker(&mut self) -> usize {
        self.window = 0;
        self.count = 0;
        let rest = self.data.get(self.at..).unwrap_or_default();
        let found =
            rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0xFF && pair[1] != 0);
        self.at = found.map_or(self.data.len(), |ahead| self.at + ahead);
        self.at
    }

    /// Whether the bits end at the end of the file and not at a marker.
    pub(super) fn at_end(&self) -> bool {
        self.at + 1 >= self.data.len()
    }
}

/// Whether one of the eight bytes is FF.
fn has_ff(bytes: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = LOW << 7;
    // A byte of the complement is zero.
    let zero = !bytes;
    zero.wrapping_sub(LOW) & !zero & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A table with codes of all lengths, and with the symbols that `symbol` gives.
    fn table(symbol: impl Fn(usize) -> u8) -> Huffman {
        let counts = [0, 1, 2, 3, 2, 2, 3, 2, 2, 2, 3, 2, 2, 2, 2, 3];
        let mut body: Vec<u8> = counts.to_vec();
        let total: u8 = counts.iter().sum();
        body.extend((0..usize::from(total)).map(symbol));
        Huffman::parse(&body).expect("a valid table").0
    }

    /// Entropy-coded data with many stuffed FF bytes and sometimes a marker at the end.
    fn data(random: &mut Random) -> Vec<u8> {
        let mut data = Vec::new();
        for _ in 0..random.below(60) {
            let byte = if random.below(6) == 0 { 0xFF } else { random.below(256) as u8 };
            data.push(byte);
            if byte == 0xFF {
                data.push(0);
            }
        }
        if random.below(2) == 0 {
            data.extend([0xFF, 0xD9, 0x12, 0x34]);
        }
        data
    }

    /// The same bits, one at a time.
    fn bits(data: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut at = 0;
        while let Some(&byte) = data.get(at) {
            if byte == 0xFF {
                if data.get(at + 1) != Some(&0) {
                    break;
                }
                at += 1;
            }
            bits.extend((0..8).rev().map(|bit| byte >> bit & 1));
            at += 1;
        }
        bits
    }

    #[test]
    fn bit_reader_matches_naive_reader() {
        let mut random = Random::new(1, "bits");
        for _ in 0..2000 {
            let data = data(&mut random);
            let naive = bits(&data);
            let mut reader = BitReader::new(&data);
            let mut at = 0;
            loop {
                let count = random.below(17);
                let expected = naive.get(at..at + count);
                let number =
                    |bits: &[u8]| bits.iter().fold(0, |sum, &bit| 2 * sum + u32::from(bit));
                let found = if random.below(2) == 0 {
                    reader
                        .take(count as u8)
                        .map(|found| assert_eq!(Some(found), expected.map(number)))
                } else {
                    reader.skip(count as u8)
                };
                assert_eq!(found.is_ok(), expected.is_some());
                if expected.is_none() {
                    break;
                }
                at += count;
            }
        }
    }

    #[test]
    fn coefficients_match_symbol_by_symbol_decoding() {
        let mut random = Random::new(2, "coefficients");
        let mut ends = 0;
        for round in 0..4000 {
            let table = table(|index| match (index + round) % 17 {
                0 => 0x00,
                1 => 0xF0,
                other => (7 * other + index) as u8,
            });
            let data = data(&mut random);
            let (mut fast, mut naive) = (BitReader::new(&data), BitReader::new(&data));
            let (first, end) = (random.below(8) as u8, 64 - random.below(8) as u8);
            let run = fast.coefficients(&table, first, end);
            let (mut at, mut non_zero, mut is_end) = (first, 0_u64, false);
            while at < run.at || run.is_end && !is_end {
                let Ok(symbol) = naive.symbol(&table) else { panic!("read beyond the bits") };
                let (zeros, size) = (symbol >> 4, symbol & 15);
                assert!(at < end && naive.skip(size).is_ok());
                if symbol == 0 {
                    is_end = true;
                } else {
                    assert_ne!(size, 0);
                    at += zeros + 1;
                    non_zero |= 1_u64.wrapping_shl(u32::from(at) - 1);
                }
            }
            assert_eq!((at, non_zero, is_end), (run.at, run.non_zero, run.is_end));
            // Both are at the same bit.
            loop {
                let (one, other) = (fast.take(1).ok(), naive.take(1).ok());
                assert_eq!(one, other);
                if one.is_none() {
                    break;
                }
            }
            ends += usize::from(run.is_end);
        }
        assert!(ends > 100, "{ends}");
    }
}
