//! Anybody's network in an ONNX file, run by `rten`.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use rten::{Dimension, Model, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::Layout;
#[cfg(feature = "builtin-model")]
use sha2::{Digest, Sha256};

use crate::detect::DetectorError;
use crate::detect::format::{InputSize, Output};
use crate::threads::Threads;

/// The most bytes of a detector's file: those in use have 0.2 to 20 MB.
const MAX_BYTES: u64 = 256 << 20;

/// Width and height of the first run, where the network leaves them open. Not
/// square, so that exchanged sides are found out.
const TRIAL: InputSize = InputSize { width: 128, height: 96 };

/// The longest side that a network may fix: more than any detector's.
const MAX_FIXED_SIDE: usize = 4096;

pub(in crate::detect) struct OnnxNetwork {
    name: String,
    model: Model,
    input: NodeId,
    outputs: Vec<(NodeId, String)>,
    fixed: Option<InputSize>,
    builtin: bool,
    pool: Arc<ThreadPool>,
}

impl OnnxNetwork {
    pub(in crate::detect) fn open(path: &Path, threads: &Threads) -> Result<Self, DetectorError> {
        let name = path.display().to_string();
        let unreadable = |source| DetectorError::Unreadable { name: name.clone(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(DetectorError::TooLarge { name, limit: MAX_BYTES });
        }
        Self::from_bytes(bytes, &name, threads)
    }

    pub(in crate::detect) fn from_bytes(
        bytes: Vec<u8>,
        name: &str,
        threads: &Threads,
    ) -> Result<Self, DetectorError> {
        let not_onnx = |what| DetectorError::NotOnnx { name: name.to_owned(), what };
        let builtin = is_builtin(&bytes);
        // The reader is other people's code, fed with bytes from anywhere.
        let loaded = catch_unwind(AssertUnwindSafe(|| Model::load(bytes)));
        let model = loaded
            .map_err(|_| not_onnx("its data are damaged".to_owned()))?
            .map_err(|error| not_onnx(error.to_string()))?;
        let bad_input = || DetectorError::BadInput {
            name: name.to_owned(),
            found: describe(&model, model.input_ids()),
        };
        let &[input] = model.input_ids() else { return Err(bad_input()) };
        let shape = model.node_info(input).and_then(|node| node.shape()).ok_or_else(bad_input)?;
        let [_, channels, height, width] = &shape[..] else { return Err(bad_input()) };
        if matches!(channels, Dimension::Fixed(channels) if *channels != 3) {
            return Err(bad_input());
        }
        let fixed = match (width, height) {
            (&Dimension::Fixed(width), &Dimension::Fixed(height)) => {
                let known = 1..=MAX_FIXED_SIDE;
                if !known.contains(&width) || !known.contains(&height) {
                    return Err(bad_input());
                }
                Some(InputSize { width, height })
            }
            _ => None,
        };
        let outputs = model
            .output_ids()
            .iter()
            .map(|&id| {
                let name = model.node_info(id).and_then(|node| node.name().map(str::to_owned));
                (id, name.unwrap_or_default())
            })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            model,
            input,
            outputs,
            fixed,
            builtin,
            pool: threads.pool(),
        })
    }

    /// The only input size that the network takes, if there is such a one.
    pub(in crate::detect) fn fixed_size(&self) -> Option<InputSize> {
        self.fixed
    }

    /// Whether the file is `models/detector.onnx`, which the built-in weights come from.
    pub(in crate::detect) fn is_builtin(&self) -> bool {
        self.builtin
    }

    /// What comes out for a black picture.
    pub(in crate::detect) fn try_out(&self) -> Result<(Vec<Output>, InputSize), DetectorError> {
        let input = self.fixed.unwrap_or(TRIAL);
        let black = vec![0.0; 3 * input.width * input.height];
        let outputs = self
            .run(black, input)
            .map_err(|what| DetectorError::DoesNotRun { name: self.name.clone(), what })?;
        Ok((outputs, input))
    }

    /// Every output for an input `[1, 3, height, width]`, or what the runtime says.
    pub(in crate::detect) fn run(
        &self,
        planes: Vec<f32>,
        size: InputSize,
    ) -> Result<Vec<Output>, String> {
        let input = Value::from_shape([1, 3, size.height, size.width], planes)
            .map_err(|error| error.to_string())?;
        let wanted: Vec<NodeId> = self.outputs.iter().map(|&(id, _)| id).collect();
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        // An operator that meets sizes it was not made for may panic.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.model.run(vec![(self.input, input.into())], &wanted, Some(options))
        }));
        let values = ran
            .map_err(|_| "the network's runtime gave up".to_owned())?
            .map_err(|error| error.to_string())?;
        values
            .into_iter()
            .zip(&self.outputs)
            .map(|(value, (_, name))| {
                let tensor = value
                    .into_tensor::<f32>()
                    .ok_or_else(|| format!("output '{name}' does not hold 32-bit numbers"))?;
                let shape = tensor.shape().to_vec();
                Ok(Output { name: name.clone(), shape, values: tensor.into_data() })
            })
            .collect()
    }
}

/// Whether these are the bytes of the ONNX file that the built-in weights come from.
#[cfg(feature = "builtin-model")]
fn is_builtin(bytes: &[u8]) -> bool {
    bytes.len() == attn_fiqa_models::DETECTOR_ONNX_BYTES
        && Sha256::digest(bytes)[..] == attn_fiqa_models::DETECTOR_ONNX_SHA256
}

/// Without built-in weights nothing is known of them.
#[cfg(not(feature = "builtin-model"))]
fn is_builtin(_: &[u8]) -> bool {
    false
}

/// Names and shapes, `?` for what is left open.
fn describe(model: &Model, nodes: &[NodeId]) -> String {
    let side = |dimension: &Dimension| match dimension {
        Dimension::Fixed(length) => length.to_string(),
        Dimension::Symbolic(_) => "?".to_owned(),
    };
    let nodes = nodes.iter().filter_map(|&id| model.node_info(id)).map(|node| {
        let shape = node.shape().unwrap_or_default();
        let shape: Vec<String> = shape.iter().map(side).collect();
        format!("'{}' [{}]", node.name().unwrap_or_default(), shape.join(", "))
    });
    let described = nodes.collect::<Vec<_>>().join(", ");
    if described.is_empty() { "nothing".to_owned() } else { described }
}
