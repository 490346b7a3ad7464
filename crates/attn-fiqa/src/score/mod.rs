//! From one block's attention to one number.

mod method;
mod statistics;

pub use method::{Aggregation, Method, MethodError};
pub(crate) use statistics::{inverse_std, lower_median, maximum};
