//! InsightFace's `.bin`: a pickle of `(list of encoded images, list of bool)`.
//!
//! Pair `i` consists of images `2i` and `2i + 1`. The library's [pickle machine](attn_fiqa::pickle)
//! reads it as data, with a vocabulary for these files; nothing in it is executed.

mod vocabulary;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use attn_fiqa::pickle::{self, Id, Limits, Refusal, Value};

use super::{Benchmark, BenchmarkImage, ImageSource};
use crate::comparisons::Pair;
use crate::files::lines::open;
use crate::files::{FileError, FileProblem, check_classes, sanitized};
use vocabulary::{Bytes, ImageSetValues, ImageSetVocabulary, Object, bytes_of};

/// Larger than any published `.bin` file.
const MAX_BYTES: u64 = 4 << 30;

/// An image needs about 20 instructions, and module paths are far shorter than 256 bytes.
const LIMITS: Limits = Limits { bytes: usize::MAX, instructions: 4 << 20, name: 256 };

/// Reads a `.bin` file. Images are named by their number, `00000` and so on, as in the CR-FIQA
/// extraction.
///
/// # Errors
///
/// If the file cannot be read, is not a pickle of this form, does not have exactly two images per
/// pair, or contains an image without bytes, only mated or only non-mated pairs.
pub fn insightface_bin(name: &str, path: &Path) -> Result<Benchmark, FileError> {
    let file = path.to_string_lossy();
    let reader = open(path)?;
    let length = fs::metadata(path).map_err(|error| FileError::io(path, error))?.len();
    let too_large = || {
        let (what, limit) = (".bin file of the field", MAX_BYTES);
        FileError::new(&file, FileProblem::TooLarge { what, limit, unit: "bytes" })
    };
    if length > MAX_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(length as usize);
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| FileError::io(path, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    parse_insightface_bin(name, &file, bytes)
}

/// Reads a `.bin` file from memory; `file` is its name in errors.
///
/// # Errors
///
/// As [`insightface_bin`].
pub fn parse_insightface_bin(
    name: &str,
    file: &str,
    bytes: Vec<u8>,
) -> Result<Benchmark, FileError> {
    let damaged = |what: String| FileError::new(file, FileProblem::Damaged(what));
    let (parts, labels) = {
        let mut vocabulary = ImageSetVocabulary { encodable: bytes.len() };
        let read = pickle::run(&bytes, &mut vocabulary, LIMITS);
        let (values, root) = read.map_err(|refusal| damaged(describe(refusal)))?;
        contents(&values, root).map_err(damaged)?
    };
    if parts.len() != 2 * labels.len() {
        let (what, found) = ("images", parts.len());
        let against = format!("are needed by its {} pairs", labels.len());
        let problem = FileProblem::Count { what, found, against, expected: 2 * labels.len() };
        return Err(FileError::new(file, problem));
    }
    let file_bytes = Arc::new(bytes);
    let place = |part: Bytes| match part {
        Bytes::Inside(range) => ImageSource::Packed { bytes: Arc::clone(&file_bytes), range },
        Bytes::Owned(bytes) => ImageSource::Packed { range: 0..bytes.len(), bytes },
    };
    let images = parts.into_iter().enumerate();
    let images =
        images.map(|(index, part)| BenchmarkImage::new(format!("{index:05}"), place(part)));
    let pairs: Vec<Pair> = labels
        .iter()
        .zip(0..)
        .map(|(&mated, index)| Pair { a: 2 * index, b: 2 * index + 1, mated })
        .collect();
    check_classes(file, &pairs)?;
    let (name, images) = (name.to_owned(), images.collect());
    Ok(Benchmark { name, images, templates: None, pairs, folds: None })
}

/// Why a pickle is not an image set.
fn describe(refusal: Refusal<'_>) -> String {
    match refusal {
        Refusal::ForbiddenGlobal { module, name } => format!(
            "it refers to `{}`, and this program refuses to call that: a set of images holds \
             only bytes, arrays of bytes and labels",
            sanitized(&format!("{module}.{name}"))
        ),
        Refusal::Malformed { at, what } => format!("at byte {at}: {what}"),
        Refusal::UnknownProtocol { found } => {
            format!("it is written in pickle protocol {found}; expected one of 2 to 5")
        }
        Refusal::UnknownInstruction { at, opcode } => {
            format!("at byte {at}: instruction 0x{opcode:02x} is not one that sets of images need")
        }
        Refusal::Truncated { at } => {
            format!("at byte {at}: the file ends in the middle of a value")
        }
        Refusal::TooLarge { limit, unit } => {
            format!("it has more than {limit} {unit}, more than any set of images")
        }
        _ => "it is not a supported pickle".to_owned(),
    }
}

/// The images and labels among the values of a pickle.
fn contents(values: &ImageSetValues<'_>, root: Id) -> Result<(Vec<Bytes>, Vec<bool>), String> {
    const EXPECTED: &str = "expected a pair of lists, images and labels";
    let (Value::Tuple(parts) | Value::List(parts)) = values.get(root) else {
        return Err(EXPECTED.to_owned());
    };
    let &[images, labels] = parts.as_slice() else { return Err(EXPECTED.to_owned()) };
    let list = |id| match values.get(id) {
        Value::List(items) | Value::Tuple(items) => Ok(items),
        _ => Err(EXPECTED.to_owned()),
    };
    let image = |(index, &id): (usize, &Id)| {
        let bytes = match values.get(id) {
            Value::Object(Object::Array(bytes)) => bytes.clone(),
            value => match bytes_of(value) {
                Some(bytes) => Some(bytes),
                None => {
                    return Err(format!("image {index} is neither bytes nor an array of bytes"));
                }
            },
        };
        bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| format!("image {index} has no bytes"))
    };
    let label = |(index, &id): (usize, &Id)| match values.get(id) {
        Value::Bool(mated) => Ok(*mated),
        Value::Int(0) => Ok(false),
        Value::Int(1) => Ok(true),
        _ => Err(format!("label {index} is neither True nor False")),
    };
    let images = list(images)?.iter().enumerate().map(image).collect::<Result<_, _>>()?;
    let labels = list(labels)?.iter().enumerate().map(label).collect::<Result<_, _>>()?;
    Ok((images, labels))
}
