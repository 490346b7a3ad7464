//! Compares the layers with convolutions written out as sums, on sizes that no band divides.

use attn_fiqa_kernels::{Isa, PatchShape, Precision};
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::*;
use crate::pixels::Image;

fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A file of random tensors.
fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .enumerate()
        .map(|(seed, (_, shape))| values(shape.iter().product(), seed as u32 + 7))
        .map(|values| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
    });
    serialize(views, None).unwrap()
}

fn map(shape: [usize; 3], seed: u32) -> FeatureMap {
    let mut map = FeatureMap::default();
    map.reshape(shape);
    let source = values(shape.iter().product(), seed);
    let row_length = shape[1] * shape[2];
    map.fill_in_bands(0, |rows, _, out| {
        out.copy_from_slice(&source[rows.start * row_length..rows.end * row_length]);
    });
    assert_eq!(map.values(), source);
    map
}

fn at(map: &FeatureMap, row: usize, column: usize, channel: usize) -> f64 {
    let [_, columns, channels] = map.shape();
    f64::from(map.values()[(row * columns + column) * channels + channel])
}

/// Any convolution, by its definition: `weight` `[output, input of the group, side, side]`.
fn convolved(
    x: &FeatureMap,
    (weight, bias): (&[f32], &[f32]),
    (side, stride, padding, groups): (usize, usize, usize, usize),
) -> FeatureMap {
    let [rows, columns, inputs] = x.shape();
    let outputs = bias.len();
    let size = |length: usize| (length + 2 * padding - side) / stride + 1;
    let (per_group, group_outputs) = (inputs / groups, outputs / groups);
    let mut out = FeatureMap::default();
    out.reshape([size(rows), size(columns), outputs]);
    let [_, out_columns, _] = out.shape();
    out.fill_in_bands(0, |band, _, out| {
        for (index, out) in out.iter_mut().enumerate() {
            let (cell, output) = (index / outputs, index % outputs);
            let (row, column) = (band.start + cell / out_columns, cell % out_columns);
            let mut sum = f64::from(bias[output]);
            for input in 0..per_group {
                for (down, across) in (0..side * side).map(|tap| (tap / side, tap % side)) {
                    let y = (row * stride + down).wrapping_sub(padding);
                    let x_at = (column * stride + across).wrapping_sub(padding);
                    if y < rows && x_at < columns {
                        let tap = ((output * per_group + input) * side + down) * side + across;
                        let channel = output / group_outputs * per_group + input;
                        sum += f64::from(weight[tap]) * at(x, y, x_at, channel);
                    }
                }
            }
            *out = sum as f32;
        }
    });
    out
}

fn assert_near(
    found: &FeatureMap,
    shape: [usize; 3],
    expected: impl Fn(usize, usize, usize) -> f64,
) {
    assert_eq!(found.shape(), shape);
    for row in 0..shape[0] {
        for column in 0..shape[1] {
            for channel in 0..shape[2] {
                let (found, expected) =
                    (at(found, row, column, channel), expected(row, column, channel));
                let place = [row, column, channel];
                assert!((found - expected).abs() < 1e-4, "{place:?}: {found} is not {expected}");
            }
        }
    }
}

