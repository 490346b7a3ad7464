//! The calibration of a model, stored in the metadata of its file.
//!
//! | key | value |
//! |---|---|
//! | `calibration.id` | [`Calibration::id`] |
//! | `calibration.quality_method` | the method whose scores are mapped |
//! | `calibration.quality_scores` | the raw scores at qualities 0, 1, …, 100, separated by commas |
//! | `calibration.anchors` | `quality score meaning` of each [`Anchor`], separated by semicolons |
//! | `calibration.match_probability` | slope and intercept of [`MatchProbability`] |
//! | `calibration.recogniser`, `calibration.fmr` | the recogniser and the FMR that define a match |
//! | `calibration.causes.*` | the readout of causes, next to the tensor `calibration.causes` |
//! | `calibration.record.*` | what it was fitted on and how well it performed |

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::causes;
use super::error::CheckpointProblem;
use super::provenance::Provenance;
use crate::causes::CauseModel;
use crate::sanitize::sanitized_name;
use crate::score::QualityMapError;
use crate::score::{Anchor, MatchProbability, Meaning, Method, QualityMap, QualityScale};

const ID: &str = "calibration.id";
const METHOD: &str = "calibration.quality_method";
const SCORES: &str = "calibration.quality_scores";
const ANCHORS: &str = "calibration.anchors";
const PROBABILITY: &str = "calibration.match_probability";
const RECOGNISER: &str = "calibration.recogniser";
const FMR: &str = "calibration.fmr";
const RECORD: &str = "calibration.record.";

/// Versions of the calibration format, part of its identifier: a map alone, and a map whose anchors
/// have meanings.
const MAP_VERSION: &str = "attn-fiqa-quality-1";
const SCALE_VERSION: &str = "attn-fiqa-quality-2";

/// Maximum length of a value that is parsed: far more than 101 scores need.
pub(super) const MAX_TEXT: usize = 16 << 10;

/// A model's map from raw scores to 0–100, and how it was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The map of one method's scores.
    pub quality: QualityMap,
    /// The meaning of the qualities; `None` if they are ranks or come from elsewhere.
    pub scale: Option<QualityScale>,
    /// The readout of causes; `None` if none was fitted.
    pub causes: Option<CauseModel>,
    /// What it was fitted on and how well it performed, by keys such as `faces`.
    pub record: BTreeMap<String, String>,
    id: String,
}

impl Calibration {
    /// Creates a calibration with this map, bound to the key bias `[head, head_dim]` that it was
    /// fitted with, if there is one.
    pub fn new(
        quality: QualityMap,
        record: BTreeMap<String, String>,
        key_bias: Option<&[f32]>,
    ) -> Self {
        let id = identifier(&quality, None, None, key_bias);
        Self { quality, scale: None, causes: None, record, id }
    }

    /// Creates a calibration with this scale of one method's scores, bound to the key bias
    /// `[head, head_dim]` that it was fitted with, if there is one.
    ///
    /// # Errors
    ///
    /// As [`QualityScale::map`].
    pub fn with_scale(
        scale: QualityScale,
        method: Method,
        record: BTreeMap<String, String>,
        key_bias: Option<&[f32]>,
    ) -> Result<Self, QualityMapError> {
        let quality = scale.map(method)?;
        let id = identifier(&quality, Some(&scale), None, key_bias);
        Ok(Self { quality, scale: Some(scale), causes: None, record, id })
    }

    /// The same calibration with a readout of causes, and therefore another identifier. The key
    /// bias must be the one that this calibration was made with.
    pub fn with_causes(self, causes: CauseModel, key_bias: Option<&[f32]>) -> Self {
        let id = identifier(&self.quality, self.scale.as_ref(), Some(&causes), key_bias);
        Self { causes: Some(causes), id, ..self }
    }

    /// Unique identifier of this calibration: its version, and the first digits of the SHA-256 of
    /// method, map, meanings, key bias and causes. Qualities with different identifiers are not
    /// comparable.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `None` if the metadata contain no calibration. `cause_weights` are the values of the tensor
    /// `calibration.causes`.
    pub(super) fn from_metadata(
        metadata: &BTreeMap<String, String>,
        key_bias: Option<&[f32]>,
        cause_weights: Option<&[f32]>,
    ) -> Result<Option<Self>, CheckpointProblem> {
        let (method, scores) = match (metadata.get(METHOD), metadata.get(SCORES)) {
            (None, None) if cause_weights.is_none() => return Ok(None),
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
            .ok_or_else(|| bad(SCORES, scores, "101 ascending numbers separated by commas"))?;
        let record = metadata
            .iter()
            .filter(|(_, value)| value.len() <= MAX_TEXT)
            .filter_map(|(key, value)| Some((key.strip_prefix(RECORD)?.to_owned(), value.clone())))
            .collect();
        let calibration = match scale(metadata)? {
            Some(scale) => {
                let read = Self::with_scale(scale, method_read, record, key_bias);
                let read = read.ok().filter(|read| read.quality == quality);
                read.ok_or_else(|| {
                    let found = metadata.get(ANCHORS).map_or("", String::as_str);
                    bad(
                        ANCHORS,
                        found,
                        "ascending points that `calibration.quality_scores` interpolates",
                    )
                })?
            }
            None => Self::new(quality, record, key_bias),
        };
        let calibration = match causes::from_metadata(metadata, cause_weights)? {
            Some(causes) => calibration.with_causes(causes, key_bias),
            None => calibration,
        };
        let found = metadata.get(ID).map_or("", String::as_str);
        if found != calibration.id {
            let expected = format!(
                "`{}` for this map, key bias and causes: one of them was changed, so calibrate \
                 again",
                calibration.id
            );
            return Err(bad(ID, found, &expected));
        }
        Ok(Some(calibration))
    }

    /// Keys and values for a file's metadata.
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
            .chain(self.scale.iter().flat_map(scale_to_metadata))
            .chain(self.causes.iter().flat_map(causes::to_metadata))
            .chain(record.map(|(key, value)| (format!("{RECORD}{key}"), value.clone())))
    }
}

