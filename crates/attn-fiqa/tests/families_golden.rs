//! Networks of other families against the libraries that they come from: timm, transformers and
//! PyTorch, by `golden/families/make.py`.
//!
//! The tolerance is 1e-5 of the largest expected magnitude, as for the official layout: both sides
//! compute in f32, in different orders. A mean over heads may be small where the heads cancel, and
//! is as exact as theirs; likewise a median is as exact as the logits that it is one of.

mod common;

use std::path::PathBuf;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, ConvertOptions, Family};
use attn_fiqa::checkpoint::{WeightDtype, write_canonical};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::score::Method;
use attn_fiqa::vit::config::{Activation, ScoreTokens};
use common::assert_close;
use safetensors::SafeTensors;

const SHARE: f32 = 1e-5;

/// A network, and what its files do not say.
struct Case {
    name: &'static str,
    family: Family,
    heads: Option<usize>,
    activation: Option<Activation>,
}

const fn case(name: &'static str, family: Family) -> Case {
    Case { name, family, heads: None, activation: None }
}

const CASES: [Case; 13] = [
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
];

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
        Checkpoint::open(&self.file("model.safetensors"), &options)
            .unwrap_or_else(|error| panic!("{error}"))
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

    fn crops(&self) -> Vec<Crop> {
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
    let share = SHARE * (largest(scale) / largest(name)).max(1.0);
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
        // Alone, scores are read off the mean token where that is possible.
        let alone: Vec<String> = ["attn".to_owned()].into_iter().chain(heads).collect();
        let found = assess(&checkpoint, &crops, &methods(&alone));
        assert_close_to(case.name, &scores(&found, 0), &expected, "score", "heads");
        let found: Vec<f32> = found.into_iter().flat_map(|one| one.scores[1..].to_vec()).collect();
        assert_close(case.name, &found, &expected.values("heads"), SHARE);

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
fn maps_are_of_the_patches_and_embeddings_are_the_librarys_output() {
    for case in CASES {
        let (checkpoint, expected) = (case.open(None), case.expected());
        let request = Request { received: true, embedding: true, ..Request::new(Method::ATTN) };
        let found = assess(&checkpoint, &expected.crops(), &request);
        let maps = found.iter().flat_map(|one| one.received.as_ref().expect("a map").mean.values());
        let maps: Vec<f32> = maps.copied().collect();
        assert_close(case.name, &maps, &expected.values("received"), SHARE);
        let embeddings = found.into_iter().flat_map(|one| one.embedding.expect("an embedding"));
        let embeddings: Vec<f32> = embeddings.collect();
        assert_close(case.name, &embeddings, &expected.values("embedding"), SHARE);
    }
}

#[test]
fn a_score_of_patches_leaves_prefix_tokens_out_and_is_the_mean_of_its_map() {
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
        // The embedding is the same whatever the score is read from.
        let request = Request { embedding: true, ..Request::new(Method::ATTN) };
        let found = assess(&checkpoint, &crops, &request);
        let embeddings: Vec<f32> =
            found.into_iter().flat_map(|one| one.embedding.expect("an embedding")).collect();
        assert_close(case.name, &embeddings, &expected.values("embedding"), SHARE);
    }
}

/// A converted file has the whole configuration inside and needs neither options nor JSON.
#[test]
fn a_converted_file_gives_the_same_bits() {
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
