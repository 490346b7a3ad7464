//! Comma-separated values with a heading.

use super::columns::describe_causes;
use super::{Cell, Columns, Destination, Record, Sink};

pub(super) struct CsvRows {
    writer: csv::Writer<Destination>,
    columns: Columns,
}

impl CsvRows {
    pub(super) fn new(destination: Destination, columns: Columns) -> anyhow::Result<Self> {
        let mut writer = csv::Writer::from_writer(destination);
        writer.write_record(columns.names())?;
        Ok(Self { writer, columns })
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
        self.writer.write_record(cells.collect::<Vec<String>>())?;
        if matches!(self.writer.get_ref(), Destination::Stdout(_)) {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        let destination = self.writer.into_inner().map_err(|error| error.into_error())?;
        destination.finish()
    }
}

/// Numbers in one cell, separated by spaces.
fn joined(values: &[f32]) -> String {
    values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")
}
