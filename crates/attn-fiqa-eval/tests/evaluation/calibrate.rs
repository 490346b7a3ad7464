//! Fits on synthetic numbers with a known answer.

use attn_fiqa::score::{Meaning, Method};
use attn_fiqa_eval::calibrate::{
    CalibrateError, Fit, FitOptions, MatedPair, Measurements, RecognitionError, RecognitionTarget,
    Sample, fit, quality_scale,
};
use attn_fiqa_eval::degrade::Degradation;

/// Pseudo-random numbers in −1 … 1.
fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// The identity as a penalty on `dim` weights.
fn identity(dim: usize) -> Vec<f64> {
    (0..dim * dim).map(|place| f64::from(u8::from(place % (dim + 1) == 0))).collect()
}

/// Samples whose utility is `weights·q̄` plus a little noise; the published score contains a part
/// of `q̄` with the wrong sign. The recogniser's cosine increases with the utility, and a
/// comparison is as good as its worse sample.
fn made_up(faces: usize, weights: &[f64]) -> Measurements {
    let (mut seed, middle) = (5, 3.0 * weights.iter().sum::<f64>());
    let (mut samples, mut pairs) = (Vec::new(), Vec::new());
    for face in 0..faces {
        for number in 0..6 {
            let query: Vec<f64> =
                weights.iter().map(|_| 3.0 + noise(&mut seed) + 0.1 * face as f64 % 0.7).collect();
            let useful: f64 = query.iter().zip(weights).map(|(q, w)| q * w).sum();
            let score = 0.3 * noise(&mut seed) - 0.5 * useful;
            let utility = useful - middle + 0.05 * noise(&mut seed);
            samples.push(Sample {
                face,
                kind: (number > 0).then_some(Degradation::ALL[number]),
                level: 0.4,
                score: score as f32,
                mean_query: query.iter().map(|&q| q as f32).collect(),
                utility,
                cosine: utility.tanh(),
                norm: 10.0 + utility,
            });
        }
        let own = (face * 6..face * 6 + 6).collect::<Vec<_>>();
        for (place, &b) in own.iter().enumerate() {
            for &a in &own[..place] {
                let cosine = samples[a].cosine.min(samples[b].cosine) as f32;
                pairs.push(MatedPair { a: a as u32, b: b as u32, cosine });
            }
        }
    }
    let penalty = identity(weights.len());
    // One comparison in a thousand reaches 0.3.
    let highest_non_mated = vec![0.9, 0.5, 0.4, 0.3];
    Measurements { samples, pairs, fmr: 1e-3, non_mated: 3000, highest_non_mated, penalty }
}

fn utilities(measured: &Measurements) -> Vec<f64> {
    measured.samples.iter().map(|sample| sample.utility).collect()
}

fn fitted(measured: &Measurements, seed: u64) -> Fit {
    let options = FitOptions { scale_over_heads: 0.05, existing: None, seed };
    fit(measured, &utilities(measured), options).expect("a fit")
}

