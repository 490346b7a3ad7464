//! The layers, each with its weights.

use std::ops::Range;

use attn_fiqa_kernels::{Depthwise, Epilogue, Features, Isa, PackedWeights, PatchShape, patches};

use super::features::{BAND_CELLS, FeatureMap};
use super::weights::{Weights, WeightsError};
use crate::pixels::Image;

const COLOURS: usize = 3;
/// Approximate number of stem values from which a band of the next layer is computed: 512 KiB, a
/// part of the second-level cache.
const STEM_NUMBERS: usize = 128 << 10;
/// Minimum number of bands of the layer after a stem, so that this many threads have work; fewer if
/// the bands would be smaller than those of other layers.
const STEM_BANDS: usize = 8;

/// A convolution of the pixels of an image, followed by ReLU. Tensors: `NAME.weight`
/// `[output, colour, row, column]`, for levels 0 … 255, and `NAME.bias`.
pub(crate) struct Stem {
    weights: PackedWeights,
    shape: PatchShape,
    isa: Isa,
}

impl Stem {
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        outputs: usize,
        shape: PatchShape,
    ) -> Result<Self, WeightsError> {
        let dims = [outputs, COLOURS, shape.side, shape.side];
        let weight = weights.tensor(&format!("{name}.weight"), &dims)?;
        let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
        // From `[output, colour, place]` to `[output, place, colour]`, the layout of pixels.
        let (patch, places) = (shape.levels(), shape.side * shape.side);
        let by_pixel: Vec<f32> = (0..outputs * patch)
            .map(|at| {
                let (output, place, colour) = (at / patch, at % patch / COLOURS, at % COLOURS);
                weight[output * patch + colour * places + place]
            })
            .collect();
        let packed = packed(weights, &by_pixel, &bias, patch);
        Ok(Self { weights: packed, shape, isa: weights.isa() })
    }

    /// One cell per `stride × stride` pixels of an input of `width × height`, with the image in the
    /// top-left corner and black elsewhere.
    pub(crate) fn apply(&self, image: &Image, size: (usize, usize), out: &mut FeatureMap) {
        let [rows, columns] = self.cells(size);
        out.reshape([rows, columns, self.weights.outputs()]);
        out.fill_in_bands(self.shape.levels(), |rows, pixels, out| {
            self.fill(image, rows, pixels, out);
        });
    }

    /// Rows and columns.
    fn cells(&self, (width, height): (usize, usize)) -> [usize; 2] {
        [height, width].map(|pixels| pixels.div_ceil(self.shape.stride))
    }

    /// Fills some rows of cells; `pixels` has room for the patches of these cells.
    fn fill(&self, image: &Image, rows: Range<usize>, pixels: &mut [f32], out: &mut [f32]) {
        let row_length = pixels.len() / rows.len();
        for (row, pixels) in rows.zip(pixels.chunks_exact_mut(row_length)) {
            patches(self.isa, image.rgb(), image.width(), self.shape, row, pixels);
        }
        self.weights.apply(pixels, out, Epilogue::Relu);
    }
}

/// Channels and filter of a [`Separable`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeparableShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Side of the filters, odd.
    pub(crate) side: usize,
    pub(crate) stride: usize,
}

/// A depthwise and a pointwise convolution, each followed by ReLU. Where stride and channels allow,
/// the input is added before the second ReLU. Tensors: `NAME.depthwise.weight`
/// `[input, 1, row, column]`, `NAME.pointwise.weight` `[output, input, 1, 1]`, and a bias each.
pub(crate) struct Separable {
    depthwise: Depthwise,
    pointwise: PackedWeights,
    residual: bool,
}

