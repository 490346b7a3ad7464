//! Repeated resampling does not increase memory.
#![allow(unsafe_code, reason = "an allocator that counts forwards to the system's")]

#[path = "evaluation/support/mod.rs"]
#[allow(dead_code, reason = "only synthetic comparisons are needed here")]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use attn_fiqa_eval::edc::{Bootstrap, Evaluator, Protocol, Ranking, Target};
use support::Set;

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_replicate_allocates_less_than_a_byte_per_comparison() {
    const COUNT: usize = 400_000;
    let set = Set::made_up(7, COUNT, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let measure = |protocol, replicates| {
        let before = ALLOCATED.load(Ordering::Relaxed);
        let bootstrap = Bootstrap { replicates, ..Bootstrap::default() };
        let targets = [Target::Fmr(1e-2)];
        evaluator.bootstrap(&ranking, protocol, &targets, &bootstrap).expect("intervals");
        ALLOCATED.load(Ordering::Relaxed) - before
    };
    // Each thread has memory of its own.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for protocol in [Protocol::Crfiqa, Protocol::Nist] {
        let [two, ten] = [2, 10].map(|replicates| pool.install(|| measure(protocol, replicates)));
        let each = ten.saturating_sub(two) / 8;
        assert!(each < COUNT, "{protocol}: {each} bytes for each further replicate");
    }
}
