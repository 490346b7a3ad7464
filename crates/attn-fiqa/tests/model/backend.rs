//! The back-end trait, with a third-party back end, and every instruction set of the CPU back end.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use attn_fiqa::backend::{Backend, BackendError, BackendLoader, LoadError};
use attn_fiqa::checkpoint::Checkpoint;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions, Precision, PrecisionChoice, Request, RequestError};
use attn_fiqa::score::Method;
use attn_fiqa::status::Status;
use attn_fiqa::threads::{Isa, Threads};
use attn_fiqa::vit::config::VitConfig;

fn crops(count: usize) -> Vec<Crop> {
    let crop = |seed: usize| {
        let value = |i: usize| ((i * (seed + 3) + i / 112 * seed) % 251) as u8;
        Crop::from_rgb(112, (0..112 * 112 * 3).map(value).collect()).expect("a crop")
    };
    (0..count).map(crop).collect()
}

/// Passes batches of at most three crops to the CPU and returns mean tokens only.
struct SmallBatchBackend {
    inner: Box<dyn Backend>,
    largest: Arc<AtomicUsize>,
    fails: bool,
}

impl Backend for SmallBatchBackend {
    fn config(&self) -> &VitConfig {
        self.inner.config()
    }

    fn precision(&self) -> Precision {
        self.inner.precision()
    }

    fn name(&self) -> String {
        "small".to_owned()
    }

    fn max_batch(&self) -> usize {
        3
    }

    fn forward(&self, crops: &[&Crop], mean_tokens: &mut [f64]) -> Result<(), BackendError> {
        self.largest.fetch_max(crops.len(), Ordering::Relaxed);
        if self.fails {
            return Err(BackendError::new(self.name(), "out of device memory"));
        }
        self.inner.forward(crops, mean_tokens)
    }
}

struct Loader<'a> {
    threads: &'a Threads,
    largest: Arc<AtomicUsize>,
    fails: bool,
}

impl BackendLoader for Loader<'_> {
    fn faster_than_f32(&self) -> Vec<Precision> {
        Vec::new()
    }

    fn load(
        &self,
        checkpoint: &Checkpoint,
        precision: Precision,
        whole: bool,
    ) -> Result<Box<dyn Backend>, LoadError> {
        let inner = self.threads.load(checkpoint, precision, whole)?;
        Ok(Box::new(SmallBatchBackend {
            inner,
            largest: Arc::clone(&self.largest),
            fails: self.fails,
        }))
    }
}

fn small_batch_engine(fails: bool) -> (Engine, Arc<AtomicUsize>) {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let threads = Threads::new(NonZeroUsize::new(2)).expect("threads");
    let largest = Arc::new(AtomicUsize::new(0));
    let loader = Loader { threads: &threads, largest: Arc::clone(&largest), fails };
    let options = EngineOptions { embedding: true, ..EngineOptions::default() };
    let engine = Engine::with_backend(&checkpoint, &options, &threads, &loader);
    (engine.expect("an engine"), largest)
}

#[test]
fn custom_backend_matches_cpu_and_respects_max_batch() {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let ours = Engine::new(&checkpoint, &EngineOptions::default()).expect("an engine");
    let (small, largest) = small_batch_engine(false);
    let methods = vec![Method::ATTN_CALIBRATED, Method::ATTN, "attn@head=1".parse().unwrap()];
    let request = Request { methods, mean_query: true, ..Request::new(Method::ATTN) };
    let mut crops = crops(7);
    crops.insert(2, Crop::from_rgb(8, vec![0; 8 * 8 * 3]).expect("a crop"));
    let found = small.assess(&crops, &request).expect("a request that it can do");
    assert_eq!(found, ours.assess(&crops, &request).expect("a request"));
    assert_eq!(found[2].as_ref().map_err(|failure| failure.status), Err(Status::WrongSize));
    assert_eq!(largest.load(Ordering::Relaxed), 3);
    assert_eq!(small.backend_name(), "small");
}

