//! Quality, bands and rejection by group, without comparisons.
//!
//! Error rates of groups are computed by [`fairness`](crate::rejection::fairness).

use attn_fiqa::score::Band;

use crate::bands::{Z, wilson};
use crate::error::{EvalError, check_count};
use crate::statistics::{quantile, ratio};

/// A subset of a group's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Proportion {
    /// Number of images in it.
    pub count: usize,
    /// Number of images in the group.
    pub total: usize,
}

impl Proportion {
    /// Their fraction, 0 to 1; `None` for an empty group.
    pub fn fraction(self) -> Option<f64> {
        ratio(self.count, self.total)
    }

    /// The 95 % score interval of the fraction (Wilson 1927), for independent images.
    pub fn interval(self) -> Option<[f64; 2]> {
        wilson(self.count, self.total)
    }
}

/// One group's qualities.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GroupQualities {
    /// The group; `None` for all images.
    pub group: Option<String>,
    /// Number of images.
    pub images: usize,
    /// Number of images whose quality could not be computed.
    pub failed: Proportion,
    /// The median of the computed qualities, 0 to 100.
    pub median: Option<f64>,
    /// Its 95 % interval, from order statistics: assumes independent images but no particular
    /// distribution.
    pub median_interval: Option<[f64; 2]>,
    /// Images in each band, worst first.
    pub bands: [Proportion; Band::ALL.len()],
    /// Rejected images: with a quality below the threshold, or without one.
    pub rejected: Proportion,
}

/// The qualities of all images and of each group, and what a quality threshold rejects. One row for
/// all images, then one per group, in the order of `groups`.
///
/// `qualities` are 0 to 100, or below 0 if not computed; `group_of` holds an index into `groups`
/// for each image.
///
/// # Errors
///
/// If there is no image, or not one group per image.
pub fn by_group(
    qualities: &[i8],
    (groups, group_of): (&[String], &[u32]),
    reject_below: i8,
) -> Result<Vec<GroupQualities>, EvalError> {
    if qualities.is_empty() {
        return Err(EvalError::Empty { what: "image" });
    }
    check_count(("groups", group_of.len()), ("images", qualities.len()))?;
    let row = |group: Option<usize>| {
        let inside = |place: &usize| group.is_none_or(|group| group_of[*place] as usize == group);
        let own: Vec<i8> =
            (0..qualities.len()).filter(inside).map(|place| qualities[place]).collect();
        let part = |keep: &dyn Fn(i8) -> bool| Proportion {
            count: own.iter().filter(|&&quality| keep(quality)).count(),
            total: own.len(),
        };
        let mut computed: Vec<f64> =
            own.iter().filter(|&&quality| quality >= 0).map(|&quality| quality.into()).collect();
        computed.sort_unstable_by(f64::total_cmp);
        GroupQualities {
            group: group.map(|group| groups[group].clone()),
            images: own.len(),
            failed: part(&|quality| quality < 0),
            median: quantile(&computed, 0.5),
            median_interval: median_interval(&computed),
            bands: Band::ALL.map(|band| part(&|quality| Band::of(quality) == Some(band))),
            rejected: part(&|quality| quality < reject_below.max(0)),
        }
    };
    Ok(std::iter::once(None).chain((0..groups.len()).map(Some)).map(row).collect())
}

/// The 95 % interval of the median of ascending values: those at the ranks `n/2 ∓ z·√n/2`, widened
/// to integer ranks.
fn median_interval(ascending: &[f64]) -> Option<[f64; 2]> {
    let last = ascending.len().checked_sub(1)?;
    let n = ascending.len() as f64;
    let half = Z * n.sqrt() / 2.0;
    let low = ((n / 2.0 - half).floor() - 1.0).max(0.0) as usize;
    let high = ((n / 2.0 + half).ceil() as usize).min(last);
    Some([ascending[low.min(last)], ascending[high]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    #[test]
    fn groups_add_up_and_failures_are_rejected() {
        let qualities = [-1, 10, 30, 50, 70, 90, 90];
        let groups = ["a".to_owned(), "b".to_owned(), "none".to_owned()];
        let rows = by_group(&qualities, (&groups, &[0, 0, 0, 1, 1, 1, 1]), 40).expect("rows");
        let [all, a, b, none] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((all.images, all.failed.count, all.rejected.count), (7, 1, 3));
        assert_eq!(all.bands.map(|part| part.count), [1, 1, 1, 1, 2]);
        assert_eq!((a.median, a.rejected), (Some(20.0), Proportion { count: 3, total: 3 }));
        assert_eq!((b.median, b.rejected.fraction()), (Some(80.0), Some(0.0)));
        assert_eq!(
            (none.median, none.median_interval, none.rejected.fraction()),
            (None, None, None)
        );
        assert!(by_group(&qualities, (&groups, &[0]), 40).is_err());
        assert!(by_group(&[], (&groups, &[]), 40).is_err());
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        // Qualities uniform on 0 to 100: the median is 50, and 40 % are below 40.
        let mut random = Stream::new(5, 0);
        let groups = ["one".to_owned()];
        let (mut median, mut rejected) = (0, 0);
        for _ in 0..400 {
            let qualities: Vec<i8> = (0..200).map(|_| random.below(100) as i8).collect();
            let row = by_group(&qualities, (&groups, &[0; 200]), 40).expect("rows").remove(1);
            let holds = |interval: Option<[f64; 2]>, truth: f64| {
                let [low, high] = interval.expect("an interval");
                usize::from((low..=high).contains(&truth))
            };
            median += holds(row.median_interval, 49.5);
            rejected += holds(row.rejected.interval(), 0.4);
        }
        // 95 % of 400 are 380, plus or minus 13 (three standard deviations).
        assert!((367..=400).contains(&median), "{median}");
        assert!((367..=393).contains(&rejected), "{rejected}");
    }
}
