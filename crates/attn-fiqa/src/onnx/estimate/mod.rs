//! Estimates a network's memory and time from its graph, before it is built or run.
//!
//! `rten` bounds neither. Here, the shape of every node's output is inferred in advance from the
//! input shapes, for the operators of face networks ([`shape`]); small integer tensors are
//! evaluated as well ([`content`]), because networks compute shapes with them. A network is refused
//! if a tensor, all tensors together or the arithmetic would be larger than in any face network, if
//! it uses another operator, or if its tensor sizes depend on pixel values.

mod content;
mod layout;
mod shape;
#[cfg(test)]
mod tests;
mod windows;

use super::error::OnnxProblem;
use super::graph::{Constant, Content, Graph, MAX_AXES, MAX_KEPT_ELEMENTS, Node, as_stored};
use crate::sanitize::sanitized;
use shape::{Call, Outcome};

/// The fuzzer runs every network, so its limits are smaller by this many bits.
const FUZZING_SHIFT: u32 = if cfg!(fuzzing) { 10 } else { 0 };

/// Maximum elements of one tensor: 1 GiB in f32.
const MAX_TENSOR_ELEMENTS: u64 = 1 << (28 - FUZZING_SHIFT);

/// Maximum elements of all computed tensors: 4 GiB in f32 if none were freed. SCRFD-10G needs half
/// of that for an image of 1920×1920 pixels, ViT-L a tenth for a face.
const MAX_TOTAL_ELEMENTS: u64 = 1 << (30 - FUZZING_SHIFT);

/// Maximum multiplications, or steps of equal cost: about ten to thirty seconds on two cores. ViT-L
/// needs a twentieth of that for a face.
const MAX_OPERATIONS: u64 = 1 << (40 - FUZZING_SHIFT);

/// Cost of reading or writing one element, in multiplications.
const NUMBER_COST: u64 = 8;

/// Maximum elements of one integer vector, and of all together: `rten` keeps vectors as expressions
/// during shape inference, forty bytes per element.
const MAX_VECTOR_ELEMENTS: u64 = 1 << (20 - FUZZING_SHIFT);
const MAX_TOTAL_VECTOR_ELEMENTS: u64 = 1 << (22 - FUZZING_SHIFT);

/// Longest chain of nodes: `rten` sorts them recursively. Face networks have up to 1,500.
const LONGEST_CHAIN: usize = 4096;

/// What is known about a value in advance.
#[derive(Debug, Clone, Default)]
struct Value {
    /// Its shape, if known.
    axes: Option<Vec<u64>>,
    content: Option<Content>,
    /// Whether it depends on constants only; `rten` then computes it while loading.
    constant: bool,
    /// Length of the longest chain of nodes from an input to this value.
    chain: usize,
}

/// Checks a graph whose inputs have these shapes, in order. `None` is a shape that is not yet
/// known: whatever depends on it is not checked here and must be checked before the network is run.
///
/// # Errors
///
/// If the network exceeds the limits or uses unsupported operators.
pub(super) fn check(
    graph: &Graph,
    inputs: &[Option<Vec<u64>>],
) -> Result<DeclaredShapes, OnnxProblem> {
    let values = evaluate(graph, inputs)?;
    Ok(if declared_shapes_hold(graph, &values) {
        DeclaredShapes::Consistent
    } else {
        DeclaredShapes::Inconsistent
    })
}

/// Infers what can be known about every value.
fn evaluate(graph: &Graph, inputs: &[Option<Vec<u64>>]) -> Result<Vec<Option<Value>>, OnnxProblem> {
    let mut values: Vec<Option<Value>> = vec![None; graph.names.len()];
    let define = |values: &mut Vec<Option<Value>>, id: usize, value: Value| {
        let slot = &mut values[id];
        if slot.is_some() {
            return Err(OnnxProblem::NotOnnx("two of its values have the same name"));
        }
        *slot = Some(value);
        Ok(())
    };
    let mut total = Total::default();
    for (id, constant) in &graph.constants {
        define(&mut values, *id, Value::of(constant))?;
    }
    let (constants, nodes): (Vec<&Node>, Vec<&Node>) =
        graph.nodes.iter().partition(|node| node.operator == "Constant");
    for node in constants {
        let id = node.outputs.first().copied().flatten();
        let id = id.ok_or(OnnxProblem::NotOnnx("a constant has no name"))?;
        define(&mut values, id, Value::of(&shape::constant(node)))?;
    }
    for ((id, _), axes) in graph.inputs.iter().zip(inputs) {
        if let Some(axes) = axes {
            total.add("the input", axes, 0)?;
        }
        define(&mut values, *id, Value { axes: axes.clone(), ..Value::default() })?;
    }
    for node in nodes {
        let about = |what: String| {
            let (name, operator) = (sanitized(&node.name), sanitized(&node.operator));
            OnnxProblem::TooCostly { detail: format!("the node '{name}' ({operator}) {what}") }
        };
        let mut given = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            given.push(match id {
                None => None,
                Some(id) => Some(values[*id].as_ref().ok_or(OnnxProblem::NotOnnx(
                    "a node uses a value that no earlier node computes",
                ))?),
            });
        }
        let known = given.iter().flatten();
        let constant = known.clone().all(|value| value.constant);
        let chain = 1 + known.clone().map(|value| value.chain).max().unwrap_or(0);
        let all_known = known.clone().all(|value| value.axes.is_some());
        if chain > LONGEST_CHAIN {
            return Err(about(format!("is at the end of a chain of more than {LONGEST_CHAIN}")));
        }
        let call = Call { node, given: &given };
        let outcome = shape::of(&call).ok_or_else(|| OnnxProblem::Load {
            opset: opset_text(graph.opset),
            detail: format!(
                "the node '{}' uses the operator {}, which is not one that face networks use",
                sanitized(&node.name),
                sanitized(&node.operator)
            ),
        })?;
        let read: u64 = known.filter_map(|value| value.axes.as_deref()).map(count).fold(0, add);
        total.operations = add(total.operations, read.saturating_mul(NUMBER_COST));
        total.numbers = add(total.numbers, outcome.scratch);
        match &outcome.axes {
            Some(axes) => {
                for _ in node.outputs.iter().flatten() {
                    total.add(
                        &format!("the node '{}'", sanitized(&node.name)),
                        axes,
                        outcome.operations,
                    )?;
                }
            }
            // Becomes known with the input shape.
            None if !all_known && !constant => {}
            None => {
                return Err(about("gives a tensor whose size is not known in advance".into()));
            }
        }
        let Outcome { axes, content, parts, .. } = outcome;
        let value = Value { axes, content, constant, chain };
        for (index, id) in node.outputs.iter().enumerate() {
            let Some(id) = id else { continue };
            let mut value = value.clone();
            if index > 0 {
                value.content = None;
            }
            if let (Some((place, parts)), Some(axes)) = (&parts, &mut value.axes) {
                axes[*place] = parts[index];
            }
            define(&mut values, *id, value)?;
        }
    }
    if graph.outputs.iter().any(|&id| values[id].is_none()) {
        return Err(OnnxProblem::NotOnnx("no node computes an output"));
    }
    Ok(values)
}

