//! The graph of an ONNX file, parsed before `rten` builds a network from it.
//!
//! It holds what is needed to estimate a network's memory and time in advance: values, constants
//! and nodes with their attributes. Counts are bounded, because parsing an empty message takes a
//! hundred times the memory of its bytes; subgraphs and nested types are refused, because parsers
//! recurse into them.
//!
//! Field numbers are those of the published `onnx.proto3`.

use std::collections::{HashMap, HashSet};

use super::wire::{Payload, bytes_field, next_field};

/// Maximum nodes of a graph: a ViT-L with LayerNorm and GELU decomposed has about 1,500.
const MAX_NODES: usize = 8192;

/// Maximum constants, inputs, outputs and value descriptions, each.
const MAX_VALUES: usize = 1 << 16;

/// Maximum inputs or outputs of one node.
const MAX_NODE_PORTS: usize = 1024;

/// Maximum attributes of one node, and operator sets of a file.
const MAX_ATTRIBUTES: usize = 64;

/// Maximum elements of a list attribute, and metadata entries of a file.
const MAX_LIST_ELEMENTS: usize = 4096;

/// Maximum elements of a constant that is not stored as raw bytes.
const MAX_TYPED_ELEMENTS: usize = 1 << 24;

/// Maximum axes of a tensor.
pub(super) const MAX_AXES: usize = 8;

/// Maximum elements of a constant whose values are kept because it may be a shape.
pub(super) const MAX_KEPT_ELEMENTS: usize = 1024;

const DAMAGED: &str = "its bytes are damaged or truncated";

/// A graph with numbered values.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Version of the default operator set, if declared.
    pub(super) opset: Option<u64>,
    /// Each value's name.
    pub(super) names: Vec<String>,
    /// Required inputs in the file's order, with their fixed axes.
    pub(super) inputs: Vec<(usize, Option<Axes>)>,
    pub(super) outputs: Vec<usize>,
    pub(super) constants: Vec<(usize, Constant)>,
    /// In the file's order.
    pub(super) nodes: Vec<Node>,
    /// Axes that the file declares for intermediate values, correct or not.
    pub(super) described: Vec<(usize, Axes)>,
}

/// Axis lengths; `None` means any length.
pub(super) type Axes = Vec<Option<u64>>;

#[derive(Debug, Clone, Default)]
pub(super) struct Constant {
    pub(super) axes: Vec<u64>,
    pub(super) content: Option<Content>,
}

/// The values of a small tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) numbers: Vec<f64>,
    /// Whether their type is an integer type.
    pub(super) whole: bool,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) operator: String,
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<Option<usize>>,
    attributes: HashMap<String, Attribute>,
}

#[derive(Debug, Default, Clone)]
struct Attribute {
    number: i64,
    text: String,
    list: Vec<i64>,
    floats: Vec<f32>,
    tensor: Option<Constant>,
}

impl Node {
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.attributes.get(name).map(|attribute| attribute.number)
    }

    pub(super) fn list(&self, name: &str) -> Option<&[i64]> {
        self.attributes.get(name).map(|attribute| attribute.list.as_slice())
    }

    pub(super) fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attributes.get(name).map(|attribute| attribute.floats.as_slice())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", |attribute| &attribute.text)
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&Constant> {
        self.attributes.get(name)?.tensor.as_ref()
    }
}

/// Numbers names in order of appearance.
#[derive(Default)]
struct Names {
    ids: HashMap<String, usize>,
}

impl Names {
    fn id(&mut self, name: String) -> usize {
        let next = self.ids.len();
        *self.ids.entry(name).or_insert(next)
    }
}

/// Parses an ONNX file.
///
/// # Errors
///
/// Why the bytes are not an ONNX file that should be parsed further.
pub(super) fn read(file: &[u8]) -> Result<Graph, &'static str> {
    let mut graph = None;
    let mut opset = None;
    let (mut sets, mut texts) = (0, 0);
    each_field(file, |number, payload| {
        match (number, payload.bytes()) {
            (7, Some(_)) if graph.is_some() => return Err("it holds more than one graph"),
            (7, Some(bytes)) => graph = Some(read_graph(bytes)?),
            (8, Some(bytes)) => {
                opset = read_opset(bytes)?.or(opset);
                sets += 1;
            }
            (14, Some(bytes)) => {
                check_fields(bytes)?;
                texts += 1;
            }
            _ => {}
        }
        at_most(sets, MAX_ATTRIBUTES, "it names more operator sets than there are")?;
        at_most(texts, MAX_LIST_ELEMENTS, "it has more metadata entries than any network")
    })?;
    let graph = graph.ok_or("it holds no graph")?;
    Ok(Graph { opset, ..graph })
}

