//! A small table of results: aligned for people, CSV for programs.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::{NewFile, stdout};

/// A heading and rows with the same number of cells.
pub(crate) struct PlainTable {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl PlainTable {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.heading.len(), "a cell for every column: this is a bug");
        self.rows.push(row);
    }

    /// Prints to standard output.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        if io::stdout().is_terminal() { self.print_aligned() } else { self.print_csv() }
    }

    /// Prints to standard output as CSV, whoever reads it.
    pub(crate) fn print_csv(&self) -> anyhow::Result<()> {
        self.write_csv(&mut stdout())
    }

    /// Prints to standard output in aligned columns, whoever reads it.
    pub(crate) fn print_aligned(&self) -> anyhow::Result<()> {
        let mut stdout = stdout();
        stdout.write_all(self.aligned().as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Writes a CSV file, which appears only when it is complete.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = NewFile::create(path)?;
        self.write_csv(&mut file)?;
        file.finish()
    }

    fn write_csv(&self, to: &mut impl Write) -> anyhow::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(&self.heading)?;
        self.rows.iter().try_for_each(|row| writer.write_record(row))?;
        Ok(writer.flush()?)
    }

    fn aligned(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.heading]).map(|row| row[column].chars());
            cells.map(Iterator::count).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heading.len()).map(width).collect();
        let mut text = String::new();
        for row in [&self.heading].into_iter().chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| {
                if cell.parse::<f64>().is_ok() {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:width$}")
                }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = PlainTable::new(&["kind", "share"]);
        table.push(vec!["blur".to_owned(), "0.5".to_owned()]);
        table.push(vec!["a".to_owned(), "1".to_owned()]);
        assert_eq!(table.aligned(), "kind  share\nblur    0.5\na         1\n");
    }
}
