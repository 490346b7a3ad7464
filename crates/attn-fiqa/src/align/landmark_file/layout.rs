//! Which field of a line is what.

use std::borrow::Cow;

use crate::align::Landmarks;

/// Fields of a line that has no more than a path, ten numbers and a confidence.
const POSITIONAL: std::ops::RangeInclusive<usize> = 11..=12;

/// The names that a heading may give to a path and to a confidence.
const PATH_NAMES: [&str; 4] = ["path", "image", "file", "name"];
const CONFIDENCE_NAMES: [&str; 4] = ["detection_score", "confidence", "detector_score", "score"];

/// Where a line's path, numbers and confidence stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) path: usize,
    pub(super) numbers: [usize; 10],
    pub(super) confidence: Option<usize>,
    /// How many fields a line has; any of these.
    pub(super) fields: std::ops::RangeInclusive<usize>,
    /// Whether a heading gave the places. Rows without any landmark are then
    /// images without a face.
    pub(super) named: bool,
}

impl Layout {
    /// A path, ten numbers and perhaps a confidence, in this order.
    pub(super) fn positional() -> Self {
        let numbers = std::array::from_fn(|index| index + 1);
        Self { path: 0, numbers, confidence: Some(11), fields: POSITIONAL, named: false }
    }

    /// Reads a heading: by its names where they are all known, else only by
    /// its number of columns. `None` where neither says what the columns are.
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
