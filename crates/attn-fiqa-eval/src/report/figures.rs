//! The figures of a study.

use crate::edc::{Protocol, Series};
use crate::figure::{
    Bar, DetPanel, DetSeries, DistributionPanel, EdcPanel, EdcSeries, Figure, FigureError,
    ScoreGroup, bars, det_curves, edc_grid, score_distributions,
};
use crate::study::results::{Baseline, CurveRecord, Results};
use crate::study::summary::{Summary, summaries};

use super::{rate, times_thousand};

/// With more methods, confidence bands would hide each other.
const BANDS: usize = 4;

/// Default number of panels per row.
const COLUMNS: usize = 3;

/// A figure and the name of its file.
pub(super) struct NamedFigure {
    pub(super) name: String,
    pub(super) figure: Figure,
}

/// Every figure, in the order of the page.
pub(super) fn all(results: &Results) -> Result<Vec<NamedFigure>, FigureError> {
    let mut all = Vec::new();
    for (number, summary) in summaries(results).iter().enumerate() {
        let name = format!("pauc-{}-{}-{}", number + 1, summary.protocol, rate(summary.fmr));
        all.extend(ranking(summary, results)?.map(|figure| NamedFigure { name, figure }));
    }
    for &protocol in &results.settings.protocols {
        for &fmr in &results.settings.fmr {
            let name = format!("edc-{protocol}-{}", rate(fmr));
            all.extend(edc(results, protocol, fmr)?.map(|figure| NamedFigure { name, figure }));
        }
    }
    all.push(NamedFigure {
        name: "comparison-scores".to_owned(),
        figure: comparison_scores(results)?,
    });
    all.push(NamedFigure { name: "det".to_owned(), figure: det(results)? });
    let qualities = qualities(results)?;
    all.extend(qualities.map(|figure| NamedFigure { name: "quality-scores".to_owned(), figure }));
    Ok(all)
}

/// The pAUC of each method, best first, between the two baselines; over several sets the mean pAUC
/// relative to random. `None` if no method has one.
pub(super) fn ranking(summary: &Summary, results: &Results) -> Result<Option<Figure>, FigureError> {
    // A single set has areas; over several sets only areas relative to random are comparable.
    let single = summary.datasets.len() == 1;
    let value = |row: &crate::study::summary::SummaryRow| match single {
        true => row.pauc[0].map(|pauc| pauc * 1000.0),
        false => row.mean_relative,
    };
    let mut rows: Vec<_> = summary.rows.iter().filter(|row| value(row).is_some()).collect();
    rows.sort_by(|a, b| value(a).unwrap_or(0.0).total_cmp(&value(b).unwrap_or(0.0)));
    let bar = |row: &&crate::study::summary::SummaryRow| {
        // The interval of a mean over sets would need their joint replicates.
        let interval = if single { row.intervals[0] } else { None };
        let rank = row.rank.map_or(String::new(), |rank| format!(" · rank {rank}"));
        Bar {
            label: row.method.clone(),
            value: value(row).unwrap_or(0.0),
            interval: interval.map(|[low, high]| (low * 1000.0, high * 1000.0)),
            text: match single {
                true => format!("{}{rank}", times_thousand(row.pauc[0])),
                false => format!("{:.3}{rank}", row.mean_relative.unwrap_or(0.0)),
            },
            reference: row.series != Series::Method,
        }
    };
    let all: Vec<Bar> = rows.iter().map(bar).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let (recogniser, protocol) = (&summary.recogniser, summary.protocol);
    let title = format!("{recogniser}, FMR {}, protocol {protocol}", rate(summary.fmr));
    let limit = results.settings.max_discard;
    let axis = match single {
        true => format!("pAUC-EDC ×1000 up to {limit}"),
        false => format!("pAUC-EDC up to {limit} relative to random, mean over data sets"),
    };
    bars(&title, &axis, &all).map(Some)
}

