//! What the pickle machine makes: values in an arena that refer to each other by
//! index, so that values which contain themselves are harmless.

use std::ops::Range;
use std::sync::Arc;

/// Index of a value in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) usize);

/// Bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bytes {
    /// As they stand in the file.
    Inside(Range<usize>),
    /// Written as text by a program of the old protocol, and turned back.
    Owned(Arc<Vec<u8>>),
}

impl Bytes {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Inside(range) => range.len(),
            Self::Owned(bytes) => bytes.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes themselves, out of the file.
    pub(super) fn of<'a>(&'a self, file: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Inside(range) => file.get(range.clone()).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The functions and classes that such a file may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// `_codecs.encode(text, 'latin1')`: bytes in the old protocol.
    Encode,
    /// `bytes(…)` and `bytearray(…)`.
    ToBytes,
    /// Makes an empty array, whose state is set afterwards.
    Reconstruct,
    /// `_frombuffer(bytes, dtype, shape, order)`.
    FromBuffer,
    /// A NumPy scalar: `scalar(dtype, bytes)`.
    Scalar,
    Array,
    Dtype,
}

impl Known {
    /// What a name stands for, in old and new NumPy.
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        let module = module
            .strip_prefix("numpy._core")
            .map_or_else(|| module.to_owned(), |rest| format!("numpy.core{rest}"));
        Some(match (module.as_str(), name) {
            ("_codecs", "encode") => Self::Encode,
            ("builtins" | "__builtin__", "bytes" | "bytearray") => Self::ToBytes,
            ("numpy.core.multiarray", "_reconstruct") => Self::Reconstruct,
            ("numpy.core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy.core.multiarray", "scalar") => Self::Scalar,
            ("numpy", "ndarray") => Self::Array,
            ("numpy", "dtype") => Self::Dtype,
            _ => return None,
        })
    }
}

/// The element types that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Byte,
    Bool,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Bytes(Bytes),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Known(Known),
    Dtype(Element),
    /// An array of bytes, once its state is set.
    Array(Option<Bytes>),
}

/// Everything a pickle made.
#[derive(Debug)]
pub(super) struct Arena<'a> {
    pub(super) values: Vec<Value<'a>>,
    pub(super) root: Id,
}

impl<'a> Arena<'a> {
    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        self.values.get(id.0).unwrap_or(&Value::None)
    }
}
