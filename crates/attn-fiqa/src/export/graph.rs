//! An ONNX graph under construction, and the file that it becomes.
//!
//! Field numbers are those of the published `onnx.proto3`.

use std::collections::BTreeSet;
use std::io::Write;

use half::f16;

use super::error::ExportProblem;
use super::protobuf::Message;
use crate::checkpoint::CheckpointError;

/// Version of the file format read by runtimes of opset 17.
const IR_VERSION: i64 = 8;

/// Protocol Buffers limits a message to 2 GiB.
const MAX_BYTES: u64 = (1 << 31) - 1;

/// A value of the graph, identified by name.
pub(super) type Value = String;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
    I64,
}

impl Element {
    /// Its number in `TensorProto.DataType`.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::F32 => 1,
            Self::F16 => 10,
            Self::I64 => 7,
        }
    }

    fn width(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I64 => 8,
        }
    }
}

/// One axis of an input or output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Axis {
    Fixed(usize),
    /// Of any length.
    Named(&'static str),
}

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Integer(&'static str, i64),
    Float(&'static str, f32),
    Text(&'static str, &'a str),
    Integers(&'static str, &'a [i64]),
}

/// Weights that are read only when they are written, so that only one tensor is in memory.
type DeferredWeights<'a> = Box<dyn Fn() -> Result<Vec<f32>, CheckpointError> + 'a>;

enum Numbers<'a> {
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    DeferredWeights(DeferredWeights<'a>),
}

struct Initializer<'a> {
    name: String,
    axes: Vec<usize>,
    element: Element,
    numbers: Numbers<'a>,
}

