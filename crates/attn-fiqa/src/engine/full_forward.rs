//! Scores that need a full forward pass.

use crate::backend::ForwardOutput;
use crate::crop::Crop;
use crate::score::{Aggregation, agreement, stability_of_patches};

use super::{Engine, Request};

/// Number of passes through the last block for [`Aggregation::Dropout`].
pub(super) const DROPOUT_PASSES: u64 = 16;

impl Engine {
    /// The scores of the request that need a full forward pass; all others are NaN, as is the
    /// embedding norm, which is filled in with the embedding.
    pub(super) fn full_forward_scores(
        &self,
        crop: &Crop,
        output: &ForwardOutput,
        request: &Request,
    ) -> Vec<f32> {
        let mut stability: Option<Vec<f64>> = None;
        let mut score = |aggregation| match aggregation {
            Aggregation::Stability => {
                let patches = stability.get_or_insert_with(|| self.stability(output));
                (patches.iter().sum::<f64>() / patches.len() as f64) as f32
            }
            Aggregation::WeightedStability => {
                let patches = stability.get_or_insert_with(|| self.stability(output));
                let weights = self.attention_on_patches(crop, output);
                let weighted: f64 = patches.iter().zip(&weights).map(|(q, w)| q * w).sum();
                (weighted / weights.iter().sum::<f64>()) as f32
            }
            Aggregation::Dropout => self.dropout_agreement(output) as f32,
            _ => f32::NAN,
        };
        request.methods.iter().map(|method| score(method.aggregation())).collect()
    }

    /// `[patch]`, without class token and registers.
    fn stability(&self, output: &ForwardOutput) -> Vec<f64> {
        let config = self.config();
        let head = self.embedding_head.as_ref().expect("no final norm: this is a bug");
        let skipped = config.prefix_tokens() * config.embed_dim;
        // The first block's input is the patch embedding, before any block.
        let outputs = output.block_inputs.iter().filter(|(block, _)| *block > 0).map(|(_, x)| x);
        let stages =
            outputs.chain(&output.last_output).map(|tokens| head.normed(&tokens[skipped..]));
        stability_of_patches(stages.collect(), config.embed_dim)
    }

    /// The attention after softmax that each patch receives in the last block, averaged over heads
    /// and queries, `[patch]`.
    fn attention_on_patches(&self, crop: &Crop, output: &ForwardOutput) -> Vec<f64> {
        let config = self.config();
        let (_, input) = output.block_inputs.last().expect("no block's input: this is a bug");
        let logits = self.query_key.statistics_of_all(input, crop).logits(0..config.num_heads);
        let tokens = input.len() / config.embed_dim;
        let mut received = vec![0.0f64; tokens];
        for row in logits.chunks_exact(tokens) {
            let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = row.iter().map(|&a| f64::from(a - highest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            received.iter_mut().zip(powers).for_each(|(received, power)| *received += power / sum);
        }
        received.drain(..config.prefix_tokens());
        let rows = (logits.len() / tokens) as f64;
        received.iter_mut().for_each(|received| *received /= rows);
        received
    }

    /// The same units are dropped for every image, so a score depends on its image alone.
    fn dropout_agreement(&self, output: &ForwardOutput) -> f64 {
        let head = self.embedding_head.as_ref().expect("no embedding head: this is a bug");
        agreement(&head.forward(&output.dropout_outputs))
    }
}
