//! The layers, each with the numbers that it was loaded with.

use attn_fiqa_kernels::{Depthwise, Epilogue, Isa, PackedWeights, PatchShape, patches};

use super::features::FeatureMap;
use super::weights::{Weights, WeightsError};
use crate::pixels::Image;

const COLOURS: usize = 3;

/// A convolution of an image's pixels, then `max(x, 0)`: `NAME.weight`
/// `[output, colour, row, column]` on levels 0 … 255, and `NAME.bias`.
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
        // From `[output, colour, place]` to `[output, place, colour]`, as pixels lie.
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

    /// One cell for each `stride × stride` pixels of `width × height`, in whose upper left
    /// corner the image lies; the rest is black.
    pub(crate) fn apply(
        &self,
        image: &Image,
        (width, height): (usize, usize),
        out: &mut FeatureMap,
    ) {
        let PatchShape { stride, .. } = self.shape;
        let (columns, patch) = (width.div_ceil(stride), self.shape.levels());
        out.reshape([height.div_ceil(stride), columns, self.weights.outputs()]);
        out.fill_in_bands(patch, |rows, pixels, out| {
            for (row, pixels) in rows.zip(pixels.chunks_exact_mut(columns * patch)) {
                patches(self.isa, image.rgb(), image.width(), self.shape, row, pixels);
            }
            self.weights.apply(pixels, out, Epilogue::Relu);
        });
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

/// A depthwise and a pointwise convolution, each with ReLU; adds its input
/// before the second where stride and channels allow: `NAME.depthwise.weight`
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
            self.depthwise.apply(x.features(), rows.clone(), filtered);
            if self.residual {
                out.copy_from_slice(x.rows(rows));
                self.pointwise.apply(filtered, out, Epilogue::AddRelu);
            } else {
                self.pointwise.apply(filtered, out, Epilogue::Relu);
            }
        });
    }
}

/// Separable convolutions one after another, `NAME.0`, `NAME.1` and so on.
pub(crate) struct Sequence(Vec<Separable>);

impl Sequence {
    /// # Errors
    ///
    /// When a tensor is missing or has another shape than asked for.
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        shapes: &[SeparableShape],
    ) -> Result<Self, WeightsError> {
        let layers = shapes.iter().enumerate();
        let load = |(index, &shape)| Separable::load(weights, &format!("{name}.{index}"), shape);
        layers.map(load).collect::<Result<_, _>>().map(Self)
    }

    /// `spare` is written over too.
    pub(crate) fn apply(&self, x: &FeatureMap, out: &mut FeatureMap, spare: &mut FeatureMap) {
        let (first, others) = self.0.split_first().expect("an empty sequence: this is a bug");
        first.apply(x, out);
        for layer in others {
            layer.apply(out, spare);
            std::mem::swap(out, spare);
        }
    }
}

/// A convolution of 1×1: `NAME.weight` `[output, input, 1, 1]` and `NAME.bias`.
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

    /// The product and nothing else.
    pub(crate) fn apply(&self, x: &FeatureMap, out: &mut FeatureMap) {
        self.run(x, None, Epilogue::Overwrite, out);
    }

    /// Then `max(x, 0)`.
    pub(crate) fn apply_relu(&self, x: &FeatureMap, out: &mut FeatureMap) {
        self.run(x, None, Epilogue::Relu, out);
    }

    /// To the product are added the features of a map of half as many rows and columns,
    /// each cell standing for four, and then `max(x, 0)`.
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
