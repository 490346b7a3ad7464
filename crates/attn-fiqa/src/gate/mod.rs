//! The gate: whether a face image is accepted, and if not, why and what to do.
//!
//! A [`Policy`] is a list of rules, each with the range that a [`Subject`] must lie in: the
//! quality, the number of faces, their size and pose, a component measure, a cause. Applied to the
//! [`Evidence`] of a face, it gives a [`Verdict`]: accept, retake or reject, with the reasons, most
//! costly first, and advice for each.
//!
//! Policies are written in TOML ([`Policy::from_toml`]); three are built in ([`Policy::builtin`]).

mod evidence;
mod policy;
mod subject;
mod verdict;

pub use evidence::Evidence;
pub use policy::{Policy, PolicyError, Rule};
pub use subject::Subject;
pub use verdict::{Decision, Limit, Reason, Verdict};

#[cfg(test)]
mod tests;
