//! What can be wrong with a set of comparisons before anything is measured.

use crate::fraction::Fraction;

/// A set of comparisons or qualities that cannot be measured, and why.
///
/// Positions count from 0, in the order in which the values were given. What is
/// wrong with a file is a [`FileError`](crate::files::FileError).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// There is nothing to measure.
    #[error("there is no {what}")]
    Empty {
        /// What is missing, in the singular.
        what: &'static str,
    },
    /// Two lists that belong together differ in length.
    #[error("{found} {what}, but {expected} {against}; each needs exactly one")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// What they belong to.
        against: &'static str,
        /// How many of those there are.
        expected: usize,
    },
    /// All comparisons are of one kind, so one of the two error rates has no meaning.
    #[error(
        "all {count} comparisons are {kind}; error rates need mated and non-mated comparisons, so \
         check the labels (1 is mated, 0 is non-mated)"
    )]
    OneClass {
        /// `mated` or `non-mated`.
        kind: &'static str,
        /// How many there are.
        count: usize,
    },
    /// A number is infinite or not a number.
    #[error("{what} {index} is {value}; expected a finite number")]
    NotFinite {
        /// What the number is.
        what: &'static str,
        /// Its position.
        index: usize,
        /// The number.
        value: f64,
    },
    /// A quality is not a number.
    #[error(
        "the quality of {what} {index} is not a number; give images without a quality the lowest \
         one, or leave their comparisons out"
    )]
    NoQuality {
        /// `comparison` or `image`.
        what: &'static str,
        /// Its position.
        index: usize,
    },
    /// A value called a cosine is none.
    #[error(
        "score {index} is {value}, which is not a cosine; expected −1 to 1, or another scale: \
         similarities or distances"
    )]
    NoCosine {
        /// Position of the comparison.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A threshold grid for cosines was asked for other scores.
    #[error("InsightFace's thresholds need cosines; use exact thresholds for other scores")]
    NeedsCosines,
    /// An embedding of length zero has no direction.
    #[error("embedding {index} is zero and has no direction; the network or the file is damaged")]
    ZeroEmbedding {
        /// Its position.
        index: usize,
    },
    /// A pair refers to an image that is not there.
    #[error("pair {index} refers to image {image}, but there are {images} images")]
    NoSuchImage {
        /// Position of the pair.
        index: usize,
        /// Index of the image.
        image: u32,
        /// How many images there are.
        images: usize,
    },
    /// A rate, fraction or level is not between its bounds.
    #[error("{what} is {value}; expected {expected}")]
    OutOfRange {
        /// What the value is.
        what: &'static str,
        /// The value.
        value: f64,
        /// What would be valid.
        expected: &'static str,
    },
    /// A protocol was asked for a target that it does not support.
    #[error("the protocol {protocol} needs {expected} as its target, not {found}")]
    Target {
        /// Name of the protocol.
        protocol: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// More comparisons than can be counted.
    #[error("{count} comparisons are more than the limit of {limit}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

/// That two lists which belong together are of one length.
pub(crate) fn check_count(
    (what, found): (&'static str, usize),
    (against, expected): (&'static str, usize),
) -> Result<(), EvalError> {
    match found == expected {
        true => Ok(()),
        false => Err(EvalError::Count { what, found, against, expected }),
    }
}

/// That a rate lies in `[0, 1]`.
pub(crate) fn check_rate(what: &'static str, value: f64) -> Result<(), EvalError> {
    let expected = "a fraction from 0 to 1";
    Fraction::new(value).map(drop).ok_or(EvalError::OutOfRange { what, value, expected })
}
