//! Runs one batch through the network and turns the outputs into assessments.

use std::cell::OnceCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::backend::{BackendError, ForwardOptions, ForwardOutput};
use crate::causes::{Causes, FaceRegion};
use crate::crop::Crop;
use crate::map::PatchMap;
use crate::score::{Aggregation, Method, inverse_std, lower_median, maximum};
use crate::status::{Failure, Status};
use crate::vit::{AttentionStatistics, Direction, QueryKey};

use super::full_forward::DROPOUT_PASSES;
use super::{Assessment, AttentionMap, Engine, Request};

/// Number of images whose token matrices are held at once: enough that the embedding head rarely
/// reads its weights, and few enough to stay small next to them.
const TOKENS_BATCH: usize = 32;

/// An assessment and, until its embedding is computed, the last block's output.
type Assessed = (Assessment, Option<Vec<f32>>);

impl Engine {
    /// Runs on the pool; the request has been checked.
    pub(crate) fn assess_batch(
        &self,
        crops: &[Crop],
        request: &Request,
    ) -> Vec<Result<Assessment, Failure>> {
        let mut fitting: Vec<&Crop> = Vec::with_capacity(crops.len());
        fitting.extend(crops.iter().filter(|crop| self.unfit(crop).is_none()));
        let mut outcomes = Vec::with_capacity(fitting.len());
        if self.needs_only_mean_token(request) {
            for batch in fitting.chunks(self.backend.max_batch().max(1)) {
                self.assess_means(batch, request, &mut outcomes);
            }
        } else {
            let blocks = self.blocks_read(request);
            for batch in fitting.chunks(TOKENS_BATCH.min(self.backend.max_batch().max(1))) {
                outcomes.extend(self.assess_tokens(batch, request, &blocks));
            }
        }
        if fitting.len() == crops.len() {
            return outcomes;
        }
        let mut outcomes = outcomes.into_iter();
        let outcome = |crop: &Crop| match self.unfit(crop) {
            None => outcomes.next().expect("one outcome per crop: this is a bug"),
            Some(failure) => Err(failure),
        };
        crops.iter().map(outcome).collect()
    }

    /// Why the network does not accept this crop, if it does not.
    fn unfit(&self, crop: &Crop) -> Option<Failure> {
        let config = self.config();
        if crop.side() != config.image_size {
            return Some(wrong_size(crop.side(), config.image_size));
        }
        config.landmark_bias?;
        let bad = crop.landmarks()?.into_iter().flatten().find(|value| !value.is_finite())?;
        Some(Failure::new(
            Status::BadLandmarks,
            format!(
                "a landmark of the crop is at {bad}, and this model reads landmarks; give finite \
                 coordinates, or none to use those of the template"
            ),
        ))
    }

    /// Uses the back end's default answer: one vector per crop.
    fn assess_means(
        &self,
        crops: &[&Crop],
        request: &Request,
        outcomes: &mut Vec<Result<Assessment, Failure>>,
    ) {
        let dim = self.config().embed_dim;
        let mut mean_tokens = self.mean_tokens.acquire(Vec::new);
        mean_tokens.resize(crops.len() * dim, 0.0);
        match self.backend.forward(crops, &mut mean_tokens) {
            Ok(()) => {
                let means = mean_tokens.par_chunks_exact(dim);
                let faces = crops.par_iter().zip(means);
                outcomes
                    .par_extend(faces.map(|(crop, mean)| self.assess_mean(crop, mean, request)));
            }
            Err(error) => outcomes.extend(crops.iter().map(|_| Err(not_run(&error)))),
        }
        self.mean_tokens.release(mean_tokens);
    }

    fn assess_mean(
        &self,
        crop: &Crop,
        mean_token: &[f64],
        request: &Request,
    ) -> Result<Assessment, Failure> {
        let score = |method: &Method| {
            let key_bias = self.key_bias_of(*method);
            let statistics = self.query_key.mean_statistics(mean_token, key_bias, crop);
            statistics.score(self.heads_of(*method)) as f32
        };
        let scores = request.methods.iter().map(score).collect::<Vec<f32>>();
        check_finite(&scores, &request.methods)?;
        let mean_query = request
            .mean_query
            .then(|| self.query_key.mean_statistics(mean_token, None, crop).mean_query());
        let causes = self.causes_of(mean_token, request);
        let mean_token = request.mean_token.then(|| mean_token.to_vec());
        Ok(Assessment { scores, mean_query, mean_token, causes, ..Assessment::default() })
    }

