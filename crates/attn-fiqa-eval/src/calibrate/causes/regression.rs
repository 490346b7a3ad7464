//! Linear and logistic regression on the elements of mean tokens.

use rayon::prelude::*;

use crate::calibrate::cholesky::Cholesky;

/// Number of rows summed per task. The partial sums are added in order, so that results do not
/// depend on the number of threads.
const ROWS_AT_ONCE: usize = 256;

/// Penalty on the squared weights of standardised inputs, per row, of the linear regression.
const RIDGE: f64 = 1e-3;

/// The same for the logistic regression.
const LOGISTIC_RIDGE: f64 = 1e-4;

/// Maximum number of Newton steps; about ten suffice.
const STEPS: usize = 25;

/// Rows of standardised inputs, each with a last element of 1 for the intercept.
pub(super) struct Inputs {
    rows: Vec<Vec<f64>>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Inputs {
    /// Standardises tokens `[dim]`, at least one. An element that does not vary gets no weight.
    pub(super) fn of(tokens: &[&[f32]]) -> Self {
        let dim = tokens[0].len();
        let count = tokens.len() as f64;
        let moment = |of: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let sum = |index: usize| {
                tokens.iter().map(|token| of(index, f64::from(token[index]))).sum::<f64>() / count
            };
            (0..dim).map(sum).collect()
        };
        let mean = moment(&|_, value| value);
        let variance = moment(&|index, value| (value - mean[index]).powi(2));
        let deviation: Vec<f64> = variance.iter().map(|variance| variance.sqrt()).collect();
        let row = |token: &&[f32]| -> Vec<f64> {
            let elements = token.iter().zip(mean.iter().zip(&deviation));
            let standardised = elements.map(|(&value, (mean, &deviation))| {
                if deviation > 0.0 { (f64::from(value) - mean) / deviation } else { 0.0 }
            });
            standardised.chain([1.0]).collect()
        };
        let rows = tokens.par_iter().map(row).collect();
        Self { rows, mean, deviation }
    }

    fn size(&self) -> usize {
        self.mean.len() + 1
    }

    /// `Σ wᵢ·xᵢ·xᵢᵀ` (lower triangle, row-major) and, for each of the `targets` `[target][row]`,
    /// `Σ wᵢ·tᵢ·xᵢ`.
    fn sums(&self, weights: &[f64], targets: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let size = self.size();
        let parts: Vec<(Vec<f64>, Vec<Vec<f64>>)> = self
            .rows
            .par_chunks(ROWS_AT_ONCE)
            .enumerate()
            .map(|(chunk, rows)| {
                let mut products = vec![0.0; size * size];
                let mut sums = vec![vec![0.0; size]; targets.len()];
                for (place, row) in rows.iter().enumerate() {
                    let place = chunk * ROWS_AT_ONCE + place;
                    let weight = weights[place];
                    for (index, value) in row.iter().enumerate() {
                        let out = &mut products[index * size..][..=index];
                        let factor = weight * value;
                        out.iter_mut().zip(row).for_each(|(out, other)| *out += factor * other);
                    }
                    for (sum, target) in sums.iter_mut().zip(targets) {
                        let factor = weight * target[place];
                        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
                    }
                }
                (products, sums)
            })
            .collect();
        let zero = (vec![0.0; size * size], vec![vec![0.0; size]; targets.len()]);
        parts.into_iter().fold(zero, |(mut products, mut sums), (more, further)| {
            products.iter_mut().zip(&more).for_each(|(a, b)| *a += b);
            for (sum, more) in sums.iter_mut().zip(&further) {
                sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
            }
            (products, sums)
        })
    }

    /// Adds the penalty of every weight but the intercept.
    fn penalise(&self, products: &mut [f64], ridge: f64) {
        let size = self.size();
        let penalty = ridge * self.rows.len() as f64;
        (0..size - 1).for_each(|index| products[index * size + index] += penalty);
    }

