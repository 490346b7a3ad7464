//! Rows without a quality, by status.

use attn_fiqa::status::Status;

use crate::files::{FileError, ScoreFile, ScoreRow};

/// More names than there will ever be statuses: a column with more holds something else.
const MAX_STATUSES: usize = 64;

/// Number of rows quoted for each status.
const EXAMPLES: usize = 3;

/// The rows of one status that have no quality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureSummary {
    /// The status; `ok` for a score without a quality.
    pub status: String,
    /// Number of rows.
    pub rows: u64,
    /// Path and message of the first.
    pub examples: Vec<(String, String)>,
}

/// Counts them row by row.
#[derive(Default)]
pub(super) struct FailureCounter {
    statuses: Vec<FailureSummary>,
}

impl FailureCounter {
    pub(super) fn add(&mut self, file: &ScoreFile, row: &ScoreRow<'_>) -> Result<(), FileError> {
        let known = self.statuses.iter().position(|summary| summary.status == row.status);
        let place = known.unwrap_or(self.statuses.len());
        if place == MAX_STATUSES {
            let expected = format!("at most {MAX_STATUSES} different statuses");
            return Err(file.unexpected(row.number, &expected, row.status));
        }
        if known.is_none() {
            let status = row.status.to_owned();
            self.statuses.push(FailureSummary { status, rows: 0, examples: Vec::new() });
        }
        let summary = &mut self.statuses[place];
        summary.rows += 1;
        if summary.examples.len() < EXAMPLES {
            summary.examples.push((row.path.to_owned(), row.message.to_owned()));
        }
        Ok(())
    }

    /// Number of rows that were scored and have no quality.
    pub(super) fn unscaled(&self) -> u64 {
        let scored = self.statuses.iter().find(|summary| summary.status == Status::Ok.name());
        scored.map_or(0, |summary| summary.rows)
    }

    pub(super) fn finish(mut self) -> Vec<FailureSummary> {
        self.statuses.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.status.cmp(&b.status)));
        self.statuses
    }
}
