//! Input files: lists of pairs, qualities, embeddings, groups.
//!
//! Each error names the file and, if applicable, the line.

mod embeddings;
mod error;
mod groups;
pub(crate) mod lines;
pub(crate) mod names;
pub mod npy;
mod pairs;
mod parquet_file;
mod quality;
mod score_file;
mod table;
mod text_rows;

pub use embeddings::{EmbeddingFile, MatchedEmbeddings};
pub use error::{FileError, FileProblem};
pub use groups::GroupFile;
pub use names::{MatchedRows, Missing, first_names, stem};
pub use pairs::PairList;
pub use parquet_file::open_parquet;
pub use quality::{Failed, MatchedQualities, QualityFile, SCORE, quality_columns};
pub use score_file::{ScoreFile, ScoreRow};

pub(crate) use error::sanitized;
pub(crate) use pairs::{PairBuilder, check_classes};