/// The scale in the metadata; `None` if they contain none.
fn scale(metadata: &BTreeMap<String, String>) -> Result<Option<QualityScale>, CheckpointProblem> {
    let Some(anchors) = metadata.get(ANCHORS) else { return Ok(None) };
    let text = |key: &'static str| {
        let text = metadata.get(key).map_or("", String::as_str);
        if text.len() <= MAX_TEXT { text } else { "" }
    };
    let expected = "`quality score matched|clean fraction` of each, separated by semicolons";
    let read = (anchors.len() <= MAX_TEXT)
        .then(|| anchors.split(';').map(anchor).collect::<Option<Vec<_>>>())
        .flatten()
        .ok_or_else(|| bad(ANCHORS, anchors, expected))?;
    let probability = text(PROBABILITY)
        .split_once(' ')
        .and_then(|(slope, intercept)| Some((finite(slope)?, finite(intercept)?)))
        .filter(|(slope, _)| *slope > 0.0)
        .map(|(slope, intercept)| MatchProbability { slope, intercept })
        .ok_or_else(|| bad(PROBABILITY, text(PROBABILITY), "a positive slope and an intercept"))?;
    let fmr = finite(text(FMR))
        .filter(|rate| *rate > 0.0 && *rate < 1.0)
        .ok_or_else(|| bad(FMR, text(FMR), "a rate between 0 and 1"))?;
    let recogniser = text(RECOGNISER).to_owned();
    Ok(Some(QualityScale { recogniser, fmr, anchors: read, match_probability: probability }))
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Parses `quality score matched|clean fraction`.
fn anchor(text: &str) -> Option<Anchor> {
    let parts: Vec<&str> = text.split(' ').collect();
    let &[quality, score, kind, fraction] = parts.as_slice() else { return None };
    let fraction = finite(fraction).filter(|fraction| (0.0..=1.0).contains(fraction))?;
    let meaning = match kind {
        "matched" => Meaning::Matched(fraction),
        "clean" => Meaning::CleanFaces(fraction),
        _ => return None,
    };
    Some(Anchor { quality: quality.parse().ok()?, score: score.parse().ok()?, meaning })
}

fn written(anchor: &Anchor) -> String {
    let (kind, fraction) = match anchor.meaning {
        Meaning::Matched(fraction) => ("matched", fraction),
        Meaning::CleanFaces(fraction) => ("clean", fraction),
    };
    format!("{} {} {kind} {fraction}", anchor.quality, anchor.score)
}

fn scale_to_metadata(scale: &QualityScale) -> [(String, String); 4] {
    let anchors: Vec<String> = scale.anchors.iter().map(written).collect();
    let MatchProbability { slope, intercept } = scale.match_probability;
    [
        (ANCHORS.to_owned(), anchors.join(";")),
        (PROBABILITY.to_owned(), format!("{slope} {intercept}")),
        (RECOGNISER.to_owned(), scale.recogniser.clone()),
        (FMR.to_owned(), scale.fmr.to_string()),
    ]
}

fn identifier(
    quality: &QualityMap,
    scale: Option<&QualityScale>,
    causes: Option<&CauseModel>,
    key_bias: Option<&[f32]>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(quality.method().to_string().as_bytes());
    for number in quality.scores().iter().chain(key_bias.unwrap_or_default()) {
        hash.update(number.to_le_bytes());
    }
    for (key, value) in scale.iter().flat_map(|scale| scale_to_metadata(scale)) {
        hash.update(format!("{key}={value};").as_bytes());
    }
    if let Some(causes) = causes {
        for (key, value) in causes::to_metadata(causes) {
            hash.update(format!("{key}={value};").as_bytes());
        }
        causes.weights().iter().for_each(|weight| hash.update(weight.to_le_bytes()));
    }
    let digits: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let version = if scale.is_some() { SCALE_VERSION } else { MAP_VERSION };
    format!("{version}:{digits}")
}

pub(super) fn bad(key: &'static str, found: &str, expected: &str) -> CheckpointProblem {
    CheckpointProblem::BadValue {
        key,
        found: format!("`{}`", sanitized_name(found)),
        from: Provenance::Metadata,
        expected: expected.to_owned(),
    }
}
