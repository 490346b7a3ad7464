//! A stored tensor, and its values as `f32`.

use half::{bf16, f16};

/// The data type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredType {
    F32,
    /// Rounded to the nearest `f32` when read.
    F64,
    F16,
    Bf16,
    I64,
    /// A type that weights cannot have, with its name.
    Other(&'static str),
}

impl StoredType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::I64 => "int64",
            Self::Other(name) => name,
        }
    }

    /// Whether weights may have this type.
    pub(super) fn is_weight(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

/// A tensor's location in its file, checked against the file on creation.
#[derive(Debug, Clone)]
pub(super) struct TensorRef {
    pub(super) dtype: StoredType,
    pub(super) shape: Vec<usize>,
    /// Index of the file: 0, or that of the shard.
    pub(super) file: usize,
    /// Offset of its first element in the file, in bytes.
    pub(super) start: usize,
    /// Size of its storage from there, in bytes.
    pub(super) len: usize,
    /// Stride of each dimension, in elements; `None` if the elements are contiguous in row-major
    /// order.
    pub(super) strides: Option<Vec<usize>>,
}

impl TensorRef {
    /// The values in row-major order.
    ///
    /// `None` if the tensor does not lie within `file` or its type is not a weight type; both were
    /// checked when the file was opened.
    pub(super) fn to_f32(&self, file: &[u8]) -> Option<Vec<f32>> {
        let stored = file.get(self.start..self.start.checked_add(self.len)?)?;
        let width = match self.dtype {
            StoredType::F32 => 4,
            StoredType::F64 => 8,
            StoredType::F16 | StoredType::Bf16 => 2,
            StoredType::I64 | StoredType::Other(_) => return None,
        };
        let gathered;
        let bytes = match &self.strides {
            None => stored,
            Some(strides) => {
                gathered = gather(stored, &self.shape, strides, width)?;
                &gathered
            }
        };
        Some(match self.dtype {
            StoredType::F32 => {
                let (elements, _) = bytes.as_chunks::<4>();
                elements.iter().map(|&e| f32::from_le_bytes(e)).collect()
            }
            StoredType::F64 => {
                let (elements, _) = bytes.as_chunks::<8>();
                elements.iter().map(|&e| f64::from_le_bytes(e) as f32).collect()
            }
            StoredType::F16 => {
                let (elements, _) = bytes.as_chunks::<2>();
                elements.iter().map(|&e| f16::from_le_bytes(e).to_f32()).collect()
            }
            _ => {
                let (elements, _) = bytes.as_chunks::<2>();
                elements.iter().map(|&e| bf16::from_le_bytes(e).to_f32()).collect()
            }
        })
    }
}

impl TensorRef {
    /// Swaps the rows and columns of a matrix; other tensors are returned as they are.
    pub(super) fn transposed(mut self) -> Self {
        if let [rows, columns] = self.shape[..] {
            let [row, column] = match self.strides.as_deref() {
                Some(&[row, column]) => [row, column],
                _ => [columns, 1],
            };
            self.shape = vec![columns, rows];
            self.strides = Some(vec![column, row]);
        }
        self
    }

    /// Adds leading dimensions of size 1 up to this rank.
    pub(super) fn with_rank(mut self, rank: usize) -> Self {
        while self.shape.len() < rank {
            self.shape.insert(0, 1);
            if let Some(strides) = &mut self.strides {
                strides.insert(0, 0);
            }
        }
        self
    }
}

/// A tensor of the network: one stored tensor, or several stacked along the first dimension.
#[derive(Debug, Clone)]
pub(super) struct JoinedTensor {
    pub(super) shape: Vec<usize>,
    parts: Vec<TensorRef>,
}

impl JoinedTensor {
    /// Joins parts along their first dimension; `None` if their other dimensions differ or there
    /// are no parts.
    pub(super) fn of_rows(parts: Vec<TensorRef>) -> Option<Self> {
        let mut shape = parts.first()?.shape.clone();
        for part in &parts[1..] {
            let ([rows, rest @ ..], [more, others @ ..]) = (&mut shape[..], &part.shape[..]) else {
                return None;
            };
            if rest != others {
                return None;
            }
            *rows = rows.checked_add(*more)?;
        }
        Some(Self { shape, parts })
    }

    /// The stored tensors, in the order of their rows.
    pub(super) fn parts(&self) -> &[TensorRef] {
        &self.parts
    }

    /// The data type of all parts; `None` if they differ.
    pub(super) fn dtype(&self) -> Option<StoredType> {
        let first = self.parts.first()?.dtype;
        self.parts.iter().all(|part| part.dtype == first).then_some(first)
    }

    /// The values in row-major order, read from the file that `file_of` gives for each part.
    ///
    /// `None` as for [`TensorRef::to_f32`].
    pub(super) fn to_f32<'a>(
        &self,
        file_of: impl Fn(&TensorRef) -> Option<&'a [u8]>,
    ) -> Option<Vec<f32>> {
        let [first, rest @ ..] = &self.parts[..] else { return None };
        let mut values = first.to_f32(file_of(first)?)?;
        for part in rest {
            values.extend(part.to_f32(file_of(part)?)?);
        }
        Some(values)
    }
}

