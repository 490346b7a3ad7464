//! Writes all results of `edc` to one file.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::differences::Difference;
use super::groups::MethodGroups;
use super::measure::Measured;
use crate::args::EdcArgs;
use crate::output::NewFile;

/// Writes all results and the settings that they depend on.
pub(super) fn save(
    measured: &[Measured],
    differences: &[Difference],
    groups: Option<&[MethodGroups]>,
    args: &EdcArgs,
    path: &Path,
) -> anyhow::Result<()> {
    let curves: Vec<_> = measured
        .iter()
        .map(|each| {
            json!({
                "method": each.method, "curve": each.curve, "pauc": each.pauc,
                "above_ideal": each.above_ideal, "auc": each.auc, "range": each.range, "intervals": each.intervals,
            })
        })
        .collect();
    let settings = json!({
        "max_discard": args.max_discard, "bootstrap": args.bootstrap.bootstrap, "confidence_level": args.bootstrap.confidence_level,
        "seed": args.bootstrap.seed, "orders": args.orders, "reject": args.reject,
    });
    let mut file = NewFile::create(path)?;
    let all = json!({ "settings": settings, "curves": curves, "differences": differences,
        "groups": groups });
    serde_json::to_writer_pretty(&mut file, &all)?;
    writeln!(file)?;
    file.finish()
}
