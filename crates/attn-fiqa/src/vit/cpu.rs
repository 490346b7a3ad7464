//! The CPU back end.

use attn_fiqa_kernels::Precision;
use rayon::prelude::*;

use super::{QueryKey, Vit};
use crate::backend::{
    Backend, BackendError, BackendLoader, ForwardOptions, ForwardOutput, LoadError,
};
use crate::checkpoint::Checkpoint;
use crate::crop::Crop;
use crate::threads::Threads;
use crate::vit::config::VitConfig;

/// Bounds the mean tokens of one call; every image is computed separately.
const MAX_BATCH: usize = 1024;

/// Runs on the threads of the pool it is called from.
impl Backend for Vit {
    fn config(&self) -> &VitConfig {
        self.config()
    }

    fn precision(&self) -> Precision {
        self.precision()
    }

    fn name(&self) -> String {
        format!("cpu {}", self.isa().name())
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    fn forward(&self, crops: &[&Crop], mean_tokens: &mut [f64]) -> Result<(), BackendError> {
        let means = mean_tokens.par_chunks_exact_mut(self.config().embed_dim);
        crops.par_iter().zip(means).for_each(|(crop, mean)| self.mean_token(crop, mean));
        Ok(())
    }

    fn gives_tokens(&self) -> bool {
        true
    }

    fn forward_with(
        &self,
        crops: &[&Crop],
        wanted: &ForwardOptions<'_>,
    ) -> Result<Vec<ForwardOutput>, BackendError> {
        Ok(crops.par_iter().map(|crop| self.forward_keeping(crop, wanted)).collect())
    }

    fn recycle(&self, outputs: Vec<ForwardOutput>) {
        outputs.into_iter().for_each(|output| self.release_output(output));
    }

    fn query_key(&self, block: usize) -> Option<&QueryKey> {
        self.query_key(block)
    }
}

impl BackendLoader for Threads {
    fn faster_than_f32(&self) -> Vec<Precision> {
        self.isa().faster_than_f32().to_vec()
    }

    fn load(
        &self,
        checkpoint: &Checkpoint,
        precision: Precision,
        through_last: bool,
    ) -> Result<Box<dyn Backend>, LoadError> {
        let vit = self.install(|| Vit::load(checkpoint, precision, through_last, self.isa()))?;
        Ok(Box::new(vit))
    }
}
