//! Quality, bands and rejection by group, without comparisons.
//!
//! Error rates of groups are computed by [`fairness`](crate::rejection::fairness).

use attn_fiqa::score::Band;

use crate::bands::wilson;
use crate::error::{EvalError, check_count};
use crate::scale_counts::ScaleCounts;
use crate::statistics::ratio;

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

impl GroupQualities {
    /// The row of a group with these qualities.
    pub fn of(group: Option<String>, qualities: &ScaleCounts, reject_below: i8) -> Self {
        let rejected = qualities.below(reject_below);
        Self {
            group,
            images: rejected.total,
            failed: qualities.failed(),
            median: qualities.quantile(0.5),
            median_interval: qualities.median_interval(),
            bands: Band::ALL.map(|band| qualities.in_band(band)),
            rejected,
        }
    }
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
    let mut all = ScaleCounts::default();
    let mut counts = vec![ScaleCounts::default(); groups.len()];
    for (&quality, &group) in qualities.iter().zip(group_of) {
        all.add(quality);
        counts[group as usize].add(quality);
    }
    let groups = groups.iter().cloned().map(Some).zip(&counts);
    let rows = std::iter::once((None, &all)).chain(groups);
    Ok(rows.map(|(group, counts)| GroupQualities::of(group, counts, reject_below)).collect())
}

/// Sorts groups by the number that their name starts with, so that ages are in order, then by name;
/// groups without a number come last.
pub fn sort_groups(groups: &mut [String]) {
    groups.sort_by_cached_key(|group| {
        let digits: String = group.chars().take_while(char::is_ascii_digit).collect();
        (digits.parse().unwrap_or(u64::MAX), group.clone())
    });
}

/// The groups that are rejected least and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RejectionRange<'g> {
    /// The group with the lowest fraction of rejected images.
    pub least: &'g GroupQualities,
    /// The group with the highest.
    pub most: &'g GroupQualities,
    /// The highest fraction over the lowest; `None` if the lowest is 0.
    pub ratio: Option<f64>,
}

impl<'g> RejectionRange<'g> {
    /// The range over the groups that have images; `None` if fewer than two have.
    pub fn of(rows: &'g [GroupQualities]) -> Option<Self> {
        let fractions = || rows.iter().filter_map(|row| Some((row.rejected.fraction()?, row)));
        fractions().nth(1)?;
        let (lowest, least) = fractions().min_by(|a, b| a.0.total_cmp(&b.0))?;
        let (highest, most) = fractions().max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Self { least, most, ratio: (lowest > 0.0).then(|| highest / lowest) })
    }
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
        let range = RejectionRange::of(&rows[1..]).expect("two groups");
        assert_eq!((range.least, range.most, range.ratio), (b, a, None));
        assert_eq!(RejectionRange::of(&rows[2..]), None, "one group has images");
        assert!(by_group(&qualities, (&groups, &[0]), 40).is_err());
        assert!(by_group(&[], (&groups, &[]), 40).is_err());
    }

    #[test]
    fn rejection_range_is_between_groups_with_images() {
        let groups = ["a", "b", "c", "none"].map(str::to_owned);
        let group_of: Vec<u32> = (0..12).map(|image| image / 4).collect();
        // Of four images each, one, three and two are rejected.
        let qualities = [10, 90, 90, 90, 10, 10, 10, 90, 90, 90, 10, 10];
        let rows = by_group(&qualities, (&groups, &group_of), 40).expect("rows");
        let range = RejectionRange::of(&rows[1..]).expect("groups");
        let names = [range.least, range.most].map(|row| row.group.as_deref());
        assert_eq!(names, [Some("a"), Some("b")]);
        assert_eq!(range.ratio, Some(3.0));
        let none = by_group(&qualities, (&groups, &group_of), 0).expect("rows");
        assert_eq!(RejectionRange::of(&none[1..]).expect("groups").ratio, None);
        assert_eq!(RejectionRange::of(&rows[4..]), None);
    }

    #[test]
    fn intervals_have_nominal_coverage() {
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
