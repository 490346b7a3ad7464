//! Compares every inferred shape with the one that `rten` computes.

use std::path::Path;

use rten::{Model, ModelOptions, ValueOrView};
use rten_tensor::{Layout, Tensor};

use super::evaluate;
use crate::onnx::graph;
use crate::onnx::wire::bytes_field;

/// Runs the network and compares the shape of every intermediate value.
fn compare_with_rten(file: &[u8], shape: &[usize]) -> usize {
    let graph = graph::read(file).unwrap();
    let axes = shape.iter().map(|&axis| axis as u64).collect();
    let values = evaluate(&graph, &[Some(axes)]).unwrap();
    let mut options = ModelOptions::with_all_ops();
    let model: Model = options.enable_optimization(false).load(file.to_vec()).unwrap();
    let outputs: Vec<(usize, rten::NodeId)> = graph
        .nodes
        .iter()
        .filter(|node| node.operator != "Constant")
        .flat_map(|node| node.outputs.iter().flatten())
        .map(|&id| (id, model.find_node(&graph.names[id]).unwrap()))
        .collect();
    let count = shape.iter().product();
    let ramp: Vec<f32> = (0..count).map(|i| (i % 97) as f32 / 97.0).collect();
    let input: ValueOrView = rten::Value::from(Tensor::from_data(shape, ramp)).into();
    let ids: Vec<rten::NodeId> = outputs.iter().map(|&(_, id)| id).collect();
    let found = model.run(vec![(model.input_ids()[0], input)], &ids, None).unwrap();
    for (&(id, _), found) in outputs.iter().zip(&found) {
        let found: Vec<u64> = found.shape().iter().map(|&axis| axis as u64).collect();
        let expected = values[id].as_ref().unwrap();
        assert_eq!(expected.axes.as_ref(), Some(&found), "{}", graph.names[id]);
        if let Some(content) = &expected.content {
            assert_eq!(content.numbers.len() as u64, found.iter().product::<u64>());
        }
    }
    outputs.len()
}

#[test]
fn bundled_network_shapes_match_rten() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let detector = std::fs::read(models.join("detector.onnx")).unwrap();
    for shape in [[1, 3, 96, 128], [1, 3, 352, 224]] {
        assert!(compare_with_rten(&detector, &shape) > 50);
    }
}

#[test]
fn shared_network_shapes_match_rten() {
    let Some(folder) = attn_fiqa_testing::shared("data/models") else { return };
    for (name, height, width) in [
        ("sface-2021dec", 112, 112),
        ("mobilefacenet", 112, 112),
        ("yunet_s_640_640", 640, 640),
        ("yunet_n_dynamic", 192, 320),
    ] {
        let file = std::fs::read(folder.join(format!("{name}.onnx"))).unwrap();
        assert!(compare_with_rten(&file, &[1, 3, height, width]) > 50, "{name}");
    }
}

