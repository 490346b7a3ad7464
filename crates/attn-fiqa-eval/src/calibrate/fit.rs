//! The key bias that makes a score follow utility best.
//!
//! `y − βQ` is regressed on `q̄` (definitions §2): with weights `w`, the sum
//! `βQ + w·q̄` predicts the utility `y`, and so does `Q + (w/β)·q̄`, which is the
//! score under the key bias `c = (w/β)·H/scale`. Ridge and β are chosen by
//! cross-validation over faces: pictures of one face are never on both sides. As β
//! goes to 0 the order of the scores goes to that of `w·q̄` alone, and as the ridge
//! does, to that of the least squares; both grids go so far that this is reached.

use rayon::prelude::*;

use super::moments::{Moments, Weights, centre};
use super::{Agreement, CalibrateError, Fit, KeyBias, Picture, Tried};
use crate::degrade::{Degradation, Random};
use crate::statistics::spearman;

/// Faces that the fit never sees, for its report: one in so many.
const HELD_OUT: usize = 5;

/// Parts that the other faces are cut into for choosing ridge and β.
const FOLDS: usize = 5;

/// The fewest faces with which a report means anything.
const MIN_FACES: usize = 20;

/// Strengths of the ridge, in units of each column's variance.
const RIDGES: [f64; 15] =
    [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Shares of the published score, in units of utility's deviation over its own.
const BETAS: [f64; 9] = [1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// Rank correlations that differ by less are taken for the same: of two such
/// choices the one that moves the published score less is better founded.
const SAME: f64 = 5e-4;

/// Fits a key bias to pictures of faces numbered from 0.
///
/// `scale_over_heads` is `scale/H` of the network; `existing` a key bias
/// `[head, head_dim]` to judge beside the fitted one.
///
/// # Errors
///
/// [`CalibrateError::TooFewFaces`], and [`CalibrateError::NothingToFit`] where
/// utility or score do not vary.
pub fn fit(
    pictures: &[Picture],
    scale_over_heads: f64,
    existing: Option<&[f32]>,
    seed: u64,
) -> Result<Fit, CalibrateError> {
    let faces = pictures.iter().map(|picture| picture.face + 1).max().unwrap_or(0);
    if faces < MIN_FACES {
        return Err(CalibrateError::TooFewFaces { found: faces, needed: MIN_FACES });
    }
    let mut order: Vec<usize> = (0..faces).collect();
    Random::new(seed, "folds").shuffle(&mut order);
    // Of each face: its fold, or FOLDS for the faces held out.
    let mut part_of = vec![FOLDS; faces];
    let held_out = faces / HELD_OUT;
    for (position, &face) in order[held_out..].iter().enumerate() {
        part_of[face] = position % FOLDS;
    }
    let mut parts: Vec<Vec<&Picture>> = vec![Vec::new(); FOLDS + 1];
    for picture in pictures {
        parts[part_of[picture.face]].push(picture);
    }
    let (of_folds, tested) = parts.split_at(FOLDS);

    let centre = centre(pictures);
    let folds: Vec<Moments> = of_folds.par_iter().map(|fold| Moments::of(fold, &centre)).collect();
    let all = Moments::sum(folds.iter()).ok_or(CalibrateError::NothingToFit)?;
    let unit = all.utility_per_score();
    if !(unit.is_finite() && unit > 0.0) {
        return Err(CalibrateError::NothingToFit);
    }

    let mut tried = Vec::new();
    for (ridge, of_betas) in RIDGES.into_iter().zip(cross_validate(&folds, of_folds, unit)) {
        for (beta, agreement) in BETAS.into_iter().zip(of_betas) {
            tried.extend(agreement.map(|agreement| Tried { ridge, beta, agreement }));
        }
    }
    let Tried { ridge, beta, agreement: cross_validated } =
        choose(&tried).ok_or(CalibrateError::NothingToFit)?;
    let weights = all.weights(ridge).ok_or(CalibrateError::NothingToFit)?;
    let values = combine(&weights, beta * unit)
        .map(|weight| (weight / (beta * unit) / scale_over_heads) as f32)
        .collect();
    let key_bias = KeyBias { values, scale_over_heads };
    let existing = existing.map(|values| KeyBias { values: values.to_vec(), scale_over_heads });
    Ok(Fit {
        agreement: agreement(&tested[0], &key_bias, existing.as_ref()),
        key_bias,
        ridge,
        beta,
        cross_validated,
        tried,
        faces_fitted: faces - held_out,
        faces_held_out: held_out,
    })
}

/// Of all choices as good as the best: the most of the published score, then the
/// most ridge.
fn choose(tried: &[Tried]) -> Option<Tried> {
    let best = tried.iter().map(|tried| tried.agreement).max_by(f64::total_cmp)?;
    let as_good = tried.iter().filter(|tried| tried.agreement >= best - SAME);
    as_good
        .max_by(|a, b| (a.beta, a.ridge).partial_cmp(&(b.beta, b.ridge)).expect("numbers"))
        .copied()
}

/// The weights of `y − βQ`.
fn combine(weights: &Weights, beta: f64) -> impl Iterator<Item = f64> {
    weights.utility.iter().zip(&weights.score).map(move |(utility, score)| utility - beta * score)
}

/// For each ridge and β, the mean over folds of the rank correlation with utility
/// on the fold that was left out; `None` where one cannot be told.
fn cross_validate(
    folds: &[Moments],
    pictures: &[Vec<&Picture>],
    unit: f64,
) -> Vec<[Option<f64>; BETAS.len()]> {
    let others = |left_out: usize| {
        let others = folds.iter().enumerate().filter(move |(fold, _)| *fold != left_out);
        Moments::sum(others.map(|(_, moments)| moments))
    };
    let left_out: Vec<Option<Moments>> = (0..folds.len()).map(others).collect();
    RIDGES
        .par_iter()
        .map(|&ridge| {
            let mut sums = [Some(0.0); BETAS.len()];
            for (fold, moments) in left_out.iter().enumerate() {
                let Some(weights) = moments.as_ref().and_then(|m| m.weights(ridge)) else {
                    return [None; BETAS.len()];
                };
                let of_each = |of: &dyn Fn(&Picture) -> f64| -> Vec<f64> {
                    pictures[fold].iter().map(|picture| of(picture)).collect()
                };
                let utility = of_each(&|picture| picture.utility);
                let score = of_each(&|picture| f64::from(picture.score));
                let by_utility = of_each(&|picture| product(&weights.utility, picture));
                let by_score = of_each(&|picture| product(&weights.score, picture));
                for (sum, beta) in sums.iter_mut().zip(BETAS) {
                    let predicted: Vec<f64> = (0..score.len())
                        .map(|i| by_utility[i] + beta * unit * (score[i] - by_score[i]))
                        .collect();
                    let found = spearman(&predicted, &utility);
                    *sum = sum.zip(found).map(|(sum, found)| sum + found / folds.len() as f64);
                }
            }
            sums
        })
        .collect()
}

fn product(weights: &[f64], picture: &Picture) -> f64 {
    weights.iter().zip(&picture.mean_query).map(|(w, &q)| w * f64::from(q)).sum()
}

impl KeyBias {
    /// The score of a picture under this key bias.
    pub fn score(&self, picture: &Picture) -> f64 {
        let product: f64 = self
            .values
            .iter()
            .zip(&picture.mean_query)
            .map(|(&c, &q)| f64::from(c) * f64::from(q))
            .sum();
        f64::from(picture.score) + self.scale_over_heads * product
    }
}

/// Before and after, for all pictures and for those of each kind.
fn agreement(
    pictures: &[&Picture],
    key_bias: &KeyBias,
    existing: Option<&KeyBias>,
) -> Vec<Agreement> {
    let of = |kind: &'static str, wanted: &dyn Fn(&Picture) -> bool| {
        let chosen: Vec<&Picture> = pictures.iter().copied().filter(|p| wanted(p)).collect();
        let utility: Vec<f64> = chosen.iter().map(|picture| picture.utility).collect();
        let published: Vec<f64> = chosen.iter().map(|p| f64::from(p.score)).collect();
        let under = |key_bias: &KeyBias| -> Vec<f64> {
            chosen.iter().map(|picture| key_bias.score(picture)).collect()
        };
        Agreement {
            kind,
            pictures: chosen.len(),
            published: spearman(&published, &utility),
            calibrated: spearman(&under(key_bias), &utility),
            existing: existing.and_then(|existing| spearman(&under(existing), &utility)),
        }
    };
    let mut rows: Vec<Agreement> = Degradation::ALL
        .into_iter()
        .map(|kind| of(kind.name(), &|picture| picture.kind == Some(kind)))
        .filter(|row| row.pictures > 0)
        .collect();
    rows.push(of("all", &|_| true));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_choices_as_good_the_plainest_is_taken() {
        let tried = |ridge, beta, agreement| Tried { ridge, beta, agreement };
        let choices = [
            tried(1e-4, 0.01, 0.8002),
            tried(1e-2, 0.01, 0.8001),
            tried(1e-4, 0.1, 0.8),
            tried(1e-2, 0.1, 0.79),
            tried(1.0, 1.0, 0.5),
        ];
        assert_eq!(choose(&choices), Some(choices[2]));
        assert_eq!(choose(&choices[..2]), Some(choices[1]));
        assert_eq!(choose(&[]), None);
    }
}
