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
    #[test]
    fn fit_maximises_the_penalised_likelihood() {
        let mut random = Random::new(9, "logistic");
        let mut gradients_of = |intercept: f64, outlier: Option<usize>| {
            let values: Vec<f64> = (0..400)
                .map(|row| 50.0 + if Some(row) == outlier { 90.0 } else { 4.0 * random.normal() })
                .collect();
            let truth = MatchProbability { slope: 0.3, intercept };
            let matches = |value: f64| random.uniform() < truth.at(value);
            let mut outcomes: Vec<bool> = values.iter().copied().map(matches).collect();
            outlier.into_iter().for_each(|row| outcomes[row] = true);
            let found = fit_logistic(&values, &outcomes).expect("both outcomes");
            let mean = values.iter().sum::<f64>() / 400.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 400.0;
            // The penalty applies to the slope of standardised values.
            let mut gradients = [1e-6 * 400.0 * found.slope * variance.sqrt(), 0.0];
            for (&value, &outcome) in values.iter().zip(&outcomes) {
                let p = 1.0 / (1.0 + (-found.slope * value - found.intercept).exp());
                let error = p - f64::from(u8::from(outcome));
                gradients[0] += error * (value - mean) / variance.sqrt();
                gradients[1] += error;
            }
            gradients
        };
        // Matches at half of the values, at few, and at an outlier only, where a full first step
        // of Newton's method is too long.
        for (intercept, outlier) in [(-15.0, None), (-19.0, None), (-90.0, Some(7))] {
            let gradients = gradients_of(intercept, outlier);
            assert!(gradients.iter().all(|g| g.abs() < 1e-8), "{intercept}: {gradients:?}");
        }
    }

    #[test]
    fn fit_to_two_values_gives_their_log_odds() {
        let values = [0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0];
        let outcomes = [true, false, false, false, true, true, true, false];
        let found = fit_logistic(&values, &outcomes).expect("both outcomes");
        // ln(1/3) at 0 and ln(3/1) at 2.
        assert!((found.slope - 3.0f64.ln()).abs() < 1e-4, "{found:?}");
        assert!((found.intercept + 3.0f64.ln()).abs() < 1e-4, "{found:?}");
    }
}
