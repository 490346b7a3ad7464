//! im2col: an image's pixels as the rows of a matrix product.

use crate::isa::for_every_isa;

/// The windows of a convolution over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchShape {
    /// Side of a patch, in pixels: 3 or 4.
    pub side: usize,
    /// Distance between patches, in pixels.
    pub stride: usize,
    /// Padding above and to the left of the image, in pixels.
    pub padding: usize,
}

impl PatchShape {
    /// Values per patch, `[row, column, colour]`.
    pub const fn levels(self) -> usize {
        3 * self.side * self.side
    }
}

for_every_isa! {
    /// Extracts one row of patches with values of 0 to 255: `out` is
    /// `[patch, row, column, colour]`, [`PatchShape::levels`] values per patch.
    ///
    /// `rgb` is an image `[row, column, colour]` of `width` pixels per row. The patches begin at
    /// its row `stride · patch_row − padding`, the first at column `−padding`, and there are as
    /// many as `out` holds. Values outside the image are 0.
    ///
    /// # Panics
    ///
    /// If `rgb` is not whole rows, `out` not whole patches, or the side neither 3 nor 4.
    pub fn patches(
        rgb: &[u8], width: usize, shape: PatchShape, patch_row: usize, out: &mut [f32],
    ) {
        assert!(width > 0 && rgb.len().is_multiple_of(3 * width), "rgb is not whole rows");
        assert!(out.len().is_multiple_of(shape.levels()), "out is not whole patches");
        match shape.side {
            3 => fill::<9, 27>(rgb, 3 * width, shape, patch_row, out),
            4 => fill::<12, 48>(rgb, 3 * width, shape, patch_row, out),
            side => panic!("patches have 3 or 4 pixels on a side, not {side}"),
        }
    }
}

/// `ROW` is the number of values in a row of a patch, `PATCH` in all of it, `length` in a row of
/// `rgb`.
#[inline(always)]
fn fill<const ROW: usize, const PATCH: usize>(
    rgb: &[u8],
    length: usize,
    shape: PatchShape,
    patch_row: usize,
    out: &mut [f32],
) {
    let (patches, _) = out.as_chunks_mut::<PATCH>();
    let (step, before) = (3 * shape.stride, 3 * shape.padding);
    // The patches that lie within a row of the image.
    let first = before.div_ceil(step).min(patches.len());
    let beyond = (length + before).checked_sub(ROW).map_or(0, |last| last / step + 1);
    let beyond = beyond.clamp(first, patches.len());
    for row in 0..shape.side {
        let y = (patch_row * shape.stride + row).checked_sub(shape.padding);
        let levels = y.and_then(|y| rgb.get(y * length..(y + 1) * length)).unwrap_or_default();
        let place = row * ROW..(row + 1) * ROW;
        if levels.is_empty() {
            patches.iter_mut().for_each(|patch| patch[place.clone()].fill(0.0));
            continue;
        }
        let inside = levels.get((first * step).saturating_sub(before)..).unwrap_or_default();
        let whole = inside.windows(ROW).step_by(step);
        for (patch, levels) in patches[first..beyond].iter_mut().zip(whole) {
            for (out, &level) in patch[place.clone()].iter_mut().zip(levels) {
                *out = f32::from(level);
            }
        }
        for index in (0..first).chain(beyond..patches.len()) {
            for (at, out) in patches[index][place.clone()].iter_mut().enumerate() {
                let level = (index * step + at).checked_sub(before).and_then(|at| levels.get(at));
                *out = f32::from(level.copied().unwrap_or(0));
            }
        }
    }
}
