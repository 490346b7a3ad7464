//! Networks of other families, compared with the libraries that they come from: timm, transformers
//! and PyTorch, by `golden/families/make.py`. KP-RPE, which is in no library, is compared with its
//! mathematics written out, by `golden/families/kp_rpe.py`.
//!
//! The tolerance is 1e-5 of the largest expected magnitude, as for the official layout: both sides
//! compute in f32, in different orders. A mean over heads may be small if the heads cancel, and is
//! only as exact as they are; likewise, a median is only as exact as the logits it is chosen from.

use std::path::PathBuf;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, ConvertOptions, Family};
use attn_fiqa::checkpoint::{WeightDtype, write_canonical};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Precision, Request};
use attn_fiqa::score::Method;
use attn_fiqa::status::Status;
use attn_fiqa::vit::config::{Activation, LandmarkBias, ScoreTokens};
use safetensors::SafeTensors;

use crate::common::assert_close;

const RELATIVE_TOLERANCE: f32 = 1e-5;

/// A network, and what its files do not state.
struct Case {
    name: &'static str,
    family: Family,
    heads: Option<usize>,
    activation: Option<Activation>,
}

const fn case(name: &'static str, family: Family) -> Case {
    Case { name, family, heads: None, activation: None }
}

const CASES: [Case; 14] = [
    case("timm-token", Family::Timm),
    case("timm-gap", Family::Timm),
    case("timm-registers", Family::Timm),
    case("timm-positions", Family::Timm),
    case("dinov2", Family::Dinov2),
    case("hf-vit", Family::HuggingFaceVit),
    case("hf-vit-modules", Family::HuggingFaceVit),
    case("hf-dinov2", Family::HuggingFaceDinov2),
    case("hf-dinov2-swiglu", Family::HuggingFaceDinov2),
    case("hf-dinov2-swiglu-modules", Family::HuggingFaceDinov2),
    case("hf-clip", Family::HuggingFaceClip),
    case("openai-clip", Family::OpenAiClip),
    Case { heads: Some(5), ..case("transface", Family::TransFace) },
    KP_RPE,
];

const KP_RPE: Case = Case { heads: Some(5), ..case("kp-rpe", Family::KpRpe) };

impl Case {
    fn file(&self, name: &str) -> PathBuf {
        attn_fiqa_testing::golden("families").join(self.name).join(name)
    }

    fn open(&self, score_tokens: Option<ScoreTokens>) -> Checkpoint {
        let options = CheckpointOptions {
            heads: self.heads,
            activation: self.activation,
            score_tokens,
            ..CheckpointOptions::default()
        };
        self.open_with(&options)
    }

    fn open_with(&self, options: &CheckpointOptions) -> Checkpoint {
        Checkpoint::open(&self.file("model.safetensors"), options)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// With the landmark bias in scores.
    fn open_biased(&self) -> Checkpoint {
        self.open_with(&CheckpointOptions {
            heads: self.heads,
            landmark_bias: Some(LandmarkBias::Score),
            ..CheckpointOptions::default()
        })
    }

    fn expected(&self) -> Expected {
        Expected(std::fs::read(self.file("expected.safetensors")).expect("expected values"))
    }
}

struct Expected(Vec<u8>);

impl Expected {
    fn values(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).expect("expected values");
        let data = file.tensor(name).expect("an expected tensor").data().to_vec();
        data.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }

    /// With their landmarks, if the network reads them.
    fn crops(&self) -> Vec<Crop> {
        let mut crops = self.crops_without_landmarks();
        if self.has("landmarks") {
            let landmarks = self.values("landmarks");
            let (points, _) = landmarks.as_chunks::<2>();
            for (crop, landmarks) in crops.iter_mut().zip(points.as_chunks::<5>().0) {
                *crop = crop.clone().with_landmarks(*landmarks);
            }
        }
        crops
    }

    fn has(&self, name: &str) -> bool {
        let file = SafeTensors::deserialize(&self.0).expect("expected values");
        file.names().contains(&name)
    }

    fn crops_without_landmarks(&self) -> Vec<Crop> {
        let file = SafeTensors::deserialize(&self.0).expect("expected values");
        let images = file.tensor("images").expect("images");
        let side = images.shape()[1];
        let images = images.data().chunks_exact(side * side * 3);
        images.map(|rgb| Crop::from_rgb(side, rgb.to_vec()).expect("a crop")).collect()
    }
}

