//! The linear readout of causes from a mean token.

use half::f16;

use super::{Cause, Causes, FoundCause, RegionReference};

/// No cause is named if the probability that nothing lowers the quality is at least this.
pub(crate) const NONE: f64 = 0.5;

/// The minimum expected gain in quality for a cause to be named. It is this low because a second
/// cause, next to one that ruins the image, gains hardly anything alone.
pub(crate) const LEAST_GAIN: f32 = 0.4;

/// A non-decreasing, piecewise linear function through [`Curve::KNOTS`] values at 0, 0.1, …, 1 of
/// its argument, and constant beyond them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve(pub [f32; Curve::KNOTS]);

impl Curve {
    /// Number of values of a curve.
    pub const KNOTS: usize = 11;

    /// The value at `x`.
    pub fn at(&self, x: f64) -> f32 {
        let last = Self::KNOTS - 1;
        let place = (x * last as f64).clamp(0.0, last as f64);
        let below = (place as usize).min(last - 1);
        let (low, high) = (self.0[below], self.0[below + 1]);
        low + (high - low) * (place - below as f64) as f32
    }

    fn is_within(&self, highest: f32) -> bool {
        self.0.iter().all(|value| (0.0..=highest).contains(value)) && self.0.is_sorted()
    }
}

/// A readout of causes from a mean token, fitted to one model.
///
/// With the mean normalised token `m` of the last block
/// ([`Assessment::mean_token`](crate::engine::Assessment::mean_token)):
/// - for each cause, `wₖ·m + bₖ`, mapped through that cause's monotone curves, gives its strength
///   and the expected gain in quality if it were absent;
/// - the logistic function of `w·m + b` of the last row is the probability that nothing lowers the
///   quality.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseModel {
    causes: Vec<Cause>,
    dim: usize,
    /// `[cause…, none][dim weights, intercept]`, each a 16-bit float.
    weights: Vec<f32>,
    strengths: Vec<Curve>,
    gains: Vec<Curve>,
    regions: RegionReference,
}

/// Invalid parameters for a [`CauseModel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a model of causes needs distinct causes, one row of finite 16-bit weights per cause plus one, \
     non-decreasing curves within 0 … 1 for strengths and 0 … 100 for gains, and regions with \
     deviations above 0"
)]
pub struct CauseModelError;

impl CauseModel {
    /// Creates a model from `weights` `[causes + 1, dim + 1]`, row-major: the last column holds the
    /// intercepts and the last row is that of no cause. For each cause, the curves map the value of
    /// its row to its strength, 0 … 1, and to its gain in quality, 0 … 100. Weights are rounded to
    /// 16-bit floats, the format they are stored in.
    ///
    /// # Errors
    ///
    /// If the parameters are not as described.
    pub fn new(
        causes: Vec<Cause>,
        weights: &[f32],
        strengths: Vec<Curve>,
        gains: Vec<Curve>,
        regions: RegionReference,
    ) -> Result<Self, CauseModelError> {
        let rows = causes.len() + 1;
        let distinct = (1..causes.len()).all(|place| !causes[..place].contains(&causes[place]));
        let shaped = weights.len().is_multiple_of(rows) && weights.len() / rows > 1;
        let curves = strengths.len() == causes.len() && gains.len() == causes.len();
        let within = strengths.iter().all(|curve| curve.is_within(1.0))
            && gains.iter().all(|curve| curve.is_within(100.0));
        let weights: Vec<f32> =
            weights.iter().map(|&weight| f16::from_f32(weight).to_f32()).collect();
        let finite = weights.iter().chain(&regions.mean).all(|number| number.is_finite());
        let spread = regions.deviation.iter().all(|&width| width.is_finite() && width > 0.0);
        if causes.is_empty() || !(distinct && shaped && curves && within && finite && spread) {
            return Err(CauseModelError);
        }
        let dim = weights.len() / rows - 1;
        Ok(Self { causes, dim, weights, strengths, gains, regions })
    }

    /// The causes that the model knows, in the order of its rows.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// Length of the mean token that the model reads.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// `[causes + 1, dim + 1]`, as given to [`CauseModel::new`], rounded to 16-bit floats.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The curve of each cause's strength.
    pub fn strengths(&self) -> &[Curve] {
        &self.strengths
    }

    /// The curve of each cause's gain in quality.
    pub fn gains(&self) -> &[Curve] {
        &self.gains
    }

    /// The attention that good faces give to each region.
    pub fn regions(&self) -> &RegionReference {
        &self.regions
    }

    /// For a mean token `[dim]`, the strength and gain of every cause, whether or not it lowers the
    /// quality, in the order of [`CauseModel::causes`], and the probability that nothing does.
    ///
    /// # Panics
    ///
    /// If the length of the token is not [`CauseModel::dim`].
    pub fn all(&self, mean_token: &[f64]) -> (Vec<FoundCause>, f32) {
        assert_eq!(mean_token.len(), self.dim, "a mean token of another model: this is a bug");
        let mut rows = self.weights.chunks_exact(self.dim + 1).map(|row| affine(row, mean_token));
        let found = self.causes.iter().zip(&self.strengths).zip(&self.gains).zip(&mut rows).map(
            |(((&cause, strength), gain), value)| FoundCause {
                cause,
                strength: strength.at(value),
                gain: gain.at(value),
            },
        );
        let found = found.collect();
        let none = rows.next().expect("one row more than causes: this is a bug");
        (found, (1.0 / (1.0 + (-none).exp())) as f32)
    }

