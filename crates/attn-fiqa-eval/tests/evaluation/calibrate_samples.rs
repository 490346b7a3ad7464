//! Samples of faces measured with a real network.

use attn_fiqa::causes::FaceRegion;
use attn_fiqa::checkpoint::{
    Calibration, Checkpoint, CheckpointOptions, builtin, write_calibrated,
};
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use attn_fiqa_eval::calibrate::{
    CalibrateError, Face, FitOptions, KeyBias, Recogniser, Sampling, cause_samples, fit, measure,
    quality_map,
};
use attn_fiqa_eval::degrade::{Degradation, Level, apply_together};

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
    let scale_over_heads = KeyBias::scale_over_heads(engine.config());
    let options = FitOptions { scale_over_heads, existing: None, seed: 1 };
    let utilities: Vec<f64> = samples.iter().map(|sample| sample.utility).collect();
    let found = fit(&measured, &utilities, options).expect("a fit");
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

/// The assessments of crops by the engine alone.
fn assessed(engine: &Engine, crops: &[Crop]) -> Vec<Assessment> {
    let request = Request { mean_token: true, received: true, ..Request::new(Method::ATTN) };
    let found = engine.assess(crops, &request).expect("a request");
    found.into_iter().map(|found| found.expect("assessed")).collect()
}

#[test]
fn measurements_match_embeddings_and_tokens_of_the_crops() {
    let model = builtin().expect("the built-in model");
    let engine = Engine::new(&model, &EngineOptions::default()).expect("an engine");
    let sampling = Sampling { kinds: vec![Degradation::Overexposure], degraded: 1, seed: 4 };
    let faces = faces(3);
    let measured =
        measure(&engine, Some(&MeanGrey), &faces, &sampling, 1.0, |_, _| ()).expect("samples");
    // Overexposure does not depend on the seed.
    let crops: Vec<Crop> = measured
        .samples
        .iter()
        .map(|sample| {
            let (crop, level) = (&faces[sample.face].crop, Level::new(sample.level));
            sample.kind.map_or(crop.clone(), |kind| kind.apply(crop, level.expect("in 0 … 1"), 0))
        })
        .collect();
    let embeddings: Vec<Vec<f64>> = MeanGrey
        .embed(&crops)
        .into_iter()
        .map(|found| found.expect("embedded").into_iter().map(f64::from).collect())
        .collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norm = |place: usize| product(&embeddings[place], &embeddings[place]).sqrt();
    let cosine = |a: usize, b: usize| product(&embeddings[a], &embeddings[b]) / (norm(a) * norm(b));
    for face in 0..3 {
        let (clean, bright) = (2 * face, 2 * face + 1);
        let expected = cosine(clean, bright);
        assert!((measured.samples[bright].cosine - expected).abs() < 1e-6);
        assert!((f64::from(measured.pairs[face].cosine) - expected).abs() < 1e-6);
        assert!((measured.samples[bright].norm - norm(bright)).abs() < 1e-6);
    }
    let mut non_mated = [cosine(0, 2), cosine(0, 4), cosine(2, 4)];
    non_mated.sort_by(|a, b| b.total_cmp(a));
    assert_eq!((measured.non_mated, measured.highest_non_mated.len()), (3, 3));
    for (&found, expected) in measured.highest_non_mated.iter().zip(non_mated) {
        assert!((f64::from(found) - expected).abs() < 1e-6, "{found} ≠ {expected}");
    }

    // The penalty is W·diag(var m)·Wᵀ over all samples, clean and degraded.
    let tokens: Vec<Vec<f64>> = assessed(&engine, &crops)
        .into_iter()
        .map(|found| found.mean_token.expect("asked for"))
        .collect();
    let dim = tokens[0].len();
    let variances: Vec<f64> = (0..dim)
        .map(|index| {
            let mean = tokens.iter().map(|token| token[index]).sum::<f64>() / 6.0;
            tokens.iter().map(|token| (token[index] - mean).powi(2)).sum::<f64>() / 6.0
        })
        .collect();
    let weight = |row: usize, index: usize| f64::from(engine.query_weight()[row * dim + index]);
    for (a, b) in [(0, 0), (1, 0), (5, 5), (9, 2)] {
        let terms = (0..dim).map(|index| weight(a, index) * weight(b, index) * variances[index]);
        let size = (0..dim).map(|index| weight(a, index).powi(2) * variances[index]).sum::<f64>();
        let (found, expected) = (measured.penalty[a * dim + b], terms.sum::<f64>());
        assert!((found - expected).abs() < 1e-4 * size, "{a}, {b}: {found} ≠ {expected}");
    }
}

