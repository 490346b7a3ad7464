//! The contact sheet: image, map, overlay, name and score of many faces.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use attn_fiqa::visualize::{PatchGrid, SheetCell, SheetStyle, encode_png, render_sheet};

use super::spool::Spool;
use super::style::{self, MapStyles};
use crate::args::MapArgs;
use crate::journal::RunLog;
use crate::log as report;
use crate::output::NewFile;

pub(super) fn write(
    log: &mut RunLog,
    spool: &Spool,
    file: &Path,
    styles: &MapStyles,
    args: &MapArgs,
    title: &str,
) -> anyhow::Result<()> {
    if spool.len() == 0 {
        report::note("no image was scored, so there is no sheet");
        return Ok(());
    }
    let mut ranked: Vec<(f32, usize)> = spool.scores().collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let chosen = evenly(&ranked, args.sheet_faces);
    let shown = if chosen.len() < ranked.len() {
        let shown = format!("{} of {} faces, evenly over the ranks", chosen.len(), ranked.len());
        report::note(format!("the sheet shows {shown}; --sheet-faces sets how many"));
        shown
    } else {
        format!("{} faces", ranked.len())
    };
    let images = chosen
        .iter()
        .map(|&(_, number)| spool.get(log, number))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let scores: Vec<String> = images.iter().map(|image| format!("{:.4}", image.score)).collect();
    let cells = images
        .iter()
        .zip(&scores)
        .map(|(image, score)| {
            let values = &image.grids[0];
            let side = values.len().isqrt();
            let grid = PatchGrid::new(values, side, side)?;
            let own = styles.style(values, image.crop.side(), false)?.range;
            let range = styles.is_per_image().then_some(own);
            Ok(SheetCell { name: &image.path, score, crop: &image.crop, grid, range })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let map = styles.style(&images[0].grids[0], images[0].crop.side(), false)?;
    let own = if styles.is_per_image() { ", colours per image" } else { "" };
    let title = format!("{title}: {shown}{own}");
    let style = SheetStyle { title: &title, columns: None, map };
    let page = render_sheet(&cells, &style)?;
    if page.clipped > 0 && args.output.is_none() {
        report::info(style::describe_clipped(page.clipped, "the sheet"));
    }
    let png = encode_png(&page.rgb, page.width, page.height)?;
    let mut output = NewFile::create(file)?;
    output.write_all(&png).with_context(|| format!("cannot write '{}'", file.display()))?;
    output.finish()
}

/// At most `count` evenly spaced ranks, including the first and the last.
fn evenly<T: Copy>(ranked: &[T], count: usize) -> Vec<T> {
    let (len, count) = (ranked.len(), count.max(1));
    if len <= count {
        return ranked.to_vec();
    }
    let last = (count - 1).max(1);
    (0..count).map(|index| ranked[index * (len - 1) / last]).collect()
}

#[cfg(test)]
mod tests {
    use super::evenly;

    #[test]
    fn evenly_selects_equidistant_elements() {
        let ranked: Vec<usize> = (0..10).collect();
        assert_eq!(evenly(&ranked, 4), [0, 3, 6, 9]);
        assert_eq!(evenly(&ranked, 1), [0]);
        assert_eq!(evenly(&ranked, 20), ranked);
    }
}
