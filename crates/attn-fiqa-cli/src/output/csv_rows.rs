//! Comma-separated values with a heading.

use super::{Columns, Destination, Record, Sink};

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
        let text = |number: Option<String>| number.unwrap_or_default();
        let mut cells = vec![record.path.clone(), record.status.to_string()];
        for index in 0..self.columns.scores.len() {
            cells.push(text(record.scores.as_ref().map(|scores| scores[index].to_string())));
        }
        if self.columns.size {
            cells.push(text(record.size.map(|(width, _)| width.to_string())));
            cells.push(text(record.size.map(|(_, height)| height.to_string())));
        }
        if self.columns.map {
            cells.push(text(record.map.as_deref().map(joined)));
        }
        if self.columns.embedding {
            cells.push(text(record.embedding.as_deref().map(joined)));
        }
        cells.push(record.message.clone());
        self.writer.write_record(&cells)?;
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
