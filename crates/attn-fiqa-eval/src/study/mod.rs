//! A whole study: data sets × recognition models × quality methods, measured and recorded so that
//! it can be repeated.
//!
//! 1. [`config`]: what is to be measured, from a TOML file.
//! 2. `cache`: cached results, by content.
//! 3. `find_faces`: faces of images that are not aligned crops; `network` and `compute`:
//!    scores and embeddings of images.
//! 4. `evaluation`: curves, areas and baselines of one set and recogniser.
//! 5. [`results`] and [`summary`]: the record of it all, and its tables.
//! 6. [`run`]: the steps in order.

pub mod config;
pub mod results;
pub mod summary;

mod cache;
mod compute;
mod dataset_run;
mod differences;
mod error;
mod evaluation;
mod examples;
mod find_faces;
mod hash;
mod inputs;
mod missing;
mod network;
mod networks;
mod record;
mod run;
mod scores;

pub use compute::Progress;
pub use config::StudyConfig;
pub use error::StudyError;
pub use record::{RESULTS_FILE, load};
pub use results::Results;
pub use run::{Event, RunOptions, run};

pub(crate) use cache::write_atomic;
