use super::*;
use crate::calibrate::MatedPair;
use crate::calibrate::cholesky::Cholesky;
use crate::calibrate::logistic_fit::fit_logistic;

const DIM: usize = 3;

/// Four samples of each of 25 faces. The target depends on the mean query and, less, on the score.
fn made_up() -> (Measurements, Vec<f64>) {
    let mut random = Random::new(21, "fit");
    let (mut samples, mut pairs, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for place in 0..100u32 {
        let query: [f64; DIM] =
            std::array::from_fn(|index| 1.0 + (1.0 + index as f64) * random.normal());
        let score = 4.0 * random.normal() + query[1];
        let target = query[0] - 0.4 * query[2] + 0.2 * score + random.normal();
        let cosine = (target / 2.0).tanh();
        samples.push(Sample {
            face: place as usize / 4,
            kind: (!place.is_multiple_of(4)).then_some(Degradation::Blur),
            level: 0.2,
            score: score as f32,
            mean_query: query.map(|element| element as f32).to_vec(),
            utility: cosine,
            cosine,
            norm: 10.0,
        });
        targets.push(target);
        let first = place / 4 * 4;
        pairs.extend((first..place).map(|a| MatedPair { a, b: place, cosine: cosine as f32 }));
    }
    let penalty = vec![2.0, 0.3, 0.1, 0.3, 3.0, 0.2, 0.1, 0.2, 4.0];
    let highest_non_mated = vec![0.9, 0.5, 0.4, 0.1];
    let measured =
        Measurements { samples, pairs, fmr: 1e-3, non_mated: 3000, highest_non_mated, penalty };
    (measured, targets)
}

/// `[q̄, Q, y]` of the samples of the chosen faces, each minus its mean over them.
fn centred(
    measured: &Measurements,
    targets: &[f64],
    chosen: impl Fn(usize) -> bool,
) -> Vec<Vec<f64>> {
    let own = measured.samples.iter().zip(targets).filter(|(sample, _)| chosen(sample.face));
    let mut rows: Vec<Vec<f64>> = own
        .map(|(sample, &target)| {
            let query = sample.mean_query.iter().map(|&element| f64::from(element));
            query.chain([f64::from(sample.score), target]).collect()
        })
        .collect();
    for column in 0..DIM + 2 {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
        rows.iter_mut().for_each(|row| row[column] -= mean);
    }
    rows
}

/// The mean over `rows` of a function.
fn mean(rows: &[Vec<f64>], of: impl Fn(&[f64]) -> f64) -> f64 {
    rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64
}

/// Ridge regression of `y − factor·Q` on `q̄`.
fn ridge_regression(rows: &[Vec<f64>], ridge: f64, penalty: &[f64], factor: f64) -> Vec<f64> {
    let product = |a: usize, b: usize| mean(rows, |row| row[a] * row[b]);
    let mut system: Vec<f64> = (0..DIM * DIM)
        .map(|place| product(place / DIM, place % DIM) + ridge * penalty[place])
        .collect();
    let least = 1e-6 * (0..DIM).map(|index| system[index * (DIM + 1)]).sum::<f64>() / DIM as f64;
    (0..DIM).for_each(|index| system[index * (DIM + 1)] += least);
    let right: Vec<f64> = (0..DIM)
        .map(|index| mean(rows, |row| row[index] * (row[DIM + 1] - factor * row[DIM])))
        .collect();
    Cholesky::of(&system, DIM).expect("positive definite").solve(&right)
}

/// Standard deviation of the target over that of the score.
fn target_per_score(rows: &[Vec<f64>]) -> f64 {
    (mean(rows, |row| row[DIM + 1].powi(2)) / mean(rows, |row| row[DIM].powi(2))).sqrt()
}

#[test]
fn candidates_are_means_over_folds() {
    let (measured, targets) = made_up();
    let options = FitOptions { scale_over_heads: 0.1, existing: None, seed: 6 };
    let found = fit(&measured, &targets, options).expect("a fit");
    assert_eq!(found.candidates.len(), RIDGES.len() * BETAS.len());
    let fitted = split(25, 6).1;
    let unit = target_per_score(&centred(&measured, &targets, |face| fitted.contains(&face)));
    let threshold = measured.threshold().expect("enough comparisons");
    for candidate in &found.candidates {
        let factor = candidate.beta * unit;
        let (mut agreement, mut errors) = (0.0, ErrorMetrics { pauc: 0.0, brier: 0.0 });
        for fold in 0..FOLDS {
            let fold_of = |face| fitted.iter().position(|&own| own == face).map(|i| i % FOLDS);
            let others = |face| fold_of(face).is_some_and(|own| own != fold);
            let rows = centred(&measured, &targets, others);
            let weights = ridge_regression(&rows, candidate.ridge, &measured.penalty, factor);
            let own = |face| fold_of(face) == Some(fold);
            let tested = centred(&measured, &targets, own);
            let predicted: Vec<f64> = tested
                .iter()
                .map(|row| {
                    let products = weights.iter().zip(row).map(|(w, q)| w * q);
                    products.sum::<f64>() + factor * row[DIM]
                })
                .collect();
            let targets: Vec<f64> = tested.iter().map(|row| row[DIM + 1]).collect();
            agreement += spearman(&predicted, &targets).expect("varies");
            let evaluator = ScoreEvaluator::new(&measured.samples, &measured.pairs, threshold, own);
            let model = evaluator.match_model(&predicted).expect("both outcomes");
            let of_fold = evaluator.errors(&predicted, model).expect("comparisons");
            errors.pauc += of_fold.pauc;
            errors.brier += of_fold.brier;
        }
        let judged = candidate.errors.expect("a threshold");
        for (found, sum) in [
            (candidate.agreement, agreement),
            (judged.pauc, errors.pauc),
            (judged.brier, errors.brier),
        ] {
            assert!((found - sum / FOLDS as f64).abs() < 1e-9, "{candidate:?}: {found}, {sum}");
        }
    }
}

#[test]
fn key_bias_is_the_ridge_regression_on_fitted_faces() {
    let (measured, targets) = made_up();
    let options = FitOptions { scale_over_heads: 0.1, existing: None, seed: 6 };
    let found = fit(&measured, &targets, options).expect("a fit");
    let rows = centred(&measured, &targets, |face| !found.held_out[face]);
    let factor = found.beta * target_per_score(&rows);
    let weights = ridge_regression(&rows, found.ridge, &measured.penalty, factor);
    for (found, weight) in found.key_bias.values.iter().zip(weights) {
        let expected = weight / factor / 0.1;
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference < 1e-5 * expected.abs(), "{found} ≠ {expected}");
    }
}

