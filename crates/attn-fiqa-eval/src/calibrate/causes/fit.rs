//! Fits a readout of causes to samples, in closed form and with a few steps of Newton's method.

use attn_fiqa::causes::{CauseModel, Curve, RegionReference};

use super::evaluate::{CauseEvaluation, evaluate_causes};
use super::isotonic::isotonic;
use super::regression::Inputs;
use super::samples::{CauseSample, CauseSamples};
use crate::calibrate::CalibrateError;
use crate::calibrate::fit::MIN_FACES;
use crate::degrade::Degradation;

/// A sample whose quality is less than this below that of the clean face has lost nothing.
const NEGLIGIBLE_LOSS: f64 = 3.0;

/// Weight of a sample with two degradations in the regression of strengths; one with a single
/// degradation has weight 1. Pairs are harder to read.
const PAIR_WEIGHT: f64 = 2.0;

/// A fitted readout of causes and its evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseFit {
    /// The readout.
    pub model: CauseModel,
    /// On the faces held out.
    pub evaluation: CauseEvaluation,
}

/// Fits a readout of the causes that `kinds` produce. `quality` returns the quality of a sample,
/// 0 … 100.
///
/// 1. The square root of the level of each kind (0 where it is absent) is regressed on the mean
///    token, by ridge regression. The root keeps a weak degradation visible next to a strong one.
/// 2. Isotonic regressions on that value give the expected level, which is the strength, and the
///    expected gain in quality: how much better the same sample is without this degradation.
/// 3. Logistic regression on the mean token gives the probability that a sample has lost less
///    than 3 points of quality.
/// 4. The attention of clean faces to each region becomes the reference for weak regions.
///
/// # Errors
///
/// [`CalibrateError::TooFewFaces`], and [`CalibrateError::NothingToFit`] if no sample, or every
/// sample, has lost quality.
pub fn fit_causes(
    measured: &CauseSamples,
    kinds: &[Degradation],
    quality: impl Fn(&CauseSample) -> f64,
) -> Result<CauseFit, CalibrateError> {
    let faces = measured.held_out.len();
    if faces < MIN_FACES {
        return Err(CalibrateError::TooFewFaces { found: faces, needed: MIN_FACES });
    }
    let qualities: Vec<f64> = measured.samples.iter().map(quality).collect();
    let fitted: Vec<usize> = (0..measured.samples.len())
        .filter(|&place| !measured.held_out[measured.samples[place].face])
        .collect();
    let samples: Vec<&CauseSample> = fitted.iter().map(|&i| &measured.samples[i]).collect();
    let tokens: Vec<&[f32]> = samples.iter().map(|sample| sample.mean_token.as_slice()).collect();
    let inputs = Inputs::of(&tokens);

    let weights: Vec<f64> = samples
        .iter()
        .map(|sample| if sample.applied.len() > 1 { PAIR_WEIGHT } else { 1.0 })
        .collect();
    let levels: Vec<Vec<f64>> = kinds
        .iter()
        .map(|&kind| samples.iter().map(|sample| level(sample, kind)).collect())
        .collect();
    let roots: Vec<Vec<f64>> =
        levels.iter().map(|levels| levels.iter().map(|level| level.sqrt()).collect()).collect();
    let rows = inputs.ridge(&weights, &roots).ok_or(CalibrateError::NothingToFit)?;
    let mut first_of = vec![0; faces];
    let clean = measured.samples.iter().enumerate().filter(|(_, sample)| sample.applied.is_empty());
    clean.for_each(|(place, sample)| first_of[sample.face] = place);
    let lost_nothing: Vec<bool> = fitted
        .iter()
        .map(|&place| {
            let clean = first_of[measured.samples[place].face];
            qualities[clean] - qualities[place] < NEGLIGIBLE_LOSS
        })
        .collect();
    let none = inputs.logistic(&lost_nothing).ok_or(CalibrateError::NothingToFit)?;

    let all: Vec<f32> = rows.iter().chain([&none]).flat_map(|row| inputs.of_tokens(row)).collect();
    let causes: Vec<_> = kinds.iter().map(|kind| kind.cause()).collect();
    let regions = regions(measured);
    // The curves are fitted to values of the rounded weights, since those are the ones stored.
    let flat = vec![Curve([0.0; Curve::KNOTS]); kinds.len()];
    let broken = |_| CalibrateError::NothingToFit;
    let unshaped = CauseModel::new(causes.clone(), &all, flat.clone(), flat, regions);
    let unshaped = unshaped.map_err(broken)?;
    let (mut strengths, mut gains) = (Vec::new(), Vec::new());
    for (index, &kind) in kinds.iter().enumerate() {
        let values: Vec<f64> = tokens.iter().map(|token| value(&unshaped, index, token)).collect();
        let gain: Vec<f64> = fitted
            .iter()
            .map(|&place| {
                let own = measured.samples[place].applied.iter().find(|own| own.kind == kind);
                own.map_or(0.0, |own| qualities[own.without] - qualities[place])
            })
            .collect();
        strengths.push(curve(isotonic(&values, &levels[index]), 1.0, 1e3));
        gains.push(curve(isotonic(&values, &gain), 100.0, 1e2));
    }
    let model = CauseModel::new(causes, &all, strengths, gains, regions).map_err(broken)?;
    let evaluation = evaluate_causes(&model, measured, |face| measured.held_out[face], &qualities);
    Ok(CauseFit { model, evaluation })
}

