//! Detectors that always find the same faces: ONNX files whose outputs are constants.
//!
//! With them, every option can be tested on known faces, whatever the built-in detector was trained
//! on.

/// The side of the only image size that these networks take, in pixels.
pub(crate) const SIDE: usize = 256;

const STRIDES: [usize; 3] = [8, 16, 32];

/// A face: box `x, y, width, height`, five landmarks, confidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FakeFace {
    pub(crate) bounds: [f32; 4],
    pub(crate) points: [[f32; 2]; 5],
    pub(crate) confidence: f32,
}

impl FakeFace {
    /// Upright, with an inter-eye distance of 40 % of its width.
    pub(crate) fn new(x: f32, y: f32, size: f32, confidence: f32) -> Self {
        let at = |u: f32, v: f32| [x + u * size, y + v * size];
        Self {
            bounds: [x, y, size, size],
            points: [at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)],
            confidence,
        }
    }
}

/// A file with YuNet's outputs that finds these faces in every image.
pub(crate) fn yunet(faces: &[FakeFace]) -> Vec<u8> {
    let mut outputs = Vec::new();
    for stride in STRIDES {
        let columns = SIDE / stride;
        let cells = columns * columns;
        let (mut class, object) = (vec![0.0; cells], vec![1.0; cells]);
        let (mut bounds, mut points) = (vec![0.0; 4 * cells], vec![0.0; 10 * cells]);
        // All on the finest level, each in the cell with its own index.
        for (cell, face) in faces.iter().enumerate().filter(|_| stride == 8) {
            let s = stride as f32;
            let (x, y) = ((cell % columns) as f32, (cell / columns) as f32);
            let [left, top, width, height] = face.bounds;
            class[cell] = face.confidence * face.confidence;
            bounds[4 * cell..4 * cell + 4].copy_from_slice(&[
                (left + width / 2.0) / s - x,
                (top + height / 2.0) / s - y,
                (width / s).ln(),
                (height / s).ln(),
            ]);
            for (index, [px, py]) in face.points.into_iter().enumerate() {
                points[10 * cell + 2 * index] = px / s - x;
                points[10 * cell + 2 * index + 1] = py / s - y;
            }
        }
        for (kind, numbers, values) in
            [("cls", 1, class), ("obj", 1, object), ("bbox", 4, bounds), ("kps", 10, points)]
        {
            outputs.push((format!("{kind}_{stride}"), vec![1, cells, numbers], values));
        }
    }
    network(&outputs)
}

/// A file with SCRFD's outputs that finds these faces in every image.
pub(crate) fn scrfd(faces: &[FakeFace]) -> Vec<u8> {
    let mut kinds = [Vec::new(), Vec::new(), Vec::new()];
    for stride in STRIDES {
        let anchors = (SIDE / stride) * (SIDE / stride) * 2;
        let mut scores = vec![0.0; anchors];
        let (mut bounds, mut points) = (vec![0.0; 4 * anchors], vec![0.0; 10 * anchors]);
        for (index, face) in faces.iter().enumerate().filter(|_| stride == 16) {
            // The second anchor of a cell of the first row.
            let (anchor, x, s) = (2 * index + 1, (index * stride) as f32, stride as f32);
            let [left, top, width, height] = face.bounds;
            scores[anchor] = face.confidence;
            bounds[4 * anchor..4 * anchor + 4]
                .copy_from_slice(&[x - left, -top, left + width - x, top + height].map(|d| d / s));
            for (point, [px, py]) in face.points.into_iter().enumerate() {
                points[10 * anchor + 2 * point] = (px - x) / s;
                points[10 * anchor + 2 * point + 1] = py / s;
            }
        }
        kinds[0].push((vec![anchors, 1], scores));
        kinds[1].push((vec![anchors, 4], bounds));
        kinds[2].push((vec![anchors, 10], points));
    }
    let outputs: Vec<_> = kinds
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, (shape, values))| (format!("{}", 448 + index), shape, values))
        .collect();
    network(&outputs)
}

type Output = (String, Vec<usize>, Vec<f32>);

/// A network `input [1, 3, SIDE, SIDE]` whose outputs are these constants.
pub(crate) fn network(outputs: &[Output]) -> Vec<u8> {
    network_of(SIDE, outputs)
}

/// A network that takes crops of 112 pixels and returns the same numbers for each.
pub(crate) fn of_crops(values: &[f32]) -> Vec<u8> {
    network_of(112, &[("numbers".to_owned(), vec![1, values.len()], values.to_vec())])
}

fn network_of(side: usize, outputs: &[Output]) -> Vec<u8> {
    let mut graph = Vec::new();
    for (name, shape, values) in outputs {
        let constant = format!("constant {name}");
        let mut node = Vec::new();
        text(&mut node, 1, &constant);
        text(&mut node, 2, name);
        text(&mut node, 4, "Identity");
        bytes(&mut graph, 1, &node);
        let mut tensor = Vec::new();
        for &length in shape {
            number(&mut tensor, 1, length as u64);
        }
        number(&mut tensor, 2, FLOAT);
        text(&mut tensor, 8, &constant);
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes(&mut tensor, 9, &raw);
        bytes(&mut graph, 5, &tensor);
    }
    text(&mut graph, 2, "constants");
    bytes(&mut graph, 11, &value_info("input", &[1, 3, side, side]));
    for (name, shape, _) in outputs {
        bytes(&mut graph, 12, &value_info(name, shape));
    }
    let mut opset = Vec::new();
    number(&mut opset, 2, 13);
    let mut model = Vec::new();
    number(&mut model, 1, 8);
    bytes(&mut model, 7, &graph);
    bytes(&mut model, 8, &opset);
    model
}

/// ONNX's code for 32-bit floats.
const FLOAT: u64 = 1;

fn value_info(name: &str, shape: &[usize]) -> Vec<u8> {
    let mut dims = Vec::new();
    for &length in shape {
        let mut dim = Vec::new();
        number(&mut dim, 1, length as u64);
        bytes(&mut dims, 1, &dim);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, FLOAT);
    bytes(&mut tensor, 2, &dims);
    let mut kind = Vec::new();
    bytes(&mut kind, 1, &tensor);
    let mut info = Vec::new();
    text(&mut info, 1, name);
    bytes(&mut info, 2, &kind);
    info
}

// Protocol Buffers: a field is its number and wire type, then its value.

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn text(out: &mut Vec<u8>, field: u64, value: &str) {
    bytes(out, field, value.as_bytes());
}
