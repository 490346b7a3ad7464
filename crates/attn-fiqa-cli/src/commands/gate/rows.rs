//! Verdicts as rows.

use std::io::Write;
use std::path::Path;

use attn_fiqa::gate::{Subject, Verdict};
use attn_fiqa::pipeline::Row;
use serde::Serialize;

use crate::args::TextFormat;
use crate::output::{Destination, choose_text_format, printable};

/// A face or a failed image, and its verdict.
pub(super) struct GateResult {
    pub(super) row: Row,
    pub(super) quality: Option<i8>,
    pub(super) verdict: Verdict,
}

/// A row in JSON.
#[derive(Serialize)]
struct RowRecord<'a> {
    path: &'a str,
    face: Option<usize>,
    quality: Option<i8>,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

/// Every column, in order.
const COLUMNS: [&str; 7] =
    ["path", "face", "decision", "quality", "reasons", "advice", "unchecked"];

pub(super) enum Rows {
    Table(Destination),
    Csv(Box<csv::Writer<Destination>>),
    Jsonl(Destination),
}

impl Rows {
    pub(super) fn open(format: Option<TextFormat>, output: Option<&Path>) -> anyhow::Result<Self> {
        let format = choose_text_format(format, output)?;
        let destination = Destination::open(output)?;
        Ok(match format {
            TextFormat::Table => Self::Table(destination),
            TextFormat::Jsonl => Self::Jsonl(destination),
            TextFormat::Csv => {
                let mut writer = csv::Writer::from_writer(destination);
                writer.write_record(COLUMNS)?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    pub(super) fn write(&mut self, judged: &GateResult) -> anyhow::Result<()> {
        let GateResult { row, quality, verdict } = judged;
        let reasons = verdict.explanations();
        match self {
            Self::Table(destination) => {
                let quality = quality.map(|quality| quality.to_string()).unwrap_or_default();
                let decision = verdict.decision.name();
                writeln!(destination, "{decision:<6}  {quality:>3}  {}", printable(&row.label()))?;
                for reason in &reasons {
                    writeln!(destination, "{:13}{}", "", printable(reason))?;
                }
                for advice in verdict.advice() {
                    writeln!(destination, "{:13}→ {advice}", "")?;
                }
                destination.end_row()?;
            }
            Self::Csv(writer) => {
                writer.write_record([
                    row.path.clone(),
                    row.face.map(|face| face.index.to_string()).unwrap_or_default(),
                    verdict.decision.name().to_owned(),
                    quality.map(|quality| quality.to_string()).unwrap_or_default(),
                    reasons.join("; "),
                    verdict.advice().join("; "),
                    names(&verdict.unchecked).join(" "),
                ])?;
                writer.flush()?;
            }
            Self::Jsonl(destination) => {
                let object = RowRecord {
                    path: &row.path,
                    face: row.face.map(|face| face.index),
                    quality: *quality,
                    verdict,
                };
                let object = serde_json::to_string(&object)?;
                writeln!(destination, "{object}")?;
                destination.end_row()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Table(destination) | Self::Jsonl(destination) => destination.finish(),
            Self::Csv(writer) => {
                (*writer).into_inner().map_err(|error| error.into_error())?.finish()
            }
        }
    }
}

fn names(subjects: &[Subject]) -> Vec<&'static str> {
    subjects.iter().map(|subject| subject.name()).collect()
}
