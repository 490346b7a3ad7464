//! Fits on made-up numbers whose answer is known, and on a real network.

use attn_fiqa::checkpoint::{
    Calibration, Checkpoint, CheckpointOptions, builtin, write_calibrated,
};
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::score::{Method, QualityMap};
use attn_fiqa::status::Failure;
use attn_fiqa_eval::calibrate::{
    CalibrateError, Face, Picture, Recogniser, Sampling, fit, measure, quality_map,
};
use attn_fiqa_eval::degrade::Degradation;

/// Numbers in −1 … 1 without much order.
fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Pictures whose utility is `weights·q̄` and a little noise; the published score has
/// a part of `q̄` in it that points the wrong way.
fn made_up(faces: usize, weights: &[f64]) -> Vec<Picture> {
    let mut seed = 5;
    let mut pictures = Vec::new();
    for face in 0..faces {
        for number in 0..6 {
            let query: Vec<f64> =
                weights.iter().map(|_| 3.0 + noise(&mut seed) + 0.1 * face as f64 % 0.7).collect();
            let useful: f64 = query.iter().zip(weights).map(|(q, w)| q * w).sum();
            let score = 0.3 * noise(&mut seed) - 0.5 * useful;
            pictures.push(Picture {
                face,
                kind: (number > 0).then_some(Degradation::ALL[number]),
                score: score as f32,
                mean_query: query.iter().map(|&q| q as f32).collect(),
                utility: useful + 0.05 * noise(&mut seed),
            });
        }
    }
    pictures
}

#[test]
fn a_linear_truth_is_found_and_judged_on_faces_held_out() {
    let weights: Vec<f64> = (0..12).map(|i| f64::from(i % 5) * 0.2 - 0.4).collect();
    let pictures = made_up(60, &weights);
    let found = fit(&pictures, 0.05, None, 3).expect("a fit");
    assert_eq!((found.faces_fitted, found.faces_held_out), (48, 12));
    let all = found.overall();
    assert_eq!((all.kind, all.pictures), ("all", 12 * 6));
    assert!(all.published.expect("varies") < -0.8, "{all:?}");
    assert!(all.calibrated.expect("varies") > 0.95, "{all:?}");
    assert!(found.helps() && found.cross_validated > 0.95);
    assert_eq!(found.agreement.len(), 6);

    // The same on every run, and another split for another seed.
    assert_eq!(fit(&pictures, 0.05, None, 3).expect("a fit"), found);
    assert_ne!(fit(&pictures, 0.05, None, 4).expect("a fit").key_bias, found.key_bias);

    // A bias that was there before is judged beside it, and changes nothing else.
    let zero = vec![0.0; weights.len()];
    let beside = fit(&pictures, 0.05, Some(&zero), 3).expect("a fit");
    assert!(found.agreement.iter().all(|row| row.existing.is_none()));
    assert!(beside.agreement.iter().all(|row| row.existing == row.published));
    assert_eq!(beside.key_bias, found.key_bias);
    let own = fit(&pictures, 0.05, Some(&found.key_bias.values), 3).expect("a fit");
    assert_eq!(own.overall().existing, found.overall().calibrated);

    // The factor of the network goes into the key bias and not into the score.
    let other = fit(&pictures, 0.1, None, 3).expect("a fit");
    for picture in &pictures[..20] {
        let (a, b) = (found.key_bias.score(picture), other.key_bias.score(picture));
        assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{a} ≠ {b}");
    }
}

#[test]
fn no_truth_is_said_to_be_none() {
    let mut pictures = made_up(40, &[0.5, -0.3, 0.2, 0.1]);
    let mut seed = 77;
    for picture in &mut pictures {
        picture.utility = noise(&mut seed);
    }
    let found = fit(&pictures, 0.1, None, 1).expect("a fit");
    assert!(found.overall().calibrated.expect("varies").abs() < 0.4, "{:?}", found.overall());

    for picture in &mut pictures {
        picture.utility = 0.5;
    }
    assert!(matches!(fit(&pictures, 0.1, None, 1), Err(CalibrateError::NothingToFit)));
    pictures.truncate(6 * 19);
    let error = fit(&pictures, 0.1, None, 1).expect_err("too few").to_string();
    assert!(error.contains("19 usable faces"), "{error}");
}