    /// The causes that lower the quality, for a mean token `[dim]`.
    ///
    /// # Panics
    ///
    /// If the length of the token is not [`CauseModel::dim`].
    pub fn read(&self, mean_token: &[f64]) -> Causes {
        let (mut found, none_probability) = self.all(mean_token);
        if f64::from(none_probability) >= NONE {
            found.clear();
        }
        found.retain(|found| found.gain >= LEAST_GAIN);
        found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        Causes { none_probability, found }
    }
}

/// `w·x + b`, where `b` is the last number of the row.
fn affine(row: &[f32], x: &[f64]) -> f64 {
    let (intercept, weights) = row.split_last().expect("a row has an intercept: this is a bug");
    // Independent sums let the processor overlap the additions.
    let (chunks, rest) = weights.as_chunks::<8>();
    let (inputs, inputs_rest) = x.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for (weights, inputs) in chunks.iter().zip(inputs) {
        for ((sum, &weight), &input) in sums.iter_mut().zip(weights).zip(inputs) {
            *sum += f64::from(weight) * input;
        }
    }
    let rest = rest.iter().zip(inputs_rest).map(|(&weight, &input)| f64::from(weight) * input);
    f64::from(*intercept) + sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn regions() -> RegionReference {
        RegionReference { mean: [0.0; 6], deviation: [1.0; 6] }
    }

    fn straight(to: f32) -> Curve {
        Curve(std::array::from_fn(|knot| to * knot as f32 / 10.0))
    }

    fn model(weights: &[f32]) -> CauseModel {
        let causes = vec![Cause::Noise, Cause::Pose, Cause::Blur];
        let curves = |to| vec![straight(to); 3];
        CauseModel::new(causes, weights, curves(1.0), curves(60.0), regions()).expect("a model")
    }

    #[test]
    fn cause_values_match_naive_product() {
        let mut random = Random::new(2, "causes");
        for dim in [1, 7, 8, 19] {
            let weights: Vec<f32> =
                (0..4 * (dim + 1)).map(|_| 0.3 * random.normal() as f32).collect();
            let model = model(&weights);
            let token: Vec<f64> = (0..dim).map(|_| random.normal()).collect();
            let value = |row: usize| {
                let row = &model.weights()[row * (dim + 1)..][..=dim];
                (0..dim).fold(f64::from(row[dim]), |sum, i| sum + f64::from(row[i]) * token[i])
            };
            let (all, none) = model.all(&token);
            for (place, found) in all.iter().enumerate() {
                let expected = value(place).clamp(0.0, 1.0);
                assert!((f64::from(found.strength) - expected).abs() < 1e-6);
                assert!((f64::from(found.gain) - 60.0 * expected).abs() < 1e-4);
            }
            assert!((f64::from(none) - 1.0 / (1.0 + (-value(3)).exp())).abs() < 1e-6);
        }
    }

    #[test]
    fn causes_are_filtered_by_gain_and_sorted_by_strength() {
        // Rows: noise, pose, blur, none; the token of length 1 is 1.
        let rows = |none: f32| [0.3, 0.0, 0.005, 0.0, 0.5, 0.0, none, 0.0];
        let found = model(&rows(-1.0)).read(&[1.0]);
        let names: Vec<Cause> = found.found.iter().map(|found| found.cause).collect();
        // Pose gains 0.3, too little to be named.
        assert_eq!(names, [Cause::Blur, Cause::Noise]);
        let found = model(&rows(1.0)).read(&[1.0]);
        assert!(found.found.is_empty() && found.none_probability > 0.7);
    }

    #[test]
    fn curves_are_straight_between_knots_and_constant_beyond() {
        let curve = Curve([0.0, 0.0, 0.1, 0.1, 0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]);
        let cases =
            [(-1.0, 0.0), (0.15, 0.05), (0.45, 0.3), (1.0, 0.95), (7.0, 0.95), (f64::NAN, 0.0)];
        for (x, expected) in cases {
            assert!((curve.at(x) - expected).abs() < 1e-6 || x.is_nan(), "{x}: {}", curve.at(x));
        }
    }

    #[test]
    fn invalid_model_parameters_are_rejected() {
        let weights = [0.5; 8];
        let build = |causes: &[Cause], weights: &[f32], strength: Curve, gain: Curve, regions| {
            let curves = |curve| vec![curve; causes.len()];
            CauseModel::new(causes.to_vec(), weights, curves(strength), curves(gain), regions)
        };
        let three = [Cause::Noise, Cause::Pose, Cause::Blur];
        let (unit, points) = (straight(1.0), straight(100.0));
        assert!(build(&three, &weights, unit, points, regions()).is_ok());
        assert!(build(&[], &weights, unit, points, regions()).is_err());
        assert!(build(&[Cause::Pose; 3], &weights, unit, points, regions()).is_err());
        assert!(build(&three, &weights[..7], unit, points, regions()).is_err());
        assert!(build(&three, &weights[..4], unit, points, regions()).is_err(), "no token");
        assert!(build(&three, &[1e6; 8], unit, points, regions()).is_err(), "beyond 16 bits");
        assert!(build(&three, &[f32::NAN; 8], unit, points, regions()).is_err());
        assert!(build(&three, &weights, straight(1.1), points, regions()).is_err());
        assert!(build(&three, &weights, unit, straight(f32::NAN), regions()).is_err());
        let falling = Curve(std::array::from_fn(|knot| 1.0 - knot as f32 / 10.0));
        assert!(build(&three, &weights, falling, points, regions()).is_err());
        let flat = RegionReference { deviation: [0.0; 6], ..regions() };
        assert!(build(&three, &weights, unit, points, flat).is_err());
    }
}
