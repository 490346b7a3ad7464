//! The inputs and outputs of a network.

use std::fmt;

/// Values with a shape, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    /// `None` unless the number of values matches the shape.
    pub fn new(shape: &[usize], values: Vec<f32>) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side))?;
        (count == values.len()).then(|| Self { shape: shape.to_vec(), values })
    }

    /// Length of each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, with the last axis varying fastest.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, by value.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// One axis of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always of this length.
    Fixed(usize),
    /// Of any length; axes with the same name have the same length.
    Named(String),
}

impl Dim {
    /// The length, if the file fixes it.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(length) => Some(*length),
            Self::Named(_) => None,
        }
    }
}

/// An input or output of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// The name by which it is addressed.
    pub name: String,
    /// Its axes; `None` if the file does not declare their number.
    pub shape: Option<Vec<Dim>>,
    /// Whether it is declared as f32, or nothing is declared.
    pub is_f32: bool,
}

impl TensorInfo {
    /// Whether a tensor of this shape is accepted.
    pub fn takes(&self, shape: &[usize]) -> bool {
        self.shape.as_ref().is_none_or(|axes| {
            axes.len() == shape.len()
                && axes.iter().zip(shape).all(|(dim, &side)| dim.fixed().is_none_or(|f| f == side))
        })
    }

    /// The shape as text: `[batch, 3, 112, 112]`, or `any shape` if not declared.
    pub fn shape_text(&self) -> String {
        let Some(axes) = &self.shape else { return "any shape".to_owned() };
        let axes: Vec<String> = axes
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(length) => length.to_string(),
                Dim::Named(name) => crate::sanitize::sanitized(name),
            })
            .collect();
        format!("[{}]", axes.join(", "))
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' {}", crate::sanitize::sanitized(&self.name), self.shape_text())
    }
}

/// Inputs or outputs as text for messages.
pub(crate) fn list_tensors<'a>(tensors: impl Iterator<Item = &'a TensorInfo>) -> String {
    /// A detector has up to twelve outputs.
    const MAX_LISTED_TENSORS: usize = 16;
    let mut tensors = tensors.map(ToString::to_string);
    let mut listed: Vec<String> = tensors.by_ref().take(MAX_LISTED_TENSORS).collect();
    listed.extend(tensors.next().map(|_| "…".to_owned()));
    if listed.is_empty() {
        "nothing".to_owned()
    } else {
        crate::sanitize::sanitized(&listed.join(", "))
    }
}
