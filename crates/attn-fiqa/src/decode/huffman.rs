//! Huffman codes and the bit stream of JPEG's entropy-coded data
//! (ITU-T T.81, annexes C and F.2.2).

/// Codes of up to this many bits are looked up in one step.
const SHORT: u8 = 9;
const LONGEST: u8 = 16;

/// Why reading stopped.
pub(super) enum Stop {
    /// A marker or the end of the file came first.
    OutOfBits,
    /// The data contradict themselves.
    Damaged(&'static str),
}

/// A canonical Huffman code.
pub(super) struct Huffman {
    /// Indexed by the next `SHORT` bits: the code's length (0 if it is longer) and symbol.
    short: Vec<(u8, u8)>,
    /// Indexed by length: the first code after those of that length, shifted to 16 bits.
    limits: [u32; LONGEST as usize + 1],
    /// Indexed by length: the offset from a code to the index of its symbol.
    offsets: [i32; LONGEST as usize + 1],
    symbols: Vec<u8>,
}

impl Huffman {
    /// Parses a table's 16 counts and its symbols; returns the remaining bytes.
    pub(super) fn parse(body: &[u8]) -> Option<(Self, &[u8])> {
        let counts = body.get(..usize::from(LONGEST))?;
        let total = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        let rest = body.get(usize::from(LONGEST)..)?;
        let symbols = rest.get(..total)?.to_vec();
        let mut short = vec![(0, 0); 1 << SHORT];
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
                    short[from..from + (1 << spread)].fill((length, symbols[index]));
                }
                code += 1;
                index += 1;
            }
            limits[usize::from(length)] = code << (LONGEST - length);
            code <<= 1;
        }
        let table = Self { short, limits, offsets, symbols };
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

    fn drop_bits(&mut self, count: u8) -> Result<(), Stop> {
        if count > self.count {
            return Err(Stop::OutOfBits);
        }
        self.window <<= count;
        self.count -= count;
        Ok(())
    }

    /// The next symbol.
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Stop> {
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
            None if self.count < LONGEST => Err(Stop::OutOfBits),
            None => Err(Stop::Damaged("a code is not in its Huffman table")),
        }
    }

    /// Skips up to 16 bits.
    pub(super) fn skip(&mut self, count: u8) -> Result<(), Stop> {
        if self.count < count {
            self.fill();
        }
        self.drop_bits(count)
    }

    /// The next bits, up to 16, as a number.
    pub(super) fn take(&mut self, count: u8) -> Result<u32, Stop> {
        if self.count < count {
            self.fill();
        }
        let taken = if count == 0 { 0 } else { (self.window >> (64 - u32::from(count))) as u32 };
        self.drop_bits(count)?;
        Ok(taken)
    }

    /// Moves past a restart marker; bits left before it are padding.
    pub(super) fn restart(&mut self) -> Result<(), Stop> {
        let at = self.skip_to_marker();
        match self.data.get(at + 1) {
            Some(0xD0..=0xD7) => {
                self.at = at + 2;
                Ok(())
            }
            None => Err(Stop::OutOfBits),
            Some(_) => Err(Stop::Damaged("a restart marker is missing")),
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
