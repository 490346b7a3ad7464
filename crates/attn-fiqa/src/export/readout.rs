//! Values computed from the score and from the mean token: quality and causes.

use super::graph::{Element, Graph, Value};
use super::vit::transposed;
use crate::causes::{CauseModel, Curve, LEAST_GAIN, NONE};
use crate::score::{FAILURE_TO_COMPUTE, QualityMap};

/// Intervals between the knots of a curve.
const INTERVALS: usize = Curve::KNOTS - 1;

/// The quality `[batch]` of the scores `[batch]`, as computed by [`QualityMap::quality`]: linear
/// between two knots, rounded half up, and −1 if the score is not a number.
pub(super) fn quality(graph: &mut Graph<'_>, score: &str, map: &QualityMap) -> Value {
    graph.enter("quality");
    let knots = map.scores();
    let count = knots.len();
    let last = (count - 1) as f32;
    let column = graph.unsqueeze(score, 1);
    let row = graph.floats(&[1, count], knots.to_vec());
    let reached = graph.op("GreaterOrEqual", &[&column, &row]);
    let reached = graph.cast(&reached, Element::F32);
    let reached = graph.reduce_sum(&reached, 1);
    let one = graph.scalar(Element::F32, 1.0);
    let below = graph.op("Sub", &[&reached, &one]);
    // Beyond the last knot, the line of the last pair is evaluated but not used.
    let below = graph.clip(&below, Element::F32, 0.0, last - 1.0);
    let index = graph.cast_to_i64(&below);
    let list = graph.floats(&[count], knots.to_vec());
    let low = graph.op("Gather", &[&list, &index]);
    let above = graph.floats(&[count - 1], knots[1..].to_vec());
    let next = graph.op("Gather", &[&above, &index]);
    let [over, width] = [score, &next].map(|value| graph.op("Sub", &[value, &low]));
    let fraction = graph.op("Div", &[&over, &width]);
    let exact = graph.op("Add", &[&below, &fraction]);
    // `Round` rounds half to even; adding a half first could carry.
    let whole = graph.op("Floor", &[&exact]);
    let rest = graph.op("Sub", &[&exact, &whole]);
    let half = graph.scalar(Element::F32, 0.5);
    let up = graph.op("GreaterOrEqual", &[&rest, &half]);
    let up = graph.cast(&up, Element::F32);
    let rounded = graph.op("Add", &[&whole, &up]);
    let bound = |graph: &mut Graph<'_>, operator: &str, knot: f32| {
        let knot = graph.scalar(Element::F32, knot);
        graph.op(operator, &[score, &knot])
    };
    let at_end = bound(graph, "GreaterOrEqual", knots[count - 1]);
    let [lowest, highest, failed] =
        [0.0, last, f32::from(FAILURE_TO_COMPUTE)].map(|value| graph.scalar(Element::F32, value));
    let quality = graph.op("Where", &[&at_end, &highest, &rounded]);
    // Neither below the first knot nor at or above it: not a number.
    let is_below = bound(graph, "Less", knots[0]);
    let outside = graph.op("Where", &[&is_below, &lowest, &failed]);
    let is_inside = bound(graph, "GreaterOrEqual", knots[0]);
    graph.op("Where", &[&is_inside, &quality, &outside])
}

/// Strengths and gains `[batch, causes]`, 0 if a cause is not named, and the probability that
/// nothing lowers the quality `[batch]`.
pub(super) struct CauseValues {
    pub(super) strengths: Value,
    pub(super) gains: Value,
    pub(super) none: Value,
}

/// Like [`CauseModel::read`], for mean tokens `[batch, dim]`.
pub(super) fn causes(graph: &mut Graph<'_>, mean: &str, model: &CauseModel) -> CauseValues {
    graph.enter("causes");
    let (dim, count) = (model.dim(), model.causes().len());
    let rows = transposed(model.weights(), dim + 1);
    let (weights, biases) = rows.split_at(dim * (count + 1));
    // The last row is that of no cause.
    let columns = |wanted: std::ops::Range<usize>| -> Vec<f32> {
        weights.chunks_exact(count + 1).flat_map(|row| row[wanted.clone()].to_vec()).collect()
    };
    let weight = graph.floats(&[dim, count], columns(0..count));
    let bias = graph.floats(&[count], biases[..count].to_vec());
    let product = graph.op("MatMul", &[mean, &weight]);
    let values = graph.op("Add", &[&product, &bias]);
    let weight = graph.floats(&[dim, 1], columns(count..count + 1));
    let bias = graph.floats(&[1], biases[count..].to_vec());
    let product = graph.op("MatMul", &[mean, &weight]);
    let logit = graph.op("Add", &[&product, &bias]);
    let none = graph.op("Sigmoid", &[&logit]);

    let places = places(graph, &values, count);
    let strengths = curves(graph, &places, model.strengths());
    let gains = curves(graph, &places, model.gains());
    let limit = graph.scalar(Element::F32, NONE as f32);
    let any = graph.op("Less", &[&none, &limit]);
    let least = graph.scalar(Element::F32, LEAST_GAIN);
    let costs = graph.op("GreaterOrEqual", &[&gains, &least]);
    let named = graph.op("And", &[&any, &costs]);
    let zero = graph.scalar(Element::F32, 0.0);
    let [strengths, gains] =
        [&strengths, &gains].map(|values| graph.op("Where", &[&named, values, &zero]));
    CauseValues { strengths, gains, none: graph.squeeze(&none, 1) }
}

