//! The back end that runs an engine's network: the CPU, or another device.
//!
//! A score needs one vector per crop: the mean over tokens of the last block's normalized input,
//! `m` (definitions §2). [`Backend::forward`] returns only that, so activations stay on the device
//! and only `dim` numbers per crop are returned. Maps, embeddings and the paper's ablations need
//! [`Backend::forward_with`], which a back end may omit; the engine then refuses such requests
//! before any image is read.
//!
//! What follows (the last block's queries and keys, the key bias, the embedding head) is
//! computed by the engine and is the same for every back end.

use attn_fiqa_kernels::Precision;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::crop::Crop;
use crate::vit::QueryKey;
use crate::vit::config::VitConfig;

/// A loaded network: pixels in, tokens out.
///
/// The result for a crop must not depend on its batch.
pub trait Backend: Send + Sync {
    /// The shape of the network.
    fn config(&self) -> &VitConfig;

    /// The precision of the blocks' products.
    fn precision(&self) -> Precision;

    /// A name for reports, such as `cpu avx512`.
    fn name(&self) -> String;

    /// Maximum number of crops per call of [`Backend::forward`]; at least 1.
    fn max_batch(&self) -> usize;

    /// The mean token of each crop: the tokens of the last block's input, each brought to zero mean
    /// and unit variance as `norm1` does before its affine part, averaged.
    ///
    /// `crops` are `image_size` on a side and at most [`Backend::max_batch`]; `mean_tokens` is
    /// `[crop, dim]` and is overwritten. A network with a landmark bias
    /// ([`VitConfig::landmark_bias`]) reads [`Crop::landmarks`], or uses those of the template if a
    /// crop has none.
    ///
    /// # Errors
    ///
    /// If the batch could not be computed; the contents of `mean_tokens` are then unspecified.
    fn forward(&self, crops: &[&Crop], mean_tokens: &mut [f64]) -> Result<(), BackendError>;

    /// Whether [`Backend::forward_with`] and [`Backend::query_key`] are available.
    fn gives_tokens(&self) -> bool {
        false
    }

    /// Token matrices, one result per crop, in the order of the crops.
    ///
    /// # Errors
    ///
    /// If the batch could not be computed, or this back end does not return tokens.
    fn forward_with(
        &self,
        crops: &[&Crop],
        wanted: &ForwardOptions<'_>,
    ) -> Result<Vec<ForwardOutput>, BackendError> {
        let _ = (crops, wanted);
        Err(BackendError::new(self.name(), "it gives mean tokens only"))
    }

    /// Returns the buffers of results to the back end, so that none are allocated in the steady
    /// state.
    fn recycle(&self, outputs: Vec<ForwardOutput>) {
        drop(outputs);
    }

    /// The queries and keys of a block before the last one, for its attention statistics; `None` if
    /// this back end has none.
    fn query_key(&self, block: usize) -> Option<&QueryKey> {
        let _ = block;
        None
    }
}

/// The parts of a forward pass that [`Backend::forward_with`] returns. Blocks after the last one
/// listed are not computed unless `last_output` or `dropout_passes` need them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForwardOptions<'a> {
    /// The blocks whose inputs are returned, ascending.
    pub block_inputs: &'a [usize],
    /// Whether the last block's output is returned.
    pub last_output: bool,
    /// How many times the last block is run again with a fifth of its activations dropped
    /// at random, the same ones for every crop.
    pub dropout_passes: u64,
}

/// The output of one forward pass for one crop; each matrix is `[token, dim]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForwardOutput {
    /// Index and input of every requested block, ascending.
    pub block_inputs: Vec<(usize, Vec<f32>)>,
    /// The last block's output, if requested.
    pub last_output: Option<Vec<f32>>,
    /// The last block's output of every pass with dropout.
    pub dropout_outputs: Vec<Vec<f32>>,
}

/// Loads networks for one device.
pub trait BackendLoader: Sync {
    /// The precisions that are faster than f32 on this device, fastest first.
    fn faster_than_f32(&self) -> Vec<Precision>;

    /// Loads a network with the products of its blocks in `precision`; with `whole`, the last block
    /// is loaded in full, which [`ForwardOptions::last_output`] needs.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read or the device does not accept the network.
    fn load(
        &self,
        checkpoint: &Checkpoint,
        precision: Precision,
        whole: bool,
    ) -> Result<Box<dyn Backend>, LoadError>;
}

/// Why a network could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A tensor could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device does not accept it.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// A batch that a back end could not compute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the network could not be run on '{backend}': {problem}")]
pub struct BackendError {
    backend: String,
    problem: String,
}

impl BackendError {
    /// `backend` is the back end's name, `problem` what its runtime reports.
    pub fn new(backend: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { backend: backend.into(), problem: problem.into() }
    }
}
