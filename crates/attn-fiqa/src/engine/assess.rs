//! One batch through the network and into assessments.

use std::cell::OnceCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::crop::Crop;
use crate::map::PatchMap;
use crate::score::{Aggregation, Method, inverse_std, lower_median, maximum};
use crate::status::{Failure, Status};
use crate::vit::{Direction, Reading};

use super::{Assessment, AttentionMap, Engine, Request};

/// Images whose last outputs are held at once for the embedding head: enough to
/// read its weights seldom, few enough to stay small beside them.
const EMBEDDING_BATCH: usize = 32;

/// An assessment and, while its embedding is still to come, the last block's output.
type Assessed = (Assessment, Option<Vec<f32>>);

impl Engine {
    /// Runs on the pool; the request was checked.
    pub(crate) fn assess_batch(
        &self,
        crops: &[Crop],
        request: &Request,
    ) -> Vec<Result<Assessment, Failure>> {
        let blocks = self.blocks_read(request);
        if !request.reads_whole_network() {
            let assessed = crops.par_iter().map(|crop| self.assess_one(crop, request, &blocks));
            return assessed.map(|outcome| Ok(outcome?.0)).collect();
        }
        let batches = crops.chunks(EMBEDDING_BATCH);
        batches.flat_map(|crops| self.assess_with_embeddings(crops, request, &blocks)).collect()
    }

    fn assess_with_embeddings(
        &self,
        crops: &[Crop],
        request: &Request,
        blocks: &[usize],
    ) -> Vec<Result<Assessment, Failure>> {
        let head = self.embedding_head.as_ref().expect("no embedding head: this is a bug");
        let assessed: Vec<Result<Assessed, Failure>> =
            crops.par_iter().map(|crop| self.assess_one(crop, request, blocks)).collect();
        let mut last_outputs = Vec::with_capacity(crops.len());
        let assessments: Vec<Result<Assessment, Failure>> = assessed
            .into_iter()
            .map(|outcome| {
                let (assessment, last_output) = outcome?;
                last_outputs.extend(last_output);
                Ok(assessment)
            })
            .collect();
        let mut embeddings = head.forward(&last_outputs, self.config().class_token).into_iter();
        assessments
            .into_iter()
            .map(|outcome| {
                let mut assessment = outcome?;
                let embedding = embeddings.next().expect("one embedding an image: this is a bug");
                if !embedding.iter().all(|value| value.is_finite()) {
                    return Err(not_finite("the embedding"));
                }
                for (score, method) in assessment.scores.iter_mut().zip(&request.methods) {
                    if method.aggregation == Aggregation::EmbeddingNorm {
                        *score = crate::recognise::norm(&embedding);
                    }
                }
                assessment.embedding = request.embedding.then_some(embedding);
                Ok(assessment)
            })
            .collect()
    }