    /// Ridge regression of each of the `targets` `[target][row]`, rows weighted by `weights`.
    ///
    /// `None` if the system cannot be solved.
    pub(super) fn ridge(&self, weights: &[f64], targets: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
        let (mut products, sums) = self.sums(weights, targets);
        self.penalise(&mut products, RIDGE);
        let solver = Cholesky::of(&products, self.size())?;
        Some(sums.iter().map(|sum| solver.solve(sum)).collect())
    }

    /// Logistic regression of `outcomes`, one for each row, by Newton's method.
    ///
    /// `None` unless both outcomes occur.
    pub(super) fn logistic(&self, outcomes: &[bool]) -> Option<Vec<f64>> {
        let count = outcomes.len() as f64;
        let happened = outcomes.iter().filter(|&&outcome| outcome).count() as f64;
        if happened == 0.0 || happened == count {
            return None;
        }
        let mut found = vec![0.0; self.size()];
        *found.last_mut()? = (happened / (count - happened)).ln();
        for _ in 0..STEPS {
            let odds: Vec<f64> = self.rows.par_iter().map(|row| product(&found, row)).collect();
            let probabilities = odds.iter().map(|odds| 1.0 / (1.0 + (-odds).exp()));
            let errors = probabilities.clone().zip(outcomes);
            let weights: Vec<f64> = probabilities.map(|p| (p * (1.0 - p)).max(1e-9)).collect();
            // `sums` multiplies targets by the weights.
            let errors: Vec<f64> = errors
                .zip(&weights)
                .map(|((p, &outcome), weight)| (p - f64::from(u8::from(outcome))) / weight)
                .collect();
            let (mut hessian, mut gradient) = self.sums(&weights, &[errors]);
            self.penalise(&mut hessian, LOGISTIC_RIDGE);
            let gradient = &mut gradient[0];
            let last = self.size() - 1;
            for (gradient, weight) in gradient[..last].iter_mut().zip(&found) {
                *gradient += LOGISTIC_RIDGE * count * weight;
            }
            let mut step = Cholesky::of(&hessian, self.size())?.solve(gradient);
            // A full step may overshoot if nearly all outcomes are equal.
            let longest = step.iter().fold(0.0f64, |longest, step| longest.max(step.abs()));
            if longest > 4.0 {
                step.iter_mut().for_each(|step| *step *= 4.0 / longest);
            }
            found.iter_mut().zip(&step).for_each(|(found, step)| *found -= step);
            if longest < 1e-8 {
                break;
            }
        }
        Some(found)
    }

    /// The same function of unstandardised tokens: weights `[dim]`, then the intercept.
    pub(super) fn of_tokens(&self, found: &[f64]) -> Vec<f32> {
        let (intercept, weights) = found.split_last().expect("an intercept: this is a bug");
        let mut intercept = *intercept;
        let mut of_tokens = Vec::with_capacity(found.len());
        for (weight, (mean, &deviation)) in
            weights.iter().zip(self.mean.iter().zip(&self.deviation))
        {
            let weight = if deviation > 0.0 { weight / deviation } else { 0.0 };
            intercept -= weight * mean;
            of_tokens.push(weight as f32);
        }
        of_tokens.push(intercept as f32);
        of_tokens
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::random::Random;

    fn tokens(count: usize, dim: usize) -> Vec<Vec<f32>> {
        let mut random = Random::new(6, "regression");
        let element = |index: usize, normal: f64| (3.0 + (1.0 + index as f64) * normal) as f32;
        (0..count).map(|_| (0..dim).map(|i| element(i, random.normal())).collect()).collect()
    }

    /// The derivative of the penalised negative log-likelihood by one weight.
    fn logistic_gradient(inputs: &Inputs, outcomes: &[bool], found: &[f64], column: usize) -> f64 {
        let penalty = if column + 1 < found.len() { 1e-4 * outcomes.len() as f64 } else { 0.0 };
        let errors = inputs.rows.iter().zip(outcomes).map(|(row, &outcome)| {
            let p = 1.0 / (1.0 + (-product(found, row)).exp());
            (p - f64::from(u8::from(outcome))) * row[column]
        });
        penalty * found[column] + errors.sum::<f64>()
    }

    #[test]
    fn weighted_ridge_recovers_linear_function() {
        let mut tokens = tokens(700, 5);
        tokens.iter_mut().for_each(|token| token.push(7.0));
        let target = |token: &[f32]| 2.0 + 0.5 * f64::from(token[1]) - 0.25 * f64::from(token[4]);
        let views: Vec<&[f32]> = tokens.iter().map(Vec::as_slice).collect();
        let targets: Vec<f64> = tokens.iter().map(|token| target(token)).collect();
        let weights: Vec<f64> = (0..700).map(|row| 1.0 + f64::from(row % 3)).collect();
        let inputs = Inputs::of(&views);
        let found = inputs.ridge(&weights, &[targets]).expect("solved");
        let found = inputs.of_tokens(&found[0]);
        let expected = [0.0, 0.5, 0.0, 0.0, -0.25, 0.0, 2.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 5e-3, "{found} ≠ {expected}");
        }
        assert_eq!(found[5], 0.0, "what does not vary has no weight");
    }

