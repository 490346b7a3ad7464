//! A table for people: path, quality, score, and a bar scaled to the range of the set.

use std::io::Write;

use super::columns::describe_causes;
use super::{Cell, Columns, Destination, Record, RunOutput, Sink, printable};

/// Rows kept to find the range of the bars; as many as a person would scroll through.
const ROWS_WITH_BARS: usize = 10_000;
const BAR_WIDTH: usize = 24;
/// Eighths of a character cell, so that a bar shows small differences.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

pub(super) struct Table {
    destination: Destination,
    columns: Columns,
    rows: Vec<Record>,
    /// There are more rows than are kept: they are written as they arrive, without bars.
    overflowed: bool,
}

impl Table {
    pub(super) fn new(destination: Destination, columns: Columns) -> Self {
        Self { destination, columns, rows: Vec::new(), overflowed: false }
    }

    fn write_kept(&mut self) -> anyhow::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let scores = || rows.iter().filter_map(|row| row.scores.as_ref()).map(|scores| scores[0]);
        let low = scores().fold(f32::INFINITY, f32::min);
        let high = scores().fold(f32::NEG_INFINITY, f32::max);
        let width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0).max(4);
        write!(self.destination, "{:width$}  {:>7}", "path", "quality")?;
        for name in &self.columns.scores {
            write!(self.destination, "  {name:>10}")?;
        }
        for field in self.columns.fields.iter().filter(|field| field.on_request) {
            write!(self.destination, "  {:>10}", field.name)?;
        }
        writeln!(self.destination)?;
        for row in &rows {
            let bar = row.scores.as_ref().map(|scores| bar(scores[0], low, high));
            self.write_row(row, width, bar.as_deref())?;
        }
        Ok(())
    }

    fn write_row(&mut self, row: &Record, width: usize, bar: Option<&str>) -> anyhow::Result<()> {
        let path = printable(&row.label);
        let quality = row.quality.map(|quality| quality.to_string()).unwrap_or_default();
        write!(self.destination, "{path:width$}  {quality:>7}")?;
        match &row.scores {
            Some(scores) => {
                for (score, name) in scores.iter().zip(&self.columns.scores) {
                    write!(self.destination, "  {score:>width$.4}", width = name.len().max(10))?;
                }
                for field in self.columns.fields.iter().filter(|field| field.on_request) {
                    let (cell, width) = (shown(row.cell(field)), field.name.len().max(10));
                    write!(self.destination, "  {cell:>width$}")?;
                }
                let line = format!("  {}", bar.unwrap_or_default());
                writeln!(self.destination, "{}", line.trim_end())?;
            }
            None => writeln!(self.destination, "  {:>10}  {}", "—", row.status)?,
        }
        Ok(())
    }
}

impl Sink for Table {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        if self.overflowed {
            self.write_row(record, 0, None)?;
            return Ok(self.destination.end_row()?);
        }
        self.rows.push(Record { map: None, embedding: None, ..record.clone() });
        if self.rows.len() == ROWS_WITH_BARS {
            self.write_kept()?;
            self.overflowed = true;
        }
        Ok(())
    }
}

impl RunOutput for Table {
    fn finish(mut self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        if !self.overflowed {
            self.write_kept()?;
        }
        self.destination.finish_run(images)
    }
}

/// A cell as shown to people.
fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) | Cell::Word(Some(text)) => printable(text),
        Cell::Whole(Some(number)) => number.to_string(),
        Cell::Number(Some(number)) => format!("{number:.3}"),
        Cell::Words(Some(words)) => words.join(" "),
        Cell::Causes(Some(causes)) => describe_causes(causes),
        _ => String::new(),
    }
}

/// `low` gives an empty bar, `high` a full one; if all values are equal, there is no range and no
/// bar.
fn bar(score: f32, low: f32, high: f32) -> String {
    if high <= low {
        return String::new();
    }
    let share = f64::from(score - low) / f64::from(high - low);
    let eighths = (share * (BAR_WIDTH * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_length_scales_with_score_range() {
        assert_eq!(bar(0.0, 0.0, 1.0), "");
        assert_eq!(bar(1.0, 0.0, 1.0), "█".repeat(BAR_WIDTH));
        assert_eq!(bar(0.5, 0.0, 1.0), "█".repeat(BAR_WIDTH / 2));
        assert_eq!(bar(2.0, 2.0, 2.0), "");
    }
}
