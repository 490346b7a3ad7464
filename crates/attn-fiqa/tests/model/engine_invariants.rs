//! Properties of every model: scores depend on the image alone.

use std::num::NonZeroUsize;

use attn_fiqa::checkpoint::Checkpoint;
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Precision, Request, RequestError};
use attn_fiqa::score::Method;
use attn_fiqa::status::Status;

use crate::common::Golden;

fn engine(checkpoint: &Checkpoint, threads: usize) -> Engine {
    engine_in(Precision::F32, checkpoint, threads)
}

fn engine_in(precision: Precision, checkpoint: &Checkpoint, threads: usize) -> Engine {
    let options = EngineOptions {
        threads: NonZeroUsize::new(threads),
        embedding: true,
        precision: precision.into(),
        ..EngineOptions::default()
    };
    Engine::new(checkpoint, &options).expect("engine")
}

fn everything() -> Request {
    let methods = ["attn", "attn-median", "attn-max@head=1", "attn@block=0"];
    Request {
        methods: methods.iter().map(|name| name.parse().expect("method")).collect(),
        received: true,
        paid: true,
        per_head: true,
        embedding: true,
        mean_query: true,
        mean_token: true,
        ..Request::new(attn_fiqa::score::Method::ATTN)
    }
}

fn synthetic_crops(count: usize) -> Vec<Crop> {
    let crop = |seed: usize| {
        let value = |i: usize| ((i * (seed + 3) + i / 112 * seed) % 251) as u8;
        Crop::from_rgb(112, (0..112 * 112 * 3).map(value).collect()).expect("a crop")
    };
    (0..count).map(crop).collect()
}

#[test]
fn engine_is_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
}

#[test]
fn results_depend_neither_on_threads_nor_on_the_batch() {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let request = everything();
    let crops = synthetic_crops(7);
    for precision in Precision::ALL {
        let assess = |threads: usize, crops: &[Crop]| -> Vec<Assessment> {
            let engine = engine_in(precision, &checkpoint, threads);
            let outcomes = engine.assess(crops, &request).expect("request");
            outcomes.into_iter().map(|outcome| outcome.expect("assessment")).collect()
        };
        let together = assess(1, &crops);
        for threads in [2, 3, 8] {
            assert_eq!(assess(threads, &crops), together, "{threads} threads, {precision:?}");
        }
        for (crop, expected) in crops.iter().zip(&together) {
            assert_eq!(&assess(2, std::slice::from_ref(crop))[0], expected, "{precision:?} alone");
        }
    }
}

#[test]
fn a_crop_of_another_size_fails_alone() {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let mut crops = synthetic_crops(2);
    crops.insert(1, Crop::from_rgb(64, vec![0; 64 * 64 * 3]).expect("a crop"));
    for request in [Request::new(Method::ATTN), everything()] {
        let outcomes = engine(&checkpoint, 2).assess(&crops, &request).expect("request");
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
        let failure = outcomes[1].as_ref().expect_err("wrong size");
        assert_eq!(failure.status, Status::WrongSize);
        assert!(failure.message.contains("64×64") && failure.message.contains("112×112"));
    }
}

#[test]
fn calibrated_score_shifts_the_map_uniformly() {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let engine = engine(&checkpoint, 1);
    assert_eq!(engine.default_method(), Method::ATTN_CALIBRATED);
    let crops = synthetic_crops(1);
    let assess = |method| {
        let request = Request { received: true, embedding: true, ..Request::new(method) };
        engine.assess(&crops, &request).expect("request").remove(0).expect("assessment")
    };
    let (plain, calibrated) = (assess(Method::ATTN), assess(Method::ATTN_CALIBRATED));
    assert_eq!(plain.embedding, calibrated.embedding);
    let shift = calibrated.scores[0] - plain.scores[0];
    assert!(shift.abs() > 1e-3, "the key bias does nothing");
    let values = |a: &Assessment| a.received.as_ref().expect("a map").mean.values().to_vec();
    for (plain, calibrated) in values(&plain).into_iter().zip(values(&calibrated)) {
        assert!((calibrated - plain - shift).abs() < 1e-4);
    }
}

#[test]
fn requests_that_the_model_does_not_support_are_refused() {
    for golden in Golden::all() {
        let checkpoint = golden.checkpoint("safetensors");
        let engine = Engine::new(&checkpoint, &EngineOptions::default()).expect("engine");
        let refused = |request: Request| engine.assess(&[], &request).expect_err("refused");
        let method = |name: &str| Request::new(name.parse().expect("method"));

        let none = Request { methods: Vec::new(), ..Request::new(Method::ATTN) };
        assert_eq!(refused(none), RequestError::NoMethod);
        assert!(matches!(refused(method("attn@block=99")), RequestError::NoSuchBlock { .. }));
        assert!(matches!(refused(method("attn@head=99")), RequestError::NoSuchHead { .. }));
        assert!(matches!(refused(method("attn-calibrated")), RequestError::NoKeyBias { .. }));
        let map = Request { received: true, ..method("attn-max") };
        assert!(matches!(refused(map), RequestError::NoMap { .. }));
        let embedding = Request { embedding: true, ..method("attn") };
        assert_eq!(refused(embedding), RequestError::EmbeddingNotLoaded);
    }
}
