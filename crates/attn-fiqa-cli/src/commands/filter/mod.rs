//! `attn-fiqa filter`: turns scores into lists and smaller tables.
//!
//! The tables are read twice: to decide on every row, and to copy the rows that are kept.

mod list;
mod parquet_copy;
mod text_copy;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use attn_fiqa_eval::files::{FileError, FileProblem};
use attn_fiqa_eval::selection::Selection;

use crate::args::{FilterArgs, FilterFormat};
use crate::exit::Exit;
use crate::log;
use crate::output::{Destination, same_file};

/// A file that a finished data set contains in addition to its parts.
const SUCCESS: &str = "_SUCCESS";

pub(crate) fn run(args: &FilterArgs) -> anyhow::Result<Exit> {
    let (format, options) = (args.format()?, args.options()?);
    let tables = tables(&args.scores)?;
    check(args, format, &tables)?;
    // Before any work, so that an unwritable output is refused at once.
    let destination = Destination::open(args.output.as_deref())?;
    let selection = Selection::of(&tables, &options).map_err(advised)?;
    let written = match format {
        FilterFormat::List => list::write(destination, &tables, &selection, args.null)?,
        FilterFormat::Csv => text_copy::csv(destination, &tables, &selection)?,
        FilterFormat::Jsonl => text_copy::jsonl(destination, &tables, &selection)?,
        FilterFormat::Parquet => parquet_copy::write(destination, &tables, &selection)?,
    };
    report(&selection, format, written);
    Ok(Exit::Done)
}

/// The tables in files and folders; those of a folder are sorted by name.
fn tables(scores: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut tables = Vec::new();
    for path in scores {
        if !path.is_dir() {
            tables.push(path.clone());
            continue;
        }
        let cannot = || format!("cannot read the folder '{}'", path.display());
        let entries = std::fs::read_dir(path).with_context(cannot)?;
        let files: Result<Vec<PathBuf>, _> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut parts = files.with_context(cannot)?;
        parts.retain(|part| is_part(part));
        if parts.is_empty() {
            bail!("the folder '{}' holds no .parquet files", path.display());
        }
        if !path.join(SUCCESS).exists() {
            log::warning(format!(
                "'{}' has no {SUCCESS}: the run that writes it is not finished, or another \
                 program wrote it",
                path.display()
            ));
        }
        parts.sort();
        tables.append(&mut parts);
    }
    Ok(tables)
}

/// Whether a file of a data set holds rows: as in Spark and elsewhere, names that begin with a dot
/// or an underscore do not.
fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    FilterFormat::of(path) == Some(FilterFormat::Parquet) && !name.starts_with(['.', '_'])
}

fn check(args: &FilterArgs, format: FilterFormat, tables: &[PathBuf]) -> anyhow::Result<()> {
    if args.null && format != FilterFormat::List {
        bail!("--null separates the paths of a list, but the output is a {} table", format.name());
    }
    let output = args.output.as_deref();
    if let Some(input) =
        tables.iter().find(|table| output.is_some_and(|output| same_file(table, output)))
    {
        bail!("'{}' is an input; name another file to write", input.display());
    }
    for table in tables {
        // A table in another format is refused when it is read.
        let own = FilterFormat::of(table).filter(|&own| own != FilterFormat::List);
        if let Some(own) = own
            && format != FilterFormat::List
            && own != format
        {
            bail!(
                "'{}' is a {} table, and its rows are copied unchanged; write .{} or a list (.txt)",
                table.display(),
                own.name(),
                own.name()
            );
        }
    }
    Ok(())
}

/// Adds the flag that resolves an error in a table.
fn advised(error: FileError) -> anyhow::Error {
    let advice = match error.problem() {
        FileProblem::NoColumn { column, .. } if column == "quality" || column == "path" => {
            "`attn-fiqa score` writes it"
        }
        FileProblem::NoColumn { .. } => "--by names the column",
        FileProblem::Missing { .. } => "--missing skip leaves these images out",
        _ => return error.into(),
    };
    anyhow!("{error} ({advice})")
}

fn report(selection: &Selection, format: FilterFormat, written: u64) {
    let kept = selection.kept();
    let mut reasons = Vec::new();
    for (count, why) in [
        (selection.other_status, "of another status"),
        (selection.below, "below the quality"),
        (selection.unlabelled, "without a group"),
        (selection.outranked, "not among the best of their group"),
    ] {
        if count > 0 {
            reasons.push(format!("{count} {why}"));
        }
    }
    let groups = match selection.groups {
        0 => String::new(),
        1 => " in 1 group".to_owned(),
        groups => format!(" in {groups} groups"),
    };
    let left_out = match reasons.is_empty() {
        true => String::new(),
        false => format!("; left out: {}", reasons.join(", ")),
    };
    let images = match format == FilterFormat::List && written != kept {
        true => format!(", {written} images"),
        false => String::new(),
    };
    log::info(format!("{kept} of {} rows kept{images}{groups}{left_out}", selection.rows));
}
