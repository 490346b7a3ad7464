//! The bias that landmarks add to the logits of a block: KP-RPE (Kim et al., CVPR 2024, arXiv
//! 2403.14852) as in its published networks.
//!
//! With `g_i` the centre of patch i and `l_k` landmark k, both as fractions of the image side,
//!
//! `B[h,i,j] = b[h,u] + Σₖ W[h,u,k]·(g_i − l_k)`, `u = u(i, j)`,
//!
//! is added to `A[h,i,j]` before the softmax: a linear function of the landmark positions relative
//! to the query patch, with separate coefficients for every block, head and bucket `u` of the
//! offset between the two patches (iRPE's product method, Wu et al., ICCV 2021). It does not depend
//! on queries or keys.
//!
//! It equals `c[h,u] + a[h,u]·g_i` with `a = Σₖ W[h,u,k]` and `c = b − Σₖ W[h,u,k]·l_k`, so an
//! image needs three numbers per head and bucket, and the matrix of a head is built only when it is
//! added.

use std::cell::RefCell;

use crate::align::TEMPLATE_112;
use crate::checkpoint::CheckpointError;
use crate::crop::Crop;

use super::config::{LANDMARK_BUCKETS as BUCKETS, VitConfig};
use super::weights::Weights;

/// Buckets of the offset along one axis.
const AXIS: usize = 7;

/// Coefficients of iRPE's piecewise index, with ratio 1.9 as in every published network: up to the
/// first, each offset has its own bucket; up to the last, more and more offsets share one.
const RATIO: [f64; 3] = [1.9, 2.0 * 1.9, 8.0 * 1.9];

/// Side of the crop that the template refers to.
const TEMPLATE_SIDE: f32 = 112.0;

/// Five points, each `[x, y]`.
pub(crate) type Points = [[f32; 2]; 5];

/// The landmarks of a crop as fractions of its side; those of the template if it has none.
pub(crate) fn landmarks_of(crop: &Crop) -> Points {
    match crop.landmarks() {
        Some(landmarks) => landmarks.map(|point| point.map(|value| value / crop.side() as f32)),
        None => TEMPLATE_112.map(|point| point.map(|value| value as f32 / TEMPLATE_SIDE)),
    }
}

/// The bias of one image in one block, `[head, bucket]`: the constant, and the slopes to the right
/// and downwards, per image side.
pub(crate) type Table = Vec<[f32; 3]>;

/// The coefficients of the landmark bias of one block.
#[derive(Debug, Clone)]
pub(crate) struct BlockBias {
    /// `[head, bucket, landmark, (x, y)]`.
    weight: Vec<[[f32; 2]; 5]>,
    /// `[head, bucket]`.
    bias: Vec<f32>,
    /// The bucket along one axis of the offsets `1 − grid … grid − 1`.
    buckets: Vec<u8>,
    grid: usize,
}

impl BlockBias {
    /// `None` if the network has no such bias.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        block: usize,
    ) -> Result<Option<Self>, CheckpointError> {
        if config.landmark_bias.is_none() {
            return Ok(None);
        }
        let rows = config.num_heads * BUCKETS;
        let rows = block * rows..(block + 1) * rows;
        let weight = weights.tensor("keypoint_linear.weight")?;
        let bias = weights.tensor("keypoint_linear.bias")?;
        let (points, _) = weight.as_chunks::<2>();
        let (landmarks, _) = points.as_chunks::<5>();
        Ok(Some(Self::new(landmarks[rows.clone()].to_vec(), bias[rows].to_vec(), config.grid())))
    }

    fn new(weight: Vec<[[f32; 2]; 5]>, bias: Vec<f32>, grid: usize) -> Self {
        let last = grid as i64 - 1;
        Self { weight, bias, buckets: (-last..=last).map(bucket).collect(), grid }
    }

    /// Fills `table` for an image with these landmarks, given as fractions of its side.
    pub(super) fn fill_in(&self, landmarks: &Points, table: &mut Table) {
        table.clear();
        table.extend(self.weight.iter().zip(&self.bias).map(|(weights, &bias)| {
            let (mut constant, mut slope) = (f64::from(bias), [0.0; 2]);
            for (weight, landmark) in weights.iter().zip(landmarks) {
                for axis in 0..2 {
                    slope[axis] += f64::from(weight[axis]);
                    constant -= f64::from(weight[axis]) * f64::from(landmark[axis]);
                }
            }
            [constant, slope[0], slope[1]].map(|value| value as f32)
        }));
    }

    /// The same, in a newly allocated table.
    pub(super) fn table(&self, landmarks: &Points) -> Table {
        let mut table = Table::new();
        self.fill_in(landmarks, &mut table);
        table
    }

    /// Calls `work` with the bias of one head, `[query patch, key patch]`.
    pub(super) fn with_matrix<R>(
        &self,
        table: &Table,
        head: usize,
        work: impl FnOnce(&[f32]) -> R,
    ) -> R {
        thread_local! {
            static MATRIX: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let patches = self.grid * self.grid;
        // Taken out, so that if `work` runs another task on this thread, that task finds it free.
        let mut matrix = MATRIX.take();
        matrix.resize(patches * patches, 0.0);
        self.write_matrix(&table[head * BUCKETS..][..BUCKETS], &mut matrix);
        let result = work(&matrix);
        MATRIX.set(matrix);
        result
    }

    /// `table` is that of one head, `[bucket]`.
    fn write_matrix(&self, table: &[[f32; 3]], matrix: &mut [f32]) {
        let grid = self.grid;
        let centre = |patch: usize| (patch as f32 + 0.5) / grid as f32;
        let mut values = [[0.0; AXIS]; AXIS];
        for (query, keys) in matrix.chunks_exact_mut(grid * grid).enumerate() {
            let (row, column) = (query / grid, query % grid);
            let (x, y) = (centre(column), centre(row));
            for (value, [constant, right, down]) in values.as_flattened_mut().iter_mut().zip(table)
            {
                *value = constant + right * x + down * y;
            }
            // The offset from key to query decreases as the key advances.
            let of_rows = self.buckets[row..][..grid].iter().rev();
            let of_columns = &self.buckets[column..][..grid];
            for (keys, &bucket) in keys.chunks_exact_mut(grid).zip(of_rows) {
                let values = &values[usize::from(bucket)];
                for (key, &bucket) in keys.iter_mut().zip(of_columns.iter().rev()) {
                    *key = values[usize::from(bucket)];
                }
            }
        }
    }

    /// The mean of one head over all pairs of patches.
    pub(super) fn mean(&self, table: &Table, head: usize) -> f64 {
        self.with_matrix(table, head, |matrix| {
            matrix.iter().map(|&bias| f64::from(bias)).sum::<f64>() / matrix.len() as f64
        })
    }

    /// Adds the mean of one head over queries to `sums` `[key patch]`.
    pub(super) fn add_received(&self, table: &Table, head: usize, sums: &mut [f64]) {
        let patches = sums.len() as f64;
        self.with_matrix(table, head, |matrix| {
            for row in matrix.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, &bias)| *sum += f64::from(bias) / patches);
            }
        });
    }

    /// Adds the mean of one head over keys to `sums` `[query patch]`.
    pub(super) fn add_paid(&self, table: &Table, head: usize, sums: &mut [f64]) {
        self.with_matrix(table, head, |matrix| {
            let rows = matrix.chunks_exact(sums.len());
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum += row.iter().map(|&bias| f64::from(bias)).sum::<f64>() / row.len() as f64;
            }
        });
    }
}

