//! Paired differences between methods, from the same bootstrap samples.

use super::results::{Against, CurveRecord, DifferenceRecord};
use crate::edc::{Series, paired_interval};

/// The differences of all methods' areas from the first's and from the best's. `curves` belong to
/// one data set and one recogniser, the methods in the order of the study file.
pub(super) fn differences(curves: &[CurveRecord], level: f64) -> Vec<DifferenceRecord> {
    let methods = || curves.iter().filter(|curve| curve.series == Series::Method);
    let mut found = Vec::new();
    for (at, first) in methods().enumerate() {
        let same =
            |curve: &&CurveRecord| curve.protocol == first.protocol && curve.fmr == first.fmr;
        if methods().take(at).any(|curve| same(&curve)) {
            continue;
        }
        let best = methods().filter(same).filter(|curve| curve.pauc.is_some());
        let best = best.min_by(|a, b| {
            a.pauc.unwrap_or(f64::INFINITY).total_cmp(&b.pauc.unwrap_or(f64::INFINITY))
        });
        for (against, other) in [(Against::First, Some(first)), (Against::Best, best)] {
            let Some(other) = other else { continue };
            let others = methods().filter(same).filter(|curve| curve.method != other.method);
            found.extend(others.filter_map(|curve| difference(curve, other, against, level)));
        }
    }
    found
}

fn difference(
    of: &CurveRecord,
    other: &CurveRecord,
    against: Against,
    level: f64,
) -> Option<DifferenceRecord> {
    let interval = paired_interval(&of.replicates, &other.replicates, level);
    Some(DifferenceRecord {
        dataset: of.dataset.clone(),
        recogniser: of.recogniser.clone(),
        protocol: of.protocol,
        fmr: of.fmr,
        method: of.method.clone(),
        against,
        other: other.method.clone(),
        difference: of.pauc? - other.pauc?,
        interval: interval.map(|interval| [interval.low, interval.high]),
    })
}