fn assess(checkpoint: &Checkpoint, crops: &[Crop], request: &Request) -> Vec<Assessment> {
    let options = EngineOptions { embedding: request.embedding, ..Default::default() };
    let engine = Engine::new(checkpoint, &options).expect("engine");
    let outcomes = engine.assess(crops, request).expect("request");
    outcomes.into_iter().map(|outcome| outcome.expect("assessment")).collect()
}

fn methods(names: &[String]) -> Request {
    let methods = names.iter().map(|name| name.parse().expect("method")).collect();
    Request { methods, ..Request::new(Method::ATTN) }
}

/// [`assert_close`], relative to the larger of the expected values and those of `scale`.
fn assert_close_to(what: &str, found: &[f32], expected: &Expected, name: &str, scale: &str) {
    let largest = |name| expected.values(name).iter().fold(0f32, |most, v| most.max(v.abs()));
    let share = RELATIVE_TOLERANCE * (largest(scale) / largest(name)).max(1.0);
    assert_close(&format!("{what} {name}"), found, &expected.values(name), share);
}

fn scores(found: &[Assessment], index: usize) -> Vec<f32> {
    found.iter().map(|assessment| assessment.scores[index]).collect()
}

#[test]
fn scores_of_every_family_match_its_own_library() {
    for case in CASES {
        let (checkpoint, expected) = (case.open(None), case.expected());
        assert_eq!(checkpoint.family(), case.family, "{}", case.name);
        let crops = expected.crops();
        let heads = (0..checkpoint.config().num_heads).map(|head| format!("attn@head={head}"));
        // On their own, scores are computed from the mean token if possible.
        let alone: Vec<String> = ["attn".to_owned()].into_iter().chain(heads).collect();
        let found = assess(&checkpoint, &crops, &methods(&alone));
        assert_close_to(case.name, &scores(&found, 0), &expected, "score", "heads");
        let found: Vec<f32> = found.into_iter().flat_map(|one| one.scores[1..].to_vec()).collect();
        assert_close(case.name, &found, &expected.values("heads"), RELATIVE_TOLERANCE);

        let names = ["attn", "attn-max", "attn-median"].map(str::to_owned);
        let found = assess(&checkpoint, &crops, &methods(&names));
        for (index, (what, scale)) in
            [("score", "heads"), ("max", "max"), ("median", "max")].into_iter().enumerate()
        {
            assert_close_to(case.name, &scores(&found, index), &expected, what, scale);
        }
    }
}

#[test]
fn maps_and_embeddings_match_the_library() {
    for case in CASES {
        let (checkpoint, expected) = (case.open(None), case.expected());
        let request = Request { received: true, embedding: true, ..Request::new(Method::ATTN) };
        let found = assess(&checkpoint, &expected.crops(), &request);
        let maps = found.iter().flat_map(|one| one.received.as_ref().expect("a map").mean.values());
        let maps: Vec<f32> = maps.copied().collect();
        assert_close(case.name, &maps, &expected.values("received"), RELATIVE_TOLERANCE);
        let embeddings = found.into_iter().flat_map(|one| one.embedding.expect("an embedding"));
        let embeddings: Vec<f32> = embeddings.collect();
        assert_close(case.name, &embeddings, &expected.values("embedding"), RELATIVE_TOLERANCE);
    }
}

#[test]
fn patch_score_excludes_prefix_and_equals_map_mean() {
    for case in CASES {
        let (checkpoint, expected) = (case.open(Some(ScoreTokens::Patches)), case.expected());
        let crops = expected.crops();
        let found = assess(&checkpoint, &crops, &Request::new(Method::ATTN));
        assert_close_to(case.name, &scores(&found, 0), &expected, "patches", "heads");
        let request =
            Request { received: true, paid: true, per_head: true, ..Request::new(Method::ATTN) };
        for one in assess(&checkpoint, &crops, &request) {
            let (received, paid) = (one.received.expect("a map"), one.paid.expect("a map"));
            for map in received.per_head.iter().chain([&received.mean, &paid.mean]) {
                assert_eq!(map.values().len(), checkpoint.config().patches());
            }
            for map in [&received.mean, &paid.mean] {
                let mean = map.values().iter().sum::<f32>() / map.values().len() as f32;
                assert_close(case.name, &[mean], &one.scores[..1], 1e-4);
            }
        }
        // The embedding is the same whatever the score is computed from.
        let request = Request { embedding: true, ..Request::new(Method::ATTN) };
        let found = assess(&checkpoint, &crops, &request);
        let embeddings: Vec<f32> =
            found.into_iter().flat_map(|one| one.embedding.expect("an embedding")).collect();
        assert_close(case.name, &embeddings, &expected.values("embedding"), RELATIVE_TOLERANCE);
    }
}

