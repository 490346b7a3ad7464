//! How good a quality score is, measured as the field does.
//!
//! A score is judged by what its rejections buy: comparisons are sorted by quality,
//! the worst are discarded, and the error rates of the rest are read off
//! (error-versus-discard, EDC).

pub mod degrade;
pub mod statistics;
pub mod validate;
