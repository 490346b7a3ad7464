//! `attn-fiqa edc`: how errors fall as comparisons of low quality are discarded.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use attn_fiqa_eval::comparisons::pair_qualities;
use attn_fiqa_eval::edc::{
    Bootstrap, Curve, CurveIntervals, Evaluator, Interval, Protocol, Ranking, Target,
    paired_interval,
};
use attn_fiqa_eval::rejection::{GroupRow, Reject, fairness};
use attn_fiqa_eval::statistics::spearman;
use serde_json::json;

use super::compare::{Compared, Source, Tables, bootstrap, cell, thousandths};
use crate::args::EdcArgs;
use crate::exit::Exit;
use crate::log;
use crate::output::{NewFile, PlainTable};

/// One curve with all that is said about it.
struct Measured {
    method: String,
    curve: Curve,
    /// Lowest and highest pAUC: of a quality over orders of ties, of the row `random`
    /// over its orders.
    range: Option<[f64; 2]>,
    pauc: Option<f64>,
    /// The part of the pAUC above the ideal curve.
    above_ideal: Option<f64>,
    auc: Option<f64>,
    intervals: Option<CurveIntervals>,
}

pub(crate) fn run(args: &EdcArgs) -> anyhow::Result<Exit> {
    let targets = args.targets.targets();
    if args.protocol.contains(&Protocol::Crfiqa)
        && !targets.iter().all(|target| matches!(target, Target::Fmr(_)))
    {
        bail!(
            "--protocol crfiqa finds its threshold again at each point and takes --fmr alone; \
             --start-fnmr and --threshold are for --protocol iso,nist"
        );
    }
    let sources = args.quality.iter().map(|text| Source::parse_all(text));
    let sources: Vec<Source> = sources.collect::<anyhow::Result<Vec<_>>>()?.concat();
    let mut names = BTreeSet::from(["random", "theoretical-best"]);
    if let Some(twice) = sources.iter().find(|source| !names.insert(&source.name)) {
        bail!("two rows would be called '{}'; name one with NAME=FILE", twice.name);
    }
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    }
    let group_source = args.groups.as_deref().map(Source::parse);
    let tables = Tables {
        qualities: &sources,
        failed_lowest: args.failed_lowest,
        identities: Some(&args.bootstrap),
        groups: group_source.as_ref(),
    };
    let compared = Compared::read(&args.comparisons, &tables)?;
    let qualities = &compared.qualities;
    let bootstrap = bootstrap(&args.bootstrap, compared.identities.as_deref(), args.max_discard);
    let evaluator = Evaluator::new(&compared.comparisons);

    let mut measured = Vec::new();
    for (source, qualities) in sources.iter().zip(qualities) {
        let ranking = Ranking::new(&pair_qualities(qualities, &compared.list.pairs)?)?;
        for &protocol in &args.protocol {
            let of = (source.name.as_str(), protocol);
            measure(&evaluator, of, &ranking, &targets, args, bootstrap.as_ref(), &mut measured)?;
        }
    }
    for &protocol in &args.protocol {
        ends(&evaluator, protocol, &targets, args, &mut measured)?;
    }

    let table = pauc_table(&measured);
    table.print()?;
    let differences = differences(&sources, &measured, args.bootstrap.confidence_level);
    if let Some(folder) = &args.output {
        table.save(&folder.join("pauc.csv"))?;
        differences_table(&differences).save(&folder.join("differences.csv"))?;
        curves_table(&measured).save(&folder.join("curves.csv"))?;
        correlations(&sources, qualities).save(&folder.join("correlations.csv"))?;
        let groups = groups(&evaluator, &compared, &sources, args)?;
        if let Some(groups) = &groups {
            groups_table(groups).save(&folder.join("groups.csv"))?;
        }
        save_json((&measured, &differences), groups.as_deref(), args, &folder.join("edc.json"))?;
    }
    differences.iter().for_each(|difference| log::info(difference.to_string()));
    let warnings = measured.iter().flat_map(|each| &each.curve.warnings).map(ToString::to_string);
    warnings.collect::<BTreeSet<String>>().iter().for_each(log::warning);
    Ok(Exit::Done)
}

fn measure(
    evaluator: &Evaluator<'_>,
    (method, protocol): (&str, Protocol),
    ranking: &Ranking,
    targets: &[Target],
    args: &EdcArgs,
    bootstrap: Option<&Bootstrap<'_>>,
    measured: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let (limit, seed) = (args.max_discard, args.bootstrap.seed);
    let curves = evaluator.curves(ranking, protocol, targets)?;
    let orders = args.orders.get();
    let ties = evaluator.tie_sensitivity(ranking, protocol, targets, limit, orders, seed)?;
    let mut intervals = match bootstrap {
        Some(bootstrap) => evaluator.bootstrap(ranking, protocol, targets, bootstrap)?,
        None => Vec::new(),
    }
    .into_iter();
    for (curve, ties) in curves.into_iter().zip(ties.ranges) {
        measured.push(Measured {
            method: method.to_owned(),
            pauc: curve.pauc(limit),
            above_ideal: curve.above_ideal(limit),
            auc: curve.auc(),
            range: ties.pauc,
            intervals: intervals.next(),
            curve,
        });
    }
    Ok(())
}