#[test]
fn quality_is_rank_in_the_reference_set() {
    // One hundred faces that score 50 … 149, and nine hundred pictures below −100.
    let picture = |index: usize, kind: Option<Degradation>, score: f32| Picture {
        face: index,
        kind,
        score,
        mean_query: Vec::new(),
        utility: 0.0,
    };
    let clean = (0..100).map(|i| picture(i, None, 50.0 + i as f32));
    let degraded = (0..900).map(|i| picture(i, Some(Degradation::Blur), -1000.0 + i as f32));
    let pictures: Vec<Picture> = clean.chain(degraded).collect();
    let map = quality_map(&pictures, Method::ATTN, |p| f64::from(p.score)).expect("a map");
    assert_eq!(map.method(), Method::ATTN);
    assert!((74..=75).contains(&map.quality(99.0)), "{}", map.quality(99.0));
    assert!((24..=26).contains(&map.quality(-550.0)), "{}", map.quality(-550.0));
    assert!((49..=51).contains(&map.quality(0.0)), "{}", map.quality(0.0));
    assert_eq!((map.quality(-2000.0), map.quality(149.0)), (0, 100));
    assert_eq!(map.scores().len(), QualityMap::KNOTS);
    let flat: Vec<Picture> = (0..30).map(|i| picture(i, None, 1.0)).collect();
    assert!(quality_map(&flat, Method::ATTN, |p| f64::from(p.score)).is_err());
}

fn example(name: &str) -> Crop {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/faces/");
    let bytes = std::fs::read(format!("{folder}{name}")).expect("an example face");
    let picture = decode(&bytes, &DecodeLimits::default()).expect("a picture").picture;
    Crop::from_rgb(112, picture.into_rgb()).expect("a crop")
}

/// Crops that differ as faces of different people would not, but differ.
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
fn what_is_stored_gives_the_scores_that_were_fitted() {
    let model = builtin().expect("the built-in model");
    let options = EngineOptions { embedding: true, ..EngineOptions::default() };
    let engine = Engine::new(&model, &options).expect("an engine");
    let kinds = vec![Degradation::Blur, Degradation::Contrast];
    let sampling = Sampling { kinds, degraded: 3, seed: 8 };
    let faces = faces(20);
    let mut heard = 0;
    let pictures = measure(&engine, None, &faces, &sampling, |_, failure| {
        assert_eq!(failure, None);
        heard += 1;
    });
    let pictures = pictures.expect("pictures");
    assert_eq!((heard, pictures.len()), (20, 20 * 4));
    assert!(pictures.iter().all(|p| (p.kind.is_none()) == (p.utility == 1.0)));
    let config = engine.config();
    let scale_over_heads = f64::from(config.scale()) / config.num_heads as f64;
    let found = fit(&pictures, scale_over_heads, None, 1).expect("a fit");
    let map = quality_map(&pictures, Method::ATTN_CALIBRATED, |p| found.key_bias.score(p));
    let bias = found.key_bias.values.clone();
    let calibration = Calibration::new(map.expect("a map"), Default::default(), Some(&bias));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calibrated.safetensors");
    write_calibrated(&model, &path, Some(bias), &calibration).expect("written");

    let calibrated = Checkpoint::open(&path, &CheckpointOptions::default()).expect("a checkpoint");
    let calibrated = Engine::new(&calibrated, &options).expect("an engine");
    let crops: Vec<Crop> = faces.iter().map(|face| face.crop.clone()).collect();
    let scored = calibrated.assess(&crops, &Request::new(Method::ATTN_CALIBRATED));
    let clean = pictures.iter().filter(|picture| picture.kind.is_none());
    for (picture, scored) in clean.zip(scored.expect("a request")) {
        let (expected, score) = (found.key_bias.score(picture), scored.expect("scored").scores[0]);
        assert!((expected - f64::from(score)).abs() < 1e-4 * expected.abs().max(1.0));
    }
}

/// Sees only the mean grey.
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
fn another_recogniser_decides_utility() {
    let model = builtin().expect("the built-in model");
    let engine = Engine::new(&model, &EngineOptions::default()).expect("an engine");
    let sampling = Sampling { kinds: vec![Degradation::Contrast], degraded: 2, seed: 1 };
    let pictures = measure(&engine, Some(&MeanGrey), &faces(2), &sampling, |_, _| ());
    // Contrast does not change the mean grey, which is all that this one sees.
    assert!(pictures.expect("pictures").iter().all(|picture| picture.utility > 0.9));
    let without = measure(&engine, None, &faces(2), &sampling, |_, _| ());
    assert!(matches!(without, Err(CalibrateError::Request(_))), "no embedding was loaded");
}