/// Curves on every data set with every recogniser.
pub(super) fn edc(
    results: &Results,
    protocol: Protocol,
    fmr: f64,
) -> Result<Option<Figure>, FigureError> {
    let bands = results.methods.len() <= BANDS;
    let mut panels = Vec::new();
    for dataset in &results.datasets {
        for recogniser in &results.recognisers {
            let curves = results.curves_of(&dataset.name, &recogniser.name, protocol, fmr);
            let curves: Vec<&CurveRecord> = curves.collect();
            let series: Vec<EdcSeries> =
                curves.iter().filter_map(|curve| edc_series(curve, bands)).collect();
            if !series.is_empty() {
                let title = format!("{} · {}", dataset.name, recogniser.name);
                let steps = curves.iter().any(|curve| curve.steps);
                panels.push(EdcPanel { title, series, steps });
            }
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let columns = match results.recognisers.len() {
        1 => COLUMNS.min(panels.len()),
        recognisers => recognisers,
    };
    let title = format!("Error versus discard at FMR {}, protocol {protocol}", rate(fmr));
    edc_grid(&title, &panels, columns, Some(results.settings.max_discard)).map(Some)
}

/// A curve, at the points that have rates.
fn edc_series(curve: &CurveRecord, bands: bool) -> Option<EdcSeries> {
    let points: Vec<(f64, f64)> =
        curve.points.iter().map_while(|&(discard, fnmr)| Some((discard, fnmr?))).collect();
    if points.is_empty() {
        return None;
    }
    let band = curve.band.iter().map_while(|&(discard, interval)| {
        let [low, high] = interval?;
        Some((discard, low, high))
    });
    Some(EdcSeries {
        name: curve.method.clone(),
        kind: curve.series,
        points,
        band: if bands { band.collect() } else { Vec::new() },
    })
}

/// Comparison scores, mated and non-mated.
pub(super) fn comparison_scores(results: &Results) -> Result<Figure, FigureError> {
    let panel = |baseline: &'_ Baseline| -> String {
        format!("{} · {}", baseline.dataset, baseline.recogniser)
    };
    let panels: Vec<DistributionPanel<'_>> = results
        .baselines
        .iter()
        .map(|baseline| DistributionPanel {
            title: panel(baseline),
            x_title: "cosine".to_owned(),
            groups: vec![
                ScoreGroup { name: "mated", scores: &baseline.mated_scores },
                ScoreGroup { name: "non-mated", scores: &baseline.non_mated_scores },
            ],
        })
        .collect();
    let columns = results.recognisers.len().clamp(2, COLUMNS);
    score_distributions("Comparison scores", &panels, columns)
}

/// Trade-off between the two error rates.
pub(super) fn det(results: &Results) -> Result<Figure, FigureError> {
    let panel = |dataset: &crate::study::results::DatasetRecord| {
        let of_set = results.baselines.iter().filter(|b| b.dataset == dataset.name);
        det_panel(&dataset.name, &of_set.collect::<Vec<&Baseline>>())
    };
    let panels: Vec<DetPanel> = results.datasets.iter().map(panel).collect();
    det_curves("Detection error trade-off, nothing discarded", &panels, COLUMNS)
}

fn det_panel(dataset: &str, baselines: &[&Baseline]) -> DetPanel {
    let series = baselines.iter().map(|baseline| DetSeries {
        name: baseline.recogniser.clone(),
        points: baseline.det.iter().map(|&[fmr, fnmr]| (fmr, fnmr)).collect(),
    });
    // Of the recogniser with the most comparisons, so that no curve is cut off.
    let lowest = |count: fn(&Baseline) -> usize| {
        1.0 / baselines.iter().map(|baseline| count(baseline)).max().unwrap_or(1).max(1) as f64
    };
    DetPanel {
        title: dataset.to_owned(),
        series: series.collect(),
        resolution: [lowest(|baseline| baseline.non_mated), lowest(|baseline| baseline.mated)],
    }
}

/// Quality scores of every method on every data set; `None` without any.
pub(super) fn qualities(results: &Results) -> Result<Option<Figure>, FigureError> {
    let panel = |record: &'_ crate::study::results::QualityRecord| -> String {
        match results.datasets.len() {
            1 => record.method.clone(),
            _ => format!("{} · {}", record.method, record.dataset),
        }
    };
    let scored = results.qualities.iter().filter_map(|record| {
        let scores = record.scores.as_ref()?;
        Some(DistributionPanel {
            title: panel(record),
            x_title: "quality".to_owned(),
            groups: vec![ScoreGroup { name: "images", scores }],
        })
    });
    let panels: Vec<DistributionPanel<'_>> = scored.collect();
    if panels.is_empty() {
        return Ok(None);
    }
    score_distributions("Quality scores", &panels, COLUMNS).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Histogram;

    #[test]
    fn det_resolution_follows_the_numbers_of_comparisons_of_each_kind() {
        let histogram = Histogram::of(&[&[0.0, 1.0]]).expect("scores").remove(0);
        let baseline = |mated, non_mated| Baseline {
            dataset: "set".to_owned(),
            recogniser: "recogniser".to_owned(),
            mated,
            non_mated,
            left_out: 0,
            accuracy: None,
            eer: None,
            targets: Vec::new(),
            det: vec![[0.0, 1.0], [1.0, 0.0]],
            mated_scores: histogram.clone(),
            non_mated_scores: histogram.clone(),
            failures: Vec::new(),
        };
        let panel = det_panel("set", &[&baseline(30, 171), &baseline(36, 150)]);
        assert_eq!(panel.resolution, [1.0 / 171.0, 1.0 / 36.0]);
        assert_eq!(panel.series.len(), 2);
    }
}
