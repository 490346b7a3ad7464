//! `attn-fiqa merge`: joins the outputs of all shards, byte for byte as one run would have written
//! them.
//!
//! The journal of each shard records which rows belong to which image, and the number of each image
//! among all images. So the rows are put back into input order without comparing names, and missing
//! or duplicate images are detected.

mod part;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use crate::args::{MergeArgs, RunOptions};
use crate::exit::Exit;
use crate::log;
use crate::output::{
    DEFAULT_ROWS_PER_FILE, DataSetWriter, NewFile, ParquetTable, TableSchema, absolute, is_folder,
};
use part::{Content, Part};

pub(crate) fn run(args: &MergeArgs, _: &RunOptions) -> anyhow::Result<Exit> {
    for part in &args.parts {
        if absolute(part) == absolute(&args.output) {
            bail!("'{}' is a part; name another output", part.display());
        }
    }
    let mut parts =
        args.parts.iter().map(|path| Part::open(path)).collect::<Result<Vec<_>, _>>()?;
    let images = check(&parts)?;
    let tables = parts.iter().filter(|part| part.is_table()).count();
    let (images, rows) = if tables == parts.len() {
        (images, merge_tables(args, &mut parts, images)?)
    } else if tables == 0 {
        (images, merge_texts(args, &mut parts, images)?)
    } else {
        bail!("some parts are Parquet and others are text: merge parts of one format");
    };
    log::info(format!("{} parts merged: {images} images, {rows} rows", parts.len()));
    Ok(Exit::Done)
}

/// Checks that the parts are all shards of one run, and returns how many images it has.
fn check(parts: &[Part]) -> anyhow::Result<u64> {
    let first = parts.first().context("no part: this is a bug")?;
    let mut shards = BTreeMap::new();
    for part in parts {
        let differences = first.fingerprint.settings_differences(&part.fingerprint);
        if !differences.is_empty() {
            bail!(
                "'{}' and '{}' are from different runs and cannot be merged: {}",
                first.path.display(),
                part.path.display(),
                differences.join(", ")
            );
        }
        if part.shard.count() != first.shard.count() {
            bail!(
                "'{}' is shard {} and '{}' is shard {}: expected parts of the same division",
                first.path.display(),
                first.shard,
                part.path.display(),
                part.shard
            );
        }
        if let Some(other) = shards.insert(part.shard.index(), part) {
            bail!(
                "'{}' and '{}' are both shard {}",
                other.path.display(),
                part.path.display(),
                part.shard
            );
        }
    }
    let count = first.shard.count();
    let missing: Vec<String> = (1..=count)
        .filter(|index| !shards.contains_key(index))
        .map(|index| format!("{index}/{count}"))
        .take(10)
        .collect();
    if !missing.is_empty() {
        let all = count - shards.len() as u64;
        let more = if all > 10 { format!(" and {} more", all - 10) } else { String::new() };
        bail!("shards are missing: {}{more}", missing.join(", "));
    }
    for part in parts {
        if part.total != first.total {
            bail!(
                "'{}' was made from inputs with {} images and '{}' from {}: the inputs have \
                 changed, or differ between machines",
                first.path.display(),
                first.total,
                part.path.display(),
                part.total
            );
        }
    }
    let held: u64 = parts.iter().map(|part| part.images).sum();
    if held != first.total {
        bail!(
            "the parts hold {held} images and the inputs {}: the inputs have changed, or differ \
             between machines",
            first.total
        );
    }
    Ok(held)
}

/// Calls `each` with the part that holds the next image, in input order.
fn in_order(
    parts: &mut [Part],
    images: u64,
    mut each: impl FnMut(&mut Part) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut heads = BinaryHeap::new();
    for (index, part) in parts.iter_mut().enumerate() {
        heads.extend(part.next_image()?.map(|ordinal| Reverse((ordinal, index))));
    }
    for expected in 0..images {
        let Some(Reverse((ordinal, index))) = heads.pop() else {
            bail!("image {} of the inputs is in no part", expected + 1);
        };
        let part = &mut parts[index];
        if ordinal != expected {
            let (number, what) = match ordinal > expected {
                true => (expected, "is in no part"),
                false => (ordinal, "is in two parts"),
            };
            bail!(
                "image {} of the inputs {what}: the inputs have changed, or differ between \
                 machines",
                number + 1
            );
        }
        each(part)?;
        heads.extend(part.next_image()?.map(|ordinal| Reverse((ordinal, index))));
    }
    Ok(())
}

fn merge_texts(args: &MergeArgs, parts: &mut [Part], images: u64) -> anyhow::Result<u64> {
    let ending = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_lowercase());
    for part in &*parts {
        if ending(&part.path) != ending(&args.output) {
            bail!(
                "'{}' cannot be merged into '{}': name an output with the same extension",
                part.path.display(),
                args.output.display()
            );
        }
    }
    if args.rows.rows_per_file.is_some() {
        bail!("--rows-per-file is for a folder of Parquet files");
    }
    let mut output = NewFile::create(&args.output)?;
    let mut heading: Option<Vec<u8>> = None;
    for part in &mut *parts {
        let own = part.heading()?;
        if heading.as_ref().is_some_and(|heading| *heading != own) {
            bail!("'{}' does not have the columns of the parts before it", part.path.display());
        }
        heading = Some(own);
    }
    output.write_all(&heading.unwrap_or_default())?;
    let mut rows = 0;
    in_order(parts, images, |part| {
        rows += u64::from(part.rows());
        Ok(output.write_all(&part.bytes()?)?)
    })?;
    output.finish()?;
    Ok(rows)
}

fn merge_tables(args: &MergeArgs, parts: &mut [Part], images: u64) -> anyhow::Result<u64> {
    let mut schema = None;
    for part in &*parts {
        let Content::Table(table) = &part.content else { continue };
        let own: &TableSchema = table.schema();
        if schema.as_ref().is_some_and(|schema: &TableSchema| schema.columns != own.columns) {
            bail!("'{}' does not have the columns of the parts before it", part.path.display());
        }
        schema.get_or_insert_with(|| own.clone());
    }
    let schema = schema.context("no part: this is a bug")?;
    let mut rows = 0;
    if is_folder(&args.output) {
        let per_file = args.rows.rows_per_file.unwrap_or(DEFAULT_ROWS_PER_FILE).get();
        let schema = schema.for_data_set();
        let mut output = DataSetWriter::create(&args.output, schema, per_file, args.overwrite)?;
        in_order(parts, images, |part| {
            rows += u64::from(part.rows());
            output.push(part.cells()?)
        })?;
        output.finish()?;
        return Ok(rows);
    }
    if args.rows.rows_per_file.is_some() {
        bail!("--rows-per-file is for a folder of Parquet files");
    }
    if args.output.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("parquet")) {
        bail!(
            "the parts are Parquet: name an output that ends in .parquet, or a folder with / at \
             its end, not '{}'",
            args.output.display()
        );
    }
    let mut output = ParquetTable::new(NewFile::create(&args.output)?, &schema)?;
    in_order(parts, images, |part| {
        rows += u64::from(part.rows());
        part.cells()?.into_iter().try_for_each(|row| output.push(row))
    })?;
    output.finish()?.finish()?;
    Ok(rows)
}
