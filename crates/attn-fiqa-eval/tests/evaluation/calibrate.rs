//! Fits on synthetic numbers with a known answer, and on a real network.

use attn_fiqa::checkpoint::{
    Calibration, Checkpoint, CheckpointOptions, builtin, write_calibrated,
};
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::score::Meaning;
use attn_fiqa::score::{Method, QualityMap};
use attn_fiqa::status::Failure;
use attn_fiqa_eval::calibrate::{
    CalibrateError, Face, Fit, FitOptions, MatedPair, Measurements, Recogniser, RecognitionError,
    RecognitionTarget, Sample, Sampling, fit, measure, quality_map, quality_scale,
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

fn sample(face: usize, kind: Option<Degradation>, score: f32) -> Sample {
    let (utility, cosine, norm, level) = (0.0, 0.0, 1.0, 0.4);
    Sample { face, kind, level, score, mean_query: Vec::new(), utility, cosine, norm }
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
                mean_query: query.iter().map(|&q| q as f32).collect(),
                utility,
                cosine: utility.tanh(),
                norm: 10.0 + utility,
                ..sample(face, (number > 0).then_some(Degradation::ALL[number]), score as f32)
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

#[test]
fn quality_is_rank_in_the_reference_set() {
    // One hundred faces with scores of 50 … 149, and nine hundred samples below −100.
    let clean = (0..100).map(|i| sample(i, None, 50.0 + i as f32));
    let degraded = (0..900).map(|i| sample(i, Some(Degradation::Blur), -1000.0 + i as f32));
    let samples: Vec<Sample> = clean.chain(degraded).collect();
    let map = quality_map(&samples, Method::ATTN, |p| f64::from(p.score)).expect("a map");
    assert_eq!(map.method(), Method::ATTN);
    assert!((74..=75).contains(&map.quality(99.0)), "{}", map.quality(99.0));
    assert!((24..=26).contains(&map.quality(-550.0)), "{}", map.quality(-550.0));
    assert!((49..=51).contains(&map.quality(0.0)), "{}", map.quality(0.0));
    assert_eq!((map.quality(-2000.0), map.quality(149.0)), (0, 100));
    assert_eq!(map.scores().len(), QualityMap::KNOTS);
    let flat: Vec<Sample> = (0..30).map(|i| sample(i, None, 1.0)).collect();
    assert!(quality_map(&flat, Method::ATTN, |p| f64::from(p.score)).is_err());
}

fn example(name: &str) -> Crop {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/faces/");
    let bytes = std::fs::read(format!("{folder}{name}")).expect("an example face");
    let picture = decode(&bytes, &DecodeLimits::default()).expect("an image").image;
    Crop::from_rgb(112, picture.into_rgb()).expect("a crop")
}

/// Crops that differ, though not like faces of different people.
fn faces(count: usize) -> Vec<Face> {
    let crop = example("astronaut.png");
    let mut faces = Vec::new();
    for number in 0..count {
        let shift = number * 3 * 4;
        let mut rgb = crop.rgb().to_vec();
        rgb.rotate_left(shift * 112);
        rgb.iter_mut().for_each(|level| *level = level.saturating_sub(number as u8 * 4));
        faces.push(Face {
            name: format!("{number}"),
            crop: Crop::from_rgb(112, rgb).expect("a crop"),
        });
    }
    faces
}

#[test]
fn a_stored_calibration_gives_the_fitted_scores() {
    let model = builtin().expect("the built-in model");
    let with_embedding = EngineOptions { embedding: true, ..EngineOptions::default() };
    let engine = Engine::new(&model, &with_embedding).expect("an engine");
    let kinds = vec![Degradation::Blur, Degradation::Contrast];
    let sampling = Sampling { kinds, degraded: 3, seed: 8 };
    let faces = faces(20);
    let mut heard = 0;
    let measured = measure(&engine, None, &faces, &sampling, 1e-3, |_, failure| {
        assert_eq!(failure, None);
        heard += 1;
    });
    let measured = measured.expect("samples");
    let samples = &measured.samples;
    assert_eq!((heard, samples.len()), (20, 20 * 4));
    assert!(samples.iter().all(|p| (p.kind.is_none()) == (p.utility == 1.0)));
    assert!(samples.iter().all(|p| p.norm > 0.0 && (p.kind.is_none()) == (p.level == 0.0)));
    // All pairs of samples of a face are compared, and all pairs of clean faces.
    assert_eq!((measured.pairs.len(), measured.non_mated), (20 * 6, 190));
    for pair in &measured.pairs {
        let [a, b] = [pair.a, pair.b].map(|place| &samples[place as usize]);
        assert_eq!(a.face, b.face);
        assert!(a.kind.is_some() || (f64::from(pair.cosine) - b.cosine).abs() < 1e-6);
    }
    let config = engine.config();
    let scale_over_heads = f64::from(config.scale()) / config.num_heads as f64;
    let options = FitOptions { scale_over_heads, existing: None, seed: 1 };
    let found = fit(&measured, &utilities(&measured), options).expect("a fit");
    let map = quality_map(samples, Method::ATTN_CALIBRATED, |p| found.key_bias.score(p));
    let bias = found.key_bias.values.clone();
    let calibration = Calibration::new(map.expect("a map"), Default::default(), Some(&bias));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calibrated.safetensors");
    write_calibrated(&model, &path, Some(bias), &calibration).expect("written");

    let calibrated = Checkpoint::open(&path, &CheckpointOptions::default()).expect("a checkpoint");
    let calibrated = Engine::new(&calibrated, &with_embedding).expect("an engine");
    let crops: Vec<Crop> = faces.iter().map(|face| face.crop.clone()).collect();
    let scored = calibrated.assess(&crops, &Request::new(Method::ATTN_CALIBRATED));
    let clean = samples.iter().filter(|sample| sample.kind.is_none());
    for (sample, scored) in clean.zip(scored.expect("a request")) {
        let (expected, score) = (found.key_bias.score(sample), scored.expect("scored").scores[0]);
        assert!((expected - f64::from(score)).abs() < 1e-4 * expected.abs().max(1.0));
    }
}

/// A recogniser that sees only the mean grey.
struct MeanGrey;

impl Recogniser for MeanGrey {
    fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>> {
        let embedding = |crop: &Crop| {
            let mean = crop.rgb().iter().map(|&l| f32::from(l)).sum::<f32>();
            Ok(vec![1.0, mean / crop.rgb().len() as f32 / 255.0])
        };
        crops.iter().map(embedding).collect()
    }
}

#[test]
fn another_recogniser_defines_utility() {
    let model = builtin().expect("the built-in model");
    let engine = Engine::new(&model, &EngineOptions::default()).expect("an engine");
    let sampling = Sampling { kinds: vec![Degradation::Contrast], degraded: 2, seed: 1 };
    let samples = measure(&engine, Some(&MeanGrey), &faces(2), &sampling, 1e-3, |_, _| ());
    // Contrast does not change the mean grey, which is all that this recogniser sees.
    assert!(samples.expect("samples").samples.iter().all(|sample| sample.utility > 0.9));
    let without = measure(&engine, None, &faces(2), &sampling, 1e-3, |_, _| ());
    assert!(matches!(without, Err(CalibrateError::Request(_))), "no embedding was loaded");
}
