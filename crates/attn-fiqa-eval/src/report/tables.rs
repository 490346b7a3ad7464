//! The tables as CSV, for programs.

use crate::study::Results;
use crate::study::results::Against;
use crate::study::summary::summaries;

/// Name and content of each file.
pub(super) fn all(results: &Results) -> Result<Vec<(&'static str, Vec<u8>)>, csv::Error> {
    Ok(vec![
        ("pauc.csv", pauc(results)?),
        ("differences.csv", differences(results)?),
        ("curves.csv", curves(results)?),
        ("baselines.csv", baselines(results)?),
        ("correlations.csv", correlations(results)?),
    ])
}

struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn new(heading: &[&str]) -> Result<Self, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(heading)?;
        Ok(Self(writer))
    }

    fn push<const N: usize>(&mut self, cells: [String; N]) -> Result<(), csv::Error> {
        self.0.write_record(cells)
    }

    fn finish(self) -> Result<Vec<u8>, csv::Error> {
        self.0.into_inner().map_err(|error| error.into_error().into())
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn bounds(interval: Option<[f64; 2]>) -> [String; 2] {
    interval.map_or_else(Default::default, |bounds| bounds.map(|bound| bound.to_string()))
}

/// One row per protocol, recogniser, target, method and data set; `mean` stands for all data sets
/// and has only the values that can be averaged.
fn pauc(results: &Results) -> Result<Vec<u8>, csv::Error> {
    let mut table = Table::new(&[
        "protocol",
        "recogniser",
        "fmr",
        "method",
        "dataset",
        "pauc",
        "low",
        "high",
        "above_ideal",
        "relative",
        "rank",
    ])?;
    for summary in summaries(results) {
        for row in &summary.rows {
            let key = || {
                let (protocol, fmr) = (summary.protocol.to_string(), summary.fmr.to_string());
                (protocol, summary.recogniser.clone(), fmr, row.method.clone())
            };
            let of_sets = summary.datasets.iter().zip(&row.pauc).zip(&row.intervals);
            let of_sets = of_sets.zip(row.above_ideal.iter().zip(&row.relative));
            for (((dataset, &value), &interval), (&above, &relative)) in of_sets {
                let (protocol, recogniser, fmr, method) = key();
                let [low, high] = bounds(interval);
                let (dataset, rank) = (dataset.clone(), String::new());
                let (value, above, relative) = (cell(value), cell(above), cell(relative));
                table.push([
                    protocol, recogniser, fmr, method, dataset, value, low, high, above, relative,
                    rank,
                ])?;
            }
            let (protocol, recogniser, fmr, method) = key();
            let rank = row.rank.map_or(String::new(), |rank| rank.to_string());
            let (dataset, none) = ("mean".to_owned(), String::new());
            table.push([
                protocol,
                recogniser,
                fmr,
                method,
                dataset,
                none.clone(),
                none.clone(),
                none.clone(),
                none,
                cell(row.mean_relative),
                rank,
            ])?;
        }
    }
    table.finish()
}

fn differences(results: &Results) -> Result<Vec<u8>, csv::Error> {
    let mut table = Table::new(&[
        "protocol",
        "recogniser",
        "fmr",
        "dataset",
        "method",
        "against",
        "other",
        "difference",
        "low",
        "high",
    ])?;
    for record in &results.differences {
        let [low, high] = bounds(record.interval);
        table.push([
            record.protocol.to_string(),
            record.recogniser.clone(),
            record.fmr.to_string(),
            record.dataset.clone(),
            record.method.clone(),
            match record.against {
                Against::First => "first".to_owned(),
                Against::Best => "best".to_owned(),
            },
            record.other.clone(),
            record.difference.to_string(),
            low,
            high,
        ])?;
    }
    table.finish()
}

fn curves(results: &Results) -> Result<Vec<u8>, csv::Error> {
    let mut table = Table::new(&[
        "protocol",
        "recogniser",
        "fmr",
        "method",
        "dataset",
        "discard",
        "fnmr",
        "low",
        "high",
        "realised_fmr",
    ])?;
    for curve in &results.curves {
        for (index, &(discard, fnmr)) in curve.points.iter().enumerate() {
            let near = |band: &&(f64, _)| (band.0 - discard).abs() < 1e-9;
            let [low, high] = bounds(curve.band.iter().find(near).and_then(|band| band.1));
            table.push([
                curve.protocol.to_string(),
                curve.recogniser.clone(),
                curve.fmr.to_string(),
                curve.method.clone(),
                curve.dataset.clone(),
                discard.to_string(),
                cell(fnmr),
                low,
                high,
                cell(curve.realised.get(index).copied().flatten()),
            ])?;
        }
    }
    table.finish()
}

fn baselines(results: &Results) -> Result<Vec<u8>, csv::Error> {
    let mut table = Table::new(&[
        "dataset",
        "recogniser",
        "mated",
        "non_mated",
        "left_out",
        "accuracy",
        "accuracy_std",
        "eer",
        "fmr",
        "realised_fmr",
        "threshold",
        "fnmr",
    ])?;
    for baseline in &results.baselines {
        let [accuracy, deviation] = bounds(baseline.accuracy);
        for target in &baseline.targets {
            table.push([
                baseline.dataset.clone(),
                baseline.recogniser.clone(),
                baseline.mated.to_string(),
                baseline.non_mated.to_string(),
                baseline.left_out.to_string(),
                accuracy.clone(),
                deviation.clone(),
                cell(baseline.eer),
                target.fmr.to_string(),
                cell(target.realised),
                cell(target.threshold),
                cell(target.fnmr),
            ])?;
        }
    }
    table.finish()
}

fn correlations(results: &Results) -> Result<Vec<u8>, csv::Error> {
    let mut table = Table::new(&["dataset", "method", "other_method", "spearman"])?;
    for record in &results.correlations {
        for (method, row) in results.methods.iter().zip(&record.spearman) {
            for (other, &value) in results.methods.iter().zip(row) {
                let (method, other) = (method.name.clone(), other.name.clone());
                table.push([record.dataset.clone(), method, other, cell(value)])?;
            }
        }
    }
    table.finish()
}
