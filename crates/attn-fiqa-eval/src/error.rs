//! Errors in a set of comparisons that are found before anything is measured.

use crate::fraction::Fraction;

/// A set of comparisons or qualities that cannot be measured, and why.
///
/// Positions count from 0, in the order in which the values were given. Errors in files are
/// [`FileError`](crate::files::FileError)s.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// There is nothing to measure.
    #[error("there is no {what}")]
    Empty {
        /// What is missing, in the singular.
        what: &'static str,
    },
    /// Two lists that must have the same length differ.
    #[error("{found} {what}, but {expected} {against}; each needs exactly one")]
    Count {
        /// What the first list contains.
        what: &'static str,
        /// Its length.
        found: usize,
        /// What the second list contains.
        against: &'static str,
        /// Its length.
        expected: usize,
    },
    /// All comparisons are of one kind, so one of the two error rates is undefined.
    #[error(
        "all {count} comparisons are {kind}; error rates need mated and non-mated comparisons, so \
         check the labels (1 is mated, 0 is non-mated)"
    )]
    OneClass {
        /// `mated` or `non-mated`.
        kind: &'static str,
        /// Their number.
        count: usize,
    },
    /// A value is infinite or NaN.
    #[error("{what} {index} is {value}; expected a finite number")]
    NotFinite {
        /// What the value is.
        what: &'static str,
        /// Its position.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A quality is NaN.
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
    /// A value declared as a cosine is not one.
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
    /// A threshold grid for cosines was requested for other scores.
    #[error("InsightFace's thresholds need cosines; use exact thresholds for other scores")]
    NeedsCosines,
    /// A zero embedding has no direction.
    #[error("embedding {index} is zero and has no direction; the network or the file is damaged")]
    ZeroEmbedding {
        /// Its position.
        index: usize,
    },
    /// A pair refers to an image that does not exist.
    #[error("pair {index} refers to image {image}, but there are {images} images")]
    NoSuchImage {
        /// Position of the pair.
        index: usize,
        /// Index of the image.
        image: u32,
        /// Number of images.
        images: usize,
    },
    /// A rate, fraction or level is out of range.
    #[error("{what} is {value}; expected {expected}")]
    OutOfRange {
        /// What the value is.
        what: &'static str,
        /// The value.
        value: f64,
        /// The valid range.
        expected: &'static str,
    },
    /// A protocol does not support the requested target.
    #[error("the protocol {protocol} needs {expected} as its target, not {found}")]
    Target {
        /// Name of the protocol.
        protocol: &'static str,
        /// The supported targets.
        expected: &'static str,
        /// The given target.
        found: String,
    },
    /// There are too many comparisons.
    #[error("{count} comparisons are more than the limit of {limit}")]
    TooMany {
        /// Their number.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

/// Checks that two lists have the same length.
pub(crate) fn check_count(
    (what, found): (&'static str, usize),
    (against, expected): (&'static str, usize),
) -> Result<(), EvalError> {
    match found == expected {
        true => Ok(()),
        false => Err(EvalError::Count { what, found, against, expected }),
    }
}

/// Checks that a rate is in `[0, 1]`.
pub(crate) fn check_rate(what: &'static str, value: f64) -> Result<(), EvalError> {
    let expected = "a fraction from 0 to 1";
    Fraction::new(value).map(drop).ok_or(EvalError::OutOfRange { what, value, expected })
}