/// Scores, maps and statistics of the logits that softmax is applied to.
#[test]
fn landmark_biased_scores_match_biased_logits() {
    let (checkpoint, expected) = (KP_RPE.open_biased(), KP_RPE.expected());
    let crops = expected.crops();
    let heads = (0..5).map(|head| format!("attn@head={head}"));
    let alone: Vec<String> = ["attn".to_owned()].into_iter().chain(heads).collect();
    let statistics = ["attn", "attn-max", "attn-median"].map(str::to_owned);
    let found = assess(&checkpoint, &crops, &methods(&alone));
    assert_close_to("biased", &scores(&found, 0), &expected, "biased_score", "biased_heads");
    let found: Vec<f32> = found.into_iter().flat_map(|one| one.scores[1..].to_vec()).collect();
    assert_close("heads", &found, &expected.values("biased_heads"), RELATIVE_TOLERANCE);
    let found = assess(&checkpoint, &crops, &methods(&statistics));
    for (index, (what, scale)) in [
        ("biased_score", "biased_heads"),
        ("biased_max", "biased_max"),
        ("biased_median", "biased_max"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_close_to("biased", &scores(&found, index), &expected, what, scale);
    }

    let request =
        Request { received: true, paid: true, embedding: true, ..Request::new(Method::ATTN) };
    let found = assess(&checkpoint, &crops, &request);
    let maps = found.iter().flat_map(|one| one.received.as_ref().expect("a map").mean.values());
    let maps: Vec<f32> = maps.copied().collect();
    assert_close("map", &maps, &expected.values("biased_received"), RELATIVE_TOLERANCE);
    for one in &found {
        let paid = one.paid.as_ref().expect("a map").mean.values();
        let mean = paid.iter().sum::<f32>() / paid.len() as f32;
        assert_close("map paid", &[mean], &one.scores[..1], 1e-4);
    }
    // The network is the same wherever its bias is used.
    let embeddings: Vec<f32> =
        found.into_iter().flat_map(|one| one.embedding.expect("an embedding")).collect();
    assert_close("embedding", &embeddings, &expected.values("embedding"), RELATIVE_TOLERANCE);
}

/// The first two images have the same pixels; the last one has the landmarks of the template.
#[test]
fn landmarks_change_results_and_default_to_template() {
    let (checkpoint, expected) = (KP_RPE.open(None), KP_RPE.expected());
    let (crops, alone) = (expected.crops(), expected.crops_without_landmarks());
    assert_eq!(crops[0].rgb(), crops[1].rgb());
    let request = Request { embedding: true, ..Request::new(Method::ATTN) };
    let found = assess(&checkpoint, &crops, &request);
    let without = assess(&checkpoint, &alone, &request);
    let embedding =
        |found: &[Assessment], index: usize| found[index].embedding.clone().expect("an embedding");
    let apart =
        embedding(&found, 0).into_iter().zip(embedding(&found, 1)).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) > 0.01, "landmarks change nothing");
    assert_ne!(found[0].scores, found[1].scores);
    assert_eq!(without[0], without[1]);
    let last = crops.len() - 1;
    assert_close("template", &embedding(&without, last), &embedding(&found, last), 1e-6);

    // Landmarks that are not numbers are a failure of that crop.
    let mut points = crops[0].landmarks().expect("landmarks");
    points[2][1] = f32::NAN;
    let bad = crops[0].clone().with_landmarks(points);
    let engine = Engine::new(&checkpoint, &EngineOptions::default()).expect("engine");
    let outcomes = engine.assess(&[bad, crops[1].clone()], &Request::new(Method::ATTN));
    let outcomes = outcomes.expect("request");
    assert_eq!(outcomes[0].as_ref().expect_err("a failure").status, Status::BadLandmarks);
    assert!(outcomes[1].is_ok());
}

