//! The score as one graph.

use std::path::Path;

use super::error::ExportProblem;
use super::graph::{Axis, Element, Graph, Value};
use super::readout::{causes, quality};
use super::vit::{QueryKeyWeights, VitGraph, transposed};
use super::{ExportDtype, ExportOptions, ScoreOutput};
use crate::checkpoint::{Checkpoint, KEY_BIAS};
use crate::score::Method;
use crate::vit::config::VitConfig;

/// The description in the file.
pub(super) const ABOUT: &str = "Face image quality from the pre-softmax attention of the last \
    block (ATTN-FIQA, arXiv 2604.22841), in closed form. Input: an aligned face, RGB 0-255.";

/// A complete graph and the metadata written with it.
pub(super) struct Score<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) metadata: Vec<(String, String)>,
}

/// The method of the exported score: the engine's default.
pub(super) fn method(checkpoint: &Checkpoint) -> Method {
    if checkpoint.contains(KEY_BIAS) { Method::ATTN_CALIBRATED } else { Method::ATTN }
}

impl<'a> Score<'a> {
    pub(super) fn build(
        checkpoint: &'a Checkpoint,
        options: &ExportOptions,
    ) -> Result<Self, ExportProblem> {
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
    if checkpoint.config().landmark_bias.is_some() {
        return Err(ExportProblem::LandmarkBias);
    }
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
/// receives is `scale/H · (W_kᵀ·q̄ · x_j + q̄·b_k)`: no token-by-token matrix is computed.
fn build(mut vit: VitGraph<'_, '_>, outputs: &[ScoreOutput]) -> Result<(), ExportProblem> {
    let checkpoint = vit.checkpoint;
    let VitConfig { embed_dim: dim, num_heads, .. } = vit.config;
    let tokens = vit.last_input()?;
    let weights = QueryKeyWeights::read(checkpoint)?;
    let last = vit.config.depth - 1;
    vit.graph.enter(&format!("blocks.{last}.norm1"));
    let normed = vit.standardised(&tokens);
    vit.graph.enter("score");
    let skipped = vit.config.tokens_before_score();
    let scored = match skipped {
        0 => normed.clone(),
        _ => vit.graph.slice(&normed, 1, skipped as i64, vit.config.tokens() as i64),
    };
    let mean = vit.graph.reduce_mean(&scored, 1);
    let query = Affine {
        weight: vit.graph.floats(&[dim, dim], weights.query),
        bias: vit.graph.floats(&[dim], weights.query_bias),
    };
    let key_rows = weights.key;
    let key_weight = vit.graph.floats(&[dim, dim], key_rows.clone());
    // Keys without the fitted bias: for normalised keys it is added later, and softmax does not see
    // it.
    let is_read = vit.config.qk_norm || outputs.contains(&ScoreOutput::Embedding);
    let key = is_read.then(|| Affine {
        weight: key_weight.clone(),
        bias: vit.graph.floats(&[dim], weights.key_bias.clone()),
    });
    let fitted = match method(checkpoint) == Method::ATTN_CALIBRATED {
        true => checkpoint.read_f32(KEY_BIAS)?,
        false => vec![0.0; dim],
    };
    let norms = [format!("blocks.{last}.attn.q_norm"), format!("blocks.{last}.attn.k_norm")];
    let (mean_query, mean_key, keys) = if vit.config.qk_norm {
        // The means of normalised queries and keys are not functions of the mean token.
        let queries = query.of(vit.graph, &scored);
        let queries = vit.per_head_norm(&queries, &norms[0]);
        let key = key.as_ref().expect("made above: this is a bug");
        let keys = key.of(vit.graph, &scored);
        let keys = vit.per_head_norm(&keys, &norms[1]);
        vit.graph.enter("score");
        let fitted = vit.graph.floats(&[dim], fitted);
        let keys = vit.graph.op("Add", &[&keys, &fitted]);
        let mean_query = vit.graph.reduce_mean(&queries, 1);
        let mean_key = vit.graph.reduce_mean(&keys, 1);
        (mean_query, mean_key, Keys::Tokens(keys))
    } else {
        let own = weights.key_bias.iter();
        let bias: Vec<f32> = own.zip(fitted).map(|(own, fitted)| own + fitted).collect();
        let calibrated = Affine { weight: key_weight, bias: vit.graph.floats(&[dim], bias) };
        let mean_query = query.of(vit.graph, &mean);
        let mean_key = calibrated.of(vit.graph, &mean);
        (mean_query, mean_key, Keys::Affine { rows: key_rows, bias: calibrated.bias })
    };
    let graph = &mut *vit.graph;
    let scale = graph.scalar(Element::F32, vit.config.scale() / num_heads as f32);
    let products = graph.op("Mul", &[&mean_query, &mean_key]);
    let sum = graph.reduce_sum(&products, 1);
    let score = graph.op("Mul", &[&sum, &scale]);

    let batch = Axis::Named("batch");
    // The order in the file does not depend on that of the options.
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
                let map = map(&mut vit, &scored, &mean_query, &keys, &scale);
                let side = Axis::Fixed(vit.config.grid());
                vit.graph.output("map", &map, &[batch, side, side]);
            }
            ScoreOutput::Embedding => {
                vit.graph.enter(&format!("blocks.{last}.attn"));
                let key = key.as_ref().expect("made above: this is a bug");
                let [query, key] = [(&query, &norms[0]), (key, &norms[1])].map(|(of, norm)| {
                    let tokens = of.of(vit.graph, &normed);
                    if vit.config.qk_norm { vit.per_head_norm(&tokens, norm) } else { tokens }
                });
                let embedding = vit.embedding(&tokens, &normed, &query, &key);
                let head = vit.config.embedding_head.expect("checked: this is a bug");
                vit.graph.output("embedding", &embedding, &[batch, Axis::Fixed(head.dim())]);
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

/// A linear layer `x·W + b`, `W` `[in, out]`.
struct Affine {
    weight: Value,
    bias: Value,
}

impl Affine {
    fn of(&self, graph: &mut Graph<'_>, x: &str) -> Value {
        let product = graph.op("MatMul", &[x, &self.weight]);
        graph.op("Add", &[&product, &self.bias])
    }
}

/// What keys are computed from for the map.
enum Keys {
    /// The keys of the score's tokens, `[batch, token, dim]`.
    Tokens(Value),
    /// The weights `[in, out]` and bias of the keys: the mean query is projected to the tokens
    /// instead.
    Affine { rows: Vec<f32>, bias: Value },
}

/// The map `[batch, grid, grid]` from the score's tokens `[batch, token, dim]`: one product per
/// token, without prefix tokens.
fn map(vit: &mut VitGraph<'_, '_>, scored: &str, query: &str, keys: &Keys, scale: &str) -> Value {
    let VitConfig { embed_dim: dim, .. } = vit.config;
    let (grid, tokens) = (vit.config.grid() as i64, vit.config.tokens());
    let skipped = vit.config.tokens_before_score();
    let first = vit.config.prefix_tokens() - skipped;
    let graph = &mut *vit.graph;
    graph.enter("map");
    let patches = |graph: &mut Graph<'_>, tensor: &str| match first {
        0 => tensor.to_owned(),
        _ => graph.slice(tensor, 1, first as i64, (tokens - skipped) as i64),
    };
    let sum = match keys {
        Keys::Tokens(keys) => {
            let query = graph.unsqueeze(query, 2);
            let keys = patches(graph, keys);
            graph.op("MatMul", &[&keys, &query])
        }
        Keys::Affine { rows, bias } => {
            // A second copy of the weights: OpenVINO 2026.4 treats one constant that is used both
            // as is and transposed as the same.
            let weight = graph.floats(&[dim, dim], transposed(rows, dim));
            let towards = graph.op("MatMul", &[query, &weight]);
            let towards = graph.unsqueeze(&towards, 2);
            let patches = patches(graph, scored);
            let products = graph.op("MatMul", &[&patches, &towards]);
            let constant = graph.op("Mul", &[query, bias]);
            let constant = graph.reduce_sum(&constant, 1);
            let constant = graph.reshape(&constant, &[-1, 1, 1]);
            graph.op("Add", &[&products, &constant])
        }
    };
    let scaled = graph.op("Mul", &[&sum, scale]);
    graph.reshape(&scaled, &[-1, grid, grid])
}

/// The file name without its folders, which are private.
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
        ("tokens", checkpoint.config().score_tokens.name().to_owned()),
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
