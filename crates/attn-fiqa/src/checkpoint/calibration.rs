//! What was measured of a model's scores, kept in the metadata of its file.
//!
//! | key | value |
//! |---|---|
//! | `calibration.id` | [`Calibration::id`] |
//! | `calibration.quality_method` | the method whose scores are mapped |
//! | `calibration.quality_scores` | the raw scores at qualities 0, 1, …, 100, separated by commas |
//! | `calibration.record.*` | what it was fitted on and how well it did |

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::error::CheckpointProblem;
use super::message::shown;
use super::provenance::Provenance;
use crate::score::QualityMap;

const ID: &str = "calibration.id";
const METHOD: &str = "calibration.quality_method";
const SCORES: &str = "calibration.quality_scores";
const RECORD: &str = "calibration.record.";

/// Version of the calibration's form, part of its identifier.
const VERSION: &str = "attn-fiqa-quality-1";

/// Longest text that is read of one value: far more than 101 scores need.
const MAX_TEXT: usize = 16 << 10;

/// A model's map from raw scores to 0–100, and how it came to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The map of one method's scores.
    pub quality: QualityMap,
    /// What it was fitted on and how well it did, by names such as `faces`.
    pub record: BTreeMap<String, String>,
    id: String,
}

impl Calibration {
    /// Binds a map to the key bias `[head, head_dim]` that it was fitted with, if
    /// there is one.
    pub fn new(
        quality: QualityMap,
        record: BTreeMap<String, String>,
        key_bias: Option<&[f32]>,
    ) -> Self {
        let id = identifier(&quality, key_bias);
        Self { quality, record, id }
    }

    /// Names this calibration among all: its version, and the start of the SHA-256
    /// of method, map and key bias. Qualities under different identifiers do not
    /// compare.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `None` where the metadata speak of no calibration.
    pub(super) fn from_metadata(
        metadata: &BTreeMap<String, String>,
        key_bias: Option<&[f32]>,
    ) -> Result<Option<Self>, CheckpointProblem> {
        let (method, scores) = match (metadata.get(METHOD), metadata.get(SCORES)) {
            (None, None) => return Ok(None),
            (method, scores) => {
                (method.map_or("", String::as_str), scores.map_or("", String::as_str))
            }
        };
        let method_read = method
            .parse()
            .map_err(|_| bad(METHOD, method, "the name of a method, such as `attn-calibrated`"))?;
        let read: Option<Vec<f32>> = (scores.len() <= MAX_TEXT)
            .then(|| scores.split(',').map(|score| score.parse().ok()).collect())
            .flatten();
        let quality = read
            .and_then(|scores| QualityMap::new(method_read, scores).ok())
            .ok_or_else(|| bad(SCORES, scores, "101 rising numbers separated by commas"))?;
        let record = metadata
            .iter()
            .filter(|(_, value)| value.len() <= MAX_TEXT)
            .filter_map(|(key, value)| Some((key.strip_prefix(RECORD)?.to_owned(), value.clone())))
            .collect();
        let calibration = Self::new(quality, record, key_bias);
        let found = metadata.get(ID).map_or("", String::as_str);
        if found != calibration.id {
            let expected = format!(
                "`{}` for this map and key bias: one of them was changed, so calibrate again",
                calibration.id
            );
            return Err(bad(ID, found, &expected));
        }
        Ok(Some(calibration))
    }

    /// Keys and values for the metadata of a file.
    pub(super) fn to_metadata(&self) -> impl Iterator<Item = (String, String)> {
        let scores: Vec<String> = self.quality.scores().iter().map(f32::to_string).collect();
        let fixed = [
            (ID.to_owned(), self.id.clone()),
            (METHOD.to_owned(), self.quality.method().to_string()),
            (SCORES.to_owned(), scores.join(",")),
        ];
        let record = self.record.iter();
        fixed
            .into_iter()
            .chain(record.map(|(key, value)| (format!("{RECORD}{key}"), value.clone())))
    }
}

fn identifier(quality: &QualityMap, key_bias: Option<&[f32]>) -> String {
    let mut hash = Sha256::new();
    hash.update(quality.method().to_string().as_bytes());
    for number in quality.scores().iter().chain(key_bias.unwrap_or_default()) {
        hash.update(number.to_le_bytes());
    }
    let digits: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{VERSION}:{digits}")
}

fn bad(key: &'static str, found: &str, expected: &str) -> CheckpointProblem {
    CheckpointProblem::BadValue {
        key,
        found: format!("`{}`", shown(found)),
        from: Provenance::Metadata,
        expected: expected.to_owned(),
    }
}