#[test]
fn stem_matches_naive_convolution() {
    for (side, stride, padding) in [(4, 4, 0), (3, 2, 1)] {
        let bytes = file(&[("in.weight", &[5, 3, side, side]), ("in.bias", &[5])]);
        let weights = Weights::parse(&bytes, Isa::widest(), Precision::F32).unwrap();
        let stem = Stem::load(&weights, "in", 5, PatchShape { side, stride, padding }).unwrap();
        let (width, height) = (37, 70);
        let rgb: Vec<u8> = (0..3 * width * height).map(|i| (i * 37 % 251) as u8).collect();
        let image = Image::from_rgb(width, height, rgb.clone()).unwrap();
        let mut out = FeatureMap::default();
        stem.apply(&image, (64, 96), &mut out);

        let mut pixels = FeatureMap::default();
        pixels.reshape([96, 64, 3]);
        pixels.fill_in_bands(0, |rows, _, out| {
            for (index, out) in out.iter_mut().enumerate() {
                let (row, column) = (rows.start + index / 192, index / 3 % 64);
                let inside = row < height && column < width;
                let level = if inside { rgb[(row * width + column) * 3 + index % 3] } else { 0 };
                *out = f32::from(level) / 256.0;
            }
        });
        let weight = weights.tensor("in.weight", &[5, 3, side, side]).unwrap();
        let bias: Vec<f32> =
            weights.tensor("in.bias", &[5]).unwrap().iter().map(|b| b / 256.0).collect();
        let expected = convolved(&pixels, (&weight, &bias), (side, stride, padding, 1));
        // Levels and bias 256 times smaller, so that one bound serves all tests.
        let mut scaled = FeatureMap::default();
        scaled.reshape(out.shape());
        scaled.fill_in_bands(0, |rows, _, scaled| {
            let values = scaled.iter_mut().zip(out.rows(rows));
            values.for_each(|(scaled, value)| *scaled = value / 256.0);
        });
        let shape = [96 / stride, 64 / stride, 5];
        assert_near(&scaled, shape, |r, c, k| at(&expected, r, c, k).max(0.0));
    }
}

/// Cells computed a few rows at a time are bit for bit identical to those of the whole map, whether
/// bands are limited by their memory or by their number.
#[test]
fn apply_to_stem_is_bit_identical_to_separate_layers() {
    let (inputs, outputs) = (16, 32);
    for ((side, stride), (width, height)) in [(3, 2), (5, 1), (3, 1), (5, 3)]
        .into_iter()
        .flat_map(|shape| [(1, 1), (64, 96), (34, 37), (4096, 200)].map(|size| (shape, size)))
    {
        let bytes = file(&[
            ("in.weight", &[inputs, 3, 3, 3]),
            ("in.bias", &[inputs]),
            ("next.depthwise.weight", &[inputs, 1, side, side]),
            ("next.depthwise.bias", &[inputs]),
            ("next.pointwise.weight", &[outputs, inputs, 1, 1]),
            ("next.pointwise.bias", &[outputs]),
        ]);
        let weights = Weights::parse(&bytes, Isa::widest(), Precision::F32).unwrap();
        let patches = PatchShape { side: 3, stride: 2, padding: 1 };
        let stem = Stem::load(&weights, "in", inputs, patches).unwrap();
        let shape = SeparableShape { inputs, outputs, side, stride };
        let next = Separable::load(&weights, "next", shape).unwrap();
        let rgb: Vec<u8> = (0..3 * 33 * 30).map(|i| (i * 37 % 251) as u8).collect();
        let image = Image::from_rgb(33, 30, rgb).unwrap();
        let [mut cells, mut whole, mut in_bands] = std::array::from_fn(|_| FeatureMap::default());
        stem.apply(&image, (width, height), &mut cells);
        next.apply(&cells, &mut whole);
        next.apply_to_stem(&stem, &image, (width, height), &mut in_bands);
        assert_eq!(in_bands.shape(), whole.shape());
        assert!(in_bands.values() == whole.values(), "{side} / {stride} on {width} × {height}");
    }
}