    /// Uses full token matrices. `blocks` comes from [`Self::blocks_read`].
    fn assess_tokens(
        &self,
        crops: &[&Crop],
        request: &Request,
        blocks: &[usize],
    ) -> Vec<Result<Assessment, Failure>> {
        let dropout = |method: &Method| method.aggregation() == Aggregation::Dropout;
        let wanted = ForwardOptions {
            block_inputs: blocks,
            last_output: request.needs_full_forward(),
            dropout_passes: if request.methods.iter().any(dropout) { DROPOUT_PASSES } else { 0 },
        };
        let mut outputs = match self.backend.forward_with(crops, &wanted) {
            Ok(outputs) => outputs,
            Err(error) => return crops.iter().map(|_| Err(not_run(&error))).collect(),
        };
        let faces = crops.par_iter().zip(&mut outputs);
        let assessed: Vec<Result<Assessed, Failure>> =
            faces.map(|(crop, output)| self.assess_output(crop, output, request)).collect();
        self.backend.recycle(outputs);
        if !request.needs_full_forward() {
            return assessed.into_iter().map(|outcome| Ok(outcome?.0)).collect();
        }
        self.with_embeddings(assessed, request)
    }

    fn with_embeddings(
        &self,
        assessed: Vec<Result<Assessed, Failure>>,
        request: &Request,
    ) -> Vec<Result<Assessment, Failure>> {
        let head = self.embedding_head.as_ref().expect("no embedding head: this is a bug");
        let mut last_outputs = Vec::with_capacity(assessed.len());
        let assessments: Vec<Result<Assessment, Failure>> = assessed
            .into_iter()
            .map(|outcome| {
                let (assessment, last_output) = outcome?;
                last_outputs.extend(last_output);
                Ok(assessment)
            })
            .collect();
        let mut embeddings = head.forward(&last_outputs).into_iter();
        assessments
            .into_iter()
            .map(|outcome| {
                let mut assessment = outcome?;
                let embedding = embeddings.next().expect("one embedding per image: this is a bug");
                if !embedding.iter().all(|value| value.is_finite()) {
                    return Err(not_finite("the embedding"));
                }
                for (score, method) in assessment.scores.iter_mut().zip(&request.methods) {
                    if method.aggregation() == Aggregation::EmbeddingNorm {
                        *score = crate::recognise::norm(&embedding);
                    }
                }
                assessment.embedding = request.embedding.then_some(embedding);
                Ok(assessment)
            })
            .collect()
    }

