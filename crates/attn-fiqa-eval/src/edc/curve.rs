//! A curve, the area under it, and its warnings.

use super::{Protocol, Target, grid};

/// How a curve is interpolated between its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Linearly.
    Linear,
    /// Constant until the next point.
    Step,
}

/// The error rates at one discard fraction.
///
/// A rate is absent if no comparisons are left to measure it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CurvePoint {
    /// Fraction of comparisons discarded: of all under [`Protocol::Crfiqa`], of the
    /// mated ones otherwise.
    pub discard: f64,
    /// The threshold: a distance, except under [`Protocol::Iso`] a similarity.
    pub threshold: Option<f64>,
    /// The false match rate realised by that threshold on the non-mated comparisons: the remaining
    /// ones under [`Protocol::Crfiqa`], all otherwise.
    pub fmr: Option<f64>,
    /// The false non-match rate of the remaining mated comparisons.
    pub fnmr: Option<f64>,
    /// Number of remaining mated comparisons.
    pub mated: u64,
    /// Non-mated comparisons on which the FMR was measured.
    pub non_mated: u64,
}

/// Reasons to trust a curve less.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Warning {
    /// The target FMR corresponds to less than one false match among the non-mated comparisons, so
    /// that the threshold is unreliable.
    FmrUnresolved {
        /// The target.
        target: f64,
        /// The lowest discard fraction at which it cannot be resolved.
        discard: f64,
        /// Non-mated comparisons there.
        non_mated: u64,
        /// The FMR realised there.
        realised: Option<f64>,
    },
    /// No comparison of one kind is left, so the curve ends.
    NothingLeft {
        /// The lowest discard fraction at which this is the case.
        discard: f64,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FmrUnresolved { target, discard, non_mated, realised } => {
                write!(f, "{} cannot be resolved by {non_mated} non-mated", Target::Fmr(*target))?;
                f.write_str(" comparisons")?;
                if *discard > 0.0 {
                    write!(f, " (from a discard fraction of {discard:.2})")?;
                }
                match realised {
                    Some(fmr) => write!(f, "; the FMR realised is {fmr:.2e}"),
                    None => Ok(()),
                }
            }
            Self::NothingLeft { discard } => {
                write!(f, "no mated or no non-mated comparison is left at discard {discard:.2}")
            }
        }
    }
}

/// An error-versus-discard curve.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Curve {
    /// The protocol.
    pub protocol: Protocol,
    /// The target of the threshold.
    pub target: Target,
    /// How it is interpolated between its points.
    pub interpolation: Interpolation,
    /// By ascending discard fraction; the first is 0.
    pub points: Vec<CurvePoint>,
    /// Warnings.
    pub warnings: Vec<Warning>,
}

/// Discard fractions this close to a limit count as at the limit: 6·0.05 is 0.30000000000000004.
const SNAP: f64 = 1e-9;

impl Curve {
    /// The FNMR with nothing discarded.
    pub fn start(&self) -> Option<f64> {
        self.points.first().and_then(|point| point.fnmr)
    }

    /// The FNMR at a discard fraction, interpolated between points; `None` beyond the last point
    /// and where a rate is absent.
    pub fn fnmr_at(&self, discard: f64) -> Option<f64> {
        let after = self.points.partition_point(|point| point.discard <= discard + SNAP);
        let before = self.points.get(after.checked_sub(1)?)?;
        if (before.discard - discard).abs() <= SNAP || self.interpolation == Interpolation::Step {
            return before.fnmr;
        }
        let next = self.points.get(after)?;
        let fraction = (discard - before.discard) / (next.discard - before.discard);
        Some(before.fnmr? + fraction * (next.fnmr? - before.fnmr?))
    }

    /// The points, and between those of a step curve the ones at 0, 0.05, …, 0.95 that it lacks,
    /// where [`CurveIntervals`](super::CurveIntervals) are.
    pub fn points_with_grid(&self) -> Vec<CurvePoint> {
        let mut points = self.points.clone();
        if self.interpolation == Interpolation::Linear {
            return points;
        }
        for discard in grid() {
            let after = points.partition_point(|point| point.discard <= discard + SNAP);
            let Some(&before) = after.checked_sub(1).and_then(|before| points.get(before)) else {
                continue;
            };
            if before.discard < discard - SNAP {
                points.insert(after, CurvePoint { discard, ..before });
            }
        }
        points
    }

    /// The area under the whole curve: up to 0.95 on the papers' grid, up to 1 under
    /// [`Protocol::Iso`].
    pub fn auc(&self) -> Option<f64> {
        self.pauc(self.points.last()?.discard)
    }

    /// The area under the curve up to a discard fraction, not normalised: by trapezoids or by
    /// steps, depending on the interpolation. Papers print it ×1000. `None` if a point below the
    /// limit has no rate, or the curve ends before it.
    pub fn pauc(&self, limit: f64) -> Option<f64> {
        let mut area = 0.0;
        for pair in self.points.windows(2) {
            let [from, to] = pair else { break };
            if from.discard >= limit - SNAP {
                return Some(area);
            }
            let inside = to.discard <= limit + SNAP;
            let end = match (inside, self.interpolation) {
                (true, Interpolation::Linear) => to.discard,
                _ => to.discard.min(limit),
            };
            area += (end - from.discard)
                * match self.interpolation {
                    Interpolation::Step => from.fnmr?,
                    Interpolation::Linear if inside => (from.fnmr? + to.fnmr?) / 2.0,
                    Interpolation::Linear => (from.fnmr? + self.fnmr_at(limit)?) / 2.0,
                };
        }
        (self.points.last()?.discard >= limit - SNAP).then_some(area)
    }

    /// The area between the curve and the ideal one, up to a limit: [`Self::pauc`] −
    /// [`Self::ideal_pauc`]. Also `None` under [`Protocol::Crfiqa`], whose moving threshold has
    /// another ideal curve.
    pub fn above_ideal(&self, limit: f64) -> Option<f64> {
        if self.protocol == Protocol::Crfiqa {
            return None;
        }
        Some(self.pauc(limit)? - self.ideal_pauc(limit)?)
    }

    /// The area under the best possible curve, `max(0, e₀ − d)`, up to a limit: the lower bound of
    /// any quality, `e₀²/2 − max(0, e₀ − limit)²/2`.
    pub fn ideal_pauc(&self, limit: f64) -> Option<f64> {
        let start = self.start()?;
        Some(start.powi(2) / 2.0 - (start - limit).max(0.0).powi(2) / 2.0)
    }

    /// Adds the warnings that follow from the points.
    pub(super) fn with_warnings(mut self) -> Self {
        let empty = |point: &&CurvePoint| {
            point.discard < 1.0 && (point.fnmr.is_none() || point.threshold.is_none())
        };
        if let Target::Fmr(target) = self.target {
            let unresolved = |point: &&CurvePoint| {
                point.non_mated > 0 && self.target.is_unresolved(point.non_mated)
            };
            self.warnings.extend(self.points.iter().find(unresolved).map(|point| {
                let CurvePoint { discard, non_mated, fmr: realised, .. } = *point;
                Warning::FmrUnresolved { target, discard, non_mated, realised }
            }));
        }
        let ended = self.points.iter().find(empty);
        self.warnings.extend(ended.map(|point| Warning::NothingLeft { discard: point.discard }));
        self
    }
}
