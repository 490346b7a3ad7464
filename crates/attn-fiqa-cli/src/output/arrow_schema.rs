//! The description of a table's columns for readers built on Arrow.
//!
//! Parquet lists have no fixed length. Arrow's own schema, stored in the metadata entry where such
//! readers look for it, declares that all embeddings have the same length, so that they are read
//! back as a matrix.

use std::sync::Arc;

use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Kind;

/// The key of the metadata entry where readers look for Arrow's schema.
pub(super) const ARROW_SCHEMA: &str = "ARROW:schema";

/// Starts an encapsulated Arrow message.
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// The columns as an encapsulated message in Base64; lists in the column `embedding` have
/// `embedding_length` numbers.
pub(super) fn arrow_schema(columns: &[(String, Kind)], embedding_length: i32) -> String {
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind)| field(name, *kind, embedding_length)).collect();
    let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        &Schema::new(fields),
        &mut DictionaryTracker::new(true),
        &IpcWriteOptions::default(),
    );
    let message = message.ipc_message;
    let length = u32::try_from(message.len()).expect("a schema of less than 4 GB: this is a bug");
    BASE64_STANDARD.encode([&CONTINUATION[..], &length.to_le_bytes()[..], &message[..]].concat())
}

fn field(name: &str, kind: Kind, embedding_length: i32) -> Field {
    let element = |kind: DataType| Arc::new(Field::new("element", kind, false));
    let number = |name: &str| Field::new(name, DataType::Float32, false);
    let kind = match kind {
        Kind::Text => return Field::new(name, DataType::Utf8, false),
        Kind::Word => DataType::Utf8,
        Kind::Whole => DataType::Int32,
        Kind::Number => DataType::Float32,
        Kind::List if name == "embedding" => {
            DataType::FixedSizeList(element(DataType::Float32), embedding_length)
        }
        Kind::List => DataType::List(element(DataType::Float32)),
        Kind::Words => DataType::List(element(DataType::Utf8)),
        Kind::Causes => {
            let cause = Field::new("cause", DataType::Utf8, false);
            let fields = vec![cause, number("strength"), number("gain")];
            DataType::List(element(DataType::Struct(fields.into())))
        }
    };
    Field::new(name, kind, true)
}
