//! In the steady state, a run allocates nothing per image except its results.
#![allow(unsafe_code, reason = "a counting allocator is unsafe by its trait")]

#[path = "model/checkpoint_support/mod.rs"]
#[allow(dead_code, reason = "only small networks are needed here")]
mod checkpoint_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Precision, Request};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use checkpoint_support::network::{Spec, TINY, to_safetensors};

const ROUNDS: usize = 8;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
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

/// Number and size of the allocations in `run`, the minimum over several rounds: a thread without
/// previous work, and occasionally rayon's queues, allocate once.
fn allocated(run: impl Fn()) -> [usize; 2] {
    let round = || {
        COUNT.store(0, Ordering::Relaxed);
        BYTES.store(0, Ordering::Relaxed);
        run();
        [COUNT.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed)]
    };
    (0..ROUNDS).map(|_| round()).min().expect("a round")
}

#[test]
fn assessing_crops_allocates_only_their_results() {
    const IMAGES: usize = 12;
    let spec = Spec { patch: 8, ..TINY };
    let bytes = to_safetensors(&spec.tensors(3), &[]);
    let options = CheckpointOptions { heads: Some(spec.heads), ..CheckpointOptions::default() };
    let checkpoint = Checkpoint::from_bytes(bytes, "steady", &options).expect("a network");
    let crops: Vec<Crop> = (0..2 * IMAGES)
        .map(|seed| {
            let pixel = |i: usize| ((i * 31 + seed * 17) % 256) as u8;
            Crop::from_rgb(112, (0..112 * 112 * 3).map(pixel).collect()).expect("a crop")
        })
        .collect();
    let request = Request::new(Method::ATTN);
    for (precision, threads) in
        Precision::ALL.into_iter().flat_map(|precision| [1, 2, 3].map(|count| (precision, count)))
    {
        let what = format!("{precision:?} on {threads} threads");
        let threads = NonZeroUsize::new(threads);
        let options = EngineOptions { threads, precision: precision.into(), ..Default::default() };
        let engine = Engine::new(&checkpoint, &options).expect("an engine");
        let assess = |count: usize| {
            let outcomes = engine.assess(&crops[..count], &request).expect("scores");
            assert!(outcomes.iter().all(Result::is_ok));
        };
        assess(2 * IMAGES);
        let [fewer, fewer_bytes] = allocated(|| assess(IMAGES));
        let [more, more_bytes] = allocated(|| assess(2 * IMAGES));
        // A call has its own lists; an image adds the vector of its scores and its entry in the
        // list of results, which is written at most twice.
        assert_eq!(more - fewer, IMAGES, "{what}: allocations of {IMAGES} images");
        let answer = size_of::<f32>() + 4 * size_of::<Result<Assessment, Failure>>();
        let bytes = (more_bytes - fewer_bytes) / IMAGES;
        assert!(bytes <= answer, "{what}: {bytes} bytes an image");
    }
}
