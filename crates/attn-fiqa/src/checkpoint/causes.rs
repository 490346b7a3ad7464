//! The readout of causes in the metadata of a file, next to its weights in the tensor
//! `calibration.causes` `[causes + 1, D + 1]`.
//!
//! | key | value |
//! |---|---|
//! | `calibration.causes.names` | the cause of each row except the last, separated by commas |
//! | `calibration.causes.strengths` | curve of each cause: values separated by `,`, curves by `;` |
//! | `calibration.causes.gains` | the same for gains in quality |
//! | `calibration.causes.regions` | `name mean deviation` of each region, separated by semicolons |

use std::collections::BTreeMap;

use super::calibration::{MAX_TEXT, bad};
use super::error::CheckpointProblem;
use super::names::CAUSES;
use crate::causes::{Cause, CauseModel, Curve, FaceRegion, RegionReference};

const NAMES: &str = "calibration.causes.names";
const STRENGTHS: &str = "calibration.causes.strengths";
const GAINS: &str = "calibration.causes.gains";
const REGIONS: &str = "calibration.causes.regions";

/// `None` if there are neither weights nor metadata.
pub(super) fn from_metadata(
    metadata: &BTreeMap<String, String>,
    weights: Option<&[f32]>,
) -> Result<Option<CauseModel>, CheckpointProblem> {
    let text = |key: &'static str| {
        let text = metadata.get(key).map_or("", String::as_str);
        if text.len() <= MAX_TEXT { text } else { "" }
    };
    let Some(weights) = weights else {
        return match metadata.get(NAMES) {
            None => Ok(None),
            Some(names) => {
                Err(bad(NAMES, names, &format!("a tensor `{CAUSES}` with their weights")))
            }
        };
    };
    let names = text(NAMES)
        .split(',')
        .map(str::parse::<Cause>)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(NAMES, text(NAMES), &error.to_string()))?;
    let curves = |key: &'static str| {
        let read: Option<Vec<Curve>> = text(key).split(';').map(curve).collect();
        let expected = "a curve of 11 numbers for each cause, separated by semicolons";
        read.ok_or_else(|| bad(key, text(key), expected))
    };
    let regions = regions(text(REGIONS)).ok_or_else(|| {
        let names = FaceRegion::ALL.map(FaceRegion::name).join(", ");
        bad(REGIONS, text(REGIONS), &format!("`name mean deviation` of {names}, in this order"))
    })?;
    let model = CauseModel::new(names, weights, curves(STRENGTHS)?, curves(GAINS)?, regions);
    model.map(Some).map_err(|error| bad(NAMES, text(NAMES), &error.to_string()))
}

pub(super) fn to_metadata(model: &CauseModel) -> [(String, String); 4] {
    let names: Vec<&str> = model.causes().iter().map(|cause| cause.name()).collect();
    let curves = |curves: &[Curve]| -> String {
        let texts = curves.iter().map(|curve| curve.0.map(|value| value.to_string()).join(","));
        texts.collect::<Vec<_>>().join(";")
    };
    let RegionReference { mean, deviation } = model.regions();
    let regions: Vec<String> = FaceRegion::ALL
        .iter()
        .zip(mean.iter().zip(deviation))
        .map(|(region, (mean, deviation))| format!("{region} {mean} {deviation}"))
        .collect();
    [
        (NAMES.to_owned(), names.join(",")),
        (STRENGTHS.to_owned(), curves(model.strengths())),
        (GAINS.to_owned(), curves(model.gains())),
        (REGIONS.to_owned(), regions.join(";")),
    ]
}

fn curve(text: &str) -> Option<Curve> {
    let values: Vec<f32> =
        text.split(',').map(|value| value.parse().ok()).collect::<Option<_>>()?;
    values.try_into().ok().map(Curve)
}

fn regions(text: &str) -> Option<RegionReference> {
    let mut reference = RegionReference { mean: [0.0; 6], deviation: [0.0; 6] };
    let mut parts = text.split(';');
    for (index, region) in FaceRegion::ALL.iter().enumerate() {
        let (name, numbers) = parts.next()?.split_once(' ')?;
        let (mean, deviation) = numbers.split_once(' ')?;
        if name != region.name() {
            return None;
        }
        reference.mean[index] = mean.parse().ok()?;
        reference.deviation[index] = deviation.parse().ok()?;
    }
    parts.next().is_none().then_some(reference)
}
