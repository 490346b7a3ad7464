//! Evaluation of face image quality scores by the protocols of the field.
//!
//! A quality score is evaluated by discarding: comparisons are sorted by quality, those of the
//! lowest quality are discarded, and the error rates of the rest are measured (error-versus-discard
//! curve, EDC).
//!
//! 1. [`files`] and [`benchmark`]: lists of pairs, qualities and embeddings, and data sets
//!    with their protocols.
//! 2. [`embeddings`] and [`comparisons`]: comparison scores of pairs of images, and the
//!    quality of a pair.
//! 3. [`decision`]: when a comparison is a match; [`rates`] and [`verification`]: error
//!    rates and accuracy with nothing discarded; [`edc`]: curves by protocol, their areas,
//!    intervals and warnings;
//!    [`rejection`]: what a quality threshold achieves, and for which groups; [`bands`]:
//!    error rates by bands of quality.
//! 4. [`degrade`] and [`validate`]: whether a score falls as a face is degraded.
//! 5. [`calibrate`]: fitting a score to utility and mapping it to 0–100.
//! 6. [`detection`]: how well faces are found.
//! 7. [`figure`]: figures, as SVG and PNG.
//! 8. [`study`] and [`report`]: whole benchmarks from one configuration file, and their
//!    page, tables and figures.
//! 9. [`overview`] and [`groups`]: the qualities of a set without comparisons, as a page and by
//!    group; [`selection`]: which of its rows are kept.

pub mod benchmark;
pub mod files;
pub mod groups;
pub mod overview;
pub mod scale_counts;
pub mod selection;

pub mod comparisons;
pub mod embeddings;

pub mod bands;
pub mod decision;
pub mod edc;
pub mod rates;
pub mod rejection;
pub mod statistics;
pub mod verification;

pub mod detection;

pub mod degrade;
pub mod validate;

pub mod calibrate;

pub mod figure;

pub mod report;
pub mod study;

mod error;
mod fraction;
mod sort_key;
mod stream;

pub use error::EvalError;
pub use fraction::{Fraction, NotAFraction};
