//! Sums over pictures, from which every ridge regression follows in closed form.

use super::Picture;
use super::cholesky::Cholesky;

/// Sums of products of the columns `[q̄ (D), Q, y]`, each less a centre that is the
/// same for all moments, so that they can be added and subtracted.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    count: f64,
    sums: Vec<f64>,
    /// Lower triangle of `[column, column]`.
    products: Vec<f64>,
}

/// Two ridge regressions on `q̄`: of the utility and of the published score. That
/// of `y − βQ` is the first less β times the second.
pub(super) struct Weights {
    pub(super) utility: Vec<f64>,
    pub(super) score: Vec<f64>,
}

/// The columns of one picture.
fn columns(picture: &Picture) -> impl Iterator<Item = f64> {
    let query = picture.mean_query.iter().map(|&value| f64::from(value));
    query.chain([f64::from(picture.score), picture.utility])
}

/// The means of the columns.
pub(super) fn centre(pictures: &[Picture]) -> Vec<f64> {
    let mut means = vec![0.0; pictures.first().map_or(0, |picture| columns(picture).count())];
    for picture in pictures {
        means.iter_mut().zip(columns(picture)).for_each(|(mean, value)| *mean += value);
    }
    means.iter_mut().for_each(|mean| *mean /= pictures.len() as f64);
    means
}

impl Moments {
    pub(super) fn of(pictures: &[&Picture], centre: &[f64]) -> Self {
        let size = centre.len();
        let mut moments =
            Self { count: 0.0, sums: vec![0.0; size], products: vec![0.0; size * size] };
        let mut row = vec![0.0; size];
        for picture in pictures {
            let values = columns(picture).zip(centre);
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

    /// Standard deviation of the utility over that of the published score: the
    /// natural unit of β.
    pub(super) fn utility_per_score(&self) -> f64 {
        let (score, utility) = (self.size() - 2, self.size() - 1);
        (self.covariance(utility, utility) / self.covariance(score, score)).sqrt()
    }

    /// Ridge regression with each column of `q̄` in units of its own deviation, so
    /// that `ridge` means the same for every network.
    ///
    /// `None` if the system cannot be solved: too few pictures for too little ridge.
    pub(super) fn weights(&self, ridge: f64) -> Option<Weights> {
        let dim = self.size() - 2;
        let mut system = vec![0.0; dim * dim];
        for row in 0..dim {
            for column in 0..=row {
                system[row * dim + column] = self.covariance(row, column);
            }
        }
        let trace: f64 = (0..dim).map(|index| system[index * dim + index]).sum();
        // A column that does not vary gets no weight, and needs something to divide by.
        let least = 1e-9 * trace / dim as f64;
        for index in 0..dim {
            let diagonal = &mut system[index * dim + index];
            *diagonal += ridge * diagonal.max(0.0) + least;
        }
        let solved = Cholesky::of(&system, dim)?;
        let right =
            |of: usize| (0..dim).map(|index| self.covariance(of, index)).collect::<Vec<_>>();
        Some(Weights { utility: solved.solve(&right(dim + 1)), score: solved.solve(&right(dim)) })
    }
}
