//! Any bytes as an ONNX file: a network that is run, a recogniser that embeds a crop, and a
//! detector that searches an image. Each must finish quickly or be refused.
#![no_main]

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use attn_fiqa::crop::Crop;
use attn_fiqa::detect::Detector;
use attn_fiqa::measure::QualityNetwork;
use attn_fiqa::onnx::{OnnxModel, Tensor};
use attn_fiqa::pixels::Image;
use attn_fiqa::recognise::{Recogniser, RecogniserPreset};
use attn_fiqa::threads::Threads;
use libfuzzer_sys::fuzz_target;

/// Threads shared by all runs: starting some for every run would take most of the time.
static THREADS: OnceLock<Threads> = OnceLock::new();

fuzz_target!(init: ignore_rten_panics(), |bytes: &[u8]| {
    let threads = THREADS.get_or_init(|| Threads::new(NonZeroUsize::new(1)).expect("a thread"));
    let network = match OnnxModel::from_bytes(bytes.to_vec(), "fuzz") {
        Ok(network) => network,
        Err(error) => return check(&error.to_string()),
    };
    let image = Tensor::new(&[1, 3, 4, 4], vec![0.5; 48]).expect("a tensor");
    let inputs: Vec<_> = network.inputs().map(|input| (input.name.as_str(), &image)).collect();
    let outputs: Vec<_> = network.outputs().map(|output| output.name.as_str()).collect();
    if let Err(error) = network.run(&inputs, &outputs, threads) {
        check(&error.to_string());
    }
    match Recogniser::new(network, Some(RecogniserPreset::ArcFace.spec()), threads) {
        Ok(recogniser) => {
            let side = recogniser.side();
            let crop = Crop::from_rgb(side, vec![90; side * side * 3]).expect("a crop");
            if let Ok(embedding) = recogniser.embed(&crop) {
                assert_eq!(embedding.len(), recogniser.dim());
            }
        }
        Err(error) => check(&error.to_string()),
    }
    if let Ok(network) = OnnxModel::from_bytes(bytes.to_vec(), "fuzz") {
        let _ = QualityNetwork::new(network, None, 112, threads);
    }
    match Detector::from_bytes(bytes.to_vec(), "fuzz", threads) {
        Ok(detector) => {
            let image = Image::from_rgb(40, 33, vec![90; 40 * 33 * 3]).expect("an image");
            let _ = detector.detect(&image, 0.5);
        }
        Err(error) => check(&error.to_string()),
    }
});

/// The library turns a panic inside `rten` into an error, which is part of its contract; the
/// fuzzer's own hook would end the process first. Any other panic still does, as does a panic of
/// `rten` that is not caught.
fn ignore_rten_panics() {
    let fuzzers_own = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_rten = |place: &std::panic::Location<'_>| place.file().contains("/rten");
        if !panic.location().is_some_and(is_rten) {
            fuzzers_own(panic);
        }
    }));
}

/// A message must be one short line.
fn check(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.chars().count() < 3000, "{text:?}");
}
