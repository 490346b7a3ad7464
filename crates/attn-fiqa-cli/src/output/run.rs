//! Writes the rows of a run, image by image.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use attn_fiqa::source::Sources;

use super::{RunOutput, RunPlan, report_skipped};
use crate::journal::{Admit, DoneImage, ImageName, Images, Names, RunLog};
use crate::summary::Summary;

/// Where rows go, and which images they belong to.
pub(crate) struct RunRows<O: RunOutput + ?Sized> {
    output: Box<O>,
    names: Names,
    current: Option<ImageName>,
    /// Rows of the current image.
    rows: u32,
    /// Images that are not admitted.
    skipped: Arc<AtomicU64>,
}

impl<O: RunOutput + ?Sized> RunRows<O> {
    /// The images in `sources` whose rows `output` does not hold yet, and the destination of their
    /// rows.
    ///
    /// # Errors
    ///
    /// If the inputs have changed since an earlier run.
    pub(crate) fn start(
        mut output: Box<O>,
        sources: Sources,
        plan: &RunPlan,
        admit: Option<Admit>,
    ) -> anyhow::Result<(Self, Images)> {
        let skipped = Arc::new(AtomicU64::new(0));
        let admit = admit.map(|admit| counting(admit, Arc::clone(&skipped)));
        let (mut images, names) = Images::named(sources, plan.shard, admit);
        if let Some(log) = output.log() {
            images.skip_finished(log)?;
        }
        Ok((Self { output, names, current: None, rows: 0, skipped }, images))
    }

    /// The rows of an earlier run that this one continues.
    pub(crate) fn log(&mut self) -> Option<&mut RunLog> {
        self.output.log()
    }

    /// The destination of the next row; `is_first` marks the first row of an image that `summary`
    /// has already counted.
    pub(crate) fn next_row(&mut self, is_first: bool, summary: &Summary) -> anyhow::Result<&mut O> {
        if is_first {
            self.end_image(summary.outcome_before())?;
            self.current = Some(self.names.next());
        }
        self.rows += 1;
        Ok(&mut self.output)
    }

    /// Marks all rows of the current image as written.
    fn end_image(&mut self, outcome: String) -> anyhow::Result<()> {
        let Some(ImageName { ordinal, name }) = self.current.take() else { return Ok(()) };
        let rows = std::mem::take(&mut self.rows);
        self.output.end_image(&DoneImage { ordinal, name, rows, outcome })
    }

    /// Completes the output, or leaves it to be continued if the run was interrupted.
    pub(crate) fn finish(mut self, summary: &Summary) -> anyhow::Result<()> {
        self.end_image(summary.outcome())?;
        self.output.finish(self.names.total())?;
        report_skipped(self.skipped.load(Ordering::Relaxed));
        Ok(())
    }
}

/// The same decisions; counts the images that are left out.
fn counting(admit: Admit, skipped: Arc<AtomicU64>) -> Admit {
    Box::new(move |path, relative| {
        let admitted = admit(path, relative);
        skipped.fetch_add((!admitted).into(), Ordering::Relaxed);
        admitted
    })
}
