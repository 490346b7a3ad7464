//! Draws every image's overlay, bare map and raw grid.

use std::path::Path;

use attn_fiqa::visualize::{PatchGrid, encode_png, overlay, render_map};
use attn_fiqa_eval::files::npy;
use rayon::prelude::*;
use serde_json::json;

use super::manifest::{MAP, OVERLAY, grid_ending, with_ending};
use super::spool::{Spool, Spooled};
use super::style::{self, MapStyles};
use crate::args::GridFormat;
use crate::journal::{RunFiles, RunLog};
use crate::log as report;

/// Images painted together, which are in memory at once.
const BATCH: usize = 64;

pub(super) fn write(
    log: &mut RunLog,
    spool: &Spool,
    (folder, painted): (&Path, &RunFiles),
    styles: &MapStyles,
    format: GridFormat,
    first_head: usize,
    threads: usize,
) -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut clipped, mut touched) = (0, 0);
    let files = Files { folder, painted, format, first_head };
    let numbers: Vec<usize> = (0..spool.len()).collect();
    for numbers in numbers.chunks(BATCH) {
        let images = numbers
            .iter()
            .map(|&number| spool.get(log, number))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let outside = pool.install(|| {
            let images = images.par_iter();
            images.map(|image| write_image(image, &files, styles)).collect::<Result<Vec<_>, _>>()
        })?;
        clipped += outside.iter().sum::<usize>();
        touched += outside.iter().filter(|&&count| count > 0).count();
    }
    if clipped > 0 {
        let images = if touched == 1 { "image" } else { "images" };
        report::info(style::describe_clipped(clipped, &format!("{touched} {images}")));
    }
    Ok(())
}

/// Where an image's files go and how they are named.
struct Files<'a> {
    folder: &'a Path,
    painted: &'a RunFiles,
    format: GridFormat,
    /// The head of the first per-head grid.
    first_head: usize,
}

/// Draws an image, and returns how many patch values are outside the range.
fn write_image(image: &Spooled, files: &Files<'_>, styles: &MapStyles) -> anyhow::Result<usize> {
    let mut clipped = 0;
    for (index, values) in image.grids.iter().enumerate() {
        let head = index.checked_sub(1).map(|index| files.first_head + index);
        let file = |ending: &str| {
            let ending = match head {
                None => ending.to_owned(),
                Some(head) => format!("head-{head:02}.{ending}"),
            };
            files.folder.join(with_ending(&image.file_stem, &ending))
        };
        let side = values.len().isqrt();
        let grid = PatchGrid::new(values, side, side)?;
        let style = styles.style(values, image.crop.side(), head.is_some())?;
        let map = render_map(&grid, &style)?;
        clipped += map.clipped;
        files.painted.write(&file(MAP), &encode_png(&map.rgb, map.width, map.height)?)?;
        let over = overlay(&image.crop, &grid, &style)?;
        files.painted.write(&file(OVERLAY), &encode_png(&over.rgb, over.width, over.height)?)?;
        let raw = match files.format {
            GridFormat::Json => grid_json(image, head, values, side),
            GridFormat::Npy => npy::to_bytes(&[side, side], values),
        };
        files.painted.write(&file(grid_ending(files.format)), &raw)?;
    }
    Ok(clipped)
}

fn grid_json(image: &Spooled, head: Option<usize>, values: &[f32], side: usize) -> Vec<u8> {
    let rows: Vec<&[f32]> = values.chunks_exact(side).collect();
    let object = json!({
        "path": image.path,
        "score": image.score,
        "head": head,
        "grid": rows,
    });
    format!("{object}\n").into_bytes()
}