    /// The blocks whose inputs a request is read from, ascending.
    fn blocks_read(&self, request: &Request) -> Vec<usize> {
        let last = self.config().depth - 1;
        let mut blocks: Vec<usize> = request.methods.iter().map(|m| self.block_of(m)).collect();
        blocks.extend(request.mean_query.then_some(last));
        if request.methods.iter().any(|method| method.aggregation.reads_block_outputs()) {
            blocks.extend(0..=last);
        }
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// `blocks` are those of [`Self::blocks_read`].
    fn assess_one(
        &self,
        crop: &Crop,
        request: &Request,
        blocks: &[usize],
    ) -> Result<Assessed, Failure> {
        let config = self.config();
        if crop.side() != config.image_size {
            let (found, needed) = (crop.side(), config.image_size);
            return Err(Failure::new(
                Status::WrongSize,
                format!("the crop is {found}×{found} pixels; this model takes {needed}×{needed}"),
            ));
        }
        let passed = self.vit.forward(crop.rgb(), blocks, request.reads_whole_network());

        let mut scores = self.whole_network_scores(&passed, request);
        for (block, input) in &passed.block_inputs {
            let query_key = self.vit.query_key(*block);
            // Most requests need one reading only, with or without the key bias.
            let plain = OnceCell::new();
            let plain = || plain.get_or_init(|| query_key.read(input, None));
            // The full matrix is made at most once a block.
            let mut logits: Option<Vec<f32>> = None;
            for (score, method) in scores.iter_mut().zip(&request.methods) {
                if self.block_of(method) != *block || method.aggregation.reads_whole_network() {
                    continue;
                }
                let heads = self.heads_of(method);
                *score = match method.aggregation {
                    Aggregation::Mean => plain().score(heads) as f32,
                    Aggregation::CalibratedMean => {
                        query_key.read(input, self.key_bias.as_deref()).score(heads) as f32
                    }
                    Aggregation::Median | Aggregation::Max | Aggregation::InverseStd => {
                        let all = logits.get_or_insert_with(|| plain().logits(0..config.num_heads));
                        let matrix = all.len() / config.num_heads;
                        statistic(
                            method.aggregation,
                            &all[heads.start * matrix..heads.end * matrix],
                        )
                    }
                    Aggregation::Stability
                    | Aggregation::WeightedStability
                    | Aggregation::EmbeddingNorm
                    | Aggregation::Dropout => {
                        unreachable!("read off the whole network: this is a bug")
                    }
                };
            }
        }
        for (score, method) in scores.iter().zip(&request.methods) {
            // Known only behind the embedding head, where it is looked at as well.
            let to_come = method.aggregation == Aggregation::EmbeddingNorm;
            if !score.is_finite() && !to_come {
                return Err(not_finite(&format!("method '{method}'")));
            }
        }

        let (received, paid) = self.maps(&passed.block_inputs, request);
        let mean_query = request.mean_query.then(|| {
            let last = config.depth - 1;
            let input = input_of(last, &passed.block_inputs);
            self.vit.query_key(last).read(input, None).mean_query()
        });
        self.vit.recycle(passed.block_inputs);
        let assessment = Assessment { scores, received, paid, embedding: None, mean_query };
        Ok((assessment, passed.last_output))
    }

    /// The maps of the first method.
    fn maps(
        &self,
        block_inputs: &[(usize, Vec<f32>)],
        request: &Request,
    ) -> (Option<AttentionMap>, Option<AttentionMap>) {
        if !request.received && !request.paid {
            return (None, None);
        }
        let method = &request.methods[0];
        let block = self.block_of(method);
        let input = input_of(block, block_inputs);
        let key_bias = match method.aggregation {
            Aggregation::CalibratedMean => self.key_bias.as_deref(),
            _ => None,
        };
        let reading = self.vit.query_key(block).read(input, key_bias);
        let map = |direction| self.attention_map(&reading, direction, method, request.per_head);
        (
            request.received.then(|| map(Direction::Received)),
            request.paid.then(|| map(Direction::Paid)),
        )
    }

    fn attention_map(
        &self,
        reading: &Reading<'_>,
        direction: Direction,
        method: &Method,
        per_head: bool,
    ) -> AttentionMap {
        let config = self.config();
        let patch_map = |heads: Range<usize>| {
            let mut values = reading.per_token(direction, heads);
            values.drain(..usize::from(config.class_token));
            PatchMap::new(config.grid(), values)
        };
        let heads = self.heads_of(method);
        AttentionMap {
            mean: patch_map(heads.clone()),
            per_head: if per_head {
                heads.map(|head| patch_map(head..head + 1)).collect()
            } else {
                Vec::new()
            },
        }
    }

    fn block_of(&self, method: &Method) -> usize {
        method.block.unwrap_or(self.config().depth - 1)
    }

    fn heads_of(&self, method: &Method) -> Range<usize> {
        method.head.map_or(0..self.config().num_heads, |head| head..head + 1)
    }
}

/// The input of a block that was asked to be kept.
fn input_of(block: usize, kept: &[(usize, Vec<f32>)]) -> &[f32] {
    let found = kept.iter().find(|(index, _)| *index == block);
    &found.expect("a block's input was not kept: this is a bug").1
}

fn statistic(aggregation: Aggregation, logits: &[f32]) -> f32 {
    match aggregation {
        Aggregation::Median => lower_median(&mut logits.to_vec()),
        Aggregation::Max => maximum(logits),
        Aggregation::InverseStd => inverse_std(logits),
        _ => unreachable!("no statistic of the full matrix: this is a bug"),
    }
}

fn not_finite(what: &str) -> Failure {
    Failure::new(
        Status::NonFinite,
        format!(
            "{what} is not a finite number; the checkpoint may be damaged or belong to another \
             architecture"
        ),
    )
}
