//! The key bias with which the score prevents the most recogniser errors.
//!
//! `y − βQ` is regressed on `q̄` (definitions §2), `y` being the target of each sample: with
//! weights `w`, the sum `βQ + w·q̄` predicts `y`, and so does `Q + (w/β)·q̄`, which is the score
//! under the key bias `c = (w/β)·H/scale`. Ridge and β are chosen by cross-validation over faces
//! (samples of one face are never on both sides), by the errors prevented when discarding by the
//! score.

use attn_fiqa::random::Random;
use attn_fiqa::vit::config::VitConfig;
use rayon::prelude::*;

use super::errors::{ErrorMetrics, ScoreEvaluator};
use super::moments::{Moments, Weights, WithTarget, centre};
use super::{
    Agreement, CalibrateError, Candidate, Fit, HeldOutErrors, KeyBias, Measurements, Sample,
};
use crate::degrade::Degradation;
use crate::statistics::spearman;

/// One in this many faces is held out of the fit, for its report.
const HELD_OUT: usize = 5;

/// Folds of the other faces, used to choose ridge and β.
const FOLDS: usize = 5;

/// The fewest faces for a meaningful report.
pub(super) const MIN_FACES: usize = 20;

/// Ridge strengths, in units of the variances of the mean token's elements.
const RIDGES: [f64; 10] = [1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Values of β, in units of the target's standard deviation over the score's.
const BETAS: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// Relative difference of errors below which the more conservative candidate is chosen.
const SAME_ERRORS: f64 = 0.002;

/// Difference of rank correlations below which they count as equal.
const SAME_CORRELATION: f64 = 5e-4;

/// Options of a fit.
#[derive(Debug, Clone, Copy)]
pub struct FitOptions<'a> {
    /// `scale/H` of the network.
    pub scale_over_heads: f64,
    /// A key bias `[head, head_dim]` to evaluate alongside the fitted one.
    pub existing: Option<&'a [f32]>,
    /// Determines which faces are held out and how the others are divided.
    pub seed: u64,
}

/// Fits a key bias to measured samples, with one target per sample.
///
/// # Errors
///
/// [`CalibrateError::TooFewFaces`], and [`CalibrateError::NothingToFit`] if targets or scores do
/// not vary.
///
/// # Panics
///
/// Unless there is one target per sample.
pub fn fit(
    measured: &Measurements,
    targets: &[f64],
    options: FitOptions<'_>,
) -> Result<Fit, CalibrateError> {
    let samples = &measured.samples;
    assert_eq!(samples.len(), targets.len(), "one target a sample");
    let faces = samples.iter().map(|sample| sample.face + 1).max().unwrap_or(0);
    if faces < MIN_FACES {
        return Err(CalibrateError::TooFewFaces { found: faces, needed: MIN_FACES });
    }
    let (held_out, fitted) = split(faces, options.seed);
    let held_out = held_out.len();
    // For each face: its fold, or FOLDS if it is held out.
    let mut part_of = vec![FOLDS; faces];
    for (position, &face) in fitted.iter().enumerate() {
        part_of[face] = position % FOLDS;
    }
    let threshold = measured.threshold().ok();
    let with_targets: Vec<WithTarget<'_>> = samples.iter().zip(targets.iter().copied()).collect();
    let part = |number: usize| {
        let own = |face: usize| part_of[face] == number;
        Part {
            samples: with_targets.iter().copied().filter(|(sample, _)| own(sample.face)).collect(),
            evaluator: threshold.map(|t| ScoreEvaluator::new(samples, &measured.pairs, t, own)),
        }
    };
    let parts: Vec<Part<'_>> = (0..=FOLDS).map(part).collect();
    let (of_folds, tested) = parts.split_at(FOLDS);

    let centre = centre(&with_targets);
    let folds: Vec<Moments> =
        of_folds.par_iter().map(|fold| Moments::of(&fold.samples, &centre)).collect();
    let all = Moments::sum(folds.iter()).ok_or(CalibrateError::NothingToFit)?;
    let unit = all.target_per_score();
    if !(unit.is_finite() && unit > 0.0) {
        return Err(CalibrateError::NothingToFit);
    }

    let validation =
        Validation { folds: &folds, parts: of_folds, unit, penalty: &measured.penalty };
    let candidates: Vec<Candidate> =
        RIDGES.par_iter().flat_map_iter(|&ridge| validation.of_ridge(ridge)).collect();
    let Candidate { ridge, beta, .. } = choose(&candidates).ok_or(CalibrateError::NothingToFit)?;
    let weights = all.weights(ridge, &measured.penalty).ok_or(CalibrateError::NothingToFit)?;
    let beta_in_units = beta * unit;
    let values = combine(&weights, beta_in_units)
        .map(|weight| (weight / beta_in_units / options.scale_over_heads) as f32)
        .collect();
    let scale_over_heads = options.scale_over_heads;
    let key_bias = KeyBias { values, scale_over_heads };
    let existing =
        options.existing.map(|values| KeyBias { values: values.to_vec(), scale_over_heads });
    let held_out_errors = threshold.and_then(|threshold| {
        let fitted =
            ScoreEvaluator::new(samples, &measured.pairs, threshold, |face| part_of[face] < FOLDS);
        held_out_errors(&fitted, tested[0].evaluator.as_ref()?, &key_bias, existing.as_ref())
    });
    let tested: Vec<&Sample> = tested[0].samples.iter().map(|(sample, _)| *sample).collect();
    Ok(Fit {
        agreement: agreement(&tested, &key_bias, existing.as_ref()),
        key_bias,
        ridge,
        beta,
        candidates,
        faces_fitted: faces - held_out,
        faces_held_out: held_out,
        held_out_errors,
        held_out: part_of.iter().map(|&part| part == FOLDS).collect(),
    })
}