/// The same file without the shapes that it declares for intermediate values.
pub(super) fn without_declared_shapes(file: &[u8], graph: &Graph) -> Result<Vec<u8>, &'static str> {
    let used: HashSet<&str> = graph
        .nodes
        .iter()
        .flat_map(|node| node.inputs.iter().flatten())
        .map(|&id| graph.names[id].as_str())
        .collect();
    rewritten(file, |number, bytes| match number {
        7 => {
            let graph = rewritten(bytes, |number, bytes| match number {
                // An output that other nodes also use is an intermediate value.
                12 => {
                    let (name, _) = read_value(bytes)?;
                    let bare = bytes_field(1, name.as_bytes());
                    Ok(used.contains(name.as_str()).then(|| bytes_field(12, &bare)))
                }
                13 => Ok(Some(Vec::new())),
                _ => Ok(None),
            })?;
            Ok(Some(bytes_field(7, &graph)))
        }
        _ => Ok(None),
    })
}

/// A copy of a message with some embedded messages replaced by `change`.
fn rewritten(
    mut bytes: &[u8],
    change: impl Fn(u64, &[u8]) -> Result<Option<Vec<u8>>, &'static str>,
) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let before = bytes;
        let field = next_field(&mut bytes).ok_or(DAMAGED)?;
        let changed = match field.payload.bytes() {
            Some(inner) => change(field.number, inner)?,
            None => None,
        };
        match changed {
            Some(changed) => out.extend(changed),
            None => out.extend_from_slice(&before[..before.len() - bytes.len()]),
        }
    }
    Ok(out)
}

fn each_field<'a>(
    mut bytes: &'a [u8],
    mut take: impl FnMut(u64, Payload<'a>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    while !bytes.is_empty() {
        let field = next_field(&mut bytes).ok_or(DAMAGED)?;
        take(field.number, field.payload)?;
    }
    Ok(())
}

/// Checks a message that only `rten` reads: `rten` follows a field past the end of the message, and
/// a length found there can send it back, in an endless loop.
fn check_fields(bytes: &[u8]) -> Result<(), &'static str> {
    each_field(bytes, |_, _| Ok(()))
}

fn at_most(count: usize, limit: usize, otherwise: &'static str) -> Result<(), &'static str> {
    if count > limit { Err(otherwise) } else { Ok(()) }
}

/// The version, if this is the default operator set.
fn read_opset(bytes: &[u8]) -> Result<Option<u64>, &'static str> {
    let mut domain: &[u8] = b"";
    let mut version = None;
    each_field(bytes, |number, payload| {
        match number {
            1 => domain = payload.bytes().unwrap_or_default(),
            2 => version = payload.number().map(|number| number as u64),
            _ => {}
        }
        Ok(())
    })?;
    Ok(version.filter(|_| matches!(domain, b"" | b"ai.onnx")))
}

fn read_graph(bytes: &[u8]) -> Result<Graph, &'static str> {
    let mut graph = Graph::default();
    let mut names = Names::default();
    let mut inputs = Vec::new();
    each_field(bytes, |number, payload| {
        let Some(bytes) = payload.bytes() else { return Ok(()) };
        match number {
            1 => graph.nodes.push(read_node(bytes, &mut names)?),
            5 => {
                let (name, constant) = read_constant(bytes)?;
                graph.constants.push((names.id(name), constant));
            }
            11 => {
                let (name, axes) = read_value(bytes)?;
                inputs.push((names.id(name), axes));
            }
            12 => {
                let (name, axes) = read_value(bytes)?;
                let id = names.id(name);
                graph.outputs.push(id);
                graph.described.extend(axes.map(|axes| (id, axes)));
            }
            13 => {
                let (name, axes) = read_value(bytes)?;
                let id = names.id(name);
                graph.described.extend(axes.map(|axes| (id, axes)));
            }
            _ => {}
        }
        at_most(graph.nodes.len(), MAX_NODES, "its graph has more nodes than any face network")?;
        let values = [graph.constants.len(), graph.described.len(), inputs.len()];
        let most = values.into_iter().chain([graph.outputs.len()]).max().unwrap_or(0);
        at_most(most, MAX_VALUES, "its graph has more values than any face network")
    })?;
    // Files from before 2019 also list constants among the inputs.
    let constants: HashSet<usize> = graph.constants.iter().map(|&(id, _)| id).collect();
    graph.inputs = inputs.into_iter().filter(|(id, _)| !constants.contains(id)).collect();
    graph.names = vec![String::new(); names.ids.len()];
    for (name, id) in names.ids {
        graph.names[id] = name;
    }
    Ok(graph)
}

fn text(payload: Payload<'_>) -> String {
    String::from_utf8_lossy(payload.bytes().unwrap_or_default()).into_owned()
}

