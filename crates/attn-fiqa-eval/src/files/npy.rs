//! NumPy's `.npy` format: one array of floating-point numbers, row-major.
//!
//! Reading is strict; writing is version 1.0, float32.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use super::lines::open;
use super::{FileError, FileProblem, error::quoted};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy aligns the data to a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// Larger than any header of a numeric array.
const MAX_HEADER: usize = 64 << 10;
/// Maximum number of dimensions; embeddings have one or two.
const MAX_RANK: usize = 4;

/// An array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its values; their number is the product of the shape.
    pub values: Vec<f32>,
}

/// The bytes of a file with an array of this shape, row-major.
///
/// # Panics
///
/// If the number of values is not the product of the shape.
pub fn to_bytes(shape: &[usize], values: &[f32]) -> Vec<u8> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "the values do not match the shape");
    let mut bytes = header(shape);
    bytes.extend(numbers(values));
    bytes
}

/// Everything before the data: magic, version, length, and a Python literal padded to align the
/// data.
pub fn header(shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let literal = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{comma}), }}",
        sizes.join(", ")
    );
    let before_padding = MAGIC.len() + 2 + size_of::<u16>() + literal.len() + 1;
    let padding = before_padding.next_multiple_of(ALIGNMENT) - before_padding;
    let header = format!("{literal}{:padding$}\n", "");
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

/// The stored values.
pub fn numbers(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads an array of float16, float32 or float64 values, converted to float32.
///
/// # Errors
///
/// If the file cannot be read, is not such an array, or its size does not match its shape; nothing
/// is allocated before that is checked.
pub fn read(path: &Path) -> Result<Array, FileError> {
    let file = path.to_string_lossy();
    let opened = open(path)?;
    let length = fs::metadata(path).map_err(|error| FileError::io(path, error))?.len();
    parse(&file, BufReader::with_capacity(1 << 20, LimitedFile(opened)), length)
}

/// A file as the one reader type of [`read`].
struct LimitedFile(File);

impl Read for LimitedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Reads an array like [`read`], from any reader of `length` bytes in total.
///
/// # Errors
///
/// As [`read`].
pub fn parse(file: &str, mut reader: impl Read, length: u64) -> Result<Array, FileError> {
    let damaged = |what: String| FileError::new(file, FileProblem::Damaged(what));
    let mut take = |bytes: &mut [u8]| {
        reader.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged("it ends too early".to_owned()),
            _ => FileError::new(file, FileProblem::Io(error)),
        })
    };
    let mut magic = [0; 6];
    take(&mut magic)?;
    if magic != *MAGIC {
        return Err(FileError::new(file, FileProblem::WrongKind { expected: "a .npy file" }));
    }
    let mut version = [0; 2];
    take(&mut version)?;
    let header_length = match version[0] {
        1 => {
            let mut bytes = [0; 2];
            take(&mut bytes)?;
            usize::from(u16::from_le_bytes(bytes))
        }
        2 | 3 => {
            let mut bytes = [0; 4];
            take(&mut bytes)?;
            u32::from_le_bytes(bytes) as usize
        }
        version => return Err(damaged(format!("version {version} of .npy is not supported"))),
    };
    if header_length > MAX_HEADER {
        return Err(damaged(format!("its header has {header_length} bytes")));
    }
    let before = 8 + if version[0] == 1 { 2 } else { 4 };
    let mut header = vec![0; header_length];
    take(&mut header)?;
    let header =
        std::str::from_utf8(&header).map_err(|_| damaged("its header is not text".into()))?;
    let Header { kind, fortran, shape } = Header::parse(header).map_err(damaged)?;
    if fortran && shape.iter().filter(|&&size| size > 1).count() > 1 {
        return Err(damaged(
            "its numbers are in column-major order; save numpy.ascontiguousarray(array)".to_owned(),
        ));
    }
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    let bytes = count.and_then(|count| count.checked_mul(kind.width()));
    let found = length.saturating_sub((before + header_length) as u64);
    let (Some(count), Some(bytes)) = (count, bytes) else {
        return Err(damaged(format!("its shape {shape:?} is too large")));
    };
    if bytes as u64 != found {
        return Err(damaged(format!(
            "its shape {shape:?} needs {bytes} bytes of numbers, but there are {found}"
        )));
    }
    let mut values = Vec::with_capacity(count);
    let mut rest = bytes;
    let mut buffer = vec![0; rest.min(1 << 16)];
    while rest > 0 {
        let part = &mut buffer[..rest.min(1 << 16)];
        take(part)?;
        rest -= part.len();
        kind.decode(part, &mut values);
    }
    Ok(Array { shape, values })
}

