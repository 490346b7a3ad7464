//! The trade-off between the two error rates as the threshold moves.

use crate::comparisons::Comparisons;

/// Most points of a curve: more than a screen has pixels would not be seen.
const POINTS: usize = 400;

/// FMR and FNMR at thresholds between the distinct distances, by ascending FMR:
/// a comparison matches where its distance is at most the threshold. Points
/// between which only one rate moves are left out, then so many of the rest that
/// about 400 remain, evenly spread.
pub(super) fn det(comparisons: &Comparisons) -> Vec<[f64; 2]> {
    let mut scored: Vec<(f64, bool)> = (0..comparisons.len())
        .map(|index| (comparisons.distance(index), comparisons.is_mated(index)))
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mated, non_mated) = (comparisons.mated_count(), comparisons.non_mated_count());
    let (mut matched, mut falsely) = (0, 0);
    let mut points = vec![(0, mated)];
    for (index, &(distance, is_mated)) in scored.iter().enumerate() {
        if is_mated {
            matched += 1
        } else {
            falsely += 1
        }
        if scored.get(index + 1).is_none_or(|&(next, _)| next > distance) {
            points.push((falsely, mated - matched));
        }
    }
    let moves_in_one = |a: (usize, usize), b: (usize, usize), c: (usize, usize)| {
        (a.0 == b.0 && b.0 == c.0) || (a.1 == b.1 && b.1 == c.1)
    };
    let mut corners: Vec<(usize, usize)> = Vec::new();
    for point in points {
        if let [.., a, b] = corners[..]
            && moves_in_one(a, b, point)
        {
            corners.pop();
        }
        corners.push(point);
    }
    let every = corners.len().div_ceil(POINTS);
    let last = corners.len() - 1;
    let kept = corners.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    kept.map(|(_, &(falsely, missed))| {
        [falsely as f64 / non_mated as f64, missed as f64 / mated as f64]
    })
    .collect()
}

/// The rate at which both are equal, between the two points around it.
pub(super) fn equal_error_rate(det: &[[f64; 2]]) -> Option<f64> {
    let crossing = det.iter().position(|[fmr, fnmr]| fmr >= fnmr)?;
    let [fmr, fnmr] = det[crossing];
    let Some([fmr_before, fnmr_before]) = crossing.checked_sub(1).map(|before| det[before]) else {
        return Some((fmr + fnmr) / 2.0);
    };
    let (gap_before, gap) = (fnmr_before - fmr_before, fmr - fnmr);
    let share = gap_before / (gap_before + gap);
    Some(fmr_before + share * (fmr - fmr_before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::ScoreScale;

    #[test]
    fn rates_follow_the_threshold() {
        let scores = vec![0.9, 0.8, 0.4, 0.7, 0.2, 0.1];
        let mated = vec![true, true, true, false, false, false];
        let set = Comparisons::new(scores, mated, ScoreScale::Similarity).unwrap();
        let det = det(&set);
        let third = 1.0 / 3.0;
        assert_eq!(det, [[0.0, 1.0], [0.0, third], [third, third], [third, 0.0], [1.0, 0.0]]);
        assert_eq!(equal_error_rate(&det), Some(third));
    }

    #[test]
    fn ties_move_together() {
        let set = Comparisons::new(vec![0.5, 0.5], vec![true, false], ScoreScale::Similarity);
        let det = det(&set.unwrap());
        assert_eq!(det, [[0.0, 1.0], [1.0, 0.0]]);
        assert_eq!(equal_error_rate(&det), Some(0.5));
    }
}