enum Attribute<'a> {
    Number(i64),
    List(&'a [i64]),
    Text(&'a str),
}
use Attribute::{List, Number, Text};

fn number_field(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value as u64)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A node with these inputs and outputs, separated by spaces; `_` is an omitted one.
fn node(operator: &str, inputs: &str, outputs: &str, attributes: &[(&str, Attribute)]) -> Vec<u8> {
    let mut bytes = bytes_field(4, operator.as_bytes());
    for (number, names) in [(1, inputs), (2, outputs)] {
        for name in names.split(' ') {
            bytes.extend(bytes_field(number, if name == "_" { "" } else { name }.as_bytes()));
        }
    }
    for (name, value) in attributes {
        let value = match value {
            Number(value) => [number_field(3, *value), number_field(20, 2)].concat(),
            Text(value) => [bytes_field(4, value.as_bytes()), number_field(20, 3)].concat(),
            List(list) => {
                let list = list.iter().flat_map(|&value| number_field(8, value));
                list.chain(number_field(20, 7)).collect()
            }
        };
        bytes.extend(bytes_field(5, &[bytes_field(1, name.as_bytes()), value].concat()));
    }
    bytes_field(1, &bytes)
}

/// An integer constant, or f32 zeros if no numbers are given.
fn constant(name: &str, axes: &[i64], numbers: Option<&[i64]>) -> Vec<u8> {
    let count = axes.iter().product::<i64>() as usize;
    let (kind, raw) = match numbers {
        Some(numbers) => (7, numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        None => (1, vec![0; 4 * count]),
    };
    let axes: Vec<u8> = axes.iter().flat_map(|&axis| number_field(1, axis)).collect();
    let rest = [number_field(2, kind), bytes_field(8, name.as_bytes()), bytes_field(9, &raw)];
    bytes_field(5, &[axes, rest.concat()].concat())
}

fn vector(name: &str, numbers: &[i64]) -> Vec<u8> {
    constant(name, &[numbers.len() as i64], Some(numbers))
}

/// A network of opset 17 with input `x`; the last node computes `y`.
fn network(parts: &[Vec<u8>]) -> Vec<u8> {
    let input = bytes_field(11, &bytes_field(1, b"x"));
    let output = bytes_field(12, &bytes_field(1, b"y"));
    let graph = [parts.concat(), input, output].concat();
    let opset = [bytes_field(1, b""), number_field(2, 17)].concat();
    [number_field(1, 8), bytes_field(7, &graph), bytes_field(8, &opset)].concat()
}

#[test]
fn convolution_and_pooling_shapes_match_rten() {
    let x = [1, 4, 17, 23];
    let weight = constant("w", &[6, 2, 3, 5], None);
    let group = || ("group", Number(2));
    let strides = |list: &'static [i64]| ("strides", List(list));
    // `rten` does not infer the kernel's shape from the weight.
    let kernel = || ("kernel_shape", List(&[3, 5]));
    for attributes in [
        &[group(), kernel(), strides(&[1, 1])][..],
        &[group(), kernel(), strides(&[2, 3]), ("pads", List(&[1, 0, 2, 4]))],
        &[group(), kernel(), strides(&[1, 1]), ("dilations", List(&[2, 1]))],
        &[group(), kernel(), strides(&[2, 2]), ("auto_pad", Text("SAME_UPPER"))],
    ] {
        compare_with_rten(&network(&[weight.clone(), node("Conv", "x w", "y", attributes)]), &x);
    }
    for operator in ["MaxPool", "AveragePool"] {
        let kernel = || ("kernel_shape", List(&[3, 2]));
        for attributes in [
            &[kernel(), strides(&[1, 1])][..],
            &[kernel(), strides(&[2, 3]), ("pads", List(&[1, 0, 1, 1]))],
            &[kernel(), strides(&[2, 2]), ("ceil_mode", Number(1))],
        ] {
            compare_with_rten(&network(&[node(operator, "x", "y", attributes)]), &x);
        }
    }
    let weight = constant("w", &[4, 3, 2, 3], None);
    let kernel = || ("kernel_shape", List(&[2, 3]));
    for attributes in [
        &[kernel(), strides(&[1, 1])][..],
        &[kernel(), strides(&[2, 3]), ("pads", List(&[1, 0, 0, 1]))],
        &[kernel(), strides(&[2, 2]), ("output_padding", List(&[1, 0]))],
    ] {
        compare_with_rten(
            &network(&[weight.clone(), node("ConvTranspose", "x w", "y", attributes)]),
            &x,
        );
    }
    compare_with_rten(&network(&[node("GlobalAveragePool", "x", "y", &[])]), &x);
    compare_with_rten(&network(&[node("DepthToSpace", "x", "y", &[("blocksize", Number(2))])]), &x);
}

#[test]
fn product_and_reduction_shapes_match_rten() {
    let weight = constant("w", &[5, 23, 7], None);
    compare_with_rten(
        &network(&[constant("w", &[23, 7], None), node("MatMul", "x w", "y", &[])]),
        &[2, 5, 17, 23],
    );
    compare_with_rten(&network(&[weight, node("MatMul", "x w", "y", &[])]), &[2, 5, 17, 23]);
    let weight = constant("w", &[7, 23], None);
    let gemm = node("Gemm", "x w", "y", &[("transB", Number(1))]);
    compare_with_rten(&network(&[weight, gemm]), &[4, 23]);
    for attributes in [&[][..], &[("axes", List(&[1, -1]))], &[("keepdims", Number(0))]] {
        compare_with_rten(&network(&[node("ReduceMean", "x", "y", attributes)]), &[2, 5, 7, 3]);
    }
    let axes = vector("axes", &[-2]);
    compare_with_rten(
        &network(&[axes, node("ReduceSum", "x axes", "y", &[("keepdims", Number(0))])]),
        &[2, 5, 7],
    );
    compare_with_rten(&network(&[node("ArgMax", "x", "y", &[("axis", Number(1))])]), &[2, 5, 7]);
    let parts = [constant("w", &[7, 1, 1], None), node("Add", "x w", "y", &[])];
    compare_with_rten(&network(&parts), &[2, 1, 5, 3]);
}

#[test]
fn reshaping_operator_shapes_match_rten() {
    let x = [2, 6, 5, 4];
    let one = |operator: &str, attributes: &[(&str, Attribute)]| {
        compare_with_rten(&network(&[node(operator, "x", "y", attributes)]), &x);
    };
    one("Flatten", &[]);
    one("Flatten", &[("axis", Number(-1))]);
    one("Transpose", &[]);
    one("Transpose", &[("perm", List(&[0, 3, 1, 2]))]);
    one("Concat", &[("axis", Number(1))]);
    let with = |operator: &str, inputs: &str, constants: &[Vec<u8>]| {
        let parts = [constants, &[node(operator, inputs, "y", &[])]].concat();
        compare_with_rten(&network(&parts), &x);
    };
    with("Reshape", "x s", &[vector("s", &[0, -1, 2])]);
    with("Unsqueeze", "x s", &[vector("s", &[0, -1])]);
    with("Tile", "x s", &[vector("s", &[1, 2, 1, 3])]);
    with("Expand", "x s", &[vector("s", &[3, 1, 6, 1, 1])]);
    with("Pad", "x s", &[vector("s", &[0, 1, 2, 0, 0, 3, 0, 1])]);
    with("Gather", "x s", &[constant("s", &[2, 2], Some(&[0, 1, -1, 0]))]);
    with("Resize", "x _ _ s", &[vector("s", &[2, 6, 9, 11])]);
    for (starts, ends, steps) in [
        ([1, -3], [i64::MAX, i64::MAX], [1, 1]),
        ([0, 0], [5, 3], [2, 2]),
        ([-1, 5], [i64::MIN, 0], [-1, -2]),
        ([4, 9], [2, 12], [1, 1]),
    ] {
        let parts =
            [vector("a", &starts), vector("b", &ends), vector("c", &[1, -2]), vector("d", &steps)];
        with("Slice", "x a b c d", &parts);
    }
    let split = |inputs: &str, constants: &[Vec<u8>]| {
        let split = node("Split", inputs, "y z", &[("axis", Number(1))]);
        compare_with_rten(&network(&[constants, &[split]].concat()), &x);
    };
    split("x s", &[vector("s", &[2, 4])]);
    split("x", &[]);
    let squeeze = node("Squeeze", "x s", "y", &[]);
    compare_with_rten(&network(&[vector("s", &[0, -1]), squeeze]), &[1, 5, 1, 1]);
    compare_with_rten(&network(&[node("Squeeze", "x", "y", &[])]), &[1, 5, 1, 1]);
    let top = node("TopK", "x s", "y z", &[]);
    compare_with_rten(&network(&[vector("s", &[3]), top]), &x);
}

/// The way exporters double an image of any size.
#[test]
fn computed_shapes_match_rten() {
    let parts = [
        vector("zero", &[0]),
        vector("two", &[2]),
        vector("four", &[4]),
        vector("minus", &[-1]),
        node("Shape", "x", "shape", &[]),
        node("Slice", "shape two four zero", "sides", &[]),
        node("Cast", "sides", "float", &[("to", Number(1))]),
        node("Floor", "float", "floor", &[]),
        node("Cast", "floor", "whole", &[("to", Number(7))]),
        node("Mul", "whole two", "doubled", &[]),
        node("Slice", "shape zero two zero", "front", &[]),
        node("Concat", "front doubled", "sizes", &[("axis", Number(0))]),
        node("Resize", "x _ _ sizes", "large", &[("mode", Text("nearest"))]),
        node("ConstantOfShape", "four", "zeros", &[]),
        node("Size", "x", "size", &[]),
        node("Div", "size two", "half", &[]),
        node("Concat", "half minus", "target", &[("axis", Number(0))]),
        node("Reshape", "x target", "y", &[]),
    ];
    let found = compare_with_rten(&network(&parts), &[1, 3, 6, 4]);
    assert_eq!(found, 14);
}
