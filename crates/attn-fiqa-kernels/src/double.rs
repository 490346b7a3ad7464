//! Sums in f64 over rows of f32. A matrix–vector product is too thin for [`gemm`](crate::gemm()).

use crate::isa::for_every_isa;

/// Partial sums: two AVX-512 registers, four AVX2, eight SSE2.
const LANES: usize = 16;

for_every_isa! {
    /// `out[i] = bias[i] + Σⱼ matrix[i, j] · x[j]`; `matrix` is `[out.len(), x.len()]`.
    ///
    /// # Panics
    ///
    /// If the lengths do not match.
    pub fn matrix_vector(matrix: &[f32], x: &[f64], bias: &[f64], out: &mut [f64]) {
        assert!(!x.is_empty() && matrix.len() == x.len() * out.len(), "the matrix shape differs");
        assert_eq!(bias.len(), out.len(), "a bias is not one value per row");
        for ((out, bias), row) in out.iter_mut().zip(bias).zip(matrix.chunks_exact(x.len())) {
            *out = bias + dot(row, x);
        }
    }
}

for_every_isa! {
    /// `sums[j] += Σᵢ rows[i, j]`; `rows` is `[row, sums.len()]`.
    ///
    /// # Panics
    ///
    /// If `rows` does not consist of whole rows.
    pub fn add_rows(rows: &[f32], sums: &mut [f64]) {
        assert!(!sums.is_empty() && rows.len().is_multiple_of(sums.len()), "rows are not whole");
        for row in rows.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
    }
}

/// A dot product with [`LANES`] partial sums, which are added in order at the end.
#[inline(always)]
fn dot(row: &[f32], x: &[f64]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let (factors, last_factors) = x.as_chunks::<LANES>();
    for (chunk, factors) in chunks.iter().zip(factors) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f64::from(chunk[lane]) * factors[lane];
        }
    }
    for ((sum, &value), factor) in lanes.iter_mut().zip(rest).zip(last_factors) {
        *sum += f64::from(value) * factor;
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn value(i: usize) -> f32 {
        ((i * 7919 % 1009) as f32 - 504.0) / 504.0
    }

    #[test]
    fn matrix_vector_is_bit_identical_on_every_isa() {
        for (rows, columns) in [(1, 1), (3, 7), (5, 16), (2, 37), (7, 513)] {
            let matrix: Vec<f32> = (0..rows * columns).map(value).collect();
            let x: Vec<f64> = (0..columns).map(|i| f64::from(value(i + 31)) / 3.0).collect();
            let bias: Vec<f64> = (0..rows).map(|i| f64::from(value(i + 5))).collect();
            let mut first = None;
            for isa in Isa::available() {
                let mut found = vec![f64::NAN; rows];
                matrix_vector(isa, &matrix, &x, &bias, &mut found);
                for row in 0..rows {
                    let products = matrix[row * columns..][..columns].iter().zip(&x);
                    let expected = products.fold(bias[row], |sum, (&a, b)| sum + f64::from(a) * b);
                    assert!((found[row] - expected).abs() < 1e-12, "{}", isa.name());
                }
                assert_eq!(&found, first.get_or_insert(found.clone()), "{}", isa.name());
            }
        }
    }

    #[test]
    fn rows_are_added_on_every_instruction_set() {
        for (rows, columns) in [(1, 1), (4, 5), (3, 33)] {
            let values: Vec<f32> = (0..rows * columns).map(value).collect();
            for isa in Isa::available() {
                let mut sums = vec![0.5; columns];
                add_rows(isa, &values, &mut sums);
                for (column, sum) in sums.iter().enumerate() {
                    let expected = (0..rows).map(|row| f64::from(values[row * columns + column]));
                    assert!((sum - 0.5 - expected.sum::<f64>()).abs() < 1e-12, "{}", isa.name());
                }
            }
        }
    }
}
