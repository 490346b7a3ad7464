//! What a row holds: the one list that every format follows.

use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::Row;
use attn_fiqa::score::Method;
use attn_fiqa::status::Status;

use crate::args::Column;

/// The columns of a run, in the order path, status, score, further scores, then
/// those on request, then message.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// Names of the score columns; the first is `score`.
    pub(crate) scores: Vec<String>,
    pub(crate) size: bool,
    pub(crate) map: bool,
    pub(crate) embedding: bool,
}

impl Columns {
    pub(crate) fn new(methods: &[Method], on_request: &[Column]) -> Self {
        let further = methods.iter().skip(1).map(Method::to_string);
        Self {
            scores: std::iter::once("score".to_owned()).chain(further).collect(),
            size: on_request.contains(&Column::Size),
            map: on_request.contains(&Column::Map),
            embedding: on_request.contains(&Column::Embedding),
        }
    }

    /// Every column's name, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = vec!["path", "status"];
        names.extend(self.scores.iter().map(String::as_str));
        if self.size {
            names.extend(["width", "height"]);
        }
        if self.map {
            names.push("received");
        }
        if self.embedding {
            names.push("embedding");
        }
        names.push("message");
        names
    }
}

/// One image's row. Of a failed image only path, status, perhaps the size, and
/// the message are there.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) path: String,
    pub(crate) status: Status,
    pub(crate) scores: Option<Vec<f32>>,
    pub(crate) size: Option<(usize, usize)>,
    pub(crate) map: Option<Vec<f32>>,
    pub(crate) embedding: Option<Vec<f32>>,
    /// Why the image failed, or what was ignored or changed on its way.
    pub(crate) message: String,
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        let Row { path, size, notes, outcome, .. } = row;
        match outcome {
            Ok(assessment) => Self {
                path,
                status: Status::Ok,
                scores: Some(assessment.scores),
                size,
                map: assessment.received.map(|map| map.mean.values().to_vec()),
                embedding: assessment.embedding,
                message: describe_notes(&notes),
            },
            Err(failure) => Self {
                path,
                status: failure.status,
                scores: None,
                size,
                map: None,
                embedding: None,
                message: failure.message,
            },
        }
    }
}

/// A name as a terminal or a line of text can take it: without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Notes in one line.
pub(crate) fn describe_notes(notes: &[Note]) -> String {
    notes.iter().map(Note::to_string).collect::<Vec<_>>().join("; ")
}