/// The bucket of an offset along one axis, counted from the most negative.
fn bucket(offset: i64) -> u8 {
    let [alpha, beta, gamma] = RATIO;
    let distance = offset.abs() as f64;
    let index = if distance <= alpha {
        distance
    } else {
        let beyond = (distance / alpha).ln() / (gamma / alpha).ln();
        (alpha + beyond * (beta - alpha)).round().min(beta.floor())
    };
    let middle = (AXIS / 2) as i64;
    (middle + offset.signum() * index as i64) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vit::config::LANDMARK_INPUTS;

    #[test]
    fn offset_buckets_saturate_at_four_patches() {
        let found: Vec<u8> = (-13..=13).map(bucket).collect();
        let mut expected = vec![0; 10];
        expected.extend([1, 1, 2, 3, 4, 5, 5]);
        expected.extend([6; 10]);
        assert_eq!(found, expected);
        assert_eq!((bucket(-1000), bucket(1000)), (0, 6));
    }

    /// Computes every element by its definition.
    #[test]
    fn bias_matrix_matches_naive_definition() {
        let (heads, grid) = (2, 5);
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        let weight: Vec<[[f32; 2]; 5]> = (0..heads * BUCKETS)
            .map(|row| {
                std::array::from_fn(|k| {
                    std::array::from_fn(|axis| number(row * LANDMARK_INPUTS + 2 * k + axis))
                })
            })
            .collect();
        let bias: Vec<f32> = (0..heads * BUCKETS).map(|row| number(3 * row)).collect();
        let landmarks: Points =
            std::array::from_fn(|k| [number(90 + k).abs(), number(50 + k).abs()]);
        let block = BlockBias::new(weight.clone(), bias.clone(), grid);
        let table = block.table(&landmarks);
        let (mut received, mut paid) = (vec![0.0; grid * grid], vec![0.0; grid * grid]);
        for head in 0..heads {
            let matrix = block.with_matrix(&table, head, <[f32]>::to_vec);
            let mut sum = 0.0;
            for (pair, found) in matrix.iter().enumerate() {
                let [query, key] = [pair / (grid * grid), pair % (grid * grid)];
                let at = |patch: usize| [patch % grid, patch / grid].map(|at| at as i64);
                let ([qx, qy], [kx, ky]) = (at(query), at(key));
                let row = head * BUCKETS
                    + usize::from(bucket(qy - ky)) * AXIS
                    + usize::from(bucket(qx - kx));
                let centre = [qx, qy].map(|at| (at as f64 + 0.5) / grid as f64);
                let mut expected = f64::from(bias[row]);
                for (weight, landmark) in weight[row].iter().zip(&landmarks) {
                    for axis in 0..2 {
                        let towards = centre[axis] - f64::from(landmark[axis]);
                        expected += f64::from(weight[axis]) * towards;
                    }
                }
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} is not {expected}");
                sum += expected;
            }
            let pairs = matrix.len() as f64;
            assert!((block.mean(&table, head) - sum / pairs).abs() < 1e-6);
            block.add_received(&table, head, &mut received);
            block.add_paid(&table, head, &mut paid);
            for means in [&received, &paid] {
                let mean = means.iter().sum::<f64>() / means.len() as f64;
                let expected: f64 = (0..=head).map(|head| block.mean(&table, head)).sum();
                assert!((mean - expected).abs() < 1e-6, "{mean} is not {expected}");
            }
        }
        assert_ne!(received, paid);
    }

    #[test]
    fn crop_landmarks_are_normalised_and_default_to_template() {
        let crop = Crop::from_rgb(56, vec![0; 56 * 56 * 3]).expect("a crop");
        let template = landmarks_of(&crop);
        assert_eq!(template[0], [38.2946 / 112.0, 51.6963 / 112.0]);
        let half = TEMPLATE_112.map(|point| point.map(|value| value as f32 / 2.0));
        assert_eq!(landmarks_of(&crop.with_landmarks(half)), template);
    }
}
