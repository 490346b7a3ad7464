//! `attn-fiqa verify`: how well embeddings tell persons apart.

use attn_fiqa_eval::edc::Evaluator;
use attn_fiqa_eval::rates::{equal_error_rate, operating_points};
use attn_fiqa_eval::verification::{ThresholdGrid, equal_folds, verification};

use super::compare::Compared;
use crate::args::{ThresholdChoice, VerifyArgs};
use crate::exit::Exit;
use crate::output::PlainTable;
use crate::report::say;

pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let compared = Compared::read(&args.comparisons, args.quiet)?;
    let comparisons = &compared.comparisons;
    let grid = match args.thresholds {
        ThresholdChoice::InsightFace => ThresholdGrid::InsightFace,
        ThresholdChoice::Exact => ThresholdGrid::Exact,
    };
    let folds = equal_folds(comparisons.len(), args.folds.get());
    let accuracy = verification(comparisons, &folds, grid)?;
    let points = operating_points(&Evaluator::new(comparisons), &args.fmr)?;

    let mut table =
        PlainTable::new(&["measure", "fmr_target", "fmr_realised", "threshold", "value"]);
    let mut push = |measure: &str, target: String, realised: String, threshold, value: f64| {
        table.push(vec![measure.to_owned(), target, realised, threshold, value.to_string()]);
    };
    let none = String::new;
    push("accuracy", none(), none(), none(), accuracy.accuracy);
    push("accuracy-deviation", none(), none(), none(), accuracy.deviation);
    push("eer", none(), none(), none(), equal_error_rate(comparisons));
    for point in &points {
        let [target, realised] = [point.target, point.fmr].map(|rate| rate.to_string());
        push("fnmr", target, realised, point.threshold.to_string(), point.fnmr);
    }
    table.print()?;
    if !args.quiet {
        let (mated, non_mated) = (comparisons.mated_count(), comparisons.non_mated_count());
        say(&format!("{mated} mated and {non_mated} non-mated comparisons"));
        for point in points.iter().filter(|point| point.unresolved) {
            let (target, realised) = (point.target, point.fmr);
            say(&format!(
                "warning: FMR {target:e} cannot be resolved by {non_mated} non-mated comparisons; \
                 the FMR realised is {realised:.2e}"
            ));
        }
    }
    Ok(Exit::Done)
}