fn read_node(bytes: &[u8], names: &mut Names) -> Result<Node, &'static str> {
    let mut node = Node::default();
    let mut port = |payload| {
        let name = text(payload);
        (!name.is_empty()).then(|| names.id(name))
    };
    each_field(bytes, |number, payload| {
        match number {
            1 => node.inputs.push(port(payload)),
            2 => node.outputs.push(port(payload)),
            3 => node.name = text(payload),
            4 => node.operator = text(payload),
            5 => {
                let (name, attribute) = read_attribute(payload.bytes().unwrap_or_default())?;
                if node.attributes.insert(name, attribute).is_some() {
                    return Err("a node has two attributes with the same name");
                }
            }
            _ => {}
        }
        let ports = node.inputs.len().max(node.outputs.len());
        at_most(
            ports,
            MAX_NODE_PORTS,
            "a node has more inputs or outputs than any in a face network",
        )?;
        at_most(node.attributes.len(), MAX_ATTRIBUTES, "a node has too many attributes")
    })?;
    Ok(node)
}

fn read_attribute(bytes: &[u8]) -> Result<(String, Attribute), &'static str> {
    const LONG: &str = "an attribute is longer than any in a face network";
    let mut name = String::new();
    let mut attribute = Attribute::default();
    let mut others = 0;
    each_field(bytes, |number, payload| {
        match number {
            1 => name = text(payload),
            3 => attribute.number = payload.number().unwrap_or(attribute.number),
            4 => attribute.text = text(payload),
            5 => {
                let bytes = payload.bytes().unwrap_or_default();
                attribute.tensor = Some(read_constant(bytes)?.1);
            }
            6 | 11 => {
                return Err("a node holds a graph of its own (If, Loop, Scan), which no face \
                            network needs; export the network without control flow");
            }
            7 => {
                payload
                    .append_first_floats(&mut attribute.floats, MAX_LIST_ELEMENTS + 1)
                    .ok_or(LONG)?;
                at_most(attribute.floats.len(), MAX_LIST_ELEMENTS, LONG)?;
            }
            8 => payload.append_numbers(&mut attribute.list, MAX_LIST_ELEMENTS).ok_or(LONG)?,
            9 | 10 => others += 1,
            _ => {}
        }
        at_most(others, MAX_LIST_ELEMENTS, LONG)
    })?;
    Ok((name, attribute))
}

/// A `TensorProto`: its name, shape and, if there are few, its values.
fn read_constant(bytes: &[u8]) -> Result<(String, Constant), &'static str> {
    const LONG: &str = "a constant is spelt out number by number and too long";
    let mut name = String::new();
    let (mut axes, mut whole_numbers) = (Vec::new(), Vec::new());
    let mut floats = Vec::new();
    let mut raw: Option<&[u8]> = None;
    let (mut kind, mut places) = (0, 0);
    each_field(bytes, |number, payload| {
        match number {
            1 => payload
                .append_numbers(&mut axes, MAX_AXES)
                .ok_or("a constant has more axes than any in a face network")?,
            2 => kind = payload.number().unwrap_or(0),
            // Weights may be stored here; only the values of small constants matter.
            4 => payload.append_first_floats(&mut floats, MAX_KEPT_ELEMENTS + 1).ok_or(DAMAGED)?,
            5 | 7 => payload.append_numbers(&mut whole_numbers, MAX_TYPED_ELEMENTS).ok_or(LONG)?,
            8 => name = text(payload),
            9 => raw = payload.bytes(),
            13 => {
                check_fields(payload.bytes().unwrap_or_default())?;
                places += 1;
            }
            _ => {}
        }
        at_most(places, MAX_ATTRIBUTES, "a constant is stored in more than one place")
    })?;
    let axes: Vec<u64> =
        axes.into_iter().map(|axis| u64::try_from(axis).unwrap_or(u64::MAX)).collect();
    let few = axes.iter().try_fold(1u64, |count, &axis| count.checked_mul(axis));
    let few = few.and_then(|count| usize::try_from(count).ok()).filter(|&n| n <= MAX_KEPT_ELEMENTS);
    let content = few.and_then(|count| {
        let numbers: Vec<f64> = match (raw, kind) {
            (Some(raw), 1) => floats_of(raw, |b| f32::from_le_bytes(b).into()),
            (Some(raw), 6) => floats_of(raw, |b| i32::from_le_bytes(b).into()),
            (Some(raw), 7) => floats_of(raw, |b: [u8; 8]| as_stored(i64::from_le_bytes(b))),
            (Some(raw), 9) => floats_of(raw, |[b]: [u8; 1]| f64::from(b != 0)),
            (None, 1) => floats.iter().map(|&number| number.into()).collect(),
            (None, 6 | 7) => whole_numbers.iter().map(|&number| as_stored(number)).collect(),
            (None, 9) => whole_numbers.iter().map(|&n| f64::from(u8::from(n != 0))).collect(),
            _ => return None,
        };
        (numbers.len() == count).then_some(Content { numbers, whole: kind != 1 })
    });
    Ok((name, Constant { axes, content }))
}

