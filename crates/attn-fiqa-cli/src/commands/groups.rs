//! `attn-fiqa groups`: quality, bands and rejection by group.

use attn_fiqa::score::Band;
use attn_fiqa_eval::files::{GroupFile, MatchedRows, QualityFile, first_names};
use attn_fiqa_eval::groups::{GroupQualities, Proportion, RejectionRange, by_group, sort_groups};

use super::compare::{Source, cell};
use super::verify::whole_qualities;
use crate::args::GroupsArgs;
use crate::exit::Exit;
use crate::log;
use crate::output::PlainTable;

pub(crate) fn run(args: &GroupsArgs) -> anyhow::Result<Exit> {
    let mut source = Source::parse(&args.scores);
    let column = source.column.get_or_insert_with(|| "quality".to_owned()).clone();
    let scores = QualityFile::read(&source.file, Some(&column))?;
    let failed_lowest = |&value: &f64| if value.is_nan() { f64::NEG_INFINITY } else { value };
    let values: Vec<f64> = scores.values.iter().map(failed_lowest).collect();
    let qualities = whole_qualities(&source, &values)?;

    let mut table = PlainTable::new(&heading());
    let (mut notes, mut sentences) = (Vec::new(), Vec::new());
    for by in &args.by {
        let labels = GroupFile::read(&args.labels, Some(by))?;
        let found = labels.rows_of(&scores.names, args.missing.into())?;
        if !found.missing.is_empty() {
            notes.push(format!("{by}: {}", missing(&scores.names, &found)));
        }
        let (mut groups, mut kept) = (labels.groups.clone(), Vec::new());
        sort_groups(&mut groups);
        groups.dedup();
        let mut group_of = Vec::new();
        for (&quality, row) in qualities.iter().zip(&found.rows) {
            let Some(row) = row else { continue };
            let group = groups.iter().position(|group| *group == labels.groups[*row]);
            group_of.push(group.expect("every group is among them: this is a bug") as u32);
            kept.push(quality);
        }
        let rows = by_group(&kept, (&groups, &group_of), args.below)?;
        sentences.extend(sentence(by, &rows[1..], args.below));
        rows.iter().filter(|row| row.images > 0).for_each(|row| table.push(cells(by, row)));
    }
    table.print()?;
    notes.iter().for_each(log::note);
    sentences.iter().for_each(log::info);
    Ok(Exit::Done)
}

fn heading() -> Vec<&'static str> {
    let start = ["by", "group", "images", "failed", "median", "median_low", "median_high"];
    let rejected = ["rejected", "rejected_low", "rejected_high"];
    let bands = Band::ALL.into_iter().flat_map(|band| match band {
        Band::Unusable => ["unusable", "unusable_low", "unusable_high"],
        Band::Poor => ["poor", "poor_low", "poor_high"],
        Band::Fair => ["fair", "fair_low", "fair_high"],
        Band::Good => ["good", "good_low", "good_high"],
        Band::Excellent => ["excellent", "excellent_low", "excellent_high"],
    });
    start.into_iter().chain(rejected).chain(bands).collect()
}

fn cells(by: &str, row: &GroupQualities) -> Vec<String> {
    let low = |interval: Option<[f64; 2]>| cell(interval.map(|[low, _]| low));
    let high = |interval: Option<[f64; 2]>| cell(interval.map(|[_, high]| high));
    let mut cells = vec![
        by.to_owned(),
        row.group.clone().unwrap_or_else(|| "all".to_owned()),
        row.images.to_string(),
        row.failed.count.to_string(),
        cell(row.median),
        low(row.median_interval),
        high(row.median_interval),
    ];
    for part in std::iter::once(row.rejected).chain(row.bands) {
        let interval = part.interval();
        let ends = [interval.map(|[low, _]| low), interval.map(|[_, high]| high)];
        let short = |share: Option<f64>| share.map_or(String::new(), |share| format!("{share:.4}"));
        cells.extend([part.fraction(), ends[0], ends[1]].map(short));
    }
    cells
}

fn missing(names: &[String], found: &MatchedRows) -> String {
    let first = first_names(found.missing.iter().map(|&image| names[image].as_str()));
    format!(
        "{} of {} images have no label and are left out: {first}",
        found.missing.len(),
        names.len()
    )
}

/// Compares the group that is rejected least with the one rejected most.
fn sentence(by: &str, rows: &[GroupQualities], below: i8) -> Option<String> {
    let RejectionRange { least, most, ratio } = RejectionRange::of(rows)?;
    let one = |row: &GroupQualities| {
        let Proportion { count, total } = row.rejected;
        let fraction = row.rejected.fraction().unwrap_or_default();
        let name = row.group.as_deref().unwrap_or_default();
        format!("{:.2} % ({name}, {count} of {total})", 100.0 * fraction)
    };
    let times = ratio.map_or(String::new(), |ratio| format!(", {ratio:.2} times"));
    let (least, most) = (one(least), one(most));
    Some(format!("{by}: rejected below {below}: {least} to {most}{times}"))
}