/// The faces that are held out, and the others, both in random order.
pub(super) fn split(faces: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..faces).collect();
    Random::new(seed, "folds").shuffle(&mut order);
    let fitted = order.split_off(faces / HELD_OUT);
    (order, fitted)
}

/// Samples of some of the faces.
struct Part<'a> {
    samples: Vec<WithTarget<'a>>,
    evaluator: Option<ScoreEvaluator<'a>>,
}

/// Among all candidates as good as the best, the most conservative one: the largest β, then the
/// largest ridge.
fn choose(candidates: &[Candidate]) -> Option<Candidate> {
    let errors = || candidates.iter().filter_map(|candidate| candidate.errors);
    let least = |of: fn(&ErrorMetrics) -> f64| errors().map(|e| of(&e)).min_by(f64::total_cmp);
    let least = least(|e| e.pauc).zip(least(|e| e.brier));
    let relative = |candidate: &Candidate| {
        let ((pauc, brier), errors) = (least?, candidate.errors?);
        Some(errors.relative_to(ErrorMetrics { pauc, brier }))
    };
    let fewest = candidates.iter().filter_map(relative).min_by(f64::total_cmp);
    let best = candidates.iter().map(|candidate| candidate.agreement).max_by(f64::total_cmp)?;
    let as_good = |candidate: &&Candidate| match fewest {
        Some(fewest) => relative(candidate).is_some_and(|e| e <= fewest * (1.0 + SAME_ERRORS)),
        None => candidate.agreement >= best - SAME_CORRELATION,
    };
    let founded = |a: &&Candidate, b: &&Candidate| {
        a.beta.total_cmp(&b.beta).then(a.ridge.total_cmp(&b.ridge))
    };
    candidates.iter().filter(as_good).max_by(founded).copied()
}

/// The weights of `y − βQ`.
fn combine(weights: &Weights, beta: f64) -> impl Iterator<Item = f64> {
    weights.target.iter().zip(&weights.score).map(move |(target, score)| target - beta * score)
}

/// Cross-validation: each fold is evaluated with weights fitted on the others.
struct Validation<'a> {
    folds: &'a [Moments],
    parts: &'a [Part<'a>],
    unit: f64,
    penalty: &'a [f64],
}

