//! From one block's attention to one number.

mod agreement;
mod band;
mod method;
mod quality_map;
mod stability;
mod statistics;

pub(crate) use agreement::agreement;
pub use band::Band;
pub use method::{Aggregation, Method, MethodError};
pub use quality_map::{FAILURE_TO_COMPUTE, QualityMap, QualityMapError};
pub(crate) use stability::stability_of_patches;
pub(crate) use statistics::{inverse_std, lower_median, maximum};
