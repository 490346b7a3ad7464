//! What the pickle of an image set may contain.

use std::ops::Range;
use std::sync::Arc;

use attn_fiqa::pickle::{Id, Returned, Value, Values, Vocabulary};

/// Bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bytes {
    /// As stored in the file.
    Inside(Range<usize>),
    /// Written as text by an old protocol, and decoded again.
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
}

/// The supported element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Byte,
    Bool,
}

/// The functions and classes that an image set may refer to, and what they produce.
#[derive(Debug)]
pub(super) enum Object {
    /// `_codecs.encode(text, 'latin1')`: bytes in the old protocol.
    Encode,
    /// `bytes(…)` and `bytearray(…)`.
    ToBytes,
    /// Makes an empty array whose state is set afterwards.
    Reconstruct,
    /// `_frombuffer(bytes, dtype, shape, order)`.
    FromBuffer,
    /// A NumPy scalar: `scalar(dtype, bytes)`.
    Scalar,
    ArrayType,
    DtypeType,
    Dtype(Element),
    /// Bytes returned by a call.
    Bytes(Bytes),
    /// An array of bytes, once its state is set.
    Array(Option<Bytes>),
}

pub(super) type ImageSetValues<'a> = Values<'a, Object>;

/// The vocabulary for image sets, as InsightFace writes them with Python 2 and 3 and with old and
/// new NumPy.
pub(super) struct ImageSetVocabulary {
    /// Bytes that may still be decoded from text: at most the size of the file, to bound memory.
    pub(super) encodable: usize,
}

impl<'a> Vocabulary<'a> for ImageSetVocabulary {
    type Object = Object;

    /// SHORT_BINSTRING and BINSTRING, of Python 2.
    const OPCODES: &'static [u8] = b"UT";

    fn global(&mut self, module: &str, name: &str) -> Option<Object> {
        let module = module
            .strip_prefix("numpy._core")
            .map_or_else(|| module.to_owned(), |rest| format!("numpy.core{rest}"));
        Some(match (module.as_str(), name) {
            ("_codecs", "encode") => Object::Encode,
            ("builtins" | "__builtin__", "bytes" | "bytearray") => Object::ToBytes,
            ("numpy.core.multiarray", "_reconstruct") => Object::Reconstruct,
            ("numpy.core.numeric", "_frombuffer") => Object::FromBuffer,
            ("numpy.core.multiarray", "scalar") => Object::Scalar,
            ("numpy", "ndarray") => Object::ArrayType,
            ("numpy", "dtype") => Object::DtypeType,
            _ => return None,
        })
    }

    fn call(
        &mut self,
        values: &ImageSetValues<'a>,
        callable: &Object,
        arguments: &[Id],
    ) -> Result<Returned<'a, Object>, &'static str> {
        let object = |object| Ok(Returned::New(Value::Object(object)));
        match (callable, arguments) {
            (Object::Encode | Object::ToBytes, &[text, ..]) if arguments.len() <= 2 => {
                match values.get(text) {
                    Value::Bytes { .. } | Value::Object(Object::Bytes(_)) => {
                        Ok(Returned::Existing(text))
                    }
                    Value::Text(text) => object(Object::Bytes(self.encode(text)?)),
                    _ => Err("bytes are made from something that is not text"),
                }
            }
            (Object::ToBytes, []) => object(Object::Bytes(Bytes::Inside(0..0))),
            (Object::Reconstruct, &[class, ..]) => match values.get(class) {
                Value::Object(Object::ArrayType) => object(Object::Array(None)),
                _ => Err("something that is not an array is reconstructed"),
            },
            (Object::FromBuffer, &[bytes, dtype, shape, ..]) => {
                object(Object::Array(Some(byte_array(values, shape, dtype, bytes)?)))
            }
            (Object::Scalar, &[dtype, bytes]) => match (values.get(dtype), values.get(bytes)) {
                (
                    Value::Object(Object::Dtype(Element::Bool)),
                    &Value::Bytes { bytes: [byte], .. },
                ) => Ok(Returned::New(Value::Bool(*byte != 0))),
                (
                    Value::Object(Object::Dtype(Element::Bool)),
                    Value::Object(Object::Bytes(Bytes::Owned(bytes))),
                ) if bytes.len() == 1 => Ok(Returned::New(Value::Bool(**bytes != [0]))),
                _ => Err("a NumPy scalar is not a bool"),
            },
            (Object::DtypeType, &[name, ..]) => {
                let name = match values.get(name) {
                    Value::Text(name) => name.as_bytes(),
                    Value::Bytes { bytes, .. } => bytes,
                    Value::Object(Object::Bytes(Bytes::Owned(bytes))) => bytes,
                    _ => return Err("an element type is not named by text"),
                };
                match name {
                    b"u1" | b"|u1" | b"uint8" => object(Object::Dtype(Element::Byte)),
                    b"b1" | b"|b1" | b"bool" => object(Object::Dtype(Element::Bool)),
                    _ => Err("an array holds something that is not bytes"),
                }
            }
            _ => Err("a call has the wrong arguments"),
        }
    }

    /// Sets the state of an array or an element type.
    fn set_state(
        &mut self,
        values: &ImageSetValues<'a>,
        value: Id,
        state: Id,
    ) -> Result<Option<Object>, &'static str> {
        match (values.get(value), values.get(state)) {
            // Byte order and alignment do not matter for bytes.
            (Value::Object(Object::Dtype(_)), Value::Tuple(_)) => Ok(None),
            (Value::Object(Object::Array(None)), Value::Tuple(state)) => {
                let &[_version, shape, dtype, _order, bytes] = state.as_slice() else {
                    return Err("the state of an array does not have five parts");
                };
                Ok(Some(Object::Array(Some(byte_array(values, shape, dtype, bytes)?))))
            }
            _ => Err("state is set on something that has none"),
        }
    }
}

impl ImageSetVocabulary {
    /// Bytes written as text with one character, up to U+00FF, per byte.
    fn encode(&mut self, text: &str) -> Result<Bytes, &'static str> {
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        let bytes = bytes.ok_or("bytes are made from text that is not Latin-1")?;
        // A single text read repeatedly from the memo could fill memory.
        let left = self.encodable.checked_sub(bytes.len());
        self.encodable = left.ok_or("more bytes are made from text than the file has")?;
        Ok(Bytes::Owned(Arc::new(bytes)))
    }
}

/// The bytes of a one-dimensional array of bytes.
fn byte_array(
    values: &ImageSetValues<'_>,
    shape: Id,
    dtype: Id,
    bytes: Id,
) -> Result<Bytes, &'static str> {
    let (Value::Tuple(shape), Value::Object(Object::Dtype(Element::Byte)), Some(bytes)) =
        (values.get(shape), values.get(dtype), bytes_of(values.get(bytes)))
    else {
        return Err("an array does not hold bytes");
    };
    let sizes = shape.iter().map(|&size| match values.get(size) {
        &Value::Int(size) => usize::try_from(size).ok(),
        _ => None,
    });
    let sizes: Vec<Option<usize>> = sizes.take(3).collect();
    match sizes.as_slice() {
        [Some(size)] | [Some(size), Some(1)] | [Some(1), Some(size)] if *size == bytes.len() => {
            Ok(bytes)
        }
        _ => Err("an array's shape is not that of one encoded image"),
    }
}

/// The bytes of a value, if it is bytes.
pub(super) fn bytes_of(value: &Value<'_, Object>) -> Option<Bytes> {
    match value {
        Value::Bytes { start, bytes } => Some(Bytes::Inside(*start..start + bytes.len())),
        Value::Object(Object::Bytes(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}
