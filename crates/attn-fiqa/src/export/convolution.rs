//! The layers of the built-in convolutional networks, with the weights that the program embeds.
//!
//! Layer widths and filter sizes come from the shapes of the weights; names are those of
//! `training/`.

use safetensors::SafeTensors;

use super::graph::{Attribute, Element, Graph, Value};

pub(super) struct ConvolutionGraph<'w> {
    pub(super) graph: Graph<'static>,
    weights: SafeTensors<'w>,
}

impl<'w> ConvolutionGraph<'w> {
    /// # Panics
    ///
    /// If the embedded file is damaged.
    pub(super) fn new(opset: i64, weights: &'w [u8]) -> Self {
        let weights = SafeTensors::deserialize(weights).expect("embedded weights: this is a bug");
        Self { graph: Graph::new(opset), weights }
    }

    fn weight(&mut self, name: &str) -> (Value, Vec<usize>) {
        let tensor = self.weights.tensor(name).expect("an embedded weight: this is a bug");
        let (numbers, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let shape = tensor.shape().to_vec();
        let read = move || Ok(values.clone());
        (self.graph.weights(name, &shape, Element::F32, read), shape)
    }

    fn convolution(&mut self, x: &str, name: &str, stride: i64, padding: i64) -> Value {
        self.graph.enter(name);
        let (weight, shape) = self.weight(&format!("{name}.weight"));
        let (bias, _) = self.weight(&format!("{name}.bias"));
        let [outputs, inputs, side, _] = shape[..] else {
            panic!("a filter has four axes: this is a bug")
        };
        let depthwise = inputs == 1 && outputs > 1;
        let attributes = [
            Attribute::Integers("kernel_shape", &[side as i64; 2]),
            Attribute::Integers("strides", &[stride; 2]),
            Attribute::Integers("pads", &[padding; 4]),
            Attribute::Integer("group", if depthwise { outputs as i64 } else { 1 }),
        ];
        self.graph.op_with("Conv", &[x, &weight, &bias], &attributes)
    }

    pub(super) fn relu(&mut self, x: &str) -> Value {
        self.graph.op("Relu", &[x])
    }

    pub(super) fn stem(&mut self, x: &str, stride: i64, padding: i64) -> Value {
        let y = self.convolution(x, "stem", stride, padding);
        self.relu(&y)
    }

    pub(super) fn pointwise(&mut self, x: &str, name: &str) -> Value {
        self.convolution(x, name, 1, 0)
    }

    /// A depthwise and a pointwise convolution, each with ReLU; the input is added before the
    /// second ReLU if stride and channels allow.
    pub(super) fn separable(&mut self, x: &str, name: &str, stride: i64) -> Value {
        let width = |part: &str, axis: usize| {
            let tensor = self.weights.tensor(&format!("{name}.{part}.weight"));
            tensor.expect("an embedded weight: this is a bug").shape()[axis]
        };
        let (inputs, side, outputs) =
            (width("depthwise", 0), width("depthwise", 2), width("pointwise", 0));
        let filtered = self.convolution(x, &format!("{name}.depthwise"), stride, side as i64 / 2);
        let filtered = self.relu(&filtered);
        let mut y = self.pointwise(&filtered, &format!("{name}.pointwise"));
        if stride == 1 && inputs == outputs {
            y = self.graph.op("Add", &[x, &y]);
        }
        self.relu(&y)
    }

    /// Separable convolutions `NAME.0`, `NAME.1` and so on; only the first has a stride.
    pub(super) fn stage(&mut self, x: &str, name: &str, stride: i64) -> Value {
        let mut value = x.to_owned();
        for index in 0.. {
            let layer = format!("{name}.{index}");
            if self.weights.tensor(&format!("{layer}.depthwise.weight")).is_err() {
                break;
            }
            value = self.separable(&value, &layer, if index == 0 { stride } else { 1 });
        }
        value
    }

    /// From the coarsest level on, adds the upsampled coarser features to those of each level.
    pub(super) fn pyramid(&mut self, levels: [&str; 3]) -> [Value; 3] {
        let [fine, middle, coarse] =
            [0, 1, 2].map(|level| self.pointwise(levels[level], &format!("lateral.{level}")));
        let coarse = self.relu(&coarse);
        let middle = self.onto(&middle, &coarse);
        let fine = self.onto(&fine, &middle);
        [fine, middle, coarse]
    }

    fn onto(&mut self, x: &str, coarser: &str) -> Value {
        let scales = self.graph.floats(&[4], vec![1.0, 1.0, 2.0, 2.0]);
        let attributes = [
            Attribute::Text("mode", "nearest"),
            Attribute::Text("coordinate_transformation_mode", "asymmetric"),
            Attribute::Text("nearest_mode", "floor"),
        ];
        let doubled = self.graph.op_with("Resize", &[coarser, "", &scales], &attributes);
        let sum = self.graph.op("Add", &[x, &doubled]);
        self.relu(&sum)
    }
}

/// Metadata of a network that ships with the program.
pub(super) fn metadata(network: &str) -> Vec<(String, String)> {
    [("network", network), ("version", env!("CARGO_PKG_VERSION")), ("licence", "MIT OR Apache-2.0")]
        .map(|(key, value)| (format!("attn_fiqa.{key}"), value.to_owned()))
        .to_vec()
}
