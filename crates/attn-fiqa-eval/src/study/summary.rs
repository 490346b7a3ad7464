//! The papers' table: pAUC-EDC of each method on each data set, the mean relative to discarding at
//! random, and the rank.
//!
//! The areas of different data sets are on different scales: those of a hard set are many times
//! those of an easy one, so that the hardest set would dominate their mean. So each is divided by
//! the area of discarding at random on the same set, which is 1 for an uninformative quality, and
//! only these ratios are averaged; different recognisers, targets and protocols never are.

use super::results::{CurveRecord, Results};
use crate::edc::{Protocol, Series};

/// One table: a protocol, a recogniser and a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The protocol.
    pub protocol: Protocol,
    /// Name of the recogniser.
    pub recogniser: String,
    /// The target FMR.
    pub fmr: f64,
    /// Names of the data sets, as columns.
    pub datasets: Vec<String>,
    /// The methods in the order of the study file, then the baselines.
    pub rows: Vec<SummaryRow>,
    /// Warnings, without duplicates.
    pub warnings: Vec<String>,
}

/// A method's row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRow {
    /// Its name.
    pub method: String,
    /// Whether it is ranked; the baselines are not.
    pub series: Series,
    /// pAUC, not normalised, by data set.
    pub pauc: Vec<Option<f64>>,
    /// Confidence intervals of the pAUC.
    pub intervals: Vec<Option<[f64; 2]>>,
    /// Areas above the ideal curve, by data set.
    pub above_ideal: Vec<Option<f64>>,
    /// The areas divided by those of discarding at random, by data set.
    pub relative: Vec<Option<f64>>,
    /// The mean of those; `None` if one is absent. Data sets without an error to discard, where
    /// random has no area, carry no information and are left out.
    pub mean_relative: Option<f64>,
    /// 1 for the lowest mean among the methods; equal means share a rank.
    pub rank: Option<usize>,
    /// The mean of its ranks on each data set.
    pub mean_rank: Option<f64>,
}

/// All tables, in the order of the settings.
pub fn summaries(results: &Results) -> Vec<Summary> {
    let mut tables = Vec::new();
    for &protocol in &results.settings.protocols {
        for recogniser in &results.recognisers {
            for &fmr in &results.settings.fmr {
                tables.push(summary(results, protocol, &recogniser.name, fmr));
            }
        }
    }
    tables
}

fn summary(results: &Results, protocol: Protocol, recogniser: &str, fmr: f64) -> Summary {
    let datasets: Vec<String> = results.datasets.iter().map(|d| d.name.clone()).collect();
    let methods = results.methods.iter().map(|method| (method.name.as_str(), Series::Method));
    let all =
        methods.chain([("random", Series::Random), ("theoretical-best", Series::TheoreticalBest)]);
    let curve = |dataset: &str, method: &str, series: Series| -> Option<&CurveRecord> {
        let mut of_set = results.curves_of(dataset, recogniser, protocol, fmr);
        of_set.find(|curve| curve.series == series && curve.method == method)
    };
    let mut warnings: Vec<String> = Vec::new();
    let mut rows: Vec<SummaryRow> = all
        .map(|(method, series)| {
            let curves: Vec<Option<&CurveRecord>> =
                datasets.iter().map(|dataset| curve(dataset, method, series)).collect();
            for curve in curves.iter().flatten() {
                for warning in &curve.warnings {
                    let warning = format!("{}: {warning}", curve.dataset);
                    if series == Series::Random && !warnings.contains(&warning) {
                        warnings.push(warning);
                    }
                }
            }
            let pauc: Vec<Option<f64>> = curves.iter().map(|curve| (*curve)?.pauc).collect();
            let of_random = |dataset: &String| curve(dataset, "random", Series::Random)?.pauc;
            let random: Vec<Option<f64>> = datasets.iter().map(of_random).collect();
            let ratio = |(&pauc, &random): (&Option<f64>, &Option<f64>)| {
                let (pauc, random) = (pauc?, random?);
                (random > 0.0).then_some(pauc / random)
            };
            let relative: Vec<Option<f64>> = pauc.iter().zip(&random).map(ratio).collect();
            let compares = |(_, random): &(_, &Option<f64>)| **random != Some(0.0);
            let compared = relative.iter().zip(&random).filter(compares);
            let all: Option<Vec<f64>> = compared.map(|(relative, _)| *relative).collect();
            let all = all.filter(|all| !all.is_empty());
            SummaryRow {
                method: method.to_owned(),
                series,
                intervals: curves.iter().map(|curve| (*curve)?.pauc_interval).collect(),
                above_ideal: curves.iter().map(|curve| (*curve)?.above_ideal).collect(),
                mean_relative: all.map(|all| all.iter().sum::<f64>() / all.len() as f64),
                relative,
                pauc,
                rank: None,
                mean_rank: None,
            }
        })
        .collect();
    let ranks =
        ranks(&rows.iter().map(|row| ranked_value(row, row.mean_relative)).collect::<Vec<_>>());
    let by_set: Vec<Vec<Option<usize>>> = (0..datasets.len())
        .map(|set| {
            let of_set: Vec<_> = rows.iter().map(|row| ranked_value(row, row.pauc[set])).collect();
            self::ranks(&of_set)
        })
        .collect();
    for (index, row) in rows.iter_mut().enumerate() {
        row.rank = ranks[index];
        let all: Option<Vec<usize>> = by_set.iter().map(|ranks| ranks[index]).collect();
        row.mean_rank = all.map(|all| all.iter().sum::<usize>() as f64 / all.len() as f64);
    }
    let recogniser = recogniser.to_owned();
    Summary { protocol, recogniser, fmr, datasets, rows, warnings }
}

fn ranked_value(row: &SummaryRow, value: Option<f64>) -> Option<f64> {
    value.filter(|_| row.series == Series::Method)
}

/// 1 plus the number of lower values.
fn ranks(values: &[Option<f64>]) -> Vec<Option<usize>> {
    let rank = |value: f64| 1 + values.iter().flatten().filter(|&&other| other < value).count();
    values.iter().map(|value| value.map(rank)).collect()
}

#[cfg(test)]
mod tests {
    use super::ranks;

    #[test]
    fn equal_values_share_a_rank_and_absent_ones_have_none() {
        let values = [Some(0.2), Some(0.1), None, Some(0.2), Some(0.3)];
        assert_eq!(ranks(&values), [Some(2), Some(1), None, Some(2), Some(4)]);
    }
}