/// The supported data types, all little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F16,
    F32,
    F64,
}

impl Kind {
    fn width(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F16 => {
                let (numbers, _) = bytes.as_chunks();
                values.extend(numbers.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()));
            }
            Self::F32 => {
                let (numbers, _) = bytes.as_chunks();
                values.extend(numbers.iter().map(|&b| f32::from_le_bytes(b)));
            }
            Self::F64 => {
                let (numbers, _) = bytes.as_chunks();
                values.extend(numbers.iter().map(|&b| f64::from_le_bytes(b) as f32));
            }
        }
    }
}

#[derive(Debug)]
struct Header {
    kind: Kind,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Result<Self, String> {
        let inside = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let mut rest = inside.ok_or("its header is not a dictionary")?.trim();
        let (mut kind, mut fortran, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = string(rest).ok_or("its header has a key that is not text")?;
            let after = after.trim_start().strip_prefix(':').ok_or("its header lacks a ':'")?;
            let after = after.trim_start();
            rest = match key {
                "descr" => {
                    let (descr, after) = string(after).ok_or("it is a structured array")?;
                    kind = Some(match descr {
                        "<f2" => Kind::F16,
                        "<f4" => Kind::F32,
                        "<f8" => Kind::F64,
                        other => {
                            let other = quoted(other);
                            return Err(format!(
                                "it holds numbers of type {other}; expected '<f2', '<f4' or '<f8', \
                                 so save it after .astype('<f4')"
                            ));
                        }
                    });
                    after
                }
                "fortran_order" => {
                    let (value, after) = match (after.strip_prefix("True"), after) {
                        (Some(after), _) => (true, after),
                        (None, after) => {
                            let after = after.strip_prefix("False");
                            (false, after.ok_or("its order is neither True nor False")?)
                        }
                    };
                    fortran = Some(value);
                    after
                }
                "shape" => {
                    let after = after.strip_prefix('(').ok_or("its shape is not a tuple")?;
                    let (sizes, after) = after.split_once(')').ok_or("its shape has no end")?;
                    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                    let sizes: Result<Vec<usize>, _> = sizes.map(str::parse).collect();
                    let sizes =
                        sizes.map_err(|_| "its shape holds something that is not a size")?;
                    if sizes.len() > MAX_RANK {
                        return Err(format!("it has more than {MAX_RANK} dimensions"));
                    }
                    shape = Some(sizes);
                    after
                }
                _ => return Err(format!("its header has an unknown key {}", quoted(key))),
            };
            rest = rest.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(rest) => rest.trim_start(),
                None if rest.is_empty() => rest,
                None => return Err("its header lacks a comma".to_owned()),
            };
        }
        match (kind, fortran, shape) {
            (Some(kind), Some(fortran), Some(shape)) => Ok(Self { kind, fortran, shape }),
            _ => Err("its header lacks descr, fortran_order or shape".to_owned()),
        }
    }
}

/// A quoted string without escapes, and the text after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (value, rest) = text[1..].split_once(quote)?;
    (!value.contains('\\')).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npy_bytes_match_numpy() {
        // Written by numpy.save from float32 arrays, NumPy 2.4.
        for (shape, literal) in [
            (vec![2, 3], "'shape': (2, 3), }"),
            (vec![4], "'shape': (4,), }"),
            (vec![], "'shape': (), }"),
        ] {
            let values = vec![0.5; shape.iter().product()];
            let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
            expected.extend(b"{'descr': '<f4', 'fortran_order': False, ");
            expected.extend(literal.as_bytes());
            expected.resize(127, b' ');
            expected.push(b'\n');
            values.iter().for_each(|_| expected.extend([0, 0, 0, 0x3f]));
            assert_eq!(to_bytes(&shape, &values), expected);
            let length = expected.len() as u64;
            let found = parse("a.npy", expected.as_slice(), length).expect("an array");
            assert_eq!(found, Array { shape, values });
        }
    }
}
