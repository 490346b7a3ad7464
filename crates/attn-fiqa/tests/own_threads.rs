//! Everything runs on the threads it was given: a forked child has no others, and would wait for
//! them forever.
#![cfg(feature = "builtin-model")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::num::NonZeroUsize;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions, Precision, Request};
use attn_fiqa::pixels::Image;
use attn_fiqa::score::Method;
use attn_fiqa::threads::Threads;

#[test]
fn global_rayon_pool_stays_unused() {
    for count in [1, 2] {
        let threads = Threads::new(NonZeroUsize::new(count)).unwrap();
        for precision in [Precision::F32, Precision::Bf16] {
            let detector = Detector::builtin(&threads).unwrap().with_precision(precision).unwrap();
            let photo = include_bytes!("../../../examples/astronaut.png");
            let photo = decode(photo, &DecodeLimits::default()).unwrap().image;
            assert_eq!(detector.detect(&photo, 0.7).unwrap().len(), 1);
            let large = Image::from_rgb(2000, 1500, vec![90; 2000 * 1500 * 3]).unwrap();
            assert!(detector.detect(&large, 0.7).unwrap().is_empty());
        }
    }
    let engine = Engine::new(&builtin().unwrap(), &EngineOptions::default()).unwrap();
    let crop = include_bytes!("../../../examples/faces/astronaut.png");
    let crop = decode(crop, &DecodeLimits::default()).unwrap().image;
    let crop = Crop::from_rgb(crop.width(), crop.rgb().to_vec()).unwrap();
    engine.assess(&[crop], &Request::new(Method::ATTN)).unwrap();
    let unused = rayon::ThreadPoolBuilder::new().build_global();
    assert!(unused.is_ok(), "something ran on the threads of the process: {unused:?}");
}