/// Whether the shapes that a file declares for intermediate values are correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeclaredShapes {
    /// They are correct, or nothing is computed from them.
    Consistent,
    /// They are wrong or unknown: `rten` would compute with incorrect shapes.
    Inconsistent,
}

fn declared_shapes_hold(graph: &Graph, values: &[Option<Value>]) -> bool {
    let reads_shapes =
        graph.nodes.iter().any(|node| matches!(node.operator.as_str(), "Shape" | "Size"));
    graph.described.iter().all(|(id, described)| {
        match values[*id].as_ref().map(|value| value.axes.as_ref()) {
            None => true,
            Some(None) => !reads_shapes || described.iter().all(Option::is_none),
            Some(Some(found)) => {
                found.len() == described.len()
                    && found.iter().zip(described).all(|(f, d)| d.is_none_or(|d| d == *f))
            }
        }
    })
}

pub(super) fn opset_text(opset: Option<u64>) -> String {
    opset.map_or_else(|| "not stated".to_owned(), |opset| opset.to_string())
}

impl Value {
    fn of(constant: &Constant) -> Self {
        let axes = Some(constant.axes.clone());
        Self { axes, content: constant.content.clone(), constant: true, chain: 0 }
    }
}

/// Running totals over all nodes.
#[derive(Default)]
struct Total {
    numbers: u64,
    vectors: u64,
    operations: u64,
}

impl Total {
    /// Adds a tensor and the cost of computing it.
    fn add(&mut self, whose: &str, axes: &[u64], operations: u64) -> Result<(), OnnxProblem> {
        let too_costly = |what: String| OnnxProblem::TooCostly { detail: what };
        if axes.len() > MAX_AXES {
            return Err(too_costly(format!("{whose} has a tensor of {} axes", axes.len())));
        }
        let numbers = count(axes);
        if numbers > MAX_TENSOR_ELEMENTS {
            return Err(too_costly(format!(
                "{whose} has a tensor of {axes:?}; at most {MAX_TENSOR_ELEMENTS} numbers are accepted"
            )));
        }
        if axes.len() < 2 {
            self.vectors = add(self.vectors, numbers);
            if numbers > MAX_VECTOR_ELEMENTS || self.vectors > MAX_TOTAL_VECTOR_ELEMENTS {
                return Err(too_costly(format!("{whose} makes vectors of {numbers} numbers")));
            }
        }
        self.numbers = add(self.numbers, numbers);
        self.operations = add(self.operations, operations);
        self.operations = add(self.operations, numbers.saturating_mul(NUMBER_COST));
        if self.numbers > MAX_TOTAL_ELEMENTS {
            return Err(too_costly(format!(
                "up to {whose} its tensors hold more than {MAX_TOTAL_ELEMENTS} numbers"
            )));
        }
        if self.operations > MAX_OPERATIONS {
            return Err(too_costly(format!(
                "up to {whose} it takes more than {MAX_OPERATIONS} multiplications"
            )));
        }
        Ok(())
    }
}

fn add(sum: u64, more: u64) -> u64 {
    sum.saturating_add(more)
}

/// Number of elements of a tensor. An axis of length 0 must not hide the overflow of another,
/// because runtimes may multiply in a different order.
fn count(axes: &[u64]) -> u64 {
    axes.iter().fold(1, |product: u64, &axis| product.saturating_mul(axis.max(1)))
}