/// The rows `random`, the mean over its orders, and `theoretical-best`.
fn ends(
    evaluator: &Evaluator<'_>,
    protocol: Protocol,
    targets: &[Target],
    args: &EdcArgs,
    measured: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let orders = args.orders.get();
    let random = evaluator.random_curves(protocol, targets, orders, args.bootstrap.seed)?;
    for curves in random {
        let of = |area: fn(&Curve, f64) -> Option<f64>| -> Vec<f64> {
            curves.iter().filter_map(|curve| area(curve, args.max_discard)).collect()
        };
        let (paucs, above) = (of(Curve::pauc), of(Curve::above_ideal));
        let aucs: Vec<f64> = curves.iter().filter_map(Curve::auc).collect();
        let mean = |values: &[f64]| {
            (values.len() == orders).then(|| values.iter().sum::<f64>() / orders as f64)
        };
        let low = paucs.iter().copied().reduce(f64::min);
        let range = low.zip(paucs.iter().copied().reduce(f64::max)).map(|(low, high)| [low, high]);
        let (pauc, above_ideal, auc) = (mean(&paucs), mean(&above), mean(&aucs));
        let Some(curve) = mean_curve(curves) else { continue };
        let method = "random".to_owned();
        measured.push(Measured { method, curve, range, pauc, above_ideal, auc, intervals: None });
    }
    for &target in targets {
        let curve = evaluator.theoretical_best_curve(protocol, target)?;
        let (pauc, above_ideal) =
            (curve.pauc(args.max_discard), curve.above_ideal(args.max_discard));
        let (method, auc) = ("theoretical-best".to_owned(), curve.auc());
        let (range, intervals) = (None, None);
        measured.push(Measured { method, curve, range, pauc, above_ideal, auc, intervals });
    }
    Ok(())
}

/// The mean FNMR and FMR at each point; random orders have no ties, so that the
/// points of all lie at the same discard fractions.
fn mean_curve(curves: Vec<Curve>) -> Option<Curve> {
    let mut mean = curves.first()?.clone();
    for (index, point) in mean.points.iter_mut().enumerate() {
        let average = |value: &dyn Fn(&Curve) -> Option<f64>| {
            let values: Option<Vec<f64>> = curves.iter().map(value).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        point.fnmr = average(&|curve| curve.points.get(index)?.fnmr);
        point.fmr = average(&|curve| curve.points.get(index)?.fmr);
        point.threshold = average(&|curve| curve.points.get(index)?.threshold);
    }
    Some(mean)
}

fn pauc_table(measured: &[Measured]) -> PlainTable {
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

/// How much larger one quality's area is than another's, on the same drawn sets.
#[derive(serde::Serialize)]
struct Difference {
    method: String,
    protocol: Protocol,
    target: Target,
    /// `first` or `best`: why it is compared with the other.
    against: &'static str,
    other: String,
    /// pAUC of the method less that of the other.
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

/// Of every quality from the first and from the best, by protocol and target.
fn differences(sources: &[Source], measured: &[Measured], level: f64) -> Vec<Difference> {
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

fn differences_table(differences: &[Difference]) -> PlainTable {
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

fn curves_table(measured: &[Measured]) -> PlainTable {
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
        for point in &curve.points {
            let interval = intervals.as_ref().and_then(|intervals| {
                let at = intervals.discard.iter().position(|&at| at == point.discard)?;
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

/// Spearman's rank correlation between the qualities of each two methods.
fn correlations(sources: &[Source], qualities: &[Vec<f64>]) -> PlainTable {
    let mut table = PlainTable::new(&["a", "b", "spearman"]);
    for (first, a) in sources.iter().enumerate() {
        for (second, b) in sources.iter().enumerate().skip(first + 1) {
            let found = spearman(&qualities[first], &qualities[second]);
            table.push(vec![a.name.clone(), b.name.clone(), cell(found)]);
        }
    }
    table
}

/// Rows by method and target.
type Groups = Vec<(String, Target, Vec<GroupRow>)>;

fn groups(
    evaluator: &Evaluator<'_>,
    compared: &Compared,
    sources: &[Source],
    args: &EdcArgs,
) -> anyhow::Result<Option<Groups>> {
    let Some((groups, group_of)) = &compared.groups else { return Ok(None) };
    let mut found = Vec::new();
    for (source, qualities) in sources.iter().zip(&compared.qualities) {
        for target in args.targets.targets() {
            let (pairs, reject) = (&compared.list.pairs, Reject::Fraction(args.reject));
            let of = (groups.as_slice(), group_of.as_slice());
            let rows = fairness(evaluator, pairs, qualities, of, reject, target)?;
            found.push((source.name.clone(), target, rows));
        }
    }
    Ok(Some(found))
}

fn groups_table(groups: &Groups) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "target",
        "group",
        "images",
        "rejected",
        "rejected_share",
        "mated",
        "non_mated",
        "fmr_before",
        "fnmr_before",
        "fmr_after",
        "fnmr_after",
    ]);
    for (method, target, rows) in groups {
        for row in rows {
            let share = (row.images > 0).then(|| row.rejected as f64 / row.images as f64);
            table.push(vec![
                method.clone(),
                target.to_string(),
                row.group.clone().unwrap_or_else(|| "all".to_owned()),
                row.images.to_string(),
                row.rejected.to_string(),
                cell(share),
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

fn save_json(
    (measured, differences): (&[Measured], &[Difference]),
    groups: Option<&[(String, Target, Vec<GroupRow>)]>,
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
    let groups: Option<Vec<_>> = groups.map(|groups| {
        let row = |(method, target, rows): &(String, Target, Vec<GroupRow>)| {
            json!({ "method": method, "target": target, "groups": rows })
        };
        groups.iter().map(row).collect()
    });
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