/// A recogniser that sees nothing.
struct Blind;

impl Recogniser for Blind {
    fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>> {
        crops.iter().map(|_| Ok(vec![0.0; 4])).collect()
    }
}

#[test]
fn embeddings_of_zeros_have_cosine_zero() {
    let model = builtin().expect("the built-in model");
    let engine = Engine::new(&model, &EngineOptions::default()).expect("an engine");
    let sampling = Sampling { kinds: vec![Degradation::Blur], degraded: 1, seed: 1 };
    let measured = measure(&engine, Some(&Blind), &faces(2), &sampling, 1e-3, |_, _| ());
    let measured = measured.expect("samples");
    for sample in measured.samples.iter().filter(|sample| sample.kind.is_some()) {
        assert_eq!((sample.cosine, sample.utility, sample.norm), (0.0, 0.0, 0.0));
    }
    assert!(measured.pairs.iter().all(|pair| pair.cosine == 0.0));
    assert_eq!(measured.highest_non_mated, [0.0]);
}

#[test]
fn cause_samples_match_the_assessments_of_their_crops() {
    let model = builtin().expect("the built-in model");
    let engine = Engine::new(&model, &EngineOptions::default()).expect("an engine");
    // Neither depends on the seed.
    let kinds = vec![Degradation::Blur, Degradation::Overexposure];
    let sampling = Sampling { kinds, degraded: 2, seed: 2 };
    let faces = faces(5);
    let mut names = Vec::new();
    let measured = cause_samples(&engine, &faces, &sampling, |face, failure| {
        assert_eq!(failure, None);
        names.push(face.name.clone());
    });
    let measured = measured.expect("samples");
    assert_eq!(names, ["0", "1", "2", "3", "4"]);
    let samples = &measured.samples;
    let count = |applied: usize| samples.iter().filter(|s| s.applied.len() == applied).count();
    assert_eq!((count(0), count(1)), (5, 10));
    assert!(count(2) > 0 && samples.is_sorted_by_key(|sample| sample.face));
    let crops: Vec<Crop> = samples
        .iter()
        .map(|sample| {
            let level = |level| Level::new(level).expect("in 0 … 1");
            let applied: Vec<(Degradation, Level)> =
                sample.applied.iter().map(|own| (own.kind, level(own.level))).collect();
            apply_together(&faces[sample.face].crop, &applied, 0)
        })
        .collect();
    for (sample, expected) in samples.iter().zip(assessed(&engine, &crops)) {
        assert!((sample.score - expected.scores[0]).abs() < 1e-5, "{sample:?}");
        let token = expected.mean_token.expect("asked for");
        for (found, expected) in sample.mean_token.iter().zip(&token) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} ≠ {expected}");
        }
        // Each reference is to the same face with all other degradations.
        for own in &sample.applied {
            let mut rest: Vec<Degradation> = sample.applied.iter().map(|own| own.kind).collect();
            rest.retain(|&kind| kind != own.kind);
            let other = &samples[own.without];
            assert_eq!(other.face, sample.face);
            assert!(other.applied.iter().map(|own| own.kind).eq(rest), "{sample:?}");
        }
    }

    let clean: Vec<Crop> = faces.iter().map(|face| face.crop.clone()).collect();
    let maps = assessed(&engine, &clean).into_iter().map(|found| found.received.expect("a map"));
    assert_eq!(measured.clean_maps, maps.map(|map| map.mean).collect::<Vec<_>>());
    // One face in five is held out, and each of its regions is covered once.
    assert_eq!(measured.held_out.iter().filter(|&&held_out| held_out).count(), 1);
    let regions: Vec<FaceRegion> = measured.covered.iter().map(|(region, _)| *region).collect();
    assert_eq!(regions, FaceRegion::ALL);
    for (region, map) in &measured.covered {
        let held_out = measured.clean_maps.iter().zip(&measured.held_out);
        let (own, _) = held_out.clone().find(|(_, held_out)| **held_out).expect("held out");
        assert_ne!(map, own, "{region}");
    }
}
