//! Shape inference and cost of the operators of face networks.

use super::content::{elementwise, repeated};
use super::{Constant, Content, MAX_KEPT_ELEMENTS, Node, Value, as_stored, count};

/// A node and what is known about its inputs.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) given: &'a [Option<&'a Value>],
}

/// The inferred outputs of a node.
#[derive(Default)]
pub(super) struct Outcome {
    /// The shape of every output, or of the largest one.
    pub(super) axes: Option<Vec<u64>>,
    /// For outputs that differ: the axis, and each output's length along it.
    pub(super) parts: Option<(usize, Vec<u64>)>,
    pub(super) content: Option<Content>,
    /// Multiplications, not counting reads and writes.
    pub(super) operations: u64,
    /// Elements of temporary buffers.
    pub(super) scratch: u64,
}

impl From<Option<Vec<u64>>> for Outcome {
    fn from(axes: Option<Vec<u64>>) -> Self {
        Self { axes, ..Self::default() }
    }
}

/// The value of a `Constant` node.
pub(super) fn constant(node: &Node) -> Constant {
    let list = |numbers: Vec<f64>, whole, is_vector: bool| {
        let axes = if is_vector { vec![numbers.len() as u64] } else { Vec::new() };
        let content = (numbers.len() <= MAX_KEPT_ELEMENTS).then_some(Content { numbers, whole });
        Constant { axes, content }
    };
    if let Some(tensor) = node.tensor("value") {
        return tensor.clone();
    }
    if let Some(number) = node.number("value_int") {
        return list(vec![as_stored(number)], true, false);
    }
    if let Some(numbers) = node.list("value_ints") {
        return list(numbers.iter().map(|&number| as_stored(number)).collect(), true, true);
    }
    if let Some(numbers) = node.floats("value_floats") {
        return list(numbers.iter().map(|&number| number.into()).collect(), false, true);
    }
    Constant::default()
}

/// The outcome of a node; `None` for an unsupported operator.
pub(super) fn of(call: &Call<'_>) -> Option<Outcome> {
    let operator = call.node.operator.as_str();
    let outcome = match operator {
        "Abs"
        | "Acos"
        | "Asin"
        | "Atan"
        | "BatchNormalization"
        | "BiasGelu"
        | "Cast"
        | "CastLike"
        | "Ceil"
        | "Clip"
        | "Cos"
        | "Cosh"
        | "CumSum"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "Elu"
        | "Erf"
        | "Exp"
        | "FastGelu"
        | "Floor"
        | "Gelu"
        | "HardSigmoid"
        | "HardSwish"
        | "Identity"
        | "InstanceNormalization"
        | "IsInf"
        | "IsNaN"
        | "LayerNormalization"
        | "LeakyRelu"
        | "Log"
        | "LogSoftmax"
        | "LpNormalization"
        | "Neg"
        | "Not"
        | "QuantizeLinear"
        | "QuickGelu"
        | "RMSNormalization"
        | "Reciprocal"
        | "Relu"
        | "Round"
        | "ScatterElements"
        | "ScatterND"
        | "Sigmoid"
        | "Sign"
        | "SimplifiedLayerNormalization"
        | "Sin"
        | "Sinh"
        | "SkipLayerNormalization"
        | "Softmax"
        | "Softplus"
        | "Softsign"
        | "Sqrt"
        | "Swish"
        | "Tan"
        | "Tanh"
        | "Trilu" => call.same(),
        "Add" | "And" | "Div" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
        | "Max" | "Mean" | "Min" | "Mod" | "Mul" | "Or" | "PRelu" | "Pow" | "Sub" | "Sum"
        | "Where" | "Xor" => call.broadcast(),
        "ArgMax" | "ArgMin" | "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp"
        | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum"
        | "ReduceSumSquare" => call.reduce().into(),
        "AveragePool" | "MaxPool" => call.pool().unwrap_or_default(),
        "Concat" => call.concat(),
        "ConstantOfShape" => call.constant_of_shape().unwrap_or_default(),
        "Conv" | "ConvInteger" => call.conv().unwrap_or_default(),
        "ConvTranspose" => call.conv_transpose().unwrap_or_default(),
        "DepthToSpace" => call.depth_to_space().into(),
        "Expand" => call.expand().into(),
        "Flatten" => call.flatten().into(),
        "Gather" => call.gather(),
        "GatherElements" => call.axes(1).map(<[u64]>::to_vec).into(),
        "Gemm" => call.gemm().unwrap_or_default(),
        "GlobalAveragePool" | "GlobalMaxPool" => call.global_pool().into(),
        "MatMul" | "MatMulInteger" => call.matmul().unwrap_or_default(),
        "Pad" => call.pad().into(),
        "Range" => call.range().unwrap_or_default(),
        "Reshape" => Outcome { content: call.content(0).cloned(), ..call.reshape().into() },
        "Resize" | "Upsample" => call.resize().into(),
        "Shape" => call.shape().unwrap_or_default(),
        "Size" => call.size().unwrap_or_default(),
        "Slice" => call.slice().unwrap_or_default(),
        "Split" => call.split().unwrap_or_default(),
        "Squeeze" => Outcome { content: call.content(0).cloned(), ..call.squeeze().into() },
        "Tile" => call.tile().into(),
        "TopK" => call.top_k().into(),
        "Transpose" => call.transpose().into(),
        "Unsqueeze" => Outcome { content: call.content(0).cloned(), ..call.unsqueeze().into() },
        _ => return None,
    };
    Some(outcome)
}

