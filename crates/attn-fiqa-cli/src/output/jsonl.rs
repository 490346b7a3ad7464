//! One JSON object per line.

use std::io::Write;

use attn_fiqa::causes::FoundCause;
use serde_json::{Map, Value, json};

use super::{Cell, Columns, Destination, Record, RunOutput, Sink};
use crate::journal::{DoneImage, RunLog};

pub(super) struct Jsonl {
    destination: Destination,
    columns: Columns,
}

impl Jsonl {
    pub(super) fn new(destination: Destination, columns: Columns) -> Self {
        Self { destination, columns }
    }
}

impl Sink for Jsonl {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut object = Map::new();
        for field in &self.columns.fields {
            let value = match record.cell(field) {
                Cell::Text(text) => json!(text),
                Cell::Whole(number) => json!(number),
                Cell::Number(number) => json!(number.map(shortest)),
                Cell::List(numbers) => list(numbers),
                Cell::Word(word) => json!(word),
                Cell::Words(words) => json!(words),
                Cell::Causes(causes) => {
                    json!(causes.map(|causes| causes.iter().map(cause).collect::<Vec<_>>()))
                }
            };
            object.insert(field.name.clone(), value);
        }
        writeln!(self.destination, "{}", Value::Object(object))?;
        Ok(self.destination.end_row()?)
    }
}

impl RunOutput for Jsonl {
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

fn cause(found: &FoundCause) -> Value {
    json!({
        "cause": found.cause.name(),
        "strength": shortest(found.strength),
        "gain": shortest(found.gain),
    })
}

fn list(values: Option<&[f32]>) -> Value {
    json!(values.map(|values| values.iter().copied().map(shortest).collect::<Vec<_>>()))
}

/// The fewest digits that round-trip to the same f32, as the other formats print it; plain widening
/// would show digits that were never computed.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
