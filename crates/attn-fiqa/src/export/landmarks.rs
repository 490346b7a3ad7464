//! The built-in landmark network.

use std::path::Path;

use super::convolution::{ConvolutionGraph, metadata};
use super::graph::{Attribute, Axis};
use super::{ExportError, check_output, write};

const ABOUT: &str = "Five landmarks (x, y) of a face in a roughly aligned view of 80x80 pixels, in \
    which the eyes are 27 pixels apart. Input: RGB 0-255. Pixel centres have whole coordinates.";

/// Side of a view, in pixels.
const VIEW: usize = 80;
/// Side of a heat map's cell, in pixels.
const STRIDE: usize = 4;

/// Writes the built-in landmark network to `path` as an ONNX file.
///
/// Input `image` `[batch, 3, 80, 80]`, RGB levels of 0 to 255 as f32, of an upright view of a face:
/// when [`TEMPLATE_112`](crate::align::TEMPLATE_112) is scaled to an inter-eye distance of 27
/// pixels of the view, its mean is at the centre. Output `landmarks` `[batch, 5, 2]`, in pixels of
/// the view.
///
/// # Errors
///
/// If the opset is not one of [`OPSETS`](super::OPSETS) or the file cannot be written.
pub fn export_landmarks(path: &Path, opset: i64) -> Result<(), ExportError> {
    check_output(path, opset)?;
    let mut net = ConvolutionGraph::new(opset, attn_fiqa_models::LANDMARKS);
    let side = Axis::Fixed(VIEW);
    let image = net.graph.input("image", &[Axis::Named("batch"), Axis::Fixed(3), side, side]);
    let stem = net.stem(&image, STRIDE as i64, 0);
    let x4 = net.stage(&stem, "stage4", 1);
    let x8 = net.stage(&x4, "stage8", 2);
    let x16 = net.stage(&x8, "stage16", 2);
    let [finest, ..] = net.pyramid([&x4, &x8, &x16]);
    let mixed = net.separable(&finest, "mix", 1);
    let heat = net.pointwise(&mixed, "out");
    // The mean position of the cells of a heat map under its softmax.
    net.graph.enter("points");
    let heat = net.graph.reshape(&heat, &[0, 5, -1]);
    let weights = net.graph.op_with("Softmax", &[&heat], &[Attribute::Integer("axis", -1)]);
    let places = net.graph.floats(&[(VIEW / STRIDE).pow(2), 2], cell_centres());
    let points = net.graph.op("MatMul", &[&weights, &places]);
    let shape = [Axis::Named("batch"), Axis::Fixed(5), Axis::Fixed(2)];
    net.graph.output("landmarks", &points, &shape);
    write(path, &net.graph, "attn_fiqa_landmarks", ABOUT, &metadata("landmarks"))
}

/// `[cell, 2]`, row by row.
fn cell_centres() -> Vec<f32> {
    let cells = VIEW / STRIDE;
    let centre = |cell: usize| (cell * STRIDE) as f32 + (STRIDE as f32 - 1.0) / 2.0;
    (0..cells * cells).flat_map(|cell| [centre(cell % cells), centre(cell / cells)]).collect()
}