impl Call<'_> {
    pub(super) fn axes(&self, index: usize) -> Option<&[u64]> {
        self.given.get(index).copied().flatten()?.axes.as_deref()
    }

    pub(super) fn content(&self, index: usize) -> Option<&Content> {
        self.given.get(index).copied().flatten()?.content.as_ref()
    }

    pub(super) fn is_given(&self, index: usize) -> bool {
        self.given.get(index).copied().flatten().is_some()
    }

    /// Integers of an attribute or, without it, of an input. `Some(None)` if neither is given,
    /// `None` if they cannot be known.
    pub(super) fn numbers(&self, attribute: &str, input: usize) -> Option<Option<Vec<i64>>> {
        let list = self.node.list(attribute).filter(|list| !list.is_empty());
        match (list, self.is_given(input)) {
            // Which of the two applies depends on the operator set and on the runtime.
            (Some(_), true) => return None,
            (Some(list), false) => return Some(Some(list.to_vec())),
            (None, false) => return Some(None),
            (None, true) => {}
        }
        self.content(input).map(|content| Some(content.numbers.iter().map(|&n| n as i64).collect()))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.node.number(name).unwrap_or(0) != 0
    }

    pub(super) fn same(&self) -> Outcome {
        let content = self.content(0).and_then(|content| {
            elementwise(&self.node.operator, &[content], self.node.number("to"))
        });
        Outcome { axes: self.axes(0).map(<[u64]>::to_vec), content, ..Outcome::default() }
    }

    pub(super) fn broadcast(&self) -> Outcome {
        let axes = (0..self.given.len())
            .try_fold(Vec::new(), |axes, index| Some(broadcast(&axes, self.axes(index)?)));
        let known = (0..self.given.len()).map(|index| self.content(index));
        let content = known
            .collect::<Option<Vec<_>>>()
            .and_then(|known| elementwise(&self.node.operator, &known, None));
        Outcome { axes, content, ..Outcome::default() }
    }

    pub(super) fn reduce(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let keep = self.node.number("keepdims") != Some(0);
        let listed = if self.node.operator.starts_with("Arg") {
            Some(vec![self.node.number("axis").unwrap_or(0)])
        } else {
            self.numbers("axes", 1)?
        };
        let listed = match listed.filter(|listed| !listed.is_empty()) {
            Some(listed) => places(&listed, axes.len())?,
            None if self.flag("noop_with_empty_axes") => Vec::new(),
            None => (0..axes.len()).collect(),
        };
        let kept = axes.iter().enumerate().filter_map(|(place, &length)| {
            match (listed.contains(&place), keep) {
                (true, true) => Some(1),
                (true, false) => None,
                (false, _) => Some(length),
            }
        });
        Some(kept.collect())
    }

    pub(super) fn constant_of_shape(&self) -> Option<Outcome> {
        let axes = lengths(self.content(0)?)?;
        let value = self.node.tensor("value").and_then(|tensor| tensor.content.as_ref());
        let content = match value {
            Some(value) => repeated(*value.numbers.first()?, value.whole, count(&axes)),
            None => None,
        };
        let content = content.filter(|_| axes.len() == 1 && axes[0] > 0);
        Some(Outcome { axes: Some(axes), content, ..Outcome::default() })
    }

    pub(super) fn gemm(&self) -> Option<Outcome> {
        let (&[a, b], &[c, d]) = (self.axes(0)?, self.axes(1)?) else { return None };
        let (rows, inner) = if self.flag("transA") { (b, a) } else { (a, b) };
        let columns = if self.flag("transB") { c } else { d };
        let out = vec![rows, columns];
        let operations = count(&out).saturating_mul(inner);
        Some(Outcome { axes: Some(out), operations, ..Outcome::default() })
    }

    pub(super) fn matmul(&self) -> Option<Outcome> {
        let (one, other) = (self.axes(0)?, self.axes(1)?);
        let left = if one.len() == 1 { [&[1], one].concat() } else { one.to_vec() };
        let right = if other.len() == 1 { [other, &[1]].concat() } else { other.to_vec() };
        let (&[ref batch @ .., rows, inner], &[ref others @ .., _, columns]) =
            (&left[..], &right[..])
        else {
            return None;
        };
        let mut out = broadcast(batch, others);
        let operations = count(&out).saturating_mul(count(&[rows, inner, columns]));
        out.extend((one.len() > 1).then_some(rows));
        out.extend((other.len() > 1).then_some(columns));
        Some(Outcome { axes: Some(out), operations, ..Outcome::default() })
    }

    pub(super) fn range(&self) -> Option<Outcome> {
        /// Above this, adding one to an f32 may have no effect.
        const LARGEST: f64 = (1 << 22) as f64;
        let given: Option<Vec<&Content>> = (0..3).map(|index| self.content(index)).collect();
        let given = given?;
        let numbers: Option<Vec<f64>> = given.iter().map(|c| c.numbers.first().copied()).collect();
        let &[start, limit, step] = &numbers?[..] else { return None };
        let sound = |number: f64| number.fract() == 0.0 && number.abs() <= LARGEST;
        if ![start, limit, step].into_iter().all(sound) || step == 0.0 {
            return None;
        }
        let length = ((limit - start) / step).ceil().max(0.0);
        let numbers =
            (0..(length as usize).min(MAX_KEPT_ELEMENTS + 1)).map(|i| start + step * i as f64);
        let numbers: Vec<f64> = numbers.collect();
        let whole = given.iter().all(|content| content.whole);
        let content = (numbers.len() <= MAX_KEPT_ELEMENTS).then_some(Content { numbers, whole });
        Some(Outcome { axes: Some(vec![length as u64]), content, ..Outcome::default() })
    }

    pub(super) fn shape(&self) -> Option<Outcome> {
        let axes = self.axes(0)?;
        let bound = |name, otherwise: usize| {
            let place = self.node.number(name).unwrap_or(otherwise as i64);
            let place = if place < 0 { place.saturating_add(axes.len() as i64) } else { place };
            usize::try_from(place).unwrap_or(0).min(axes.len())
        };
        let (start, end) = (bound("start", 0), bound("end", axes.len()));
        let numbers: Vec<f64> = axes.get(start..end)?.iter().map(|&axis| axis as f64).collect();
        let axes = Some(vec![numbers.len() as u64]);
        let content = Some(Content { numbers, whole: true });
        Some(Outcome { axes, content, ..Outcome::default() })
    }

    pub(super) fn size(&self) -> Option<Outcome> {
        let numbers = vec![product(self.axes(0)?) as f64];
        let content = Some(Content { numbers, whole: true });
        Some(Outcome { axes: Some(Vec::new()), content, ..Outcome::default() })
    }
}