/// An integer as `rten` stores it: clamped to 32 bits.
pub(super) fn as_stored(number: i64) -> f64 {
    number.clamp(i32::MIN.into(), i32::MAX.into()) as f64
}

fn floats_of<const N: usize>(raw: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    raw.as_chunks::<N>().0.iter().take(MAX_KEPT_ELEMENTS + 1).map(|&bytes| number(bytes)).collect()
}

/// A `ValueInfoProto`: its name and, for a tensor with a shape, its axes.
fn read_value(bytes: &[u8]) -> Result<(String, Option<Axes>), &'static str> {
    let mut name = String::new();
    let mut axes = None;
    each_field(bytes, |number, payload| {
        match number {
            1 => name = text(payload),
            2 => axes = read_type(payload.bytes().unwrap_or_default())?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, axes))
}

fn read_type(bytes: &[u8]) -> Result<Option<Axes>, &'static str> {
    let mut axes = None;
    each_field(bytes, |number, payload| match number {
        1 => each_field(payload.bytes().unwrap_or_default(), |number, payload| {
            if number == 2 {
                axes = Some(read_axes(payload.bytes().unwrap_or_default())?);
            }
            Ok(())
        }),
        // A sequence, a map or an optional: types may nest without limit.
        4 | 5 | 9 => Err("it passes values other than tensors"),
        _ => Ok(()),
    })?;
    Ok(axes)
}

fn read_axes(bytes: &[u8]) -> Result<Axes, &'static str> {
    let mut axes = Vec::new();
    each_field(bytes, |number, payload| {
        if number == 1 {
            let mut length = None;
            each_field(payload.bytes().unwrap_or_default(), |number, payload| {
                if number == 1 {
                    length = payload.number().and_then(|number| u64::try_from(number).ok());
                }
                Ok(())
            })?;
            axes.push(length);
        }
        at_most(axes.len(), MAX_AXES, "a value has more axes than any in a face network")
    })?;
    Ok(axes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::wire::bytes_field;

    #[test]
    fn opset_of_default_domain_is_read() {
        let custom = [bytes_field(1, b"com.example"), vec![2 << 3, 99]].concat();
        let standard = [bytes_field(1, b""), vec![2 << 3, 17]].concat();
        let file =
            [bytes_field(8, &custom), bytes_field(7, b""), bytes_field(8, &standard)].concat();
        assert_eq!(read(&file).unwrap().opset, Some(17));
    }

    #[test]
    fn nested_graphs_and_types_are_rejected_at_any_depth() {
        for levels in [1, 20, 2_000] {
            let graph = (0..levels).fold(Vec::new(), |graph, _| {
                bytes_field(1, &bytes_field(5, &bytes_field(6, &graph)))
            });
            assert!(read(&bytes_field(7, &graph)).unwrap_err().contains("graph of its own"));
            let inner = (0..levels).fold(Vec::new(), |t, _| bytes_field(4, &bytes_field(1, &t)));
            let value = bytes_field(11, &bytes_field(2, &inner));
            assert!(read(&bytes_field(7, &value)).unwrap_err().contains("tensors"));
        }
    }

    #[test]
    fn counts_are_bounded() {
        let graph = |field: &[u8], count: usize| bytes_field(7, &field.repeat(count));
        assert!(read(&graph(&[1 << 3 | 2, 0], MAX_NODES)).is_ok());
        assert!(read(&graph(&[1 << 3 | 2, 0], MAX_NODES + 1)).is_err());
        for number in [5, 11, 12] {
            assert!(read(&graph(&[number << 3 | 2, 0], MAX_VALUES + 1)).is_err());
        }
        for number in [1, 2, 5] {
            let node = bytes_field(1, &[number << 3 | 2, 0].repeat(MAX_NODE_PORTS + 1));
            assert!(read(&bytes_field(7, &node)).is_err());
        }
        for number in [7, 8, 9] {
            let list = [&[number << 3 | 2, 4, 0, 0, 0, 0][..]; MAX_LIST_ELEMENTS + 1].concat();
            let node = bytes_field(1, &bytes_field(5, &list));
            assert!(read(&bytes_field(7, &node)).is_err());
        }
    }

    #[test]
    fn damaged_files_are_rejected() {
        for damaged in [&b"\x3a\x05ab"[..], b"\xff", b"\x3f", b"\x08\x07", b"", b"this is text"] {
            assert!(read(damaged).is_err(), "{damaged:?}");
        }
    }
}