#[test]
fn match_probabilities_on_held_out_faces_come_from_fitted_ones() {
    let (measured, targets) = made_up();
    let options = FitOptions { scale_over_heads: 0.1, existing: None, seed: 6 };
    let found = fit(&measured, &targets, options).expect("a fit");
    let threshold = measured.threshold().expect("enough comparisons");
    // Scores and outcomes of the degraded samples, held out or not.
    let outcomes = |held_out: bool| -> (Vec<f64>, Vec<bool>) {
        let degraded = measured.samples.iter().filter(|sample| sample.kind.is_some());
        let own = degraded.filter(|sample| found.held_out[sample.face] == held_out);
        own.map(|sample| (f64::from(sample.score), sample.cosine >= threshold)).unzip()
    };
    let (scores, matches) = outcomes(false);
    let model = fit_logistic(&scores, &matches).expect("both outcomes");
    let (scores, matches) = outcomes(true);
    let squares = scores
        .iter()
        .zip(&matches)
        .map(|(&score, &matches)| (model.at(score) - f64::from(u8::from(matches))).powi(2));
    let expected = squares.sum::<f64>() / scores.len() as f64;
    let judged = found.held_out_errors.expect("a threshold");
    assert!((judged.published.brier - expected).abs() < 1e-9, "{judged:?} ≠ {expected}");
}

#[test]
fn near_equal_candidates_prefer_the_conservative_one() {
    let candidate = |ridge, beta, agreement| Candidate { ridge, beta, agreement, errors: None };
    let mut choices = [
        candidate(1e-4, 0.01, 0.8002),
        candidate(1e-2, 0.01, 0.8001),
        candidate(1e-4, 0.1, 0.8),
        candidate(1e-2, 0.1, 0.79),
        candidate(1.0, 1.0, 0.5),
    ];
    assert_eq!(choose(&choices), Some(choices[2]));
    assert_eq!(choose(&choices[..2]), Some(choices[1]));
    assert_eq!(choose(&[]), None);
    // Errors take precedence over the correlation.
    for (choice, pauc) in choices.iter_mut().zip([0.2, 0.1999, 0.19, 0.18, 0.3]) {
        choice.errors = Some(ErrorMetrics { pauc, brier: 0.1 });
    }
    assert_eq!(choose(&choices), Some(choices[3]));
}