/// The level of a kind in a sample, 0 if it is absent.
fn level(sample: &CauseSample, kind: Degradation) -> f64 {
    sample.applied.iter().find(|own| own.kind == kind).map_or(0.0, |own| own.level)
}

/// `w·m + b` of one row.
fn value(model: &CauseModel, row: usize, token: &[f32]) -> f64 {
    let row = &model.weights()[row * (model.dim() + 1)..][..=model.dim()];
    let products = row.iter().zip(token).map(|(&w, &m)| f64::from(w) * f64::from(m));
    products.sum::<f64>() + f64::from(row[model.dim()])
}

/// Values clamped to 0 … `highest` and rounded to `1 / steps`, so that their text is short.
fn curve(values: [f64; Curve::KNOTS], highest: f64, steps: f64) -> Curve {
    Curve(values.map(|value| ((value.clamp(0.0, highest) * steps).round() / steps) as f32))
}

/// Mean and deviation of the clean faces that are not held out.
fn regions(measured: &CauseSamples) -> RegionReference {
    let maps = measured.clean_maps.iter().zip(&measured.held_out);
    let unit = RegionReference { mean: [0.0; 6], deviation: [1.0; 6] };
    let found: Vec<[f64; 6]> = maps
        .filter(|(_, held_out)| !**held_out)
        .map(|(map, _)| unit.deviations(map, measured.side, measured.patch))
        .collect();
    let count = found.len() as f64;
    let mean: [f64; 6] =
        std::array::from_fn(|region| found.iter().map(|one| one[region]).sum::<f64>() / count);
    let deviation = std::array::from_fn(|region| {
        let squares = found.iter().map(|one| (one[region] - mean[region]).powi(2));
        ((squares.sum::<f64>() / count).sqrt() as f32).max(f32::MIN_POSITIVE)
    });
    RegionReference { mean: mean.map(|mean| mean as f32), deviation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::causes::samples::Applied;
    use attn_fiqa::causes::FaceRegion;
    use attn_fiqa::map::PatchMap;
    use attn_fiqa::random::Random;

    const KINDS: [Degradation; 3] = [Degradation::Noise, Degradation::Yaw, Degradation::Blur];

    /// Faces whose tokens contain the roots of their degradations' levels, in a mixed basis, with an
    /// offset and noise added. The degradation noise costs 80 points of quality, yaw 30 and blur
    /// none.
    fn measured(faces: usize) -> CauseSamples {
        let mut random = Random::new(3, "causes");
        let mut samples = Vec::new();
        for face in 0..faces {
            let first = samples.len();
            let alone: Vec<(Degradation, f64)> =
                (0..4).map(|i| (KINDS[i % 3], 1.0 - random.uniform())).collect();
            let mut plans = vec![Vec::new()];
            plans.extend(alone.iter().map(|&(kind, level)| vec![(kind, level, 0)]));
            plans.push(vec![(alone[0].0, alone[0].1, 2), (alone[1].0, alone[1].1, 1)]);
            for plan in plans {
                let root = |kind| -> f64 {
                    plan.iter().filter(|own| own.0 == kind).map(|own| own.1.sqrt()).sum()
                };
                let [a, b, c] = KINDS.map(root);
                let shown = [a + b, a - b, c + 0.5 * a, 0.0];
                let noisy = shown.map(|value| (3.0 + value + 0.05 * random.normal()) as f32);
                let applied = plan.iter().map(|&(kind, level, without)| Applied {
                    kind,
                    level,
                    without: first + without,
                });
                samples.push(CauseSample {
                    face,
                    applied: applied.collect(),
                    score: 0.0,
                    mean_query: Vec::new(),
                    mean_token: noisy.to_vec(),
                });
            }
        }
        let map = |value: usize| {
            PatchMap::of(14, (0..196).map(|patch| ((patch + value) % 7) as f32).collect())
                .expect("a square")
        };
        CauseSamples {
            samples,
            clean_maps: (0..faces).map(map).collect(),
            covered: Vec::new(),
            held_out: (0..faces).map(|face| face % 5 == 0).collect(),
            side: 112,
            patch: 8,
        }
    }

    fn quality(sample: &CauseSample) -> f64 {
        let cost = |own: &Applied| match own.kind {
            Degradation::Noise => 80.0 * own.level,
            Degradation::Yaw => 30.0 * own.level,
            _ => 0.0,
        };
        // Clean faces differ in quality.
        let clean = 95.0 - 5.0 * (sample.face % 3) as f64;
        (clean - sample.applied.iter().map(cost).sum::<f64>()).max(0.0)
    }

    #[test]
    fn fit_recovers_strengths_and_quality_gains() {
        let measured = measured(100);
        let CauseFit { model, evaluation } = fit_causes(&measured, &KINDS, quality).expect("a fit");
        assert_eq!(model.causes(), KINDS.map(Degradation::cause));
        for (row, cost) in [(0, 80.0), (1, 30.0)] {
            assert!(evaluation.causes[row].main.fraction() > 0.95, "{evaluation:?}");
            assert!(evaluation.causes[row].spearman.expect("varies") > 0.95);
            // The value is the root of the level: 0.7 stands for a level of 0.49.
            assert!((model.strengths()[row].at(0.7) - 0.49).abs() < 0.08, "{model:?}");
            let gain = f64::from(model.gains()[row].at(0.7));
            assert!((gain - 0.49 * cost).abs() < 0.1 * cost, "{gain} of {cost}");
        }
        // Blur is detected, but costs nothing and so is never named.
        assert!(evaluation.causes[2].spearman.expect("varies") > 0.95);
        assert_eq!(evaluation.causes[2].main.hits, 0);
        assert!(model.gains()[2].0.iter().all(|&gain| gain < 0.4), "{:?}", model.gains()[2]);
        assert_eq!(evaluation.clean, crate::calibrate::Hits { hits: 20, of: 20 });
        let of_each: usize = evaluation.causes.iter().map(|row| row.main.of).sum();
        assert_eq!(evaluation.single.of, of_each);
    }

    #[test]
    fn too_few_faces_and_constant_quality_are_rejected() {
        let refused = |faces, quality: fn(&CauseSample) -> f64| {
            fit_causes(&measured(faces), &KINDS, quality).expect_err("refused").to_string()
        };
        assert!(refused(10, quality).contains("10 usable faces"));
        assert!(refused(40, |_| 50.0).contains("nothing to fit"));
    }
    #[test]
    fn pairs_have_twice_the_weight_and_three_points_are_a_loss() {
        use Degradation::{Blur, Noise};
        // One element, which shows noise alone as 1 and, with blur, as 3; blur alone shows nothing.
        let of_face: [(&[(Degradation, usize)], f32); 4] = [
            (&[], 0.0),
            (&[(Noise, 0)], 1.0),
            (&[(Blur, 0)], 0.0),
            (&[(Noise, 2), (Blur, 1)], 3.0),
        ];
        let mut measured = CauseSamples { samples: Vec::new(), ..measured(20) };
        for face in 0..20 {
            for (applied, element) in of_face {
                let applied = applied.iter().map(|&(kind, without)| Applied {
                    kind,
                    level: 1.0,
                    without: 4 * face + without,
                });
                measured.samples.push(CauseSample {
                    face,
                    applied: applied.collect(),
                    score: 0.0,
                    mean_query: Vec::new(),
                    mean_token: vec![element],
                });
            }
        }
        // A quality of its own for each face, and 3 points less with noise.
        let quality = |sample: &CauseSample| {
            let noisy = sample.applied.iter().any(|own| own.kind == Noise);
            90.0 - 10.0 * (sample.face % 4) as f64 - if noisy { 3.0 } else { 0.0 }
        };
        let CauseFit { model, .. } = fit_causes(&measured, &[Noise, Blur], quality).expect("a fit");
        // The weighted means of element and root are 7/5 and 3/5, the sums of squares and products
        // about them 9.2 and 2.8; the variance of the element, for the ridge, is 1.5.
        let slope = 2.8 / (9.2 + 1e-3 * 4.0 * 1.5);
        for (found, expected) in model.weights().iter().zip([slope, 0.6 - 1.4 * slope]) {
            assert!((f64::from(*found) - expected).abs() < 5e-4, "{found} ≠ {expected}");
        }
        // Noise is a loss at any strength, and blur alone none.
        let none = |element| model.all(&[element]).1;
        assert!(none(0.0) > 0.95 && none(1.0) < 0.05, "{} {}", none(0.0), none(1.0));
        assert!((model.all(&[3.0]).0[0].gain - 3.0).abs() < 1e-4);
    }

    #[test]
    fn held_out_faces_do_not_affect_the_model() {
        let measured = measured(40);
        let expected = fit_causes(&measured, &KINDS, quality).expect("a fit").model;
        let mut changed = measured.clone();
        let held_out = |face: usize| measured.held_out[face];
        let samples = changed.samples.iter_mut().filter(|sample| held_out(sample.face));
        samples.for_each(|sample| sample.mean_token.reverse());
        let maps = changed.clean_maps.iter_mut().enumerate().filter(|(face, _)| held_out(*face));
        let steep = PatchMap::of(14, (0..196).map(|patch| patch as f32).collect());
        maps.for_each(|(_, map)| *map = steep.clone().expect("a square"));
        let found = fit_causes(&changed, &KINDS, quality).expect("a fit");
        assert_eq!(found.model, expected);
        assert_eq!(found.evaluation.clean_regions.hits, 0);
    }

    #[test]
    fn region_reference_is_mean_and_deviation_of_fitted_faces() {
        let measured = measured(40);
        let found = regions(&measured);
        for (place, region) in FaceRegion::ALL.into_iter().enumerate() {
            let fitted = measured.clean_maps.iter().zip(&measured.held_out);
            let values: Vec<f64> = fitted
                .filter(|(_, held_out)| !**held_out)
                .map(|(map, _)| region.relative_attention(map, 112, 8))
                .collect();
            assert_eq!(values.len(), 32);
            let mean = values.iter().sum::<f64>() / 32.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 32.0;
            let (found, deviation) = (found.mean[place], found.deviation[place]);
            assert!((f64::from(found) - mean).abs() < 1e-6, "{region}: {found} ≠ {mean}");
            assert!((f64::from(deviation) - variance.sqrt()).abs() < 1e-6, "{region}: {deviation}");
        }
    }

    #[test]
    fn curve_values_are_clamped_and_rounded() {
        let mut values = [2.0; Curve::KNOTS];
        values[..4].copy_from_slice(&[-0.5, 0.0994, 0.0996, 0.5]);
        let Curve(found) = curve(values, 1.0, 1e3);
        assert_eq!(found[..5], [0.0, 0.099, 0.1, 0.5, 1.0]);
    }
}
