//! The built-in face detector, with its outputs decoded to pixels.

use std::path::Path;

use super::convolution::{ConvolutionGraph, metadata};
use super::graph::{Attribute, Axis, Element, Graph, Value};
use super::{ExportError, check_output, write};
use crate::detect::confidence::{ANCHOR, SCORES};

const ABOUT: &str = "Faces of an upright image. Input: RGB 0-255, height and width multiples of \
    32, padded with black on the right and below. Outputs, one row per candidate: confidence 0-1, \
    box (left, top, right, bottom) and five landmarks (x, y) in pixels of the input, whose centres \
    have whole coordinates. Apply non-maximum suppression (overlap 0.3).";

/// Cell side of each level, in pixels.
const STRIDES: [i64; 3] = [8, 16, 32];

/// The input sides are multiples of the coarsest stride. Pixel centres have whole coordinates,
/// whereas the network was trained with the centre of the first pixel at half a pixel.
const ORIGIN: f32 = 0.5;

/// Writes the built-in detector to `path` as an ONNX file with decoded outputs.
///
/// Input `image` `[batch, 3, height, width]`, RGB levels of 0 to 255 as f32; both sides are
/// multiples of 32, with the image in the top-left corner and black elsewhere. Outputs, in pixels
/// of the input with whole coordinates at pixel centres: `confidences` `[batch, cells]`, 0 to 1 and
/// with the same meaning at every size, `boxes` `[batch, cells, 4]` (left, top, right, bottom) and
/// `landmarks` `[batch, cells, 5, 2]`. Candidates overlap; non-maximum suppression is left to the
/// caller.
///
/// # Errors
///
/// If the opset is not one of [`OPSETS`](super::OPSETS) or the file cannot be written.
pub fn export_detector(path: &Path, opset: i64) -> Result<(), ExportError> {
    check_output(path, opset)?;
    let mut net = ConvolutionGraph::new(opset, attn_fiqa_models::DETECTOR);
    let [height, width] = [Axis::Named("height"), Axis::Named("width")];
    let image = net.graph.input("image", &[Axis::Named("batch"), Axis::Fixed(3), height, width]);
    let x2 = net.stem(&image, 2, 1);
    let x4 = net.stage(&x2, "stage4", 2);
    let x8 = net.stage(&x4, "stage8", 2);
    let x16 = net.stage(&x8, "stage16", 2);
    let x32 = net.stage(&x16, "stage32", 2);
    let levels = net.pyramid([&x8, &x16, &x32]);
    let mut all: [Vec<Value>; 3] = Default::default();
    for (index, (level, stride)) in levels.iter().zip(STRIDES).enumerate() {
        let mixed = net.separable(level, &format!("heads.{index}.mix"), 1);
        let numbers = net.pointwise(&mixed, &format!("heads.{index}.out"));
        let found = decode(&mut net.graph, &numbers, stride as f32);
        all.iter_mut().zip(found).for_each(|(list, value)| list.push(value));
    }
    net.graph.enter("outputs");
    let [batch, cells] = [Axis::Named("batch"), Axis::Named("cells")];
    let shapes: [&[Axis]; 3] = [
        &[batch, cells],
        &[batch, cells, Axis::Fixed(4)],
        &[batch, cells, Axis::Fixed(5), Axis::Fixed(2)],
    ];
    for ((name, values), shape) in ["confidences", "boxes", "landmarks"].iter().zip(all).zip(shapes)
    {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let joined = net.graph.op_with("Concat", &values, &[Attribute::Integer("axis", 1)]);
        net.graph.output(name, &joined, shape);
    }
    write(path, &net.graph, "attn_fiqa_detector", ABOUT, &metadata("detector"))
}

