//! The chosen faces as rows.

use std::io::Write;
use std::path::PathBuf;

use attn_fiqa::best::Pick;
use serde_json::{Map, Value, json};

use super::face::ScoredFace;
use crate::args::{BestArgs, BestFormat};
use crate::output::{Destination, PlainTable};

/// A chosen face, and the file of its crop.
pub(super) struct Winner<'a> {
    pub(super) face: &'a ScoredFace,
    pub(super) pick: &'a Pick,
    pub(super) crop: Option<&'a str>,
}

/// Every column, in order.
const COLUMNS: [&str; 13] = [
    "group",
    "rank",
    "path",
    "face",
    "score",
    "inter_eye_distance",
    "roll",
    "yaw",
    "detection_score",
    "of",
    "duplicates",
    "crop",
    "why",
];

pub(super) enum Rows {
    Table(PlainTable, Option<PathBuf>),
    Jsonl(Destination),
}

impl Rows {
    pub(super) fn open(args: &BestArgs) -> anyhow::Result<Self> {
        let ending = args.output.as_ref().and_then(|path| path.extension()?.to_str());
        let format = match (args.format, ending) {
            (Some(format), _) => format,
            (None, None | Some("csv")) => BestFormat::Csv,
            (None, Some("jsonl" | "ndjson")) => BestFormat::Jsonl,
            (None, Some(other)) => anyhow::bail!(
                "the extension '.{other}' does not give a format; expected .csv or .jsonl, or name \
                 it with --format"
            ),
        };
        // A table is written only at the end, but its path must be checked now.
        let destination = Destination::open(args.output.as_deref())?;
        Ok(match format {
            BestFormat::Csv => Self::Table(PlainTable::new(&COLUMNS), args.output.clone()),
            BestFormat::Jsonl => Self::Jsonl(destination),
        })
    }

    pub(super) fn push(&mut self, winner: &Winner<'_>) -> anyhow::Result<()> {
        let values = values(winner);
        match self {
            Self::Table(table, _) => {
                let text = |value: Value| match value {
                    Value::Null => String::new(),
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                table.push(values.map(text).into());
            }
            Self::Jsonl(destination) => {
                let object: Map<String, Value> =
                    COLUMNS.iter().map(|&name| name.to_owned()).zip(values).collect();
                writeln!(destination, "{}", Value::Object(object))?;
                destination.end_row()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Table(table, None) => table.print(),
            Self::Table(table, Some(path)) => table.save(&path),
            Self::Jsonl(destination) => destination.finish(),
        }
    }
}

/// The values, in the order of [`COLUMNS`].
fn values(winner: &Winner<'_>) -> [Value; COLUMNS.len()] {
    let Winner { face, pick, crop } = winner;
    let pose = face.landmarks.map(|landmarks| landmarks.pose());
    // With as few digits as in the other formats, not those of an f64.
    let number = |value: f32| match value.to_string().parse::<f64>() {
        Ok(value) => json!(value),
        Err(_) => Value::Null,
    };
    let optional = |value: Option<f32>| value.map_or(Value::Null, number);
    [
        json!(face.group),
        json!(pick.rank),
        json!(face.path),
        json!(face.index),
        number(face.score),
        optional(face.landmarks.map(|landmarks| landmarks.inter_eye_distance())),
        optional(pose.map(|pose| pose.roll)),
        optional(pose.map(|pose| pose.yaw)),
        optional(face.confidence),
        json!(pick.of),
        json!(pick.duplicates),
        json!(crop),
        json!(why(face, pick)),
    ]
}

/// The reasons in words.
fn why(face: &ScoredFace, pick: &Pick) -> String {
    let place = match pick.rank {
        1 => "best score".to_owned(),
        rank => format!("number {rank}"),
    };
    let mut reasons = vec![format!("{place} of {}", pick.of)];
    if let Some(landmarks) = face.landmarks {
        let pose = landmarks.pose();
        reasons.push(format!("{:.0} pixels between the eyes", landmarks.inter_eye_distance()));
        reasons.push(format!("roll {:.0}°, yaw {:.0}°", pose.roll, pose.yaw));
    }
    match pick.duplicates {
        0 => {}
        1 => reasons.push("1 near-duplicate left out".to_owned()),
        count => reasons.push(format!("{count} near-duplicates left out")),
    }
    reasons.join("; ")
}
