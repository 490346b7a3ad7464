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
