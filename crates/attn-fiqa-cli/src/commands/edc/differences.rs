//! Paired differences between the areas of qualities.

use attn_fiqa_eval::edc::{Interval, Protocol, Target, paired_interval};

use super::measure::Measured;
use crate::commands::compare::{Source, thousandths};
use crate::output::PlainTable;

/// How much larger the area of one quality is than that of another, on the same drawn sets.
#[derive(serde::Serialize)]
pub(super) struct Difference {
    method: String,
    protocol: Protocol,
    target: Target,
    /// `first` or `best`: the reason for comparing it with the other.
    against: &'static str,
    other: String,
    /// pAUC of the method minus that of the other.
    difference: f64,
    interval: Option<Interval>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, protocol, target, against, other, difference, interval } = self;
        let difference = 1000.0 * difference;
        write!(
            f,
            "difference of pAUC x1000, {protocol}, {target}: '{method}' less '{other}' \
                   ({against}) {difference:.2}"
        )?;
        match interval {
            Some(Interval { low, high }) => {
                write!(f, " [{:.2}, {:.2}]", 1000.0 * low, 1000.0 * high)
            }
            None => Ok(()),
        }
    }
}

/// The differences of every quality from the first and from the best, by protocol and target.
pub(super) fn differences(
    sources: &[Source],
    measured: &[Measured],
    level: f64,
) -> Vec<Difference> {
    let is_quality = |each: &&Measured| sources.iter().any(|source| source.name == each.method);
    let qualities: Vec<&Measured> = measured.iter().filter(is_quality).collect();
    let mut found = Vec::new();
    for first in qualities.iter().filter(|each| each.method == sources[0].name) {
        let (protocol, target) = (first.curve.protocol, first.curve.target);
        let same = qualities.iter().filter(|each| {
            each.curve.protocol == protocol && each.curve.target == target && each.pauc.is_some()
        });
        let best = same.clone().min_by(|a, b| {
            a.pauc.unwrap_or(f64::INFINITY).total_cmp(&b.pauc.unwrap_or(f64::INFINITY))
        });
        for (against, other) in [("first", Some(first)), ("best", best)] {
            let Some(other) = other else { continue };
            for each in same.clone().filter(|each| each.method != other.method) {
                let (Some(pauc), Some(of_other)) = (each.pauc, other.pauc) else { continue };
                let pair = each.intervals.as_ref().zip(other.intervals.as_ref());
                let interval = pair.and_then(|(each, other)| {
                    paired_interval(&each.replicates, &other.replicates, level)
                });
                let (method, other) = (each.method.clone(), other.method.clone());
                let difference = pauc - of_other;
                found.push(Difference {
                    method,
                    protocol,
                    target,
                    against,
                    other,
                    difference,
                    interval,
                });
            }
        }
    }
    found
}

pub(super) fn table(differences: &[Difference]) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "protocol",
        "target",
        "against",
        "other",
        "difference_x1000",
        "low",
        "high",
    ]);
    for each in differences {
        table.push(vec![
            each.method.clone(),
            each.protocol.to_string(),
            each.target.to_string(),
            each.against.to_owned(),
            each.other.clone(),
            thousandths(Some(each.difference)),
            thousandths(each.interval.map(|interval| interval.low)),
            thousandths(each.interval.map(|interval| interval.high)),
        ]);
    }
    table
}
