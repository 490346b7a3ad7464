//! The score as one graph.

use std::path::Path;

use super::error::ExportProblem;
use super::graph::{Axis, Element, Graph, Value};
use super::readout::{causes, quality};
use super::vit::{QueryKeyWeights, VitGraph, transposed};
use super::{ExportDtype, ExportOptions, OPSETS, ScoreOutput};
use crate::checkpoint::{Checkpoint, KEY_BIAS};
use crate::score::Method;
use crate::vit::config::VitConfig;

/// The description in the file.
pub(super) const ABOUT: &str = "Face image quality from the pre-softmax attention of the last \
    block (ATTN-FIQA, arXiv 2604.22841), in closed form. Input: an aligned face, RGB 0-255.";

/// A complete graph and what is written beside it.
pub(super) struct Score<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) metadata: Vec<(String, String)>,
}

/// The method whose score is exported: the engine's default.
pub(super) fn method(checkpoint: &Checkpoint) -> Method {
    if checkpoint.contains(KEY_BIAS) { Method::ATTN_CALIBRATED } else { Method::ATTN }
}

impl<'a> Score<'a> {
    pub(super) fn build(
        checkpoint: &'a Checkpoint,
        options: &ExportOptions,
    ) -> Result<Self, ExportProblem> {
        if !OPSETS.contains(&options.opset) {
            return Err(ExportProblem::Opset { found: options.opset });
        }
        let outputs = options.outputs.clone().unwrap_or_else(|| ScoreOutput::available(checkpoint));
        check(checkpoint, &outputs)?;
        let mut graph = Graph::new(options.opset);
        let element = match options.dtype {
            ExportDtype::F32 => Element::F32,
            ExportDtype::F16 => Element::F16,
        };
        let config = *checkpoint.config();
        build(VitGraph { graph: &mut graph, checkpoint, config, element }, &outputs)?;
        let metadata = metadata(checkpoint, options);
        Ok(Self { graph, metadata })
    }
}

