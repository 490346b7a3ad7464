//! A detector from an ONNX file, opened and run by [`crate::onnx`].

use std::path::Path;

#[cfg(feature = "builtin-model")]
use sha2::{Digest, Sha256};

use crate::detect::DetectorError;
use crate::detect::format::{InputSize, Output};
use crate::onnx::{OnnxModel, Tensor, list_tensors};
use crate::threads::Threads;

/// Width and height of the trial run, if the network leaves them open. Not square, so that swapped
/// axes are detected.
const TRIAL: InputSize = InputSize { width: 128, height: 96 };

/// Largest accepted fixed side, in pixels: more than any detector's.
const MAX_FIXED_SIDE: usize = 4096;

pub(in crate::detect) struct OnnxNetwork {
    model: OnnxModel,
    input: String,
    outputs: Vec<String>,
    fixed: Option<InputSize>,
    builtin: bool,
    threads: Threads,
}

impl OnnxNetwork {
    pub(in crate::detect) fn open(path: &Path, threads: &Threads) -> Result<Self, DetectorError> {
        Self::from_bytes(crate::onnx::read_file(path)?, &path.display().to_string(), threads)
    }

    pub(in crate::detect) fn from_bytes(
        bytes: Vec<u8>,
        name: &str,
        threads: &Threads,
    ) -> Result<Self, DetectorError> {
        let builtin = is_builtin(&bytes);
        let model = OnnxModel::from_bytes(bytes, name)?;
        let bad_input = || DetectorError::BadInput {
            name: name.to_owned(),
            found: list_tensors(model.inputs()),
        };
        let (Some(input), 1) = (model.inputs().next(), model.inputs().len()) else {
            return Err(bad_input());
        };
        let shape = input.shape.as_deref().unwrap_or_default();
        let [_, channels, height, width] = shape else { return Err(bad_input()) };
        if channels.fixed().is_some_and(|channels| channels != 3) {
            return Err(bad_input());
        }
        let fixed = match (width.fixed(), height.fixed()) {
            (Some(width), Some(height)) => {
                let known = 1..=MAX_FIXED_SIDE;
                if !known.contains(&width) || !known.contains(&height) {
                    return Err(bad_input());
                }
                Some(InputSize { width, height })
            }
            _ => None,
        };
        let input = input.name.clone();
        let outputs = model.outputs().map(|output| output.name.clone()).collect();
        Ok(Self { model, input, outputs, fixed, builtin, threads: threads.clone() })
    }

    /// The threads on which it runs.
    pub(in crate::detect) fn threads(&self) -> &Threads {
        &self.threads
    }

    /// The only input size that the network accepts, if it is fixed.
    pub(in crate::detect) fn fixed_size(&self) -> Option<InputSize> {
        self.fixed
    }

    /// Whether the file is `models/detector.onnx`, the source of the built-in weights.
    pub(in crate::detect) fn is_builtin(&self) -> bool {
        self.builtin
    }

    /// The outputs for a black image.
    pub(in crate::detect) fn try_out(&self) -> Result<(Vec<Output>, InputSize), DetectorError> {
        let input = self.fixed.unwrap_or(TRIAL);
        let black = vec![0.0; 3 * input.width * input.height];
        let outputs = self.run(black, input).map_err(|what| DetectorError::DoesNotRun {
            name: self.model.file().to_owned(),
            what,
        })?;
        Ok((outputs, input))
    }

    /// Every output for an input `[1, 3, height, width]`, or the runtime's error.
    pub(in crate::detect) fn run(
        &self,
        planes: Vec<f32>,
        size: InputSize,
    ) -> Result<Vec<Output>, String> {
        let input = Tensor::new(&[1, 3, size.height, size.width], planes)
            .expect("as many numbers as pixels: this is a bug");
        let wanted: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let tensors = self
            .model
            .run(&[(&self.input, &input)], &wanted, &self.threads)
            .map_err(|error| error.problem.to_string())?;
        let outputs = tensors.into_iter().zip(&self.outputs).map(|(tensor, name)| Output {
            name: name.clone(),
            shape: tensor.shape().to_vec(),
            values: tensor.into_values(),
        });
        Ok(outputs.collect())
    }
}

/// Whether these are the bytes of the ONNX file from which the built-in weights come.
#[cfg(feature = "builtin-model")]
fn is_builtin(bytes: &[u8]) -> bool {
    bytes.len() == attn_fiqa_models::DETECTOR_ONNX_BYTES
        && Sha256::digest(bytes)[..] == attn_fiqa_models::DETECTOR_ONNX_SHA256
}

/// Without built-in weights, no file can be recognised.
#[cfg(not(feature = "builtin-model"))]
fn is_builtin(_: &[u8]) -> bool {
    false
}