#[test]
fn separable_sequence_matches_naive_convolutions() {
    let bytes = file(&[
        ("s.0.depthwise.weight", &[6, 1, 3, 3]),
        ("s.0.depthwise.bias", &[6]),
        ("s.0.pointwise.weight", &[35, 6, 1, 1]),
        ("s.0.pointwise.bias", &[35]),
        ("s.1.depthwise.weight", &[35, 1, 5, 5]),
        ("s.1.depthwise.bias", &[35]),
        ("s.1.pointwise.weight", &[35, 35, 1, 1]),
        ("s.1.pointwise.bias", &[35]),
    ]);
    let weights = Weights::parse(&bytes, Isa::widest(), Precision::F32).unwrap();
    let shapes = [
        SeparableShape { inputs: 6, outputs: 35, side: 3, stride: 2 },
        SeparableShape { inputs: 35, outputs: 35, side: 5, stride: 1 },
    ];
    let sequence = Sequence::load(&weights, "s", &shapes).unwrap();
    let x = map([31, 45, 6], 1);
    let (mut out, mut spare) = (FeatureMap::default(), FeatureMap::default());
    sequence.apply(&x, &mut out, &mut spare);

    let mut expected = x;
    for (index, SeparableShape { inputs, outputs, side, stride }) in shapes.into_iter().enumerate()
    {
        let tensor = |part: &str, shape: &[usize]| {
            weights.tensor(&format!("s.{index}.{part}"), shape).unwrap()
        };
        let filters = tensor("depthwise.weight", &[inputs, 1, side, side]);
        let bias = tensor("depthwise.bias", &[inputs]);
        let filtered =
            relu(&convolved(&expected, (&filters, &bias), (side, stride, side / 2, inputs)), None);
        let weight = tensor("pointwise.weight", &[outputs, inputs, 1, 1]);
        let bias = tensor("pointwise.bias", &[outputs]);
        let mixed = convolved(&filtered, (&weight, &bias), (1, 1, 0, 1));
        expected = relu(&mixed, (index == 1).then_some(&expected));
    }
    assert_near(&out, [16, 23, 35], |r, c, k| at(&expected, r, c, k));
}

/// `max(x + added, 0)`.
fn relu(x: &FeatureMap, added: Option<&FeatureMap>) -> FeatureMap {
    let mut out = FeatureMap::default();
    out.reshape(x.shape());
    out.fill_in_bands(0, |rows, _, out| {
        out.copy_from_slice(x.rows(rows.clone()));
        if let Some(added) = added {
            out.iter_mut().zip(added.rows(rows)).for_each(|(out, added)| *out += added);
        }
        out.iter_mut().for_each(|out| *out = out.max(0.0));
    });
    out
}

#[test]
fn pointwise_epilogues_match_naive_convolution() {
    let bytes = file(&[("p.weight", &[9, 17, 1, 1]), ("p.bias", &[9])]);
    let weights = Weights::parse(&bytes, Isa::widest(), Precision::F32).unwrap();
    let layer = Pointwise::load(&weights, "p", 17, 9).unwrap();
    let weight = weights.tensor("p.weight", &[9, 17, 1, 1]).unwrap();
    let bias = weights.tensor("p.bias", &[9]).unwrap();
    let (x, coarser) = (map([14, 30, 17], 2), map([7, 15, 9], 3));
    let product = convolved(&x, (&weight, &bias), (1, 1, 0, 1));
    let mut out = FeatureMap::default();
    layer.apply(&x, &mut out);
    assert_near(&out, [14, 30, 9], |r, c, k| at(&product, r, c, k));
    layer.apply_relu(&x, &mut out);
    assert_near(&out, [14, 30, 9], |r, c, k| at(&product, r, c, k).max(0.0));
    layer.apply_onto(&x, &coarser, &mut out);
    let doubled = |r, c, k| at(&product, r, c, k) + at(&coarser, r / 2, c / 2, k);
    assert_near(&out, [14, 30, 9], |r, c, k| doubled(r, c, k).max(0.0));
}

#[test]
fn a_missing_or_misshapen_tensor_is_named() {
    let bytes = file(&[("p.weight", &[9, 17, 1, 1]), ("p.bias", &[9])]);
    let weights = Weights::parse(&bytes, Isa::widest(), Precision::F32).unwrap();
    let error = |inputs, outputs| {
        Pointwise::load(&weights, "p", inputs, outputs).err().unwrap().to_string()
    };
    assert_eq!(
        error(16, 9),
        "the tensor 'p.weight' is F32 [9, 17, 1, 1], expected f32 [9, 16, 1, 1]"
    );
    let missing = Pointwise::load(&weights, "q", 17, 9).err().unwrap().to_string();
    assert_eq!(missing, "the tensor 'q.weight' is not there, expected f32 [9, 17, 1, 1]");
}
