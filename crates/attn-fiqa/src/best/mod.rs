//! The best faces of each person, folder or track, without near-duplicates.
//!
//! Faces are ranked by score alone: the score is what the network says about their usefulness for
//! recognition, and already accounts for size and pose. Two faces of a group are near-duplicates if
//! their [`Thumbnail`]s are similar, and only the best of them is kept.

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
