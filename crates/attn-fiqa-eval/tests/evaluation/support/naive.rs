//! The protocols implemented as slowly and plainly as their definitions.

use super::Set;

/// Indices of the comparisons in a list, possibly repeated.
pub(crate) fn every(set: &Set) -> Vec<usize> {
    (0..set.comparisons.len()).collect()
}

fn by_quality(set: &Set, list: &[usize]) -> Vec<usize> {
    let mut sorted = list.to_vec();
    sorted.sort_by(|&a, &b| set.quality[a].partial_cmp(&set.quality[b]).expect("numbers"));
    sorted
}

fn distances(set: &Set, list: &[usize], mated: bool) -> Vec<f64> {
    let of_kind = list.iter().filter(|&&index| set.comparisons.is_mated(index) == mated);
    of_kind.map(|&index| set.comparisons.distance(index)).collect()
}

/// Threshold, FMR and FNMR of the remaining comparisons.
pub(crate) type Point = Option<(f64, f64, Option<f64>)>;

/// The rule of every protocol except `crfiqa`: the largest of the candidate distances with an FMR
/// of at most the target; a comparison at it is a match.
pub(crate) fn decide(set: &Set, list: &[usize], target: f64) -> Point {
    let (mated, non_mated) = (distances(set, list, true), distances(set, list, false));
    if non_mated.is_empty() {
        return None;
    }
    let share = |of: &[f64], t: f64, matches: bool| {
        let count = of.iter().filter(|&&d| (d <= t) == matches).count();
        (!of.is_empty()).then(|| count as f64 / of.len() as f64)
    };
    let fmr = |t: f64| share(&non_mated, t, true).expect("non-mated ones");
    let all = || mated.iter().chain(&non_mated).copied();
    let below_all = all().fold(f64::INFINITY, f64::min).next_down();
    let t = all().filter(|&t| fmr(t) <= target).fold(below_all, f64::max);
    Some((t, fmr(t), share(&mated, t, false)))
}

/// The threshold of `crfiqa`: tries every remaining distance.
pub(crate) fn operate(set: &Set, list: &[usize], target: f64) -> Point {
    let (mated, non_mated) = (distances(set, list, true), distances(set, list, false));
    if non_mated.is_empty() {
        return None;
    }
    let mut candidates: Vec<f64> = mated.iter().chain(&non_mated).copied().collect();
    candidates.sort_by(f64::total_cmp);
    let fmr =
        |t: f64| non_mated.iter().filter(|&&d| d <= t).count() as f64 / non_mated.len() as f64;
    let mut best = (f64::INFINITY, f64::NAN);
    for t in candidates {
        let off = (fmr(t) - target).abs();
        if off <= best.0 {
            best = (off, t);
        }
    }
    let t = best.1;
    let accepted = mated.iter().filter(|&&d| d < t).count();
    let fnmr = (!mated.is_empty()).then(|| 1.0 - accepted as f64 / mated.len() as f64);
    Some((t, fmr(t), fnmr))
}

/// The `crfiqa` curve of a list of comparisons.
pub(crate) fn crfiqa(set: &Set, list: &[usize], target: f64) -> Vec<Point> {
    let sorted = by_quality(set, list);
    let dropped = |step: usize| (step as f64 * 0.05 * sorted.len() as f64).floor() as usize;
    (0..20).map(|step| operate(set, &sorted[dropped(step)..], target)).collect()
}

/// The `nist` curve of a list of comparisons: FNMR at each point.
pub(crate) fn nist(set: &Set, list: &[usize], target: f64) -> Vec<Option<f64>> {
    let Some((threshold, ..)) = decide(set, list, target) else { return vec![None; 20] };
    let mut mated = by_quality(set, list);
    mated.retain(|&index| set.comparisons.is_mated(index));
    (0..20)
        .map(|step| {
            let left = &mated[(step as f64 * 0.05 * mated.len() as f64).floor() as usize..];
            let errors = left.iter().filter(|&&i| set.comparisons.distance(i) > threshold).count();
            (!left.is_empty()).then(|| errors as f64 / left.len() as f64)
        })
        .collect()
}

/// The `iso` curve of a list of comparisons with a starting FNMR: discard fractions
/// and error fractions.
pub(crate) fn iso(set: &Set, list: &[usize], start: f64) -> Vec<(f64, f64)> {
    let mated: Vec<usize> =
        list.iter().copied().filter(|&index| set.comparisons.is_mated(index)).collect();
    let mut similarities: Vec<f64> =
        mated.iter().map(|&index| set.comparisons.similarity(index)).collect();
    similarities.sort_by(f64::total_cmp);
    let position = (similarities.len() - 1) as f64 * start;
    let low = similarities[position.floor() as usize];
    let high = similarities[position.ceil() as usize];
    let threshold = low + (high - low) * position.fract();
    let mut qualities: Vec<f64> = mated.iter().map(|&index| set.quality[index]).collect();
    qualities.sort_by(f64::total_cmp);
    qualities.dedup();
    let mut curve: Vec<(f64, f64)> = qualities
        .iter()
        .map(|&lowest| {
            let left: Vec<usize> =
                mated.iter().copied().filter(|&i| set.quality[i] >= lowest).collect();
            let errors =
                left.iter().filter(|&&i| set.comparisons.similarity(i) < threshold).count();
            let discard = (mated.len() - left.len()) as f64 / mated.len() as f64;
            (discard, errors as f64 / left.len() as f64)
        })
        .collect();
    curve.push((1.0, 0.0));
    curve
}
