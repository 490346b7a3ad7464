//! The colours of a run: the range of the set and the requested style.

use attn_fiqa::visualize::{ColorRange, Colormap, MapStyle, RangeOverSet, VisualizeError};

use crate::args::{MapArgs, RangeChoice};

/// Refuses a range that colours cannot show, before any work.
pub(super) fn check(range: RangeChoice) -> Result<(), VisualizeError> {
    match range {
        RangeChoice::Fixed { low, high } => ColorRange::new(low, high).map(drop),
        RangeChoice::Set | RangeChoice::PerImage => Ok(()),
    }
}

/// The message about values outside a fixed range.
pub(super) fn describe_clipped(clipped: usize, of: &str) -> String {
    format!(
        "note: {clipped} patch values of {of} lie outside --range and show the colour of its end"
    )
}

/// The ranges over a set: heads have a separate one, since they vary more than their mean.
#[derive(Default)]
pub(super) struct SetRange {
    mean: RangeOverSet,
    heads: RangeOverSet,
}

impl SetRange {
    /// `grids` is the mean over heads, followed by the grid of each head.
    pub(super) fn include(&mut self, grids: &[Vec<f32>]) {
        if let Some((mean, heads)) = grids.split_first() {
            self.mean.include(mean);
            heads.iter().for_each(|head| self.heads.include(head));
        }
    }
}

pub(super) struct MapStyles {
    choice: RangeChoice,
    set: SetRange,
    colormap: Colormap,
    alpha: f32,
}

impl MapStyles {
    pub(super) fn new(args: &MapArgs, set: SetRange) -> Self {
        Self { choice: args.range, set, colormap: args.colormap, alpha: args.alpha }
    }

    /// The style for one grid; the grid of a `head` uses the range of the heads.
    pub(super) fn style(&self, grid: &[f32], side: usize, head: bool) -> anyhow::Result<MapStyle> {
        let range = match self.choice {
            RangeChoice::Fixed { low, high } => Some(ColorRange::new(low, high)?),
            RangeChoice::PerImage => {
                let mut own = RangeOverSet::default();
                own.include(grid);
                own.range()
            }
            RangeChoice::Set if head => self.set.heads.range(),
            RangeChoice::Set => self.set.mean.range(),
        };
        let range =
            range.ok_or_else(|| anyhow::anyhow!("a map without finite values: this is a bug"))?;
        Ok(MapStyle { colormap: self.colormap, alpha: self.alpha, side, ..MapStyle::new(range) })
    }

    /// Whether every image has its own range.
    pub(super) fn is_per_image(&self) -> bool {
        self.choice == RangeChoice::PerImage
    }
}
