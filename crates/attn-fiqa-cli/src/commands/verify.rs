//! `attn-fiqa verify`: how well embeddings distinguish persons.

use anyhow::bail;
use attn_fiqa::score::{Band, FAILURE_TO_COMPUTE};
use attn_fiqa_eval::bands::by_band;
use attn_fiqa_eval::edc::Evaluator;
use attn_fiqa_eval::rates::{OperatingPoint, equal_error_rate, operating_points};
use attn_fiqa_eval::verification::{ThresholdGrid, equal_folds, verification};

use super::compare::{Compared, Source, Tables, cell};
use crate::args::{GridChoice, ScaleChoice, VerifyArgs};
use crate::exit::Exit;
use crate::log;
use crate::output::PlainTable;

pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let bands = args.bands.as_deref().map(|typed| {
        let mut source = Source::parse(typed);
        source.column.get_or_insert_with(|| "quality".to_owned());
        source
    });
    let tables = Tables { qualities: bands.as_slice(), failed_lowest: true, ..Tables::default() };
    let compared = Compared::read(&args.comparisons, &tables)?;
    let comparisons = &compared.comparisons;
    let evaluator = Evaluator::new(comparisons);
    let points = operating_points(&evaluator, &args.targets.targets())?;
    if let Some(source) = &bands {
        let qualities = whole_qualities(source, &compared.qualities[0])?;
        bands_table(&compared, &qualities, &points)?.print()?;
        report(&compared, &points);
        return Ok(Exit::Done);
    }
    let cosines = args.comparisons.scale == ScaleChoice::Cosine;
    let grid = match args.threshold_grid {
        Some(GridChoice::InsightFace) => ThresholdGrid::InsightFace,
        Some(GridChoice::Exact) => ThresholdGrid::Exact,
        None if cosines => ThresholdGrid::InsightFace,
        None => ThresholdGrid::Exact,
    };
    if comparisons.len() < usize::from(args.folds) {
        bail!(
            "--folds {} needs at least as many comparisons, and there are {}; give fewer folds",
            args.folds,
            comparisons.len()
        );
    }
    let folds = equal_folds(comparisons.len(), args.folds);
    let accuracy = verification(comparisons, &folds, grid)?;

    let mut table = PlainTable::new(&["measure", "target", "fmr_realised", "threshold", "value"]);
    let mut push = |measure: &str, target: String, realised: String, threshold, value: f64| {
        table.push(vec![measure.to_owned(), target, realised, threshold, value.to_string()]);
    };
    let none = String::new;
    push("accuracy", none(), none(), none(), accuracy.accuracy);
    push("accuracy-deviation", none(), none(), none(), accuracy.deviation);
    push("eer", none(), none(), none(), equal_error_rate(&evaluator));
    for point in &points {
        let (target, realised) = (point.target.to_string(), point.fmr.to_string());
        push("fnmr", target, realised, point.distance.to_string(), point.fnmr);
    }
    table.print()?;
    report(&compared, &points);
    Ok(Exit::Done)
}

fn report(compared: &Compared, points: &[OperatingPoint]) {
    let comparisons = &compared.comparisons;
    let (mated, non_mated) = (comparisons.mated_count(), comparisons.non_mated_count());
    log::info(format!("{mated} mated and {non_mated} non-mated comparisons"));
    for point in points.iter().filter(|point| point.unresolved) {
        let (target, realised) = (point.target, point.fmr);
        log::warning(format!(
            "{target} cannot be resolved by {non_mated} non-mated comparisons; the \
             FMR realised is {realised:.2e}"
        ));
    }
}

/// One quality per image, as written by `score`; minus infinity is a failure.
pub(super) fn whole_qualities(source: &Source, values: &[f64]) -> anyhow::Result<Vec<i8>> {
    let whole = |&value: &f64| {
        let failed = f64::from(FAILURE_TO_COMPUTE);
        match value {
            // An image without a quality has an empty cell.
            f64::NEG_INFINITY => Ok(FAILURE_TO_COMPUTE),
            _ if value.fract() == 0.0 && (failed..=100.0).contains(&value) => Ok(value as i8),
            _ => bail!(
                "'{}' has the quality {value}; bands need whole numbers from 0 to 100 (-1 for \
                 failures), as in the column 'quality' of 'attn-fiqa score' for a model with a \
                 calibration",
                source.file.display()
            ),
        }
    };
    values.iter().map(whole).collect()
}

fn bands_table(
    compared: &Compared,
    qualities: &[i8],
    points: &[OperatingPoint],
) -> anyhow::Result<PlainTable> {
    let mut table = PlainTable::new(&[
        "band",
        "quality",
        "target",
        "threshold",
        "images",
        "mated",
        "non_mated",
        "fnmr",
        "fnmr_low",
        "fnmr_high",
        "fmr",
    ]);
    for point in points {
        for row in by_band(&compared.comparisons, &compared.list.pairs, qualities, point)? {
            let range = row.band.map_or("-1".to_owned(), |band| {
                let next = Band::ALL.into_iter().find(|other| *other > band);
                format!("{}-{}", band.lowest(), next.map_or(100, |next| next.lowest() - 1))
            });
            let interval = row.fnmr_interval();
            table.push(vec![
                row.band.map_or("failed", Band::name).to_owned(),
                range,
                point.target.to_string(),
                point.distance.to_string(),
                row.images.to_string(),
                row.mated.to_string(),
                row.non_mated.to_string(),
                cell(row.fnmr()),
                cell(interval.map(|[low, _]| low)),
                cell(interval.map(|[_, high]| high)),
                cell(row.fmr()),
            ]);
        }
    }
    Ok(table)
}
