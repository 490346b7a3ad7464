//! Curves as they are stored and recorded.

use super::RecogniserEvaluation;
use crate::edc::{Curve, Interpolation, Series};
use crate::study::results::CurveRecord;

/// Number of points stored for a step function.
const STEP_POINTS: usize = 200;

impl RecogniserEvaluation<'_> {
    /// A stored record with the names of this study.
    pub(super) fn labelled(&self, record: CurveRecord, method: &str) -> CurveRecord {
        CurveRecord {
            dataset: self.dataset.to_owned(),
            recogniser: self.recogniser.to_owned(),
            method: method.to_owned(),
            ..record
        }
    }

    /// A curve without the names, which are not stored.
    pub(super) fn record(&self, series: Series, curve: &Curve) -> CurveRecord {
        let steps = curve.interpolation == Interpolation::Step;
        let (points, realised) = if curve.points.len() > STEP_POINTS {
            let discard = |index: usize| index as f64 / STEP_POINTS as f64;
            let points =
                (0..=STEP_POINTS).map(|n| (discard(n), curve.fnmr_at(discard(n)))).collect();
            let first = curve.points.first().and_then(|point| point.fmr);
            // A step function's threshold is fixed, and so is its FMR.
            (points, vec![first; STEP_POINTS + 1])
        } else {
            let all = curve.points_with_grid();
            let points = all.iter().map(|point| (point.discard, point.fnmr)).collect();
            (points, all.iter().map(|point| point.fmr).collect())
        };
        CurveRecord {
            dataset: String::new(),
            recogniser: String::new(),
            method: String::new(),
            series,
            protocol: curve.protocol,
            fmr: curve.target.value(),
            steps,
            points,
            realised,
            pauc: curve.pauc(self.settings.max_discard),
            pauc_interval: None,
            above_ideal: curve.above_ideal(self.settings.max_discard),
            auc: curve.auc(),
            band: Vec::new(),
            replicates: Vec::new(),
            tied: 0,
            pauc_ties: None,
            warnings: curve.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}
