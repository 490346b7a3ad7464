//! A JSON object a line.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::{Columns, Destination, Record, Sink};

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
        object.insert("path".to_owned(), json!(record.path));
        object.insert("status".to_owned(), json!(record.status.name()));
        for (index, name) in self.columns.scores.iter().enumerate() {
            let score = record.scores.as_ref().map(|scores| scores[index]);
            object.insert(name.clone(), json!(score.map(shortest)));
        }
        if self.columns.size {
            object.insert("width".to_owned(), json!(record.size.map(|(width, _)| width)));
            object.insert("height".to_owned(), json!(record.size.map(|(_, height)| height)));
        }
        if self.columns.map {
            object.insert("received".to_owned(), list(record.map.as_deref()));
        }
        if self.columns.embedding {
            object.insert("embedding".to_owned(), list(record.embedding.as_deref()));
        }
        object.insert("message".to_owned(), json!(record.message));
        writeln!(self.destination, "{}", Value::Object(object))?;
        Ok(self.destination.end_row()?)
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        self.destination.finish()
    }
}

fn list(values: Option<&[f32]>) -> Value {
    json!(values.map(|values| values.iter().copied().map(shortest).collect::<Vec<_>>()))
}

/// The fewest digits that give the same f32 back, as the other formats print it;
/// a plain widening would show digits that nobody computed.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
