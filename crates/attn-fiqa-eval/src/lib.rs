//! How good a quality score is, measured as the field does.
//!
//! A score is judged by what its rejections buy: comparisons are sorted by quality,
//! the worst are discarded, and the error rates of the rest are read off
//! (error-versus-discard, EDC).
//!
//! 1. [`files`] and [`benchmark`]: pairs, qualities and embeddings as the field
//!    writes them down, and whole sets with their protocols.
//! 2. [`embeddings`] and [`comparisons`]: what a recognition network made of pairs
//!    of images, and the quality of a pair.
//! 3. [`decision`]: when a comparison is a match; [`rates`] and [`verification`]: error rates and accuracy with nothing discarded;
//!    [`edc`]: curves by protocol, their areas, and how far they can be trusted;
//!    [`rejection`]: what a threshold of quality buys, and whom it hits; [`bands`]:
//!    what qualities from 0 to 100 cost in errors.
//! 4. [`degrade`] and [`validate`]: whether a score falls as a face gets worse.
//! 5. [`calibrate`]: fitting a score to utility and bringing it to 0–100.
//! 6. [`detection`]: how well faces are found.
//! 7. [`figure`]: pictures of all that, as SVG and PNG.
//! 8. [`study`] and [`report`]: whole benchmarks by one description, and the page,
//!    tables and figures that come of it.

pub mod benchmark;
pub mod files;
pub mod groups;

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
mod stream;

pub use error::EvalError;
pub use fraction::{Fraction, NotAFraction};
