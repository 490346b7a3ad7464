//! Logistic regression of an outcome on one variable.

use attn_fiqa::score::MatchProbability;

/// Number of Newton steps; a few suffice, but for perfectly separable outcomes no number does.
const STEPS: usize = 50;

/// Penalty on the squared standardised slope, per sample: keeps it finite for perfectly
/// separable outcomes.
const RIDGE: f64 = 1e-6;

/// The maximum-likelihood probability of `outcomes` at `values` (of equal length); `None` unless
/// both outcomes occur and the values vary.
pub(super) fn fit_logistic(values: &[f64], outcomes: &[bool]) -> Option<MatchProbability> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let happened = outcomes.iter().filter(|&&outcome| outcome).count() as f64;
    let deviation = variance.sqrt();
    if !(deviation.is_finite() && deviation > 0.0) || happened == 0.0 || happened == count {
        return None;
    }
    let fraction = happened / count;
    let (mut slope, mut intercept) = (0.0, (fraction / (1.0 - fraction)).ln());
    for _ in 0..STEPS {
        let mut gradient = [RIDGE * count * slope, 0.0];
        let mut hessian = [RIDGE * count, 0.0, 0.0];
        for (&value, &outcome) in values.iter().zip(outcomes) {
            let x = (value - mean) / deviation;
            let p = MatchProbability { slope, intercept }.at(x);
            let (error, weight) = (p - f64::from(u8::from(outcome)), p * (1.0 - p));
            gradient[0] += error * x;
            gradient[1] += error;
            hessian[0] += weight * x * x;
            hessian[1] += weight * x;
            hessian[2] += weight;
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        if !(determinant.is_finite() && determinant > 0.0) {
            break;
        }
        let step = [
            (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
            (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
        ];
        // A full Newton step may overshoot if nearly all outcomes are equal.
        let length = step[0].abs().max(step[1].abs());
        let shorten = if length > 4.0 { 4.0 / length } else { 1.0 };
        slope -= shorten * step[0];
        intercept -= shorten * step[1];
        if length < 1e-10 {
            break;
        }
    }
    let slope = slope / deviation;
    let intercept = intercept - slope * mean;
    (slope.is_finite() && intercept.is_finite()).then_some(MatchProbability { slope, intercept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::random::Random;

    #[test]
    fn logistic_fit_recovers_generating_model() {
        let truth = MatchProbability { slope: 0.9, intercept: -7.0 };
        let mut random = Random::new(3, "logistic");
        let values: Vec<f64> = (0..20_000).map(|_| 7.0 + 2.0 * random.normal()).collect();
        let outcomes: Vec<bool> =
            values.iter().map(|&value| random.uniform() < truth.at(value)).collect();
        let found = fit_logistic(&values, &outcomes).expect("both outcomes");
        assert!((found.slope - truth.slope).abs() < 0.04, "{found:?}");
        assert!((found.intercept - truth.intercept).abs() < 0.3, "{found:?}");
    }

    #[test]
    fn separable_outcomes_give_steep_finite_model() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let outcomes: Vec<bool> = values.iter().map(|&value| value >= 50.0).collect();
        let found = fit_logistic(&values, &outcomes).expect("both outcomes");
        assert!(found.at(45.0) < 0.01 && found.at(55.0) > 0.99, "{found:?}");
        assert_eq!(fit_logistic(&values, &[true; 100]), None);
        assert_eq!(fit_logistic(&[1.0; 2], &[true, false]), None);
        assert_eq!(fit_logistic(&[], &[]), None);
    }
}
