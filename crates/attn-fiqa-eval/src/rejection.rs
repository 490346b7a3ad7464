//! What rejecting images below a quality achieves: advice on a quality threshold, and its effect by
//! group.
//!
//! Unlike the protocols of [`crate::edc`], which discard comparisons, this rejects images, like a
//! system that asks for another photo.

use crate::comparisons::{Comparisons, Pair};
use crate::decision::{Decision, Target, decide};
use crate::edc::{Bootstrap, Evaluator, Interval, ResampledSet, Weights, interval, parallel_map};
use crate::error::{EvalError, check_count, check_rate};
use crate::fraction::portion;

/// Which images are rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reject {
    /// Those with a quality below this.
    Below(f64),
    /// As many of the lowest quality as possible without exceeding this fraction of all images;
    /// images of equal quality are kept or rejected together.
    Fraction(f64),
}

impl Reject {
    /// The quality below which images are rejected; minus infinity for none.
    ///
    /// # Errors
    ///
    /// If a quality is NaN or the fraction not between 0 and 1.
    pub fn threshold(self, qualities: &[f64]) -> Result<f64, EvalError> {
        if let Some(index) = qualities.iter().position(|quality| quality.is_nan()) {
            return Err(EvalError::NoQuality { what: "image", index });
        }
        match self {
            Self::Below(threshold) if threshold.is_nan() => {
                Err(EvalError::NotFinite { what: "threshold", index: 0, value: threshold })
            }
            Self::Below(threshold) => Ok(threshold),
            Self::Fraction(fraction) => {
                check_rate("the fraction of images to reject", fraction)?;
                let mut sorted = qualities.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                let rejected = portion(fraction, sorted.len() as u64).floor() as usize;
                Ok(sorted.get(rejected).copied().unwrap_or(f64::INFINITY))
            }
        }
    }
}

/// The effect of rejecting images below a quality.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Advice {
    /// Images of lower quality are rejected.
    pub reject_below: f64,
    /// Number of compared images.
    pub images: usize,
    /// Number of rejected images.
    pub rejected: usize,
    /// The target that fixes the comparison threshold.
    pub target: Target,
    /// Numbers of remaining mated and non-mated comparisons.
    pub retained: [u64; 2],
    /// Realised FMR and FNMR before any rejection.
    pub before: [f64; 2],
    /// Interval of the FNMR before.
    pub before_interval: Option<Interval>,
    /// Realised FMR and FNMR after it, with the comparison threshold recomputed for the target;
    /// absent if no comparison of one kind is left.
    pub after: Option<[f64; 2]>,
    /// Interval of the FNMR after.
    pub after_interval: Option<Interval>,
    /// Interval of FNMR before − FNMR after, from the same replicates: above 0, the rejection helps
    /// significantly.
    pub gain_interval: Option<Interval>,
    /// FNMR after it, with the comparison threshold unchanged.
    pub after_at_fixed_threshold: Option<f64>,
    /// Whether the target corresponds to less than one false match among the non-mated comparisons
    /// before or after.
    pub unresolved: bool,
}

impl std::fmt::Display for Advice {
    /// The advice as a sentence.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |rate: f64| format!("{:.2} %", 100.0 * rate);
        let within = |interval: &Option<Interval>| match interval {
            Some(Interval { low, high }) => format!(" [{}, {}]", percent(*low), percent(*high)),
            None => String::new(),
        };
        let fraction = percent(self.rejected as f64 / self.images as f64);
        let target = self.target;
        write!(f, "reject below {}: {fraction} of images are rejected, ", self.reject_below)?;
        let before = percent(self.before[1]) + &within(&self.before_interval);
        match self.after {
            None => write!(f, "and too few comparisons are left to measure the FNMR at {target}"),
            Some([_, after]) => {
                let change = if after < self.before[1] { "falls" } else { "goes" };
                let after = percent(after) + &within(&self.after_interval);
                write!(f, "FNMR at {target} {change} from {before} to {after}")
            }
        }
    }
}