impl Validation<'_> {
    /// The means over the folds for one ridge and every β; a candidate that is undefined on
    /// a fold is left out.
    fn of_ridge(&self, ridge: f64) -> Vec<Candidate> {
        let count = self.folds.len() as f64;
        let none = Some(ErrorMetrics { pauc: 0.0, brier: 0.0 });
        let mut sums =
            BETAS.map(|beta| Some(Candidate { ridge, beta, agreement: 0.0, errors: none }));
        for (left_out, part) in self.parts.iter().enumerate() {
            let others = self.folds.iter().enumerate().filter(|(fold, _)| *fold != left_out);
            let others = Moments::sum(others.map(|(_, moments)| moments));
            let Some(weights) = others.and_then(|m| m.weights(ridge, self.penalty)) else {
                return Vec::new();
            };
            let projected = |weights: &[f64]| -> Vec<f64> {
                part.samples.iter().map(|(sample, _)| product(weights, sample)).collect()
            };
            let (by_target, by_score) = (projected(&weights.target), projected(&weights.score));
            let targets: Vec<f64> = part.samples.iter().map(|(_, target)| *target).collect();
            for sum in &mut sums {
                *sum = sum.and_then(|sum| {
                    let factor = sum.beta * self.unit;
                    let predicted: Vec<f64> = (0..targets.len())
                        .map(|i| {
                            let score = f64::from(part.samples[i].0.score);
                            by_target[i] + factor * (score - by_score[i])
                        })
                        .collect();
                    let found = part.evaluator.as_ref().and_then(|evaluator| {
                        // With two parameters, fitting on the fold itself is harmless.
                        evaluator.errors(&predicted, evaluator.match_model(&predicted)?)
                    });
                    let errors = sum.errors.zip(found).map(|(sum, found)| ErrorMetrics {
                        pauc: sum.pauc + found.pauc / count,
                        brier: sum.brier + found.brier / count,
                    });
                    let agreement = sum.agreement + spearman(&predicted, &targets)? / count;
                    Some(Candidate { agreement, errors, ..sum })
                });
            }
        }
        sums.into_iter().flatten().collect()
    }
}

fn product(weights: &[f64], sample: &Sample) -> f64 {
    weights.iter().zip(&sample.mean_query).map(|(w, &q)| w * f64::from(q)).sum()
}

/// Errors on the held-out faces, with match probabilities from the fitted ones.
fn held_out_errors(
    fitted_on: &ScoreEvaluator<'_>,
    held_out: &ScoreEvaluator<'_>,
    key_bias: &KeyBias,
    existing: Option<&KeyBias>,
) -> Option<HeldOutErrors> {
    let of = |score: &dyn Fn(&Sample) -> f64| {
        let scores = |evaluator: &ScoreEvaluator<'_>| -> Vec<f64> {
            evaluator.samples().iter().map(|sample| score(sample)).collect()
        };
        held_out.errors(&scores(held_out), fitted_on.match_model(&scores(fitted_on))?)
    };
    Some(HeldOutErrors {
        published: of(&|sample| f64::from(sample.score))?,
        fitted: of(&|sample| key_bias.score(sample))?,
        existing: existing.and_then(|existing| of(&|sample| existing.score(sample))),
    })
}

impl KeyBias {
    /// The key bias `[head, head_dim]` of a network.
    pub fn of(values: Vec<f32>, config: &VitConfig) -> Self {
        Self { values, scale_over_heads: Self::scale_over_heads(config) }
    }

    /// `scale/H` of a network.
    pub fn scale_over_heads(config: &VitConfig) -> f64 {
        f64::from(config.scale()) / config.num_heads as f64
    }

    /// The score of a sample under this key bias.
    pub fn score(&self, sample: &Sample) -> f64 {
        self.score_of(sample.score, &sample.mean_query)
    }

    /// The score under this key bias of an image with this published score and this mean query
    /// `[head, head_dim]`.
    pub fn score_of(&self, published: f32, mean_query: &[f32]) -> f64 {
        let products = self.values.iter().zip(mean_query);
        let product: f64 = products.map(|(&c, &q)| f64::from(c) * f64::from(q)).sum();
        f64::from(published) + self.scale_over_heads * product
    }
}

/// Before and after, for all samples and for those of each kind.
fn agreement(
    samples: &[&Sample],
    key_bias: &KeyBias,
    existing: Option<&KeyBias>,
) -> Vec<Agreement> {
    let of = |kind: &'static str, wanted: &dyn Fn(&Sample) -> bool| {
        let chosen: Vec<&Sample> = samples.iter().copied().filter(|p| wanted(p)).collect();
        let utility: Vec<f64> = chosen.iter().map(|sample| sample.utility).collect();
        let published: Vec<f64> = chosen.iter().map(|p| f64::from(p.score)).collect();
        let under = |key_bias: &KeyBias| -> Vec<f64> {
            chosen.iter().map(|sample| key_bias.score(sample)).collect()
        };
        Agreement {
            kind,
            samples: chosen.len(),
            published: spearman(&published, &utility),
            calibrated: spearman(&under(key_bias), &utility),
            existing: existing.and_then(|existing| spearman(&under(existing), &utility)),
        }
    };
    let mut rows: Vec<Agreement> = Degradation::ALL
        .into_iter()
        .map(|kind| of(kind.name(), &|sample| sample.kind == Some(kind)))
        .filter(|row| row.samples > 0)
        .collect();
    rows.push(of("all", &|_| true));
    rows
}

#[cfg(test)]
mod tests;