/// Other precisions include the bias as well, with other kernels.
#[test]
fn lower_precisions_stay_near_f32_with_a_bias() {
    let (checkpoint, crops) = (KP_RPE.open(None), KP_RPE.expected().crops());
    let embeddings = |precision: Precision| {
        let options = EngineOptions {
            embedding: true,
            precision: precision.into(),
            ..EngineOptions::default()
        };
        let engine = Engine::new(&checkpoint, &options).expect("engine");
        let request = Request { embedding: true, ..Request::new(Method::ATTN) };
        let outcomes = engine.assess(&crops, &request).expect("request").into_iter();
        let embeddings = outcomes.map(|one| one.expect("a crop").embedding.expect("an embedding"));
        embeddings.collect::<Vec<Vec<f32>>>()
    };
    let exact = embeddings(Precision::F32);
    for precision in Precision::ALL {
        for (exact, found) in exact.iter().zip(embeddings(precision)) {
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let cosine =
                product(exact, &found) / (product(exact, exact) * product(&found, &found)).sqrt();
            let least = if precision == Precision::Bf16x2 { 0.999_99 } else { 0.99 };
            assert!(cosine > least, "{}: cosine {cosine}", precision.name());
        }
    }
}

/// The choice is kept in a converted file, and refused for a network without such a bias.
#[test]
fn conversion_keeps_the_landmark_bias_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("biased.safetensors");
    for quality_only in [false, true] {
        let options = ConvertOptions { dtype: WeightDtype::F32, quality_only };
        write_canonical(&KP_RPE.open_biased(), &path, options).expect("a file");
        let converted = Checkpoint::open(&path, &CheckpointOptions::default()).expect("a network");
        assert_eq!(converted.config().landmark_bias, Some(LandmarkBias::Score));
        let (crops, request) = (KP_RPE.expected().crops(), Request::new(Method::ATTN));
        let expected = assess(&KP_RPE.open_biased(), &crops, &request);
        assert_eq!(assess(&converted, &crops, &request), expected);
        let options = CheckpointOptions {
            landmark_bias: Some(LandmarkBias::Softmax),
            ..CheckpointOptions::default()
        };
        let refused = Checkpoint::open(&path, &options).expect_err("a contradiction").to_string();
        let reason = "landmark_bias is softmax by the option given, but score by the file's";
        assert!(refused.contains(reason), "{refused}");
    }
    let options =
        CheckpointOptions { landmark_bias: Some(LandmarkBias::Softmax), ..Default::default() };
    let file = CASES[0].file("model.safetensors");
    let refused = Checkpoint::open(&file, &options).expect_err("no bias").to_string();
    assert!(refused.contains("`landmark_bias` is `softmax`"), "{refused}");
    assert!(refused.contains("`keypoint_linear.weight`"), "{refused}");
}

/// A converted file contains the whole configuration and needs neither options nor JSON.
#[test]
fn converted_checkpoints_give_identical_results() {
    let folder = tempfile::tempdir().expect("a folder");
    for case in CASES {
        for tokens in ScoreTokens::ALL {
            let (checkpoint, crops) = (case.open(Some(tokens)), case.expected().crops());
            let request = Request::new(Method::ATTN);
            let expected = assess(&checkpoint, &crops, &request);
            for quality_only in [false, true] {
                let path = folder.path().join("converted.safetensors");
                let options = ConvertOptions { dtype: WeightDtype::F32, quality_only };
                write_canonical(&checkpoint, &path, options).expect("a file");
                let converted = Checkpoint::open(&path, &CheckpointOptions::default())
                    .unwrap_or_else(|error| panic!("{}: {error}", case.name));
                assert_eq!(converted.family(), case.family);
                let found = assess(&converted, &crops, &request);
                assert_eq!(found, expected, "{} quality-only {quality_only}", case.name);
                if !quality_only {
                    assert_eq!(converted.config(), checkpoint.config(), "{}", case.name);
                    let request = Request { embedding: true, ..request.clone() };
                    let expected = assess(&checkpoint, &crops, &request);
                    assert_eq!(assess(&converted, &crops, &request), expected, "{}", case.name);
                }
                let again = folder.path().join("again.safetensors");
                write_canonical(&converted, &again, options).expect("a file");
                let bytes = |path: &PathBuf| std::fs::read(path).expect("a file");
                assert_eq!(bytes(&again), bytes(&path), "{}", case.name);
            }
        }
    }
}