/// Axis indices; negative ones count from the end.
pub(super) fn places(listed: &[i64], count: usize) -> Option<Vec<usize>> {
    let place = |&at: &i64| {
        let at = if at < 0 { at.checked_add(count as i64)? } else { at };
        usize::try_from(at).ok().filter(|&at| at < count)
    };
    listed.iter().map(place).collect()
}

/// Values as axis lengths.
pub(super) fn lengths(content: &Content) -> Option<Vec<u64>> {
    content.numbers.iter().map(|&n| (n >= 0.0).then_some(n as u64)).collect()
}

/// Number of elements of a shape; 0 if an axis has length 0.
pub(super) fn product(axes: &[u64]) -> u64 {
    if axes.contains(&0) { 0 } else { count(axes) }
}

/// Broadcasts two shapes, aligned at their last axes.
pub(super) fn broadcast(one: &[u64], other: &[u64]) -> Vec<u64> {
    let rank = one.len().max(other.len());
    let at = |axes: &[u64], place: usize| {
        (place + axes.len()).checked_sub(rank).map_or(1, |place| axes[place])
    };
    let length = |place| match (at(one, place), at(other, place)) {
        (1, length) | (length, 1) => length,
        (one, other) => one.max(other),
    };
    (0..rank).map(length).collect()
}
