//! Causes of low qualities in a set.

use std::collections::BTreeMap;

use crate::files::{FileError, ScoreFile, ScoreRow};
use crate::groups::Proportion;
use crate::scale_counts::ScaleCounts;

/// More names than there will ever be causes: a column with more holds something else.
const MAX_CAUSES: usize = 64;

/// One cause over all faces with a quality.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseSummary {
    /// Its name.
    pub cause: String,
    /// Faces whose main cause it is; `None` if the table has no column `main_cause`.
    pub main: Option<Proportion>,
    /// Faces that have it among their causes; `None` if the table has no column `causes`.
    pub named: Option<Proportion>,
    /// The median quality of the faces with it: as their main cause or, if there is no such column,
    /// among their causes.
    pub median_quality: Option<f64>,
}

/// The causes of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Causes {
    /// The most frequent first.
    pub causes: Vec<CauseSummary>,
    /// Faces without any.
    pub without: Proportion,
}

#[derive(Default)]
struct Count {
    main: usize,
    named: usize,
    qualities: ScaleCounts,
}

/// Counts them row by row.
#[derive(Default)]
pub(super) struct CauseCounter {
    counts: BTreeMap<String, Count>,
    faces: usize,
    without: usize,
    has_main: bool,
    has_named: bool,
}

impl CauseCounter {
    pub(super) fn add(
        &mut self,
        file: &ScoreFile,
        row: &ScoreRow<'_>,
        quality: i8,
    ) -> Result<(), FileError> {
        self.faces += 1;
        self.has_main |= row.main_cause.is_some();
        self.has_named |= row.causes.is_some();
        let main = row.main_cause.filter(|cause| !cause.is_empty());
        let named = row.causes.unwrap_or_default();
        self.without += usize::from(main.is_none() && named.is_empty());
        if let Some(cause) = main {
            let count = self.count(file, row, cause)?;
            count.main += 1;
            count.qualities.add(quality);
        }
        let has_main = row.main_cause.is_some();
        for (cause, _) in named {
            let count = self.count(file, row, cause)?;
            count.named += 1;
            if !has_main {
                count.qualities.add(quality);
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        file: &ScoreFile,
        row: &ScoreRow<'_>,
        cause: &str,
    ) -> Result<&mut Count, FileError> {
        if !self.counts.contains_key(cause) && self.counts.len() == MAX_CAUSES {
            let expected = format!("at most {MAX_CAUSES} different causes");
            return Err(file.unexpected(row.number, &expected, cause));
        }
        Ok(self.counts.entry(cause.to_owned()).or_default())
    }

    pub(super) fn finish(self) -> Causes {
        let part = |count| Proportion { count, total: self.faces };
        let mut causes: Vec<CauseSummary> = self
            .counts
            .into_iter()
            .map(|(cause, count)| CauseSummary {
                cause,
                main: self.has_main.then(|| part(count.main)),
                named: self.has_named.then(|| part(count.named)),
                median_quality: count.qualities.quantile(0.5),
            })
            .collect();
        let frequency = |summary: &CauseSummary| {
            let count = |part: Option<Proportion>| part.map_or(0, |part| part.count);
            std::cmp::Reverse((count(summary.main), count(summary.named)))
        };
        causes.sort_by_key(frequency);
        Causes { causes, without: part(self.without) }
    }
}
