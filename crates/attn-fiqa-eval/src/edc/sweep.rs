//! The thresholds of the CR-FIQA code, at all points of a curve at once.

use super::{Evaluator, Retained};

/// A threshold and the error rates that it realises under
/// [`Protocol::Crfiqa`](super::Protocol::Crfiqa).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct CrfiqaRates {
    /// A distance; absent if there is no non-mated comparison.
    pub(crate) threshold: Option<f64>,
    /// Fraction of non-mated distances ≤ threshold.
    pub(crate) fmr: Option<f64>,
    /// Fraction of mated distances not < threshold.
    pub(crate) fnmr: Option<f64>,
}

/// The best candidate so far.
#[derive(Debug, Clone, Copy)]
struct Search {
    target: f64,
    best: f64,
    /// A comparison at the threshold.
    at: u32,
    fmr: f64,
    /// Mated comparisons with a smaller distance.
    accepted: u64,
    closed: bool,
}

/// For each target and point, the threshold of the CR-FIQA code: of all distinct remaining
/// distances, mated or not, the one whose FMR is nearest the target, on ties the largest.
///
/// The FMR increases with the distance, so a search ends as soon as it moves away from its target,
/// and one pass by ascending distance serves all of them.
pub(crate) fn sweep(
    evaluator: &Evaluator<'_>,
    retained: &Retained<'_>,
    targets: &[f64],
) -> Vec<Vec<CrfiqaRates>> {
    let comparisons = evaluator.comparisons();
    let points = retained.points();
    let mut searches: Vec<Vec<Search>> = (0..points)
        .map(|point| {
            let closed = retained.non_mated[point] == 0;
            let open = |&target| Search {
                target,
                best: f64::INFINITY,
                at: 0,
                fmr: 0.0,
                accepted: 0,
                closed,
            };
            targets.iter().map(open).collect()
        })
        .collect();
    let mut open = searches.iter().flatten().filter(|search| !search.closed).count();
    let (mut matched, mut false_matched) = (vec![0; points], vec![0; points]);
    let mut accepted = vec![0; points];

    for equal in evaluator.equal_distances() {
        if open == 0 {
            break;
        }
        accepted.copy_from_slice(&matched);
        let mut points_here = 0;
        for &index in equal {
            let counts = match comparisons.is_mated(index as usize) {
                true => &mut matched,
                false => &mut false_matched,
            };
            points_here = points_here.max(retained.add_copies(index, counts));
        }
        for (point, searches) in searches.iter_mut().enumerate().take(points_here) {
            let fmr = false_matched[point] as f64 / retained.non_mated[point] as f64;
            for search in searches.iter_mut().filter(|search| !search.closed) {
                let off = (fmr - search.target).abs();
                if off <= search.best {
                    (search.best, search.at, search.fmr) = (off, equal[0], fmr);
                    search.accepted = accepted[point];
                } else if fmr > search.target {
                    search.closed = true;
                    open -= 1;
                }
            }
        }
    }

    let operating = |point: usize, search: &Search| match retained.non_mated[point] {
        0 => CrfiqaRates::default(),
        _ => CrfiqaRates {
            threshold: Some(comparisons.distance(search.at as usize)),
            fmr: Some(search.fmr),
            fnmr: fraction_left(search.accepted, retained.mated[point]),
        },
    };
    (0..targets.len())
        .map(|target| {
            let points = searches.iter().enumerate();
            points.map(|(point, searches)| operating(point, &searches[target])).collect()
        })
        .collect()
}

/// `1 − part/total`, in the reference's order of operations.
fn fraction_left(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| 1.0 - part as f64 / total as f64)
}
