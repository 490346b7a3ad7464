//! The tables of areas, curves and correlations.

use attn_fiqa_eval::statistics::spearman;

use super::measure::Measured;
use crate::commands::compare::{Source, cell, thousandths};
use crate::output::PlainTable;

pub(super) fn pauc(measured: &[Measured]) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "protocol",
        "target",
        "fmr_realised",
        "fnmr_start",
        "pauc_x1000",
        "pauc_low",
        "pauc_high",
        "above_ideal_x1000",
        "range_low",
        "range_high",
        "auc_x1000",
        "warnings",
    ]);
    for each in measured {
        let Measured { method, curve, range, pauc, above_ideal, auc, intervals } = each;
        let interval = intervals.as_ref().and_then(|intervals| intervals.pauc);
        let warnings: Vec<String> = curve.warnings.iter().map(ToString::to_string).collect();
        table.push(vec![
            method.clone(),
            curve.protocol.to_string(),
            curve.target.to_string(),
            cell(curve.points.first().and_then(|point| point.fmr)),
            cell(curve.start()),
            thousandths(*pauc),
            thousandths(interval.map(|interval| interval.low)),
            thousandths(interval.map(|interval| interval.high)),
            thousandths(*above_ideal),
            thousandths(range.map(|range| range[0])),
            thousandths(range.map(|range| range[1])),
            thousandths(*auc),
            warnings.join("; "),
        ]);
    }
    table
}

pub(super) fn curves(measured: &[Measured]) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "protocol",
        "target",
        "discard",
        "threshold",
        "fmr",
        "fnmr",
        "fnmr_low",
        "fnmr_high",
        "mated",
        "non_mated",
    ]);
    for Measured { method, curve, intervals, .. } in measured {
        for point in curve.points_with_grid() {
            let interval = intervals.as_ref().and_then(|intervals| {
                let near = |&at: &f64| (at - point.discard).abs() < 1e-9;
                let at = intervals.discard.iter().position(near)?;
                intervals.fnmr[at]
            });
            table.push(vec![
                method.clone(),
                curve.protocol.to_string(),
                curve.target.to_string(),
                point.discard.to_string(),
                cell(point.threshold),
                cell(point.fmr),
                cell(point.fnmr),
                cell(interval.map(|interval| interval.low)),
                cell(interval.map(|interval| interval.high)),
                point.mated.to_string(),
                point.non_mated.to_string(),
            ]);
        }
    }
    table
}

/// Spearman's rank correlation between the qualities of every two methods.
pub(super) fn correlations(sources: &[Source], qualities: &[Vec<f64>]) -> PlainTable {
    let mut table = PlainTable::new(&["a", "b", "spearman"]);
    for (first, a) in sources.iter().enumerate() {
        for (second, b) in sources.iter().enumerate().skip(first + 1) {
            let found = spearman(&qualities[first], &qualities[second]);
            table.push(vec![a.name.clone(), b.name.clone(), cell(found)]);
        }
    }
    table
}