/// Nodes in the order of computation, and the constants that they read.
pub(super) struct Graph<'a> {
    opset: i64,
    /// Prefix of the names of nodes and values, like the layers of the checkpoint.
    scope: String,
    made: usize,
    nodes: Vec<Message>,
    initializers: Vec<Initializer<'a>>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
    /// Values that are inputs of nodes.
    read: BTreeSet<Value>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(opset: i64) -> Self {
        Self {
            opset,
            scope: String::new(),
            made: 0,
            nodes: Vec::new(),
            initializers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            read: BTreeSet::new(),
        }
    }

    /// Sets the name prefix of what is added from here on.
    pub(super) fn enter(&mut self, scope: &str) {
        scope.clone_into(&mut self.scope);
    }

    fn name(&mut self, what: &str) -> Value {
        self.made += 1;
        format!("{}/{what}_{}", self.scope, self.made)
    }

    /// An f32 input.
    pub(super) fn input(&mut self, name: &str, axes: &[Axis]) -> Value {
        self.inputs.push(tensor_info(name, axes));
        name.to_owned()
    }

    /// Makes an f32 value an output with this name.
    pub(super) fn output(&mut self, name: &str, value: &str, axes: &[Axis]) {
        self.node("Identity", &[value], &[name], &[]);
        self.outputs.push(tensor_info(name, axes));
    }

    /// Adds an operator with a single output.
    pub(super) fn op(&mut self, operator: &str, inputs: &[&str]) -> Value {
        self.op_with(operator, inputs, &[])
    }

    pub(super) fn op_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[Attribute<'_>],
    ) -> Value {
        let output = self.name(operator);
        self.node(operator, inputs, &[&output], attributes);
        output
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Attribute<'_>],
    ) {
        let mut node = Message::default();
        for input in inputs {
            self.read.insert((*input).to_owned());
            node = node.text(1, input);
        }
        for output in outputs {
            node = node.text(2, output);
        }
        node = node.text(3, outputs[0]).text(4, operator);
        for attribute in attributes {
            node = node.message(5, &attribute.message());
        }
        self.nodes.push(node);
    }

    pub(super) fn floats(&mut self, axes: &[usize], values: Vec<f32>) -> Value {
        self.constant(axes, Element::F32, Numbers::Floats(values))
    }

    /// A scalar of the same type as the values it is combined with.
    pub(super) fn scalar(&mut self, element: Element, value: f32) -> Value {
        self.constant(&[], element, Numbers::Floats(vec![value]))
    }

    pub(super) fn integers(&mut self, values: &[i64]) -> Value {
        let axes = [values.len()];
        self.constant(&axes, Element::I64, Numbers::Integers(values.to_vec()))
    }

    /// An integer scalar.
    pub(super) fn integer(&mut self, value: i64) -> Value {
        self.constant(&[], Element::I64, Numbers::Integers(vec![value]))
    }

    fn constant(&mut self, axes: &[usize], element: Element, numbers: Numbers<'a>) -> Value {
        let name = self.name("constant");
        self.initializer(&name, axes, element, numbers);
        name
    }

    /// Weights named after the layer, read when the file is written. Weights that were already
    /// added are reused.
    pub(super) fn weights(
        &mut self,
        name: &str,
        axes: &[usize],
        element: Element,
        read: impl Fn() -> Result<Vec<f32>, CheckpointError> + 'a,
    ) -> Value {
        match self.initializers.iter().find(|initializer| initializer.name == name) {
            Some(known) => {
                assert!(known.axes == axes && known.element == element, "{name}: this is a bug");
            }
            None => self.initializer(name, axes, element, Numbers::DeferredWeights(Box::new(read))),
        }
        name.to_owned()
    }

    fn initializer(&mut self, name: &str, axes: &[usize], element: Element, numbers: Numbers<'a>) {
        let axes = axes.to_vec();
        self.initializers.push(Initializer { name: name.to_owned(), axes, element, numbers });
    }

    // Operators whose form depends on the opset, or that many layers share.

    pub(super) fn cast(&mut self, x: &str, to: Element) -> Value {
        self.op_with("Cast", &[x], &[Attribute::Integer("to", to.number())])
    }

    pub(super) fn cast_to_i64(&mut self, x: &str) -> Value {
        self.cast(x, Element::I64)
    }

    pub(super) fn reshape(&mut self, x: &str, shape: &[i64]) -> Value {
        let shape = self.integers(shape);
        self.op("Reshape", &[x, &shape])
    }

    pub(super) fn transpose(&mut self, x: &str, order: &[i64]) -> Value {
        self.op_with("Transpose", &[x], &[Attribute::Integers("perm", order)])
    }

    pub(super) fn unsqueeze(&mut self, x: &str, axis: i64) -> Value {
        let axes = self.integers(&[axis]);
        self.op("Unsqueeze", &[x, &axes])
    }

    pub(super) fn squeeze(&mut self, x: &str, axis: i64) -> Value {
        let axes = self.integers(&[axis]);
        self.op("Squeeze", &[x, &axes])
    }

    /// Splits one axis into equal parts of `length`.
    pub(super) fn split<const PARTS: usize>(
        &mut self,
        x: &str,
        axis: i64,
        length: usize,
    ) -> [Value; PARTS] {
        let lengths = self.integers(&[length as i64; PARTS]);
        let parts: [Value; PARTS] = std::array::from_fn(|_| self.name("Split"));
        let outputs: [&str; PARTS] = std::array::from_fn(|part| parts[part].as_str());
        self.node("Split", &[x, &lengths], &outputs, &[Attribute::Integer("axis", axis)]);
        parts
    }

    /// The part from `start` to `end` of one axis.
    pub(super) fn slice(&mut self, x: &str, axis: i64, start: i64, end: i64) -> Value {
        let [start, end, axis] = [start, end, axis].map(|number| self.integers(&[number]));
        self.op("Slice", &[x, &start, &end, &axis])
    }

    pub(super) fn clip(&mut self, x: &str, element: Element, low: f32, high: f32) -> Value {
        let (low, high) = (self.scalar(element, low), self.scalar(element, high));
        self.op("Clip", &[x, &low, &high])
    }

    pub(super) fn reduce_sum(&mut self, x: &str, axis: i64) -> Value {
        let axes = self.integers(&[axis]);
        self.op_with("ReduceSum", &[x, &axes], &[Attribute::Integer("keepdims", 0)])
    }

    /// From opset 18, the axes are an input.
    pub(super) fn reduce_mean(&mut self, x: &str, axis: i64) -> Value {
        let whole = Attribute::Integer("keepdims", 0);
        if self.opset < 18 {
            let axes = [axis];
            return self.op_with("ReduceMean", &[x], &[Attribute::Integers("axes", &axes), whole]);
        }
        let axes = self.integers(&[axis]);
        self.op_with("ReduceMean", &[x, &axes], &[whole])
    }

    /// Writes the model: `name` of the graph, `about` as the description, and metadata.
    ///
    /// # Errors
    ///
    /// If it would exceed 2 GiB, a weight cannot be read or does not fit its type, or the file
    /// cannot be written.
    pub(super) fn write(
        &self,
        out: &mut dyn Write,
        name: &str,
        about: &str,
        metadata: &[(String, String)],
    ) -> Result<(), ExportProblem> {
        let names = self.initializers.iter().map(|initializer| &initializer.name);
        let unread: Vec<&String> = names.filter(|name| !self.read.contains(*name)).collect();
        // ONNX Runtime warns about unused initializers.
        debug_assert!(unread.is_empty(), "no node reads {unread:?}: this is a bug");
        let mut before = Message::default();
        for node in &self.nodes {
            before = before.message(1, node);
        }
        before = before.text(2, name);
        let heads: Vec<Message> = self.initializers.iter().map(Initializer::head).collect();
        let mut after = Message::default();
        for input in &self.inputs {
            after = after.message(11, input);
        }
        for output in &self.outputs {
            after = after.message(12, output);
        }
        let initializers = self.initializers.iter().zip(&heads);
        let length = initializers.map(|(one, head)| head.len() + one.bytes()).sum::<u64>()
            + before.len()
            + after.len();
        let model = Message::default()
            .integer(1, IR_VERSION)
            .text(2, "attn-fiqa")
            .text(3, env!("CARGO_PKG_VERSION"))
            .text(6, about)
            .head(7, length);
        let mut rest =
            Message::default().message(8, &Message::default().text(1, "").integer(2, self.opset));
        for (key, value) in metadata {
            rest = rest.message(14, &Message::default().text(1, key).text(2, value));
        }
        let total = model.len() + length + rest.len();
        if total > MAX_BYTES {
            return Err(ExportProblem::TooLarge { bytes: total, limit: MAX_BYTES });
        }
        let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(ExportProblem::Write);
        put(model.as_bytes())?;
        put(before.as_bytes())?;
        for (initializer, head) in self.initializers.iter().zip(&heads) {
            put(head.as_bytes())?;
            put(&initializer.encode()?)?;
        }
        put(after.as_bytes())?;
        put(rest.as_bytes())
    }
}

