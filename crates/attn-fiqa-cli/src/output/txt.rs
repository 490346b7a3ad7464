//! The quality file format common in the field: one `path score` pair per line, with 15 digits.

use std::io::Write;

use super::{Destination, Record, RunOutput, Sink, printable};
use crate::journal::{DoneImage, RunLog};

pub(super) struct Txt {
    destination: Destination,
}

impl Txt {
    pub(super) fn new(destination: Destination) -> Self {
        Self { destination }
    }
}

impl Sink for Txt {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        // The format has no status, and readers parse whatever follows the last space as a number,
        // so a failed image is written as NaN.
        let score = record.scores.as_ref().map_or(f64::NAN, |scores| f64::from(scores[0]));
        // A line break in a name would split one row into two.
        let path = printable(&record.label);
        if score.is_nan() {
            writeln!(self.destination, "{path} nan")?;
        } else {
            writeln!(self.destination, "{path} {score:.15}")?;
        }
        Ok(self.destination.end_row()?)
    }
}

impl RunOutput for Txt {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        self.destination.end_image(image)
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        self.destination.log()
    }

    fn finish(self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        self.destination.finish_run(images)
    }
}
