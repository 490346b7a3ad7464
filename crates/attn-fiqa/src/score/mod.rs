//! From one block's attention to one number.

mod method;
mod quality_map;
mod statistics;

pub use method::{Aggregation, Method, MethodError};
pub use quality_map::{FAILURE_TO_COMPUTE, QualityMap, QualityMapError};
pub(crate) use statistics::{inverse_std, lower_median, maximum};
