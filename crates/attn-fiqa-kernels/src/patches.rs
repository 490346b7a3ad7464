//! A picture's pixels as the rows of a product.

use crate::isa::for_every_isa;

/// Pixels on a side of a patch.
pub const PATCH_SIDE: usize = 4;
/// Levels of one row of a patch.
const ROW: usize = 3 * PATCH_SIDE;
/// Levels of a patch.
const PATCH: usize = PATCH_SIDE * ROW;

for_every_isa! {
    /// One row of patches of 4×4 pixels, as numbers 0 … 255: `out` is `[patch, row, column,
    /// colour]`, 48 numbers a patch.
    ///
    /// `rgb` is a picture `[row, column, colour]` of `width` pixels a row, and the patches
    /// are those of its rows from `4 · patch_row` on, from the left edge to as far as `out`
    /// reaches. What lies beyond the picture is 0.
    ///
    /// # Panics
    ///
    /// When `rgb` is not whole rows or `out` not whole patches.
    pub fn patches(rgb: &[u8], width: usize, patch_row: usize, out: &mut [f32]) {
        let length = 3 * width;
        assert!(length > 0 && rgb.len().is_multiple_of(length), "a picture is whole rows");
        assert!(out.len().is_multiple_of(PATCH), "patches of 48 numbers");
        let (patches, _) = out.as_chunks_mut::<PATCH>();
        for row in 0..PATCH_SIDE {
            let from = (patch_row * PATCH_SIDE + row) * length;
            let levels = rgb.get(from..from + length).unwrap_or_default();
            let (whole, part) = levels.as_chunks::<ROW>();
            let inside = whole.len().min(patches.len());
            for (patch, levels) in patches.iter_mut().zip(whole) {
                let out: &mut [f32] = &mut patch[row * ROW..][..ROW];
                for (out, &level) in out.iter_mut().zip(levels) {
                    *out = f32::from(level);
                }
            }
            for (index, patch) in patches[inside..].iter_mut().enumerate() {
                let part = if index == 0 && inside == whole.len() { part } else { &[] };
                let out = &mut patch[row * ROW..][..ROW];
                out.fill(0.0);
                for (out, &level) in out.iter_mut().zip(part) {
                    *out = f32::from(level);
                }
            }
        }
    }
}