fn check(checkpoint: &Checkpoint, outputs: &[ScoreOutput]) -> Result<(), ExportProblem> {
    if outputs.is_empty() {
        return Err(ExportProblem::NoOutputs);
    }
    let calibration = checkpoint.calibration();
    for output in outputs {
        match (output, calibration) {
            (ScoreOutput::Quality, None) => return Err(ExportProblem::NoQuality),
            (ScoreOutput::Quality, Some(calibration)) => {
                let (found, exported) = (calibration.quality.method(), method(checkpoint));
                if found != exported {
                    return Err(ExportProblem::OtherMethod { found, exported });
                }
            }
            (ScoreOutput::Causes, calibration)
                if calibration.is_none_or(|found| found.causes.is_none()) =>
            {
                return Err(ExportProblem::NoCauses);
            }
            (ScoreOutput::Embedding, _) if checkpoint.config().embedding_head.is_none() => {
                return Err(ExportProblem::NoEmbedding);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The mean over heads, queries and keys of `scale·q·kᵀ` is `scale/H · q̄·k̄`, and what patch j
/// receives is `scale/H · (W_kᵀ·q̄ · x_j + q̄·b_k)`: no matrix of tokens by tokens is made.
fn build(mut vit: VitGraph<'_, '_>, outputs: &[ScoreOutput]) -> Result<(), ExportProblem> {
    let checkpoint = vit.checkpoint;
    let VitConfig { embed_dim: dim, num_heads, .. } = vit.config;
    let tokens = vit.last_input()?;
    let weights = QueryKeyWeights::read(checkpoint)?;
    let last = vit.config.depth - 1;
    vit.graph.enter(&format!("blocks.{last}.norm1"));
    let normed = vit.standardised(&tokens);
    vit.graph.enter("score");
    let graph = &mut *vit.graph;
    let mean = graph.reduce_mean(&normed, 1);
    let query_weight = graph.floats(&[dim, dim], weights.query);
    let key_rows = weights.key;
    let key_weight = graph.floats(&[dim, dim], key_rows.clone());
    let query_bias = graph.floats(&[dim], weights.query_bias);
    let own_bias = weights.key_bias;
    let calibrated = match method(checkpoint) == Method::ATTN_CALIBRATED {
        true => {
            let fitted = checkpoint.read_f32(KEY_BIAS)?;
            own_bias.iter().zip(fitted).map(|(own, fitted)| own + fitted).collect()
        }
        false => own_bias.clone(),
    };
    let key_bias = graph.floats(&[dim], calibrated);
    let affine = |graph: &mut Graph<'_>, x: &str, weight: &str, bias: &str| {
        let product = graph.op("MatMul", &[x, weight]);
        graph.op("Add", &[&product, bias])
    };
    let mean_query = affine(graph, &mean, &query_weight, &query_bias);
    let mean_key = affine(graph, &mean, &key_weight, &key_bias);
    let scale = graph.scalar(Element::F32, vit.config.scale() / num_heads as f32);
    let products = graph.op("Mul", &[&mean_query, &mean_key]);
    let sum = graph.reduce_sum(&products, 1);
    let score = graph.op("Mul", &[&sum, &scale]);

    let batch = Axis::Named("batch");
    // The order of the files does not depend on that of the options.
    for output in ScoreOutput::ALL.into_iter().filter(|output| outputs.contains(output)) {
        let calibration = checkpoint.calibration();
        match output {
            ScoreOutput::Score => vit.graph.output("score", &score, &[batch]),
            ScoreOutput::Quality => {
                let map = &calibration.expect("checked: this is a bug").quality;
                let quality = quality(vit.graph, &score, map);
                vit.graph.output("quality", &quality, &[batch]);
            }
            ScoreOutput::Map => {
                // A second copy of the weights: OpenVINO 2026.4 takes one constant that is used
                // both as it is and transposed for the same.
                let rows = transposed(&key_rows, dim);
                let weight = vit.graph.floats(&[dim, dim], rows);
                let of = Received { query: &mean_query, weight: &weight, bias: &key_bias };
                let map = map(&mut vit, &normed, of, &scale);
                let side = Axis::Fixed(vit.config.grid());
                vit.graph.output("map", &map, &[batch, side, side]);
            }
            ScoreOutput::Embedding => {
                vit.graph.enter(&format!("blocks.{last}.attn"));
                // Softmax does not see a key bias, so the checkpoint's own is used.
                let bias = vit.graph.floats(&[dim], own_bias.clone());
                let query = affine(vit.graph, &normed, &query_weight, &query_bias);
                let key = affine(vit.graph, &normed, &key_weight, &bias);
                let embedding = vit.embedding(&tokens, &normed, &query, &key);
                let head = vit.config.embedding_head.expect("checked: this is a bug");
                vit.graph.output("embedding", &embedding, &[batch, Axis::Fixed(head.dim)]);
            }
            ScoreOutput::Causes => {
                let model = calibration.and_then(|found| found.causes.as_ref());
                let model = model.expect("checked: this is a bug");
                let found = causes(vit.graph, &mean, model);
                let list = [batch, Axis::Fixed(model.causes().len())];
                vit.graph.output("causes", &found.strengths, &list);
                vit.graph.output("cause_gains", &found.gains, &list);
                vit.graph.output("none_probability", &found.none, &[batch]);
            }
        }
    }
    Ok(())
}

/// What the attention received by each patch is computed from.
struct Received<'v> {
    /// Mean queries `[batch, dim]`.
    query: &'v str,
    /// The weights of the keys, `[out, in]`.
    weight: &'v str,
    bias: &'v str,
}

/// The map `[batch, grid, grid]`: one product per token, the class token left out.
fn map(vit: &mut VitGraph<'_, '_>, normed: &str, of: Received<'_>, scale: &str) -> Value {
    let (grid, class_token) = (vit.config.grid() as i64, vit.config.class_token);
    let tokens = vit.config.tokens() as i64;
    let graph = &mut *vit.graph;
    graph.enter("map");
    let towards = graph.op("MatMul", &[of.query, of.weight]);
    let towards = graph.unsqueeze(&towards, 2);
    let patches = match class_token {
        true => graph.slice(normed, 1, 1, tokens),
        false => normed.to_owned(),
    };
    let products = graph.op("MatMul", &[&patches, &towards]);
    let constant = graph.op("Mul", &[of.query, of.bias]);
    let constant = graph.reduce_sum(&constant, 1);
    let constant = graph.reshape(&constant, &[-1, 1, 1]);
    let sum = graph.op("Add", &[&products, &constant]);
    let scaled = graph.op("Mul", &[&sum, scale]);
    graph.reshape(&scaled, &[-1, grid, grid])
}

/// The file's name without its folders, which are nobody else's business.
fn model_name(checkpoint: &Checkpoint) -> String {
    let file = Path::new(checkpoint.file());
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn metadata(checkpoint: &Checkpoint, options: &ExportOptions) -> Vec<(String, String)> {
    let inspection = checkpoint.inspect();
    let weights = match options.dtype {
        ExportDtype::F32 => "float32",
        ExportDtype::F16 => "float16",
    };
    let mut entries = vec![
        ("network", "score".to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("licence", options.licence.clone().unwrap_or_else(|| "not stated".to_owned())),
        ("model", model_name(checkpoint)),
        ("model_sha256", inspection.sha256),
        ("method", method(checkpoint).to_string()),
        ("weights", weights.to_owned()),
    ];
    if let Some(calibration) = checkpoint.calibration() {
        entries.push(("calibration", calibration.id().to_owned()));
        if let Some(model) = &calibration.causes {
            let names: Vec<&str> = model.causes().iter().map(|cause| cause.name()).collect();
            entries.push(("causes", names.join(",")));
        }
    }
    entries.into_iter().map(|(key, value)| (format!("attn_fiqa.{key}"), value)).collect()
}