impl Separable {
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        shape: SeparableShape,
    ) -> Result<Self, WeightsError> {
        let SeparableShape { inputs, outputs, side, stride } = shape;
        let filters =
            weights.tensor(&format!("{name}.depthwise.weight"), &[inputs, 1, side, side])?;
        let bias = weights.tensor(&format!("{name}.depthwise.bias"), &[inputs])?;
        Ok(Self {
            depthwise: Depthwise::new(weights.isa(), &filters, &bias, side, stride),
            pointwise: load_pointwise(weights, &format!("{name}.pointwise"), inputs, outputs)?,
            residual: stride == 1 && inputs == outputs,
        })
    }

    pub(crate) fn apply(&self, x: &FeatureMap, out: &mut FeatureMap) {
        let [rows, columns, inputs] = x.shape();
        let windows = |cells| self.depthwise.windows(cells);
        out.reshape([windows(rows), windows(columns), self.pointwise.outputs()]);
        out.fill_in_bands(inputs, |rows, filtered, out| {
            if self.residual {
                out.copy_from_slice(x.rows(rows.clone()));
            }
            self.fill(x.features(), rows, filtered, out);
        });
    }

    /// Computes some rows of the output; with a residual, they already hold the input.
    fn fill(&self, x: Features<'_>, rows: Range<usize>, filtered: &mut [f32], out: &mut [f32]) {
        self.depthwise.apply(x, rows, filtered);
        let epilogue = if self.residual { Epilogue::AddRelu } else { Epilogue::Relu };
        self.pointwise.apply(filtered, out, epilogue);
    }

    /// As [`Self::apply`], on the cells of a stem, which are computed for a few output rows at a
    /// time: they are the largest map of a network, and storing them would cost more than computing
    /// some of their rows twice.
    ///
    /// Only for layers without a residual; the first convolution after a stem has none.
    pub(crate) fn apply_to_stem(
        &self,
        stem: &Stem,
        image: &Image,
        size: (usize, usize),
        out: &mut FeatureMap,
    ) {
        assert!(!self.residual, "a residual needs the stem's cells: this is a bug");
        let [rows, columns] = stem.cells(size);
        let windows = |cells| self.depthwise.windows(cells);
        out.reshape([windows(rows), windows(columns), self.pointwise.outputs()]);
        let (stride, reach) = (self.depthwise.stride(), self.depthwise.side() / 2);
        let row_length = columns * stem.weights.outputs();
        let pixels = columns * stem.shape.levels();
        let filtered = windows(columns) * stem.weights.outputs();
        // Number of output rows that a window reaches back.
        let back = reach.div_ceil(stride);
        let fair = windows(rows).div_ceil(STEM_BANDS).max(BAND_CELLS.div_ceil(windows(columns)));
        let height = (STEM_NUMBERS / (stride * row_length)).clamp(1, fair);
        let scratch =
            |rows| pixels + ((back + rows) * stride + reach) * row_length + rows * filtered;
        out.fill_in_bands_of(height, scratch, |band, scratch, out| {
            // The cells start at the row of a window, so that windows keep their positions.
            let from = band.start.saturating_sub(back);
            let last = rows.min((band.end - 1) * stride + reach + 1);
            let needed = (band.start * stride).saturating_sub(reach)..last;
            let (pixels, scratch) = scratch.split_at_mut(pixels);
            let (cells, scratch) = scratch.split_at_mut((last - from * stride) * row_length);
            let unneeded = needed.start - from * stride;
            let in_rows = cells.chunks_exact_mut(row_length).skip(unneeded);
            for (row, cells) in needed.zip(in_rows) {
                stem.fill(image, row..row + 1, pixels, cells);
            }
            let cells = Features::new(cells, last - from * stride, columns, stem.weights.outputs());
            let filtered = &mut scratch[..band.len() * filtered];
            self.fill(cells, band.start - from..band.end - from, filtered, out);
        });
    }
}

/// Separable convolutions one after another, `NAME.0`, `NAME.1` and so on.
pub(crate) struct Sequence(Vec<Separable>);

