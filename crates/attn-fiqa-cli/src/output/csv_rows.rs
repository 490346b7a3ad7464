//! Comma-separated values with a heading.

use super::columns::describe_causes;
use super::{Cell, Columns, Destination, Record, RunOutput, Sink};
use crate::journal::{DoneImage, RunLog};

pub(super) struct CsvRows {
    destination: Destination,
    columns: Columns,
}

impl CsvRows {
    pub(super) fn new(mut destination: Destination, columns: Columns) -> anyhow::Result<Self> {
        if !destination.has_heading() {
            write_record(&mut destination, columns.names())?;
            destination.end_row()?;
            destination.end_heading()?;
        }
        Ok(Self { destination, columns })
    }
}

impl Sink for CsvRows {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let cells = self.columns.fields.iter().map(|field| match record.cell(field) {
            Cell::Text(text) => text.to_owned(),
            Cell::Whole(number) => number.map(|number| number.to_string()).unwrap_or_default(),
            Cell::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
            Cell::List(list) => list.map(joined).unwrap_or_default(),
            Cell::Word(word) => word.unwrap_or_default().to_owned(),
            Cell::Words(words) => words.unwrap_or_default().join(" "),
            Cell::Causes(causes) => causes.map(describe_causes).unwrap_or_default(),
        });
        write_record(&mut self.destination, cells)?;
        Ok(self.destination.end_row()?)
    }
}

impl RunOutput for CsvRows {
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

/// The heading record for these columns.
pub(super) fn heading(columns: &Columns) -> anyhow::Result<Vec<u8>> {
    csv_record(columns.names())
}

/// The bytes of one record.
pub(crate) fn csv_record(cells: impl Iterator<Item = impl AsRef<[u8]>>) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_record(&mut bytes, cells)?;
    Ok(bytes)
}

/// Writes one record; its bytes do not depend on earlier records.
pub(super) fn write_record(
    to: &mut impl std::io::Write,
    cells: impl Iterator<Item = impl AsRef<[u8]>>,
) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(cells)?;
    Ok(writer.flush()?)
}

/// Numbers in one cell, separated by spaces.
fn joined(values: &[f32]) -> String {
    values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")
}