/// The effect of rejecting images on the FNMR at a target, with intervals if a bootstrap is given.
///
/// # Errors
///
/// If there is not one pair per comparison or a pair's image has no quality, or a
/// fraction or rate is not between 0 and 1.
pub fn advise(
    evaluator: &Evaluator<'_>,
    pairs: &[Pair],
    qualities: &[f64],
    reject: Reject,
    target: Target,
    bootstrap: Option<&Bootstrap<'_>>,
) -> Result<Advice, EvalError> {
    let comparisons = evaluator.comparisons();
    check(comparisons, pairs, qualities)?;
    target.check()?;
    let reject_below = reject.threshold(qualities)?;
    let stays = stays(pairs, qualities, reject_below);
    let decide = |weights: Weights<'_>| decide(evaluator, target, weights);
    let rates = |found: Option<Decision>| Some([found?.fmr?, found?.fnmr?]);
    let before = decide(Weights::One);
    let left = ResampledSet::once(comparisons, stays.iter().copied());
    let after = rates(decide(Weights::Each(&left)));
    let left = Weights::Each(&left).totals(comparisons);
    let [mut befores, mut afters, mut gains] = [const { Vec::new() }; 3];
    let mut level = 0.0;
    if let Some(bootstrap) = bootstrap {
        bootstrap.check(comparisons)?;
        level = bootstrap.confidence_level;
        let drawn: Vec<[Option<f64>; 2]> = parallel_map(
            bootstrap.replicates as u64,
            ResampledSet::bytes(comparisons.len()),
            ResampledSet::default,
            |drawn, replicate| {
                drawn.draw(comparisons, bootstrap, replicate);
                let before = decide(Weights::Each(drawn));
                drawn.retain(comparisons, stays.iter().copied());
                let after = decide(Weights::Each(drawn));
                [before, after].map(|found| found.and_then(|found| found.fnmr))
            },
        );
        befores.extend(drawn.iter().filter_map(|fnmr| fnmr[0]));
        afters.extend(drawn.iter().filter_map(|fnmr| fnmr[1]));
        gains.extend(drawn.iter().filter_map(|[before, after]| Some((*before)? - (*after)?)));
    }
    let both = "there are both kinds of comparisons: this is a bug";
    let before = before.expect(both);
    let missed = |index: &usize| !before.threshold.accepts(comparisons, *index);
    let mated_left = || (0..pairs.len()).filter(|&i| stays[i] && comparisons.is_mated(i));
    let after_at_fixed_threshold =
        (left[0] > 0).then(|| mated_left().filter(missed).count() as f64 / left[0] as f64);
    let fewest = left[1].min(comparisons.non_mated_count() as u64);
    Ok(Advice {
        reject_below,
        images: qualities.len(),
        rejected: qualities.iter().filter(|&&quality| quality < reject_below).count(),
        target,
        retained: left,
        before: rates(Some(before)).expect(both),
        before_interval: interval(befores.into_iter(), level),
        after,
        after_interval: interval(afters.into_iter(), level),
        gain_interval: interval(gains.into_iter(), level),
        after_at_fixed_threshold,
        unresolved: target.is_unresolved(fewest),
    })
}

/// The effect on one group.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GroupRow {
    /// The group; `None` for the row of all images.
    pub group: Option<String>,
    /// Number of images.
    pub images: usize,
    /// Number of rejected images.
    pub rejected: usize,
    /// Numbers of mated and non-mated comparisons within the group.
    pub comparisons: [usize; 2],
    /// Those left after the rejection.
    pub retained: [usize; 2],
    /// FMR before and after; absent without a non-mated comparison.
    pub fmr: [Option<f64>; 2],
    /// FNMR before and after; absent without a mated comparison.
    pub fnmr: [Option<f64>; 2],
}

/// Rejection and error rates by group, all at one comparison threshold: the one for the target on
/// all comparisons before any rejection. The first row is for all images; a group's comparisons are
/// those with both images in it.
///
/// `group_of` holds an index into `groups` for each image.
///
/// # Errors
///
/// As [`advise`], and if there is not one group per image.
pub fn fairness(
    evaluator: &Evaluator<'_>,
    pairs: &[Pair],
    qualities: &[f64],
    (groups, group_of): (&[String], &[u32]),
    reject: Reject,
    target: Target,
) -> Result<Vec<GroupRow>, EvalError> {
    let comparisons = evaluator.comparisons();
    check(comparisons, pairs, qualities)?;
    check_count(("groups", group_of.len()), ("images", qualities.len()))?;
    let reject_below = reject.threshold(qualities)?;
    let stays = stays(pairs, qualities, reject_below);
    let threshold = crate::rates::operating_points(evaluator, &[target])?[0].threshold;
    let row = |group: Option<usize>| {
        let inside = |image: usize| group.is_none_or(|group| group_of[image] as usize == group);
        let images = || (0..qualities.len()).filter(|&image| inside(image));
        // Per stage (before, after) and kind (mated, non-mated): total and errors.
        let mut counts = [[[0_usize; 2]; 2]; 2];
        for (index, pair) in pairs.iter().enumerate() {
            if !inside(pair.a as usize) || !inside(pair.b as usize) {
                continue;
            }
            let mated = comparisons.is_mated(index);
            let wrong = threshold.accepts(comparisons, index) != mated;
            let stages = 1 + usize::from(stays[index]);
            for counts in &mut counts[..stages] {
                let [all, errors] = &mut counts[usize::from(!mated)];
                *all += 1;
                *errors += usize::from(wrong);
            }
        }
        let rate = |stage: usize, kind: usize| {
            let [all, errors] = counts[stage][kind];
            (all > 0).then(|| errors as f64 / all as f64)
        };
        GroupRow {
            group: group.map(|group| groups[group].clone()),
            images: images().count(),
            rejected: images().filter(|&image| qualities[image] < reject_below).count(),
            comparisons: counts[0].map(|[all, _]| all),
            retained: counts[1].map(|[all, _]| all),
            fmr: [0, 1].map(|stage| rate(stage, 1)),
            fnmr: [0, 1].map(|stage| rate(stage, 0)),
        }
    };
    Ok(std::iter::once(None).chain((0..groups.len()).map(Some)).map(row).collect())
}

/// Whether both images of each pair are kept.
fn stays(pairs: &[Pair], qualities: &[f64], reject_below: f64) -> Vec<bool> {
    let good = |image: u32| qualities[image as usize] >= reject_below;
    pairs.iter().map(|pair| good(pair.a) && good(pair.b)).collect()
}

fn check(comparisons: &Comparisons, pairs: &[Pair], qualities: &[f64]) -> Result<(), EvalError> {
    check_count(("pairs", pairs.len()), ("comparisons", comparisons.len()))?;
    crate::comparisons::pair_qualities(qualities, pairs).map(drop)
}
