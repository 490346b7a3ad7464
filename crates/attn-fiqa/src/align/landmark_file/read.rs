//! Parses the lines of a landmark file into faces by path.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufRead, Read};

use super::error::LandmarkFileError;
use super::fields::Separator;
use super::layout::Layout;
use super::lookup::{Tally, file_name, normalised_path, stem};
use super::{LandmarkFile, LandmarkFileLimits, ListedFace};
use crate::align::Landmarks;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Number of characters of a line that an error quotes.
const MAX_QUOTED_CHARS: usize = 60;

const EXPECTED: &str = "a path and ten numbers (x and y of left eye, right eye, nose, left and \
                        right mouth corner), optionally with a confidence";

/// What is wrong with one line.
struct LineError {
    expected: String,
    found: String,
}

fn wrong(expected: impl Into<String>, found: impl Into<String>) -> LineError {
    LineError { expected: expected.into(), found: found.into() }
}

impl LandmarkFile {
    /// Reads from any reader; `shown` is the file's name in errors.
    ///
    /// # Errors
    ///
    /// As [`LandmarkFile::open`].
    pub fn read(
        mut from: impl BufRead,
        shown: &str,
        limits: &LandmarkFileLimits,
    ) -> Result<Self, LandmarkFileError> {
        let mut listed: Vec<(String, Vec<ListedFace>)> = Vec::new();
        let mut by_path: HashMap<String, usize> = HashMap::new();
        let mut layout: Option<Layout> = None;
        let mut faces = 0;
        let mut line = 0;
        loop {
            line += 1;
            let at_line = |LineError { expected, found }: LineError| LandmarkFileError::Line {
                file: shown.to_owned(),
                line,
                expected,
                found,
            };
            let mut bytes = Vec::new();
            // Two more than the limit, for the line ending.
            let limit = limits.max_line as u64 + 2;
            let count = (&mut from).take(limit).read_until(b'\n', &mut bytes);
            let count = count.map_err(|source| LandmarkFileError::Unreadable {
                file: shown.to_owned(),
                source,
            })?;
            if count == 0 {
                break;
            }
            let text = text_of(&bytes, limits.max_line, line == 1).map_err(at_line)?;
            if text.trim().is_empty() {
                continue;
            }
            let Some((path, face)) = read_line(text, line, &mut layout).map_err(at_line)? else {
                continue;
            };
            let path = normalised_path(&path);
            let index = *by_path.entry(path).or_insert_with_key(|path| {
                listed.push((path.clone(), Vec::new()));
                listed.len() - 1
            });
            if let Some(face) = face {
                faces += 1;
                if faces > limits.max_faces {
                    let most = limits.max_faces;
                    return Err(at_line(wrong(format!("at most {most} faces"), "one more")));
                }
                listed[index].1.push(face);
            }
        }
        if listed.is_empty() {
            return Err(LandmarkFileError::Empty { file: shown.to_owned() });
        }
        let index_by = |key: fn(&str) -> &str| {
            let mut index: HashMap<String, Vec<u32>> = HashMap::new();
            for (at, (path, _)) in listed.iter().enumerate() {
                index.entry(key(path).to_owned()).or_default().push(at as u32);
            }
            index
        };
        let (by_name, by_stem) = (index_by(file_name), index_by(stem));
        let tally = Tally::new(listed.len());
        Ok(Self { listed, by_name, by_stem, tally })
    }
}

/// The line's text, without its ending.
fn text_of(bytes: &[u8], max_line: usize, first: bool) -> Result<&str, LineError> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > max_line {
        return Err(wrong(format!("a line of at most {max_line} bytes"), "a longer one"));
    }
    let text =
        std::str::from_utf8(text).map_err(|_| wrong(EXPECTED, "bytes that are not UTF-8 text"))?;
    Ok(if first { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text })
}

/// A path and its face; `None` for an image without one.
type PathAndFace = (String, Option<ListedFace>);

/// The first line determines the layout.
fn read_line(
    text: &str,
    line: u64,
    layout: &mut Option<Layout>,
) -> Result<Option<PathAndFace>, LineError> {
    let separator = Separator::of(text);
    let fields = separator
        .split(text)
        .ok_or_else(|| wrong("quotes around whole fields", format!("'{}'", beginning(text))))?;
    let layout = match layout {
        Some(layout) => layout,
        None => {
            let is_number = |field: &Cow<'_, str>| field.parse::<f64>().is_ok();
            if fields.len() > 1 && !fields[1..].iter().any(is_number) {
                let names = || {
                    wrong(
                        "a heading of 11 or 12 columns, or one that names path and lx1, ly1 … ly5 or \
                         left_eye_x, left_eye_y … right_mouth_y",
                        format!("{} columns in '{}'", fields.len(), beginning(text)),
                    )
                };
                *layout = Some(Layout::from_heading(&fields).ok_or_else(names)?);
                return Ok(None);
            }
            layout.insert(Layout::positional())
        }
    };
    if !layout.fields.contains(&fields.len()) {
        return Err(wrong_count(layout, separator, fields.len(), text));
    }
    let path = fields[layout.path].as_ref();
    if path.is_empty() {
        return Err(wrong(EXPECTED, "an empty path"));
    }
    if layout.named && layout.numbers.iter().all(|&column| fields[column].is_empty()) {
        return Ok(Some((path.to_owned(), None)));
    }
    let mut points = [[0.0; 2]; 5];
    for (index, &column) in layout.numbers.iter().enumerate() {
        let name = Landmarks::NAMES[index / 2];
        let axis = ["x", "y"][index % 2];
        points[index / 2][index % 2] = number(&fields[column], &format!("{name}'s {axis}"))?;
    }
    let confidence = layout.confidence.and_then(|column| fields.get(column));
    let confidence = match confidence {
        Some(field) if !field.is_empty() => Some(number(field, "the confidence")?),
        _ => None,
    };
    let face = ListedFace { landmarks: Landmarks(points), confidence, line };
    Ok(Some((path.to_owned(), Some(face))))
}

fn number(field: &str, what: &str) -> Result<f32, LineError> {
    let value: Option<f32> = field.parse().ok();
    value.filter(|value| value.is_finite()).ok_or_else(|| {
        wrong(format!("a finite number for {what}"), format!("'{}'", beginning(field)))
    })
}

fn wrong_count(layout: &Layout, separator: Separator, count: usize, text: &str) -> LineError {
    let expected = match (layout.named, separator) {
        (true, _) => format!("{} fields, as in the heading", layout.fields.end()),
        (false, Separator::Spaces) if count > *layout.fields.end() => {
            format!("{EXPECTED}; a path with spaces must be in quotes or end at a comma or tab")
        }
        (false, _) => EXPECTED.to_owned(),
    };
    wrong(expected, format!("{count} fields in '{}'", beginning(text)))
}

/// The beginning of a text, enough to recognise it.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