/// Index of the first value that is infinite or NaN.
pub(super) fn first_not_finite(values: &[f32]) -> Option<usize> {
    /// Values per block: a block is checked without branches, which is noticeably faster.
    const BLOCK: usize = 256;
    let blocks = values.chunks(BLOCK).enumerate();
    let mut bad = blocks.filter(|(_, block)| !block.iter().fold(true, |ok, v| ok & v.is_finite()));
    let (block, found) = bad.next()?;
    found.iter().position(|value| !value.is_finite()).map(|index| block * BLOCK + index)
}

/// Copies elements of `width` bytes into row-major order.
fn gather(stored: &[u8], shape: &[usize], strides: &[usize], width: usize) -> Option<Vec<u8>> {
    let count = element_count(shape)?;
    // Tensors with more elements than their storage were refused on opening, so this never
    // allocates more memory than the size of the file.
    let mut bytes = Vec::with_capacity(count.checked_mul(width)?);
    let mut index = vec![0_usize; shape.len()];
    for _ in 0..count {
        let mut element = 0_usize;
        for (&position, &stride) in index.iter().zip(strides) {
            element = element.checked_add(position.checked_mul(stride)?)?;
        }
        let start = element.checked_mul(width)?;
        bytes.extend_from_slice(stored.get(start..start.checked_add(width)?)?);
        for (position, &size) in index.iter_mut().zip(shape).rev() {
            *position += 1;
            if *position < size {
                break;
            }
            *position = 0;
        }
    }
    Some(bytes)
}

/// Number of elements of a shape; `None` on overflow.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposed_and_joined_tensors_are_read_in_their_order() {
        let bytes: Vec<u8> = (0..12).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let stored = |shape: &[usize], start: usize, count: usize| TensorRef {
            dtype: StoredType::F32,
            shape: shape.to_vec(),
            file: 0,
            start: 4 * start,
            len: 4 * count,
            strides: None,
        };
        let read = |parts| {
            let joined = JoinedTensor::of_rows(parts)?;
            Some((joined.shape.clone(), joined.to_f32(|_| Some(&bytes))?))
        };
        let transposed = stored(&[2, 3], 0, 6).transposed();
        let expected = (vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(read(vec![transposed.clone()]), Some(expected));
        let again = (vec![2, 3], (0..6).map(|value| value as f32).collect());
        assert_eq!(read(vec![transposed.clone().transposed()]), Some(again));
        let joined = read(vec![transposed, stored(&[1, 2], 8, 2)]);
        assert_eq!(joined, Some((vec![4, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 8.0, 9.0])));
        let ranked = stored(&[2, 3], 0, 6).transposed().with_rank(3);
        assert_eq!(read(vec![ranked]).map(|(shape, _)| shape), Some(vec![1, 3, 2]));
        assert_eq!(read(vec![stored(&[2, 3], 0, 6), stored(&[2, 2], 0, 4)]), None);
        assert_eq!(read(Vec::new()), None);
    }

    #[test]
    fn first_non_finite_value_is_found_at_any_index() {
        assert_eq!(first_not_finite(&[]), None);
        assert_eq!(first_not_finite(&[f32::MAX; 700]), None);
        for place in [0, 1, 255, 256, 300, 699] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = [1.0; 700];
                values[place] = bad;
                values[699] = f32::NAN;
                assert_eq!(first_not_finite(&values), Some(place));
            }
        }
    }
}
