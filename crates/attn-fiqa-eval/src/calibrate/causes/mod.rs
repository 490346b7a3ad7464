//! The readout of causes: which degradations a mean token shows, and what they cost.

mod evaluate;
mod fit;
mod isotonic;
mod regression;
mod samples;

pub use evaluate::{CauseAgreement, CauseEvaluation, Hits, evaluate_causes};
pub use fit::{CauseFit, fit_causes};
pub use samples::{Applied, CauseSample, CauseSamples, cause_samples};
