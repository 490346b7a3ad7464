//! Summaries of each level and each kind.

use serde::Serialize;

use super::{DegradationStudy, is_strictly_decreasing, monotonicity};
use crate::statistics::{BoxPlot, quantile};

/// The distribution of scores at one level of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelSummary {
    /// The method's name.
    pub method: String,
    /// The degradation's name.
    pub kind: &'static str,
    /// The level, 0 … 1.
    pub level: f64,
    /// The physical strength.
    pub parameter: f64,
    /// The unit of `parameter`.
    pub unit: &'static str,
    /// The scores of all faces.
    #[serde(flatten)]
    pub scores: BoxPlot,
}

/// How monotonically scores follow one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindSummary {
    /// The method's name.
    pub method: String,
    /// The degradation's name, or `all` for the means over kinds.
    pub kind: &'static str,
    /// Number of faces.
    pub faces: usize,
    /// The mean over faces of the negated rank correlation of score and level: 1 if the score falls
    /// with every step. Faces whose score does not change count as 0.
    pub spearman: f64,
    /// Its tenth percentile over faces.
    pub spearman_p10: f64,
    /// The fraction of faces whose score is lower at every level than at the previous one.
    pub monotonic_fraction: f64,
}

impl DegradationStudy {
    /// One row per method, kind and level, in the order of the plan.
    pub fn levels(&self) -> Vec<LevelSummary> {
        let mut rows = Vec::new();
        for (method, name) in self.methods.iter().enumerate() {
            for (kind, degradation) in self.plan.kinds.iter().enumerate() {
                for (index, &level) in self.plan.levels.iter().enumerate() {
                    let at = |face| f64::from(self.series(face, method, kind)[index]);
                    let Some(scores) = BoxPlot::of((0..self.faces()).map(at)) else { continue };
                    rows.push(LevelSummary {
                        method: name.clone(),
                        kind: degradation.name(),
                        level: level.get(),
                        parameter: degradation.parameter(level),
                        unit: degradation.unit(),
                        scores,
                    });
                }
            }
        }
        rows
    }

    /// One row per method and kind, and one with the means over kinds if there are several.
    pub fn kinds(&self) -> Vec<KindSummary> {
        let mut rows = Vec::new();
        for (method, name) in self.methods.iter().enumerate() {
            let of_kinds: Vec<KindSummary> = (0..self.plan.kinds.len())
                .filter_map(|kind| self.kind(method, name, kind))
                .collect();
            if of_kinds.len() > 1 {
                let mean = |of: fn(&KindSummary) -> f64| {
                    of_kinds.iter().map(of).sum::<f64>() / of_kinds.len() as f64
                };
                rows.push(KindSummary {
                    method: name.clone(),
                    kind: "all",
                    faces: self.faces(),
                    spearman: mean(|row| row.spearman),
                    spearman_p10: mean(|row| row.spearman_p10),
                    monotonic_fraction: mean(|row| row.monotonic_fraction),
                });
            }
            let before_all = rows.len() - usize::from(of_kinds.len() > 1);
            rows.splice(before_all..before_all, of_kinds);
        }
        rows
    }

    fn kind(&self, method: usize, name: &str, kind: usize) -> Option<KindSummary> {
        let series = |face| self.series(face, method, kind);
        let mut monotonicities: Vec<f64> =
            (0..self.faces()).map(|face| monotonicity(series(face)).unwrap_or(0.0)).collect();
        let falling =
            (0..self.faces()).filter(|&face| is_strictly_decreasing(series(face))).count();
        monotonicities.sort_unstable_by(f64::total_cmp);
        Some(KindSummary {
            method: name.to_owned(),
            kind: self.plan.kinds[kind].name(),
            faces: self.faces(),
            spearman: monotonicities.iter().sum::<f64>() / monotonicities.len() as f64,
            spearman_p10: quantile(&monotonicities, 0.1)?,
            monotonic_fraction: falling as f64 / self.faces() as f64,
        })
    }
}