#[test]
fn linear_relation_is_recovered_on_held_out_faces() {
    let weights: Vec<f64> = (0..12).map(|i| f64::from(i % 5) * 0.2 - 0.4).collect();
    let measured = made_up(60, &weights);
    let found = fitted(&measured, 3);
    assert_eq!((found.faces_fitted, found.faces_held_out), (48, 12));
    assert_eq!(found.held_out.iter().filter(|&&held_out| held_out).count(), 12);
    let all = found.overall();
    assert_eq!((all.kind, all.samples), ("all", 12 * 6));
    assert!(all.published.expect("varies") < -0.8, "{all:?}");
    assert!(all.calibrated.expect("varies") > 0.95, "{all:?}");
    let judged = found.held_out_errors.expect("a threshold");
    // No order leaves fewer errors than discarding the errors first: for a fraction e of errors
    // that is the integral of (e − d)/(1 − d) over 0 … 0.3.
    let held_out = |pair: &&MatedPair| found.held_out[measured.samples[pair.a as usize].face];
    let own: Vec<&MatedPair> = measured.pairs.iter().filter(held_out).collect();
    let errors = own.iter().filter(|pair| pair.cosine <= 0.3).count();
    let share = errors as f64 / own.len() as f64;
    let ideal = 0.3 - (1.0 - share) * (1.0f64 / 0.7).ln();
    assert!(judged.fitted.pauc < 1.02 * ideal, "{ideal} {judged:?}");
    assert!(judged.published.pauc > judged.fitted.pauc, "{judged:?}");
    assert!(judged.fitted.brier < 0.5 * judged.published.brier, "{judged:?}");
    assert!(found.helps() && found.candidates.iter().all(|tried| tried.errors.is_some()));
    assert_eq!(found.agreement.len(), 6);

    // The same in every run, and a different split for another seed.
    assert_eq!(fitted(&measured, 3), found);
    assert_ne!(fitted(&measured, 4).key_bias, found.key_bias);

    // A previous key bias is also evaluated, and changes nothing else.
    let beside = |existing: &[f32]| {
        let existing = Some(existing);
        let options = FitOptions { scale_over_heads: 0.05, existing, seed: 3 };
        fit(&measured, &utilities(&measured), options).expect("a fit")
    };
    let zero = beside(&vec![0.0; weights.len()]);
    assert!(found.agreement.iter().all(|row| row.existing.is_none()));
    assert!(zero.agreement.iter().all(|row| row.existing == row.published));
    assert_eq!(zero.key_bias, found.key_bias);
    let own = beside(&found.key_bias.values);
    assert_eq!(own.overall().existing, found.overall().calibrated);
    let judged = own.held_out_errors.expect("a threshold");
    assert_eq!(judged.existing, Some(judged.fitted));

    // The network's factor goes into the key bias and not into the score.
    let options = FitOptions { scale_over_heads: 0.1, existing: None, seed: 3 };
    let other = fit(&measured, &utilities(&measured), options).expect("a fit");
    for sample in &measured.samples[..20] {
        let (a, b) = (found.key_bias.score(sample), other.key_bias.score(sample));
        assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{a} ≠ {b}");
    }
}

#[test]
fn fit_without_threshold_uses_rank_correlation() {
    let mut measured = made_up(40, &[0.5, -0.3, 0.2, 0.1]);
    measured.non_mated = 2999;
    let found = fitted(&measured, 1);
    assert!(
        found.held_out_errors.is_none()
            && found.candidates.iter().all(|tried| tried.errors.is_none())
    );
    assert!(found.helps() && found.overall().calibrated > Some(0.9), "{:?}", found.overall());
}

#[test]
fn uninformative_utility_fits_poorly_or_is_rejected() {
    let mut measured = made_up(40, &[0.5, -0.3, 0.2, 0.1]);
    let mut seed = 77;
    for sample in &mut measured.samples {
        sample.utility = noise(&mut seed);
    }
    let found = fitted(&measured, 1);
    assert!(found.overall().calibrated.expect("varies").abs() < 0.4, "{:?}", found.overall());

    let options = FitOptions { scale_over_heads: 0.1, existing: None, seed: 1 };
    let flat = vec![0.5; measured.samples.len()];
    assert!(matches!(fit(&measured, &flat, options), Err(CalibrateError::NothingToFit)));
    let mut constant = measured.clone();
    constant.samples.iter_mut().for_each(|sample| sample.score = 0.5);
    let refusal = fit(&constant, &utilities(&constant), options);
    assert!(matches!(refusal, Err(CalibrateError::NothingToFit)));
    measured.samples.truncate(6 * 19);
    measured.pairs.clear();
    let error = fit(&measured, &flat[..6 * 19], options).expect_err("too few").to_string();
    assert!(error.contains("19 usable faces"), "{error}");
}