    #[test]
    fn logistic_fit_has_zero_gradient() {
        let tokens = tokens(600, 4);
        let mut random = Random::new(7, "regression");
        let views: Vec<&[f32]> = tokens.iter().map(Vec::as_slice).collect();
        let odds = |token: &[f32]| 1.5 * (f64::from(token[0]) - 3.0) + f64::from(token[2]) - 3.0;
        let outcomes: Vec<bool> = tokens
            .iter()
            .map(|token| random.uniform() < 1.0 / (1.0 + (-odds(token)).exp()))
            .collect();
        let inputs = Inputs::of(&views);
        let found = inputs.logistic(&outcomes).expect("both outcomes");
        for column in 0..5 {
            let gradient = logistic_gradient(&inputs, &outcomes, &found, column);
            assert!(gradient.abs() < 1e-6, "column {column}: {gradient}");
        }
        let weights = inputs.of_tokens(&found);
        assert!((weights[0] - 1.5).abs() < 0.4 && (weights[2] - 1.0).abs() < 0.4, "{weights:?}");
        assert_eq!(inputs.logistic(&[true; 600]), None);
    }
    #[test]
    fn ridge_fit_has_zero_gradient() {
        let tokens = tokens(600, 3);
        let views: Vec<&[f32]> = tokens.iter().map(Vec::as_slice).collect();
        let mut random = Random::new(8, "regression");
        let targets: Vec<f64> =
            tokens.iter().map(|token| f64::from(token[1]) + random.normal()).collect();
        let weights: Vec<f64> = (0..600).map(|row| 1.0 + f64::from(row % 3)).collect();
        let inputs = Inputs::of(&views);
        let found = &inputs.ridge(&weights, std::slice::from_ref(&targets)).expect("solved")[0];
        for column in 0..4 {
            let mut gradient = if column < 3 { 1e-3 * 600.0 * found[column] } else { 0.0 };
            for ((row, target), weight) in inputs.rows.iter().zip(&targets).zip(&weights) {
                gradient += weight * (product(found, row) - target) * row[column];
            }
            assert!(gradient.abs() < 1e-8, "column {column}: {gradient}");
        }
    }

    #[test]
    fn logistic_fit_of_few_outliers_converges() {
        // A full first step of Newton's method is too long.
        let mut tokens = tokens(600, 2);
        tokens[..3].iter_mut().for_each(|token| token[0] = 15.0);
        let views: Vec<&[f32]> = tokens.iter().map(Vec::as_slice).collect();
        let outcomes: Vec<bool> = (0..600).map(|row| row < 3).collect();
        let inputs = Inputs::of(&views);
        let found = inputs.logistic(&outcomes).expect("both outcomes");
        for column in 0..3 {
            let gradient = logistic_gradient(&inputs, &outcomes, &found, column);
            assert!(gradient.abs() < 1e-6, "column {column}: {gradient}");
        }
    }
}
