//! Sums over samples, from which every ridge regression follows in closed form.

use super::Sample;
use super::cholesky::Cholesky;

/// Sums of products of the columns `[q̄ (D), Q, y]`, `y` being the target, each minus a centre
/// common to all moments, so that they can be added and subtracted.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    count: f64,
    sums: Vec<f64>,
    /// Lower triangle of `[column, column]`.
    products: Vec<f64>,
}

/// Penalty on the weights themselves, in units of the mean variance of the columns.
const WEIGHT_PENALTY: f64 = 1e-6;

/// Two ridge regressions on `q̄`: of the target and of the published score. That
/// of `y − βQ` is the first minus β times the second.
pub(super) struct Weights {
    pub(super) target: Vec<f64>,
    pub(super) score: Vec<f64>,
}

/// A sample and its target.
pub(super) type WithTarget<'a> = (&'a Sample, f64);

/// The columns of one sample.
fn columns<'a>((sample, target): WithTarget<'a>) -> impl Iterator<Item = f64> + 'a {
    let query = sample.mean_query.iter().map(|&value| f64::from(value));
    query.chain([f64::from(sample.score), target])
}

/// The means of the columns.
pub(super) fn centre(samples: &[WithTarget<'_>]) -> Vec<f64> {
    let mut means = vec![0.0; samples.first().map_or(0, |&sample| columns(sample).count())];
    for &sample in samples {
        means.iter_mut().zip(columns(sample)).for_each(|(mean, value)| *mean += value);
    }
    means.iter_mut().for_each(|mean| *mean /= samples.len() as f64);
    means
}

impl Moments {
    pub(super) fn of(samples: &[WithTarget<'_>], centre: &[f64]) -> Self {
        let size = centre.len();
        let mut moments =
            Self { count: 0.0, sums: vec![0.0; size], products: vec![0.0; size * size] };
        let mut row = vec![0.0; size];
        for &sample in samples {
            let values = columns(sample).zip(centre);
            row.iter_mut().zip(values).for_each(|(cell, (value, centre))| *cell = value - centre);
            moments.count += 1.0;
            for (index, &value) in row.iter().enumerate() {
                moments.sums[index] += value;
                let products = &mut moments.products[index * size..][..=index];
                products.iter_mut().zip(&row).for_each(|(sum, other)| *sum += value * other);
            }
        }
        moments
    }

    /// The moments of everything in `parts`.
    pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a Self>) -> Option<Self> {
        parts.fold(None, |sum, part| {
            let Some(mut sum): Option<Self> = sum else { return Some(part.clone()) };
            sum.count += part.count;
            sum.sums.iter_mut().zip(&part.sums).for_each(|(a, b)| *a += b);
            sum.products.iter_mut().zip(&part.products).for_each(|(a, b)| *a += b);
            Some(sum)
        })
    }

    fn size(&self) -> usize {
        self.sums.len()
    }

    /// Covariance of two columns.
    fn covariance(&self, a: usize, b: usize) -> f64 {
        let (row, column) = (a.max(b), a.min(b));
        let product = self.products[row * self.size() + column] / self.count;
        product - self.sums[a] / self.count * (self.sums[b] / self.count)
    }

    /// Standard deviation of the target over that of the published score: the
    /// natural unit of β.
    pub(super) fn target_per_score(&self) -> f64 {
        let (score, target) = (self.size() - 2, self.size() - 1);
        (self.covariance(target, target) / self.covariance(score, score)).sqrt()
    }

    /// Ridge regression in which the norm of the weights is measured on the mean token, in units of
    /// its elements' standard deviations, by `penalty` ([`Measurements::penalty`]), so that `ridge`
    /// has the same meaning for every network.
    ///
    /// `None` if the system cannot be solved: too few samples for too little ridge.
    ///
    /// [`Measurements::penalty`]: super::Measurements::penalty
    pub(super) fn weights(&self, ridge: f64, penalty: &[f64]) -> Option<Weights> {
        let dim = self.size() - 2;
        let mut system = vec![0.0; dim * dim];
        for row in 0..dim {
            for column in 0..=row {
                let place = row * dim + column;
                system[place] = self.covariance(row, column) + ridge * penalty[place];
            }
        }
        // Directions in which the mean token hardly varies must not make the key bias long:
        // coarse precisions would suffer.
        let trace: f64 = (0..dim).map(|index| system[index * dim + index]).sum();
        let least = WEIGHT_PENALTY * trace / dim as f64;
        (0..dim).for_each(|index| system[index * dim + index] += least);
        let solved = Cholesky::of(&system, dim)?;
        let right =
            |of: usize| (0..dim).map(|index| self.covariance(of, index)).collect::<Vec<_>>();
        Some(Weights { target: solved.solve(&right(dim + 1)), score: solved.solve(&right(dim)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::random::Random;

    const DIM: usize = 4;

    /// Samples with correlated elements of different spread, whose means are about `offset` and
    /// drift, and their targets.
    fn made_up(count: usize, offset: f64) -> (Vec<Sample>, Vec<f64>) {
        let mut random = Random::new(11, "moments");
        let one = |number: usize| {
            let (common, drift) = (random.normal(), number as f64 / 10.0);
            let mut column =
                |spread: f64| offset + drift + spread * (common + 2.0 * random.normal());
            let mean_query = (0..DIM).map(|index| column(1.0 + index as f64) as f32).collect();
            let (score, target) = (column(0.5) as f32, column(3.0));
            let (kind, level, utility, cosine, norm) = (None, 0.0, 0.0, 1.0, 1.0);
            let sample =
                Sample { face: number, kind, level, score, mean_query, utility, cosine, norm };
            (sample, target)
        };
        (0..count).map(one).unzip()
    }

    fn with_targets<'a>((samples, targets): &'a (Vec<Sample>, Vec<f64>)) -> Vec<WithTarget<'a>> {
        samples.iter().zip(targets.iter().copied()).collect()
    }

    /// The covariance of columns `a` and `b`, in two passes.
    fn naive(samples: &[WithTarget<'_>], a: usize, b: usize) -> f64 {
        let count = samples.len() as f64;
        let of = |column: usize| -> Vec<f64> {
            let all = samples.iter().map(|&sample| columns(sample).nth(column).expect("a column"));
            all.collect()
        };
        let (a, b) = (of(a), of(b));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
        let (mean_a, mean_b) = (mean(&a), mean(&b));
        a.iter().zip(&b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / count
    }

    #[test]
    fn covariance_matches_two_passes_far_from_zero() {
        let made_up = made_up(60, 1e6);
        let all = with_targets(&made_up);
        let centre = centre(&all);
        let parts: Vec<Moments> = all.chunks(20).map(|part| Moments::of(part, &centre)).collect();
        // The mean of two parts is not the centre of all three.
        let moments = Moments::sum(parts[..2].iter()).expect("two parts");
        for a in 0..DIM + 2 {
            for b in 0..DIM + 2 {
                let (found, expected) = (moments.covariance(a, b), naive(&all[..40], a, b));
                assert!((found - expected).abs() < 1e-7, "{a}, {b}: {found} ≠ {expected}");
            }
        }
        let [score, target] = [DIM, DIM + 1].map(|column| naive(&all[..40], column, column));
        let expected = (target / score).sqrt();
        assert!((moments.target_per_score() - expected).abs() < 1e-7);
        assert!(Moments::sum(std::iter::empty()).is_none());
    }

    #[test]
    fn weights_solve_the_normal_equations() {
        let mut made_up = made_up(50, 2.0);
        // Without the penalty on the weights, an element that does not vary leaves them undefined.
        made_up.0.iter_mut().for_each(|sample| sample.mean_query[2] = 7.0);
        let all = with_targets(&made_up);
        let moments = Moments::of(&all, &centre(&all));
        let variances = (0..DIM).map(|index| naive(&all, index, index));
        let penalty_on_weights = 1e-6 * variances.sum::<f64>() / DIM as f64;
        let penalty: Vec<f64> =
            (0..DIM * DIM).map(|place| if place % (DIM + 1) == 0 { 2.0 } else { 0.5 }).collect();
        for (ridge, tolerance) in [(0.0, 1e-9), (0.3, 1e-5)] {
            let weights = moments.weights(ridge, &penalty).expect("solved");
            for (weights, of) in [(weights.score, DIM), (weights.target, DIM + 1)] {
                for row in 0..DIM {
                    let mut found = penalty_on_weights * weights[row];
                    for (column, weight) in weights.iter().enumerate() {
                        let factor = naive(&all, row, column) + ridge * penalty[row * DIM + column];
                        found += factor * weight;
                    }
                    let expected = naive(&all, row, of);
                    assert!((found - expected).abs() < tolerance, "{found} ≠ {expected}");
                }
            }
        }
    }
}