    /// The blocks whose inputs the request needs, ascending.
    fn blocks_read(&self, request: &Request) -> Vec<usize> {
        let last = self.config().depth - 1;
        let mut blocks: Vec<usize> = request.methods.iter().map(|&m| self.block_of(m)).collect();
        blocks.extend(needs_last_mean(request).then_some(last));
        if request.methods.iter().any(|method| method.aggregation().reads_block_outputs()) {
            blocks.extend(0..=last);
        }
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// Moves the last block's output out, for the embedding head.
    fn assess_output(
        &self,
        crop: &Crop,
        output: &mut ForwardOutput,
        request: &Request,
    ) -> Result<Assessed, Failure> {
        let config = self.config();
        let mut scores = self.full_forward_scores(crop, output, request);
        for (block, input) in &output.block_inputs {
            let query_key = self.query_key_of(*block);
            // Most requests need only one set of statistics, with or without the key bias.
            let plain = OnceCell::new();
            let plain = || plain.get_or_init(|| query_key.statistics(input, None, crop));
            // The full matrix is computed at most once per block.
            let mut logits: Option<Vec<f32>> = None;
            for (score, &method) in scores.iter_mut().zip(&request.methods) {
                if self.block_of(method) != *block || method.needs_full_forward() {
                    continue;
                }
                let heads = self.heads_of(method);
                *score = match method.aggregation() {
                    Aggregation::Mean => plain().mean.score(heads) as f32,
                    Aggregation::CalibratedMean => {
                        let key_bias = self.key_bias_of(method);
                        query_key.statistics(input, key_bias, crop).mean.score(heads) as f32
                    }
                    Aggregation::Median | Aggregation::Max | Aggregation::InverseStd => {
                        let all = logits.get_or_insert_with(|| plain().logits(0..config.num_heads));
                        let matrix = all.len() / config.num_heads;
                        statistic(
                            method.aggregation(),
                            &all[heads.start * matrix..heads.end * matrix],
                        )
                    }
                    Aggregation::Stability
                    | Aggregation::WeightedStability
                    | Aggregation::EmbeddingNorm
                    | Aggregation::Dropout => {
                        unreachable!("needs a full forward pass: this is a bug")
                    }
                };
            }
        }
        check_finite(&scores, &request.methods)?;

        let (received, paid) = self.maps(crop, &output.block_inputs, request);
        let mut assessment = Assessment { scores, received, paid, ..Assessment::default() };
        if needs_last_mean(request) {
            let last = config.depth - 1;
            let input = input_of(last, &output.block_inputs);
            let statistics = self.query_key.statistics(input, None, crop);
            let mean_token = statistics.mean.mean_token();
            assessment.mean_query = request.mean_query.then(|| statistics.mean.mean_query());
            assessment.causes = self.causes_of(&mean_token, request);
            assessment.weak_regions = self.weak_regions_of(&statistics, request);
            assessment.mean_token = request.mean_token.then_some(mean_token);
        }
        Ok((assessment, output.last_output.take()))
    }

    /// The causes, if requested, from the mean token.
    fn causes_of(&self, mean_token: &[f64], request: &Request) -> Option<Causes> {
        let model = self.causes.as_ref().filter(|_| request.causes)?;
        Some(model.read(mean_token))
    }

    /// The weak regions, if requested, from the attention received in the last block over all
    /// heads, whatever the methods.
    fn weak_regions_of(
        &self,
        statistics: &AttentionStatistics<'_>,
        request: &Request,
    ) -> Option<Vec<FaceRegion>> {
        let model = self.causes.as_ref().filter(|_| request.weak_regions)?;
        let received = Direction::Received;
        let map = self.attention_map(statistics, received, Method::ATTN, false).mean;
        let config = self.config();
        Some(model.regions().weak_regions(&map, config.image_size, config.patch_size))
    }

    /// The maps of the first method.
    fn maps(
        &self,
        crop: &Crop,
        block_inputs: &[(usize, Vec<f32>)],
        request: &Request,
    ) -> (Option<AttentionMap>, Option<AttentionMap>) {
        if !request.received && !request.paid {
            return (None, None);
        }
        let method = request.methods[0];
        let block = self.block_of(method);
        let input = input_of(block, block_inputs);
        let key_bias = self.key_bias_of(method);
        let statistics = self.query_key_of(block).statistics(input, key_bias, crop);
        let map = |direction| self.attention_map(&statistics, direction, method, request.per_head);
        (
            request.received.then(|| map(Direction::Received)),
            request.paid.then(|| map(Direction::Paid)),
        )
    }

    fn attention_map(
        &self,
        statistics: &AttentionStatistics<'_>,
        direction: Direction,
        method: Method,
        per_head: bool,
    ) -> AttentionMap {
        let config = self.config();
        let patch_map = |heads: Range<usize>| {
            let mut values = statistics.per_token(direction, heads);
            values.drain(..config.prefix_tokens() - config.tokens_before_score());
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

    /// # Panics
    ///
    /// If the back end does not have that block's query and key: requests are checked before this
    /// point.
    pub(super) fn query_key_of(&self, block: usize) -> &QueryKey {
        if block + 1 == self.config().depth {
            return &self.query_key;
        }
        self.backend.query_key(block).expect("no queries and keys of the block: this is a bug")
    }

    fn key_bias_of(&self, method: Method) -> Option<&[f32]> {
        let calibrated = method.aggregation() == Aggregation::CalibratedMean;
        self.key_bias.as_deref().filter(|_| calibrated)
    }

    fn block_of(&self, method: Method) -> usize {
        method.block().unwrap_or(self.config().depth - 1)
    }

    fn heads_of(&self, method: Method) -> Range<usize> {
        method.head().map_or(0..self.config().num_heads, |head| head..head + 1)
    }
}

/// Whether the mean token of the last block is needed in addition to the scores.
fn needs_last_mean(request: &Request) -> bool {
    request.mean_query || request.mean_token || request.causes || request.weak_regions
}

/// The kept input of a block.
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

/// Fails if a score is NaN or infinite. The embedding norm, known only after the embedding head, is
/// checked there.
fn check_finite(scores: &[f32], methods: &[Method]) -> Result<(), Failure> {
    for (score, method) in scores.iter().zip(methods) {
        let to_come = method.aggregation() == Aggregation::EmbeddingNorm;
        if !score.is_finite() && !to_come {
            return Err(not_finite(&format!("method '{method}'")));
        }
    }
    Ok(())
}

fn wrong_size(found: usize, needed: usize) -> Failure {
    Failure::new(
        Status::WrongSize,
        format!("the crop is {found}×{found} pixels; this model takes {needed}×{needed}"),
    )
}

fn not_run(error: &BackendError) -> Failure {
    Failure::new(Status::NetworkFailed, error.to_string())
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