/// The confidence in a box with these scores: see `detect/confidence.rs`.
fn confidence(graph: &mut Graph<'_>, score: &str, numbers: &str, stride: f32) -> Value {
    // The logarithm of the box side, from those of its width and height in cells.
    let sizes = graph.slice(numbers, 1, 3, 5);
    let lengths = graph.floats(&[1, 2, 1, 1], vec![0.5; 2]);
    let halves = graph.op("Mul", &[&sizes, &lengths]);
    let log_side = graph.reduce_sum(&halves, 1);
    let log_side = graph.unsqueeze(&log_side, 1);
    let log_stride = graph.scalar(Element::F32, libm::logf(stride));
    let log_side = graph.op("Add", &[&log_side, &log_stride]);
    let mut anchor = graph.scalar(Element::F32, SCORES[0].1);
    for pair in SCORES.windows(2) {
        let [(low, from), (high, to)] = [pair[0], pair[1]];
        let [start, end] = [low, high].map(libm::logf);
        let start_value = graph.scalar(Element::F32, start);
        let beyond = graph.op("Sub", &[&log_side, &start_value]);
        let beyond = graph.clip(&beyond, Element::F32, 0.0, end - start);
        let slope = graph.scalar(Element::F32, (to - from) / (end - start));
        let change = graph.op("Mul", &[&beyond, &slope]);
        anchor = graph.op("Add", &[&anchor, &change]);
    }
    let log_anchor = graph.op("Log", &[&anchor]);
    let wanted = graph.scalar(Element::F32, libm::logf(ANCHOR));
    let exponent = graph.op("Div", &[&wanted, &log_anchor]);
    graph.op("Pow", &[score, &exponent])
}

/// Decodes one level's 15 numbers per cell (score, box and five points, as read by
/// `detect/format/yunet.rs`) to confidences `[batch, cells]`, boxes `[batch, cells, 4]` and
/// landmarks `[batch, cells, 5, 2]`.
fn decode(graph: &mut Graph<'_>, numbers: &str, stride: f32) -> [Value; 3] {
    graph.enter(&format!("decode.{stride}"));
    let score = graph.slice(numbers, 1, 0, 1);
    let score = graph.op("Sigmoid", &[&score]);
    let confidence = confidence(graph, &score, numbers, stride);
    let confidences = graph.reshape(&confidence, &[0, -1]);

    // Columns and rows of the cells, as cumulative sums of ones: no shape needs to be computed.
    let zero = graph.scalar(Element::F32, 0.0);
    let one = graph.scalar(Element::F32, 1.0);
    let zeros = graph.op("Mul", &[&score, &zero]);
    let ones = graph.op("Add", &[&zeros, &one]);
    let [columns, rows] = [3, 2].map(|axis| {
        let axis = graph.integer(axis);
        let exclusive = [Attribute::Integer("exclusive", 1)];
        graph.op_with("CumSum", &[&ones, &axis], &exclusive)
    });
    let join = |graph: &mut Graph<'_>, parts: &[&str]| {
        graph.op_with("Concat", parts, &[Attribute::Integer("axis", 1)])
    };
    let cells = join(graph, &[&columns, &rows]);
    let side = graph.scalar(Element::F32, stride);
    let origin = graph.scalar(Element::F32, ORIGIN);
    let place = |graph: &mut Graph<'_>, cells: &str, offsets: &str| {
        let sum = graph.op("Add", &[cells, offsets]);
        let scaled = graph.op("Mul", &[&sum, &side]);
        graph.op("Sub", &[&scaled, &origin])
    };

    let offsets = graph.slice(numbers, 1, 1, 3);
    let centre = place(graph, &cells, &offsets);
    let sizes = graph.slice(numbers, 1, 3, 5);
    let sizes = graph.op("Exp", &[&sizes]);
    let half = graph.scalar(Element::F32, stride / 2.0);
    let reach = graph.op("Mul", &[&sizes, &half]);
    let low = graph.op("Sub", &[&centre, &reach]);
    let high = graph.op("Add", &[&centre, &reach]);
    let boxes = join(graph, &[&low, &high]);
    let boxes = graph.transpose(&boxes, &[0, 2, 3, 1]);
    let boxes = graph.reshape(&boxes, &[0, -1, 4]);

    let offsets = graph.slice(numbers, 1, 5, 15);
    let cells = join(graph, &[cells.as_str(); 5]);
    let points = place(graph, &cells, &offsets);
    let points = graph.transpose(&points, &[0, 2, 3, 1]);
    let points = graph.reshape(&points, &[0, -1, 5, 2]);
    [confidences, boxes, points]
}
