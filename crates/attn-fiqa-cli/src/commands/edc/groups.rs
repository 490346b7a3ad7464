//! Rejection and error rates by group.

use attn_fiqa_eval::edc::{Evaluator, Target};
use attn_fiqa_eval::rejection::{GroupRow, Reject, fairness};

use crate::args::EdcArgs;
use crate::commands::compare::{Compared, Source, cell};
use crate::output::PlainTable;

/// The groups of one method at one target.
#[derive(serde::Serialize)]
pub(super) struct MethodGroups {
    method: String,
    target: Target,
    groups: Vec<GroupRow>,
}

/// Rejection and error rates by group, if groups were given.
pub(super) fn measure(
    evaluator: &Evaluator<'_>,
    compared: &Compared,
    sources: &[Source],
    args: &EdcArgs,
) -> anyhow::Result<Option<Vec<MethodGroups>>> {
    let Some((groups, group_of)) = &compared.groups else { return Ok(None) };
    let mut found = Vec::new();
    for (source, qualities) in sources.iter().zip(&compared.qualities) {
        for target in args.targets.targets() {
            let (pairs, reject) = (&compared.list.pairs, Reject::Fraction(args.reject));
            let of = (groups.as_slice(), group_of.as_slice());
            let groups = fairness(evaluator, pairs, qualities, of, reject, target)?;
            found.push(MethodGroups { method: source.name.clone(), target, groups });
        }
    }
    Ok(Some(found))
}

pub(super) fn table(groups: &[MethodGroups]) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "target",
        "group",
        "images",
        "rejected",
        "rejected_fraction",
        "mated",
        "non_mated",
        "fmr_before",
        "fnmr_before",
        "fmr_after",
        "fnmr_after",
    ]);
    for MethodGroups { method, target, groups } in groups {
        for row in groups {
            let fraction = (row.images > 0).then(|| row.rejected as f64 / row.images as f64);
            table.push(vec![
                method.clone(),
                target.to_string(),
                row.group.clone().unwrap_or_else(|| "all".to_owned()),
                row.images.to_string(),
                row.rejected.to_string(),
                cell(fraction),
                row.comparisons[0].to_string(),
                row.comparisons[1].to_string(),
                cell(row.fmr[0]),
                cell(row.fnmr[0]),
                cell(row.fmr[1]),
                cell(row.fnmr[1]),
            ]);
        }
    }
    table
}
