//! The best faces of each person, folder or track, without near-duplicates.
//!
//! Faces are ranked by their score alone: it is what the network says of their
//! use for recognition, and size and pose are in it already. Two faces of a
//! group are near-duplicates if their [`Thumbnail`]s are alike, and of those
//! only the best is taken.

mod identity;
mod select;
mod thumbnail;

pub use identity::{DEFAULT_SAME_IDENTITY, group_by_identity};
pub use select::{Candidate, Pick, SelectOptions, select};
pub use thumbnail::{DEFAULT_SAME_IMAGE, Thumbnail};

use std::cmp::Ordering;

/// The higher score first, then the larger face, then the earlier one.
fn best_first(a: (f32, f32, usize), b: (f32, f32, usize)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2))
}
