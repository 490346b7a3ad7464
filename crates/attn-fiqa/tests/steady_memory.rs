//! A steady run allocates no buffer for an image: only the answer and what is smaller
//! than one token a row.
#![allow(unsafe_code, reason = "a counting allocator is unsafe by its trait")]

mod checkpoint_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, Precision, Request};
use attn_fiqa::score::Method;
use checkpoint_support::network::{Spec, TINY, to_safetensors};

static BYTES: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_image_allocates_a_buffer() {
    const IMAGES: usize = 12;
    let spec = Spec { patch: 8, ..TINY };
    let bytes = to_safetensors(&spec.tensors(3), &[]);
    let options = CheckpointOptions { heads: Some(spec.heads), ..CheckpointOptions::default() };
    let checkpoint = Checkpoint::from_bytes(bytes, "steady", &options).expect("a network");
    let crops: Vec<Crop> = (0..IMAGES)
        .map(|seed| {
            let pixel = |i: usize| ((i * 31 + seed * 17) % 256) as u8;
            Crop::from_rgb(112, (0..112 * 112 * 3).map(pixel).collect()).expect("a crop")
        })
        .collect();
    let request = Request::new(Method::ATTN);
    // One row of tokens; a buffer of the network is 196 of them or more.
    let matrix = 196 * spec.dim * size_of::<f32>();
    for precision in Precision::ALL {
        let threads = NonZeroUsize::new(1);
        let options = EngineOptions { threads, precision: precision.into(), embedding: false };
        let engine = Engine::new(&checkpoint, &options).expect("an engine");
        for _ in 0..2 {
            engine.assess(&crops, &request).expect("scores");
        }
        BYTES.store(0, Ordering::Relaxed);
        LARGEST.store(0, Ordering::Relaxed);
        engine.assess(&crops, &request).expect("scores");
        let (bytes, largest) = (BYTES.load(Ordering::Relaxed), LARGEST.load(Ordering::Relaxed));
        assert!(largest < matrix / 2, "{precision:?}: {largest} bytes at once");
        assert!(bytes < IMAGES * matrix / 2, "{precision:?}: {bytes} bytes in {IMAGES} images");
    }
}