/// How far each value is into each interval between two knots, 0 … 1: `[batch, causes]` to
/// `[batch, causes·intervals]`.
fn places(graph: &mut Graph<'_>, values: &str, causes: usize) -> Value {
    let all = causes * INTERVALS;
    let own = |at: usize| if at % all / INTERVALS == at / all { INTERVALS as f32 } else { 0.0 };
    let spread = graph.floats(&[causes, all], (0..causes * all).map(own).collect());
    let starts = graph.floats(&[all], (0..all).map(|at| (at % INTERVALS) as f32).collect());
    let scaled = graph.op("MatMul", &[values, &spread]);
    let into = graph.op("Sub", &[&scaled, &starts]);
    graph.clip(&into, Element::F32, 0.0, 1.0)
}

/// A curve is its first value plus its rise in every interval up to the given position.
///
/// Uses matrix products, since OpenVINO 2026.4 fuses broadcasts and a sum into wrong values.
fn curves(graph: &mut Graph<'_>, places: &str, curves: &[Curve]) -> Value {
    let count = curves.len();
    let mut rises = vec![0.0; count * INTERVALS * count];
    for (cause, curve) in curves.iter().enumerate() {
        for (interval, pair) in curve.0.windows(2).enumerate() {
            rises[(cause * INTERVALS + interval) * count + cause] = pair[1] - pair[0];
        }
    }
    let rises = graph.floats(&[count * INTERVALS, count], rises);
    let firsts = graph.floats(&[count], curves.iter().map(|curve| curve.0[0]).collect());
    let risen = graph.op("MatMul", &[places, &rises]);
    graph.op("Add", &[&risen, &firsts])
}

#[cfg(all(test, feature = "onnx"))]
mod tests {
    use super::super::graph::Axis;
    use super::*;
    use crate::onnx::{OnnxModel, Tensor};
    use crate::score::Method;
    use crate::threads::Threads;

    fn qualities(map: &QualityMap, scores: &[f32]) -> Vec<f32> {
        let mut graph = Graph::new(17);
        let score = graph.input("scores", &[Axis::Named("batch")]);
        let found = quality(&mut graph, &score, map);
        graph.output("found", &found, &[Axis::Named("batch")]);
        let mut file = Vec::new();
        graph.write(&mut file, "quality", "", &[]).expect("a file");
        let network = OnnxModel::from_bytes(file, "quality").expect("a network");
        let scores = Tensor::new(&[scores.len()], scores.to_vec()).expect("scores");
        let threads = Threads::new(None).expect("threads");
        let found = network.run(&[("scores", &scores)], &["found"], &threads).expect("a run");
        found[0].values().to_vec()
    }

    #[test]
    fn exported_quality_matches_quality_map() {
        let even: Vec<f32> = (0..101).map(|q| -3.0 + 0.02 * q as f32).collect();
        let steps: Vec<f32> = (0..101).map(|q| (q / 25) as f32).collect();
        let curve: Vec<f32> = (0..101).map(|q| (q as f32 / 10.0).sinh() - 50.0).collect();
        for knots in [even, steps, curve] {
            let map = QualityMap::new(Method::ATTN, knots.clone()).expect("a map");
            let (low, high) = (knots[0], knots[100]);
            let spread = high - low;
            let mut scores: Vec<f32> =
                (-50..1050).map(|i| low + spread * i as f32 / 1000.0).collect();
            for &knot in &knots {
                scores.extend([knot, knot.next_up(), knot.next_down()]);
            }
            scores.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN]);
            let expected: Vec<f32> =
                scores.iter().map(|&score| f32::from(map.quality(score))).collect();
            assert_eq!(qualities(&map, &scores), expected);
        }
    }
}