impl Sequence {
    /// # Errors
    ///
    /// If a tensor is missing or does not have the expected shape.
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        shapes: &[SeparableShape],
    ) -> Result<Self, WeightsError> {
        let layers = shapes.iter().enumerate();
        let load = |(index, &shape)| Separable::load(weights, &format!("{name}.{index}"), shape);
        layers.map(load).collect::<Result<_, _>>().map(Self)
    }

    /// `spare` is overwritten.
    pub(crate) fn apply(&self, x: &FeatureMap, out: &mut FeatureMap, spare: &mut FeatureMap) {
        self.run(|first, out| first.apply(x, out), out, spare);
    }

    /// As [`Self::apply`] on the cells of a stem: see [`Separable::apply_to_stem`].
    pub(crate) fn apply_to_stem(
        &self,
        stem: &Stem,
        image: &Image,
        size: (usize, usize),
        out: &mut FeatureMap,
        spare: &mut FeatureMap,
    ) {
        self.run(|first, out| first.apply_to_stem(stem, image, size, out), out, spare);
    }

    fn run(
        &self,
        apply_first: impl FnOnce(&Separable, &mut FeatureMap),
        out: &mut FeatureMap,
        spare: &mut FeatureMap,
    ) {
        let (first, others) = self.0.split_first().expect("an empty sequence: this is a bug");
        apply_first(first, out);
        for layer in others {
            layer.apply(out, spare);
            std::mem::swap(out, spare);
        }
    }
}

/// A 1×1 convolution: `NAME.weight` `[output, input, 1, 1]` and `NAME.bias`.
pub(crate) struct Pointwise(PackedWeights);

impl Pointwise {
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightsError> {
        load_pointwise(weights, name, inputs, outputs).map(Self)
    }

    /// The product only.
    pub(crate) fn apply(&self, x: &FeatureMap, out: &mut FeatureMap) {
        self.run(x, None, Epilogue::Overwrite, out);
    }

    /// The product, followed by ReLU.
    pub(crate) fn apply_relu(&self, x: &FeatureMap, out: &mut FeatureMap) {
        self.run(x, None, Epilogue::Relu, out);
    }

    /// Adds the features of a map with half as many rows and columns to the product, each of its
    /// cells standing for four, then applies ReLU.
    pub(crate) fn apply_onto(&self, x: &FeatureMap, coarser: &FeatureMap, out: &mut FeatureMap) {
        self.run(x, Some(coarser), Epilogue::AddRelu, out);
    }

    fn run(
        &self,
        x: &FeatureMap,
        coarser: Option<&FeatureMap>,
        epilogue: Epilogue,
        out: &mut FeatureMap,
    ) {
        let ([rows, columns, _], outputs) = (x.shape(), self.0.outputs());
        if let Some(coarser) = coarser {
            let half = [rows.div_ceil(2), columns.div_ceil(2), outputs];
            assert_eq!(coarser.shape(), half, "features to be doubled: this is a bug");
        }
        out.reshape([rows, columns, outputs]);
        out.fill_in_bands(0, |rows, _, out| {
            if let Some(coarser) = coarser {
                for (row, out) in rows.clone().zip(out.chunks_exact_mut(columns * outputs)) {
                    let cells = coarser.rows(row / 2..row / 2 + 1).chunks_exact(outputs);
                    for (cell, out) in cells.zip(out.chunks_mut(2 * outputs)) {
                        out.chunks_exact_mut(outputs).for_each(|out| out.copy_from_slice(cell));
                    }
                }
            }
            self.0.apply(x.rows(rows), out, epilogue);
        });
    }
}

fn load_pointwise(
    weights: &Weights<'_>,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<PackedWeights, WeightsError> {
    let weight = weights.tensor(&format!("{name}.weight"), &[outputs, inputs, 1, 1])?;
    let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
    Ok(packed(weights, &weight, &bias, inputs))
}

fn packed(of: &Weights<'_>, weight: &[f32], bias: &[f32], inputs: usize) -> PackedWeights {
    PackedWeights::new(of.isa(), of.precision(), weight, Some(bias), inputs)
}