#[test]
fn requests_unsupported_by_the_backend_are_rejected() {
    let (small, _) = small_batch_engine(false);
    for request in [
        Request { received: true, ..Request::new(Method::ATTN) },
        Request { embedding: true, ..Request::new(Method::ATTN) },
        Request::new("attn-median".parse().unwrap()),
        Request::new("attn@block=1".parse().unwrap()),
    ] {
        let error = small.check(&request).expect_err("tokens that are not there");
        assert!(matches!(&error, RequestError::MeanTokensOnly { backend } if backend == "small"));
    }
}

#[test]
fn backend_error_fails_every_crop() {
    let (broken, _) = small_batch_engine(true);
    let found = broken.assess(&crops(4), &Request::new(Method::ATTN)).expect("a request");
    assert_eq!(found.len(), 4);
    for outcome in found {
        let failure = outcome.expect_err("a broken back end");
        assert_eq!(failure.status, Status::NetworkFailed);
        assert!(failure.message.contains("out of device memory"), "{failure}");
    }
}

/// Every instruction set runs whole networks in one process: the detector, the landmark network,
/// and the score in every precision. The sums of f32 products are computed in a different order, so
/// scores agree up to rounding, and faces to a hundredth of a pixel.
#[test]
fn every_instruction_set_runs_whole_networks_and_agrees() {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/astronaut.png");
    let photo = std::fs::read(photo).expect("the example");
    let photo = decode(&photo, &DecodeLimits::default()).expect("a photo").image;
    let crops = crops(3);
    let everything = Request {
        methods: ["attn-calibrated", "attn-median", "attn@block=3", "norm", "vitnt"]
            .map(|name| name.parse().expect(name))
            .into(),
        received: true,
        ..Request::new(Method::ATTN)
    };
    let mut reference: Option<(Vec<f32>, Vec<f32>)> = None;
    for isa in Isa::available() {
        let threads = Threads::with_isa(NonZeroUsize::new(2), isa).expect("threads");
        let detector = Detector::builtin(&threads).expect("built-in detector");
        let faces = detector.detect(&photo, 0.7).expect("a photo");
        let points: Vec<f32> = faces.iter().flat_map(|face| face.landmarks.0).flatten().collect();
        let options = EngineOptions { embedding: true, ..EngineOptions::default() };
        let engine = Engine::with_backend(&checkpoint, &options, &threads, &threads);
        let engine = engine.expect("an engine");
        assert_eq!(engine.instruction_set(), isa.name());
        let assessments = engine.assess(&crops, &everything).expect("a request");
        let numbers: Vec<f32> = assessments
            .into_iter()
            .map(|outcome| outcome.expect("a score"))
            .flat_map(|found| {
                let map = found.received.expect("a map").mean;
                found.scores.into_iter().chain(map.values().to_vec())
            })
            .collect();
        let (expected, expected_points) =
            reference.get_or_insert((numbers.clone(), points.clone()));
        for (found, expected) in numbers.iter().zip(expected) {
            let bound = 2e-5 * expected.abs().max(1.0);
            assert!((found - *expected).abs() <= bound, "{}: {found} {expected}", isa.name());
        }
        assert_eq!(points.len(), expected_points.len(), "{}", isa.name());
        for (found, expected) in points.iter().zip(expected_points) {
            assert!((found - *expected).abs() < 0.01, "{}: {found} {expected}", isa.name());
        }
        for precision in Precision::ALL {
            let precision = PrecisionChoice::Fixed(precision);
            let options = EngineOptions { precision, isa: Some(isa), ..Default::default() };
            let engine = Engine::new(&checkpoint, &options).expect("an engine");
            let request = Request::new(engine.default_method());
            let scores = engine.assess(&crops, &request).expect("a request");
            assert!(scores.iter().all(Result::is_ok), "{} {precision:?}", isa.name());
        }
    }
}
