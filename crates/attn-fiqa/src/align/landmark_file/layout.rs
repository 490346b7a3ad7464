//! Which field of a line means what.

use std::borrow::Cow;

use crate::align::Landmarks;

/// Number of fields in a line with a path, ten numbers and an optional confidence.
const POSITIONAL: std::ops::RangeInclusive<usize> = 11..=12;

/// Column names that a header may use for path and confidence.
const PATH_NAMES: [&str; 4] = ["path", "image", "file", "name"];
const CONFIDENCE_NAMES: [&str; 4] = ["detection_score", "confidence", "detector_score", "score"];

/// Positions of a line's path, numbers and confidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) path: usize,
    pub(super) numbers: [usize; 10],
    pub(super) confidence: Option<usize>,
    /// Accepted numbers of fields per line.
    pub(super) fields: std::ops::RangeInclusive<usize>,
    /// Whether a header gave the positions. Rows without any landmark are then images without a
    /// face.
    pub(super) named: bool,
}

impl Layout {
    /// A path, ten numbers and an optional confidence, in this order.
    pub(super) fn positional() -> Self {
        let numbers = std::array::from_fn(|index| index + 1);
        Self { path: 0, numbers, confidence: Some(11), fields: POSITIONAL, named: false }
    }

    /// Parses a header: by column names if all are known, else only by the number of columns.
    /// `None` if neither identifies the columns.
    pub(super) fn from_heading(heading: &[Cow<'_, str>]) -> Option<Self> {
        let position =
            |name: &str| heading.iter().position(|field| field.eq_ignore_ascii_case(name));
        let any = |names: &[&str]| names.iter().find_map(|name| position(name));
        let mut numbers = [0; 10];
        let mut all = true;
        for (index, number) in numbers.iter_mut().enumerate() {
            let axis = ["x", "y"][index % 2];
            let long = format!("{}_{axis}", Landmarks::NAMES[index / 2]);
            let short = format!("l{axis}{}", index / 2 + 1);
            match position(&long).or_else(|| position(&short)) {
                Some(column) => *number = column,
                None => all = false,
            }
        }
        if let (true, Some(path)) = (all, any(&PATH_NAMES)) {
            let fields = heading.len()..=heading.len();
            return Some(Self {
                path,
                numbers,
                confidence: any(&CONFIDENCE_NAMES),
                fields,
                named: true,
            });
        }
        POSITIONAL.contains(&heading.len()).then(Self::positional)
    }
}
