//! The cells of a row as owned values, and their encoding while a table is incomplete.

use attn_fiqa::causes::FoundCause;

use super::Cell;

/// One owned cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OwnedCell {
    Text(String),
    Whole(Option<i64>),
    Number(Option<f32>),
    List(Option<Vec<f32>>),
    Word(Option<String>),
    Words(Option<Vec<String>>),
    Causes(Option<Vec<OwnedCause>>),
}

/// A cause, identified by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OwnedCause {
    pub(crate) name: String,
    pub(crate) strength: f32,
    pub(crate) gain: f32,
}

impl From<&FoundCause> for OwnedCause {
    fn from(found: &FoundCause) -> Self {
        let name = found.cause.name().to_owned();
        Self { name, strength: found.strength, gain: found.gain }
    }
}

impl From<Cell<'_>> for OwnedCell {
    fn from(cell: Cell<'_>) -> Self {
        let owned = |words: &[&'static str]| words.iter().map(|&word| word.to_owned()).collect();
        match cell {
            Cell::Text(text) => Self::Text(text.to_owned()),
            Cell::Whole(number) => Self::Whole(number),
            Cell::Number(number) => Self::Number(number),
            Cell::List(list) => Self::List(list.map(<[f32]>::to_vec)),
            Cell::Word(word) => Self::Word(word.map(str::to_owned)),
            Cell::Words(words) => Self::Words(words.map(owned)),
            Cell::Causes(causes) => {
                Self::Causes(causes.map(|causes| causes.iter().map(OwnedCause::from).collect()))
            }
        }
    }
}

/// Appends an encoded row: for each cell its kind, whether it has a value, and the value, with
/// numbers in little-endian order and texts prefixed by their length.
pub(crate) fn encode(cells: &[OwnedCell], to: &mut Vec<u8>) {
    put_length(to, cells.len());
    for cell in cells {
        let kind = match cell {
            OwnedCell::Text(_) => 0,
            OwnedCell::Whole(_) => 1,
            OwnedCell::Number(_) => 2,
            OwnedCell::List(_) => 3,
            OwnedCell::Word(_) => 4,
            OwnedCell::Words(_) => 5,
            OwnedCell::Causes(_) => 6,
        };
        to.push(kind);
        match cell {
            OwnedCell::Text(text) => put_text(to, text),
            OwnedCell::Whole(number) => put_option(to, number.as_ref(), |to, number| {
                to.extend(number.to_le_bytes());
            }),
            OwnedCell::Number(number) => put_option(to, number.as_ref(), |to, number| {
                to.extend(number.to_le_bytes());
            }),
            OwnedCell::List(list) => put_option(to, list.as_ref(), |to, list| {
                put_length(to, list.len());
                list.iter().for_each(|number| to.extend(number.to_le_bytes()));
            }),
            OwnedCell::Word(word) => put_option(to, word.as_ref(), |to, word| put_text(to, word)),
            OwnedCell::Words(words) => put_option(to, words.as_ref(), |to, words| {
                put_length(to, words.len());
                words.iter().for_each(|word| put_text(to, word));
            }),
            OwnedCell::Causes(causes) => put_option(to, causes.as_ref(), |to, causes| {
                put_length(to, causes.len());
                for cause in causes {
                    put_text(to, &cause.name);
                    to.extend(cause.strength.to_le_bytes());
                    to.extend(cause.gain.to_le_bytes());
                }
            }),
        }
    }
}

fn put_length(to: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("a cell of less than 4 GB: this is a bug");
    to.extend(length.to_le_bytes());
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    put_length(to, text.len());
    to.extend(text.as_bytes());
}

fn put_option<T>(to: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    to.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(to, value);
    }
}

/// Decodes the next row from the front of `bytes`; `None` if they do not hold a row.
pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Vec<OwnedCell>> {
    let count = take_length(bytes)?;
    (0..count).map(|_| decode_cell(bytes)).collect()
}

fn decode_cell(bytes: &mut &[u8]) -> Option<OwnedCell> {
    Some(match take(bytes, 1)?[0] {
        0 => OwnedCell::Text(take_text(bytes)?),
        1 => OwnedCell::Whole(take_option(bytes, |bytes| {
            Some(i64::from_le_bytes(take(bytes, 8)?.try_into().ok()?))
        })?),
        2 => OwnedCell::Number(take_option(bytes, take_number)?),
        3 => OwnedCell::List(take_option(bytes, |bytes| take_list(bytes, take_number))?),
        4 => OwnedCell::Word(take_option(bytes, take_text)?),
        5 => OwnedCell::Words(take_option(bytes, |bytes| take_list(bytes, take_text))?),
        6 => OwnedCell::Causes(take_option(bytes, |bytes| {
            take_list(bytes, |bytes| {
                let name = take_text(bytes)?;
                Some(OwnedCause { name, strength: take_number(bytes)?, gain: take_number(bytes)? })
            })
        })?),
        _ => return None,
    })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?) as usize;
    // Every counted item takes at least one byte.
    (length <= bytes.len()).then_some(length)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = take_length(bytes)?;
    String::from_utf8(take(bytes, length)?.to_vec()).ok()
}

fn take_number(bytes: &mut &[u8]) -> Option<f32> {
    Some(f32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn take_list<T>(
    bytes: &mut &[u8],
    mut item: impl FnMut(&mut &[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let count = take_length(bytes)?;
    (0..count).map(|_| item(bytes)).collect()
}

/// The outer `None` means that the bytes do not hold such a value.
fn take_option<T>(
    bytes: &mut &[u8],
    value: impl FnOnce(&mut &[u8]) -> Option<T>,
) -> Option<Option<T>> {
    match take(bytes, 1)?[0] {
        0 => Some(None),
        1 => value(bytes).map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Vec<OwnedCell> {
        let cause = OwnedCause { name: "blur".to_owned(), strength: 0.5, gain: f32::MIN_POSITIVE };
        vec![
            OwnedCell::Text("a,\"b\"\nc.jpg".to_owned()),
            OwnedCell::Whole(Some(-1)),
            OwnedCell::Whole(None),
            OwnedCell::Number(Some(1.0e-40)),
            OwnedCell::List(Some(vec![f32::INFINITY, -0.0])),
            OwnedCell::List(Some(Vec::new())),
            OwnedCell::List(None),
            OwnedCell::Word(Some("é".to_owned())),
            OwnedCell::Words(Some(vec!["nose".to_owned(), String::new()])),
            OwnedCell::Causes(Some(vec![cause.clone(), cause])),
            OwnedCell::Causes(None),
        ]
    }

    #[test]
    fn encoded_rows_round_trip() {
        let mut bytes = Vec::new();
        encode(&row(), &mut bytes);
        encode(&row()[..2], &mut bytes);
        let mut left = &bytes[..];
        assert_eq!(decode(&mut left), Some(row()));
        assert_eq!(decode(&mut left).as_deref(), Some(&row()[..2]));
        assert!(left.is_empty());
    }

    #[test]
    fn truncation_is_detected_and_corruption_never_panics() {
        let mut bytes = Vec::new();
        encode(&row(), &mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(decode(&mut &bytes[..end]), None, "{end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let _ = decode(&mut &bytes[..]);
                bytes[at] ^= 1 << bit;
            }
        }
    }
}
