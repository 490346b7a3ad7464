//! Numbered tasks on all threads, with scratch memory that each thread reuses.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

/// Maximum scratch memory in total, in bytes; if it does not suffice, fewer threads are used.
const SCRATCH_BYTES: usize = 1 << 29;

/// The results of tasks 0, 1, … in order; `scratch_bytes` is the approximate size of what `scratch`
/// makes and `work` fills.
pub(crate) fn parallel_map<S, T: Send>(
    pieces: u64,
    scratch_bytes: usize,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u64) -> T + Sync,
) -> Vec<T> {
    let most = (SCRATCH_BYTES / scratch_bytes.max(1)).max(1);
    let workers = rayon::current_num_threads().min(most).min(pieces as usize);
    let next = AtomicU64::new(0);
    let mut done: Vec<(u64, T)> = (0..workers)
        .into_par_iter()
        .flat_map_iter(|_| {
            let mut scratch = scratch();
            let mut own = Vec::new();
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces {
                    return own;
                }
                own.push((piece, work(&mut scratch, piece)));
            }
        })
        .collect();
    done.sort_unstable_by_key(|&(piece, _)| piece);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_map_preserves_order() {
        let count = |seen: &mut u64, piece: u64| {
            *seen += 1;
            (piece * piece, *seen)
        };
        let found = parallel_map(100, 1, || 0, count);
        assert!(found.iter().zip(0..).all(|(&(square, _), piece)| square == piece * piece));
        assert!(parallel_map(0, 1, || (), |(), piece| piece).is_empty());
        // Memory for only one thread: it is used for every task.
        let found = parallel_map(10, usize::MAX, || 0, count);
        assert_eq!(found.last(), Some(&(81, 10)));
    }

    #[test]
    fn scratch_is_made_once_per_worker_within_the_memory() {
        let threads = rayon::current_num_threads();
        for (pieces, bytes, expected) in [
            (100, 0, threads.min(100)),
            (2, 1, threads.min(2)),
            (100, SCRATCH_BYTES / 2, threads.min(2)),
            (100, SCRATCH_BYTES, 1),
            (100, usize::MAX, 1),
        ] {
            let made = AtomicU64::new(0);
            let scratch = || made.fetch_add(1, Ordering::Relaxed);
            assert_eq!(parallel_map(pieces, bytes, scratch, |_, _| ()).len() as u64, pieces);
            assert_eq!(made.load(Ordering::Relaxed), expected as u64, "{pieces} of {bytes}");
        }
    }
}
