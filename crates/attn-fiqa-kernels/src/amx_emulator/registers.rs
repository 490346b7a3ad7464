//! The tile registers and what the instructions do with them.

/// Bytes per row, rows per tile and number of tiles, of palette 1.
const ROW_BYTES: usize = 64;
const ROWS: usize = 16;
const TILES: usize = 8;

/// Eight tiles and their shapes. Rows and bytes beyond the shape are zero.
#[derive(Debug)]
pub(super) struct Registers {
    /// Rows and bytes per row of each tile; all zero until configured.
    shapes: [[usize; 2]; TILES],
    data: [[[u8; ROW_BYTES]; ROWS]; TILES],
}

impl Registers {
    /// The state at the start of a thread.
    pub(super) const RELEASED: Self =
        Self { shapes: [[0; 2]; TILES], data: [[[0; ROW_BYTES]; ROWS]; TILES] };

    /// Returns whether the operation was valid, as every operation does.
    pub(super) fn configure(&mut self, memory: &[u8; 64]) -> bool {
        *self = Self::RELEASED;
        let (palette, start_row, reserved) = (memory[0], memory[1], &memory[2..16]);
        let (row_bytes, rows) = (&memory[16..48], &memory[48..64]);
        let unused = [&row_bytes[2 * TILES..], &rows[TILES..], reserved];
        if palette != 1 || start_row != 0 || unused.iter().any(|part| part.iter().any(|&b| b != 0))
        {
            return false;
        }
        for (tile, shape) in self.shapes.iter_mut().enumerate() {
            let bytes = u16::from_le_bytes([row_bytes[2 * tile], row_bytes[2 * tile + 1]]);
            *shape = [rows[tile].into(), bytes.into()];
        }
        self.shapes.iter().all(|[rows, bytes]| {
            *rows <= ROWS && *bytes <= ROW_BYTES && (*rows == 0) == (*bytes == 0)
        })
    }

    fn is_configured(&self, tile: usize) -> bool {
        self.shapes.get(tile).is_some_and(|[rows, _]| *rows > 0)
    }

    pub(super) fn zero(&mut self, tile: usize) -> bool {
        if self.is_configured(tile) {
            self.data[tile] = [[0; ROW_BYTES]; ROWS];
        }
        self.is_configured(tile)
    }

    /// # Safety
    ///
    /// The rows of the tile's shape must be readable at `place`, `stride` bytes apart.
    pub(super) unsafe fn load(&mut self, tile: usize, place: *const u8, stride: u64) -> bool {
        if !self.zero(tile) {
            return false;
        }
        let [rows, bytes] = self.shapes[tile];
        for (row, data) in self.data[tile].iter_mut().enumerate().take(rows) {
            let place = place.wrapping_add(row.wrapping_mul(stride as usize));
            // SAFETY: by the contract.
            unsafe { place.copy_to_nonoverlapping(data.as_mut_ptr(), bytes) };
        }
        true
    }

    /// # Safety
    ///
    /// The rows of the tile's shape must be writable at `place`, `stride` bytes apart.
    pub(super) unsafe fn store(&self, tile: usize, place: *mut u8, stride: u64) -> bool {
        if !self.is_configured(tile) {
            return false;
        }
        let [rows, bytes] = self.shapes[tile];
        for (row, data) in self.data[tile].iter().enumerate().take(rows) {
            let place = place.wrapping_add(row.wrapping_mul(stride as usize));
            // SAFETY: by the contract.
            unsafe { place.copy_from_nonoverlapping(data.as_ptr(), bytes) };
        }
        true
    }

    /// Rows, words of the inner dimension and columns of a product, if the shapes fit.
    fn product(&self, tile: usize, first: usize, second: usize) -> Option<[usize; 3]> {
        let distinct = tile != first && tile != second && first != second;
        let configured = [tile, first, second].iter().all(|&tile| self.is_configured(tile));
        if !distinct || !configured {
            return None;
        }
        let [[rows, columns], [first_rows, inner], [second_rows, second_columns]] =
            [tile, first, second].map(|tile| self.shapes[tile]);
        let fits = rows == first_rows && inner == 4 * second_rows && columns == second_columns;
        fits.then_some([rows, second_rows, columns / 4])
    }

    fn word(&self, tile: usize, row: usize, word: usize) -> [u8; 4] {
        std::array::from_fn(|byte| self.data[tile][row][4 * word + byte])
    }

    fn set_word(&mut self, tile: usize, row: usize, word: usize, bytes: [u8; 4]) {
        self.data[tile][row][4 * word..][..4].copy_from_slice(&bytes);
    }

    /// Sums the products of the even and of the odd values separately by fused multiply–adds, then
    /// adds both; subnormal numbers count as zero.
    pub(super) fn dot_of_bf16(&mut self, tile: usize, first: usize, second: usize) -> bool {
        let Some([rows, inner, columns]) = self.product(tile, first, second) else { return false };
        for row in 0..rows {
            for column in 0..columns {
                let mut sums = [0.0f32; 2];
                for word in 0..inner {
                    let a = bf16_values(self.word(first, row, word));
                    let b = bf16_values(self.word(second, word, column));
                    for (sum, (a, b)) in sums.iter_mut().zip(a.into_iter().zip(b)) {
                        *sum = flush_subnormal(a.mul_add(b, *sum));
                    }
                }
                let before = f32::from_le_bytes(self.word(tile, row, column));
                let sum =
                    flush_subnormal(flush_subnormal(before) + flush_subnormal(sums[0] + sums[1]));
                self.set_word(tile, row, column, sum.to_le_bytes());
            }
        }
        true
    }

    /// The bytes of the first tile are unsigned, those of the second signed.
    pub(super) fn dot_of_bytes(&mut self, tile: usize, first: usize, second: usize) -> bool {
        let Some([rows, inner, columns]) = self.product(tile, first, second) else { return false };
        for row in 0..rows {
            for column in 0..columns {
                let mut sum = i32::from_le_bytes(self.word(tile, row, column));
                for word in 0..inner {
                    let (a, b) = (self.word(first, row, word), self.word(second, word, column));
                    for (a, b) in a.into_iter().zip(b) {
                        sum = sum.wrapping_add(i32::from(a) * i32::from(b as i8));
                    }
                }
                self.set_word(tile, row, column, sum.to_le_bytes());
            }
        }
        true
    }
}

fn bf16_values([a, b, c, d]: [u8; 4]) -> [f32; 2] {
    [[a, b], [c, d]]
        .map(|half| flush_subnormal(f32::from_bits(u32::from(u16::from_le_bytes(half)) << 16)))
}

/// The value, or zero if it is subnormal.
fn flush_subnormal(value: f32) -> f32 {
    if value.is_subnormal() { 0.0f32.copysign(value) } else { value }
}
