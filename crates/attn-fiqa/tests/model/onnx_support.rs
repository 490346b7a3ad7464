//! Tiny ONNX files, encoded by hand according to the published `onnx.proto3`.

/// A field that contains bytes: a string or an embedded message.
pub(crate) fn bytes_field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    bytes.extend(varint(inner.len() as u64));
    bytes.extend_from_slice(inner);
    bytes
}

pub(crate) fn number_field(number: u8, value: u64) -> Vec<u8> {
    [varint(u64::from(number) << 3), varint(value)].concat()
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

/// A `NodeProto` with integer list attributes.
pub(crate) fn node(
    name: &str,
    op: &str,
    inputs: &[&str],
    output: &str,
    lists: &[(&str, &[u64])],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    inputs.iter().for_each(|input| bytes.extend(bytes_field(1, input.as_bytes())));
    bytes.extend(bytes_field(2, output.as_bytes()));
    bytes.extend(bytes_field(3, name.as_bytes()));
    bytes.extend(bytes_field(4, op.as_bytes()));
    for (name, values) in lists {
        let mut attribute = bytes_field(1, name.as_bytes());
        values.iter().for_each(|&value| attribute.extend(number_field(8, value)));
        attribute.extend(number_field(20, 7));
        bytes.extend(bytes_field(5, &attribute));
    }
    bytes
}

/// A `ValueInfoProto` of f32; `None` is an axis of any length, called `batch`.
pub(crate) fn value(name: &str, axes: &[Option<u64>]) -> Vec<u8> {
    let mut shape = Vec::new();
    for axis in axes {
        let dim = match axis {
            Some(length) => number_field(1, *length),
            None => bytes_field(2, b"batch"),
        };
        shape.extend(bytes_field(1, &dim));
    }
    let tensor = [number_field(1, 1), bytes_field(2, &shape)].concat();
    [bytes_field(1, name.as_bytes()), bytes_field(2, &bytes_field(1, &tensor))].concat()
}

/// A `TensorProto` holding a vector of integers.
pub(crate) fn constant(name: &str, numbers: &[u64]) -> Vec<u8> {
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    [
        number_field(1, numbers.len() as u64),
        number_field(2, 7),
        bytes_field(8, name.as_bytes()),
        bytes_field(9, &raw),
    ]
    .concat()
}

/// A `ModelProto` of opset 17.
pub(crate) fn model(nodes: &[Vec<u8>], inputs: &[Vec<u8>], outputs: &[Vec<u8>]) -> Vec<u8> {
    model_with(&[], nodes, inputs, outputs)
}

/// The same, with constants.
pub(crate) fn model_with(
    constants: &[Vec<u8>],
    nodes: &[Vec<u8>],
    inputs: &[Vec<u8>],
    outputs: &[Vec<u8>],
) -> Vec<u8> {
    let mut graph = Vec::new();
    nodes.iter().for_each(|node| graph.extend(bytes_field(1, node)));
    graph.extend(bytes_field(2, b"graph"));
    constants.iter().for_each(|constant| graph.extend(bytes_field(5, constant)));
    inputs.iter().for_each(|input| graph.extend(bytes_field(11, input)));
    outputs.iter().for_each(|output| graph.extend(bytes_field(12, output)));
    [
        number_field(1, 8),
        bytes_field(7, &graph),
        bytes_field(8, &[bytes_field(1, b""), number_field(2, 17)].concat()),
    ]
    .concat()
}

/// Maps `[1, 3, side, side]` to the mean of each channel, `[1, 3]`.
pub(crate) fn channel_means(side: u64, input: &str) -> Vec<u8> {
    model(
        &[
            node("pool", "GlobalAveragePool", &[input], "pooled", &[]),
            node("flat", "Flatten", &["pooled"], "means", &[]),
        ],
        &[value(input, &[None, Some(3), Some(side), Some(side)])],
        &[value("means", &[None, Some(3)])],
    )
}