#[test]
fn the_norm_extends_the_match_probability_to_clean_faces() {
    let mut measured = made_up(60, &[0.3, -0.2, 0.1]);
    let found = RecognitionTarget::of(&measured).expect("the norm follows the cosine");
    assert!(found.threshold > 0.3 && found.threshold < 0.300_001, "{}", found.threshold);
    let damaged = || measured.samples.iter().filter(|sample| sample.kind.is_some());
    let matches = damaged().filter(|sample| sample.cosine >= found.threshold).count();
    assert_eq!(found.matches, [matches, damaged().count()]);
    assert!(found.agreement > 0.99, "{found:?}");
    // A sample that matches half of the time has the norm of the threshold, clean or not.
    let half = 10.0 + found.threshold.atanh();
    let clean = Sample { norm: half, ..measured.samples[0].clone() };
    // Here the norm separates matches from the others perfectly.
    let at = |norm| found.target(&Sample { norm, ..clean.clone() });
    assert!(at(half - 0.2) < 0.05 && at(half + 0.2) > 0.95, "{}", found.target(&clean));
    let longer = Sample { norm: half + 1.0, ..clean.clone() };
    assert!(found.target(&longer) > found.target(&clean));

    // For a score that is the cosine itself, predicted probabilities hold.
    let model =
        found.match_model(&measured, |_| true, |sample| sample.cosine).expect("both outcomes");
    let rows = found.reliability(&measured, model, |_| true, |sample| sample.cosine);
    assert_eq!(rows.iter().map(|row| row.samples).sum::<usize>(), damaged().count());
    let broken = rows.iter().map(|row| row.samples as f64 * (row.expected - row.matched).abs());
    assert!(broken.sum::<f64>() < 0.05 * damaged().count() as f64, "{rows:?}");

    // Uninformative or reversed norms, and too few comparisons, are refused.
    measured.samples.iter_mut().for_each(|sample| sample.norm = 1.0);
    let refusal = RecognitionTarget::of(&measured).expect_err("refused");
    assert!(matches!(refusal, RecognitionError::UninformativeNorm { agreement: 0.0, .. }));
    for sample in &mut measured.samples {
        sample.norm = 10.0 - sample.utility;
    }
    let refusal = RecognitionTarget::of(&measured).expect_err("refused").to_string();
    assert!(refusal.contains("rank correlation -1.00"), "{refusal}");
    measured.non_mated = 1225;
    let refusal = RecognitionTarget::of(&measured).expect_err("refused").to_string();
    assert!(refusal.contains("1225 comparisons") && refusal.contains("3000"), "{refusal}");
}

#[test]
fn scale_anchors_match_probabilities_and_clean_quantiles() {
    let measured = made_up(60, &[0.3, -0.2, 0.1]);
    let recognition = RecognitionTarget::of(&measured).expect("a threshold");
    // Degraded samples that match half of the time score 0, clean ones 10 … 69.
    let score = |sample: &Sample| match sample.kind {
        None => 10.0 + sample.face as f64,
        Some(_) => sample.cosine - recognition.threshold,
    };
    let model = recognition.match_model(&measured, |_| true, score).expect("both outcomes");
    let scale = quality_scale(&measured.samples, score, model, "net", 1e-3).expect("a scale");
    let expected = [0.02, 0.5, 0.8, 0.95];
    for (anchor, share) in scale.anchors.iter().zip(expected) {
        assert_eq!(anchor.meaning, Meaning::Matched(share));
        assert!((model.at(f64::from(anchor.score)) - share).abs() < 1e-4, "{anchor:?}");
    }
    assert!((scale.anchors[4].score - 39.5).abs() < 1e-3);
    assert!((scale.anchors[5].score - 66.05).abs() < 1e-3);
    let map = scale.map(Method::ATTN).expect("rises");
    assert_eq!((map.quality(39.5), map.quality(0.0)), (80, map.quality(0.0)));
    // Clean faces below the score that matches 95 % of the time give no scale.
    let weak = |sample: &Sample| if sample.kind.is_none() { 0.0 } else { score(sample) };
    assert_eq!(quality_scale(&measured.samples, weak, model, "net", 1e-3), None);
}
