//! The paper's Figure 1: how a score falls from level to level of each kind.

use super::DegradationStudy;
use crate::degrade::{Degradation, Level};
use crate::figure::{BoxGroup, BoxPanel, Figure, FigureError, box_plots};

/// Panels per row.
const COLUMNS: usize = 3;

impl DegradationStudy {
    /// Box plots of one method's scores: a panel per kind, a box per level, over all faces. The
    /// label below each box is the level's strength, 0 being the clean face.
    ///
    /// # Errors
    ///
    /// If there is no face.
    pub fn figure(&self, method: usize) -> Result<Figure, FigureError> {
        let plan = self.plan();
        let last = plan.levels.len() - 1;
        let panel = |(kind, degradation): (usize, &Degradation)| {
            let group = |(level, strength): (usize, &Level)| {
                let scores: Vec<f64> = (0..self.faces())
                    .map(|face| f64::from(self.series(face, method, kind)[level]))
                    .collect();
                // Labels below every box would overlap.
                let shown = last < 6 || level % 2 == 0 || level == last;
                let label = if shown { format!("{:.1}", strength.get()) } else { String::new() };
                BoxGroup::of(&label, &scores)
            };
            let groups = plan.levels.iter().enumerate().map(group).collect::<Result<_, _>>()?;
            Ok::<_, FigureError>(BoxPanel { title: degradation.name().to_owned(), groups })
        };
        let panels: Vec<BoxPanel> =
            plan.kinds.iter().enumerate().map(panel).collect::<Result<_, _>>()?;
        let name = &self.methods()[method];
        let title = format!("{name}, {} faces", self.faces());
        box_plots(&title, ("strength", name), &panels, COLUMNS.min(panels.len()))
    }
}