impl Attribute<'_> {
    fn message(&self) -> Message {
        let named = |name: &str| Message::default().text(1, name);
        match *self {
            Self::Integer(name, value) => named(name).integer(3, value).integer(20, 2),
            Self::Float(name, value) => named(name).float(2, value).integer(20, 1),
            Self::Text(name, value) => named(name).text(4, value).integer(20, 3),
            Self::Integers(name, values) => {
                let list = values.iter().fold(named(name), |list, &value| list.integer(8, value));
                list.integer(20, 7)
            }
        }
    }
}

impl Initializer<'_> {
    fn bytes(&self) -> u64 {
        self.axes.iter().map(|&length| length as u64).product::<u64>() * self.element.width()
    }

    /// The whole field of the graph except the values.
    fn head(&self) -> Message {
        let axes = self.axes.iter().fold(Message::default(), |m, &axis| m.integer(1, axis as i64));
        let tensor =
            axes.integer(2, self.element.number()).text(8, &self.name).head(9, self.bytes());
        let mut head = Message::default().head(5, tensor.len() + self.bytes());
        head.append(&tensor);
        head
    }

    fn encode(&self) -> Result<Vec<u8>, ExportProblem> {
        let bytes = match &self.numbers {
            Numbers::Integers(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Numbers::Floats(values) => self.encode_floats(values)?,
            Numbers::DeferredWeights(read) => self.encode_floats(&read()?)?,
        };
        assert_eq!(bytes.len() as u64, self.bytes(), "{}: this is a bug", self.name);
        Ok(bytes)
    }

    fn encode_floats(&self, values: &[f32]) -> Result<Vec<u8>, ExportProblem> {
        let mut bytes = Vec::with_capacity(values.len() * self.element.width() as usize);
        for &value in values {
            if self.element == Element::F16 {
                let rounded = f16::from_f32(value);
                if !rounded.is_finite() {
                    let tensor = self.name.clone();
                    return Err(ExportProblem::Overflow { tensor, value });
                }
                bytes.extend(rounded.to_le_bytes());
            } else {
                bytes.extend(value.to_le_bytes());
            }
        }
        Ok(bytes)
    }
}

/// `ValueInfoProto` of an f32 tensor.
fn tensor_info(name: &str, axes: &[Axis]) -> Message {
    let shape = axes.iter().fold(Message::default(), |shape, axis| {
        let axis = match *axis {
            Axis::Fixed(length) => Message::default().integer(1, length as i64),
            Axis::Named(name) => Message::default().text(2, name),
        };
        shape.message(1, &axis)
    });
    let tensor = Message::default().integer(1, Element::F32.number()).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
