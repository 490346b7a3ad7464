//! What makes a run that was killed continue: its rows so far, and a journal beside them.
//!
//! While a run writes `FILE`, its rows are in `FILE.part` and its [`log::RunLog`] notes in
//! `FILE.journal`, image by image, how many bytes they are and their checksum. The journal starts
//! with a [`fingerprint::Fingerprint`] of everything that rows depend on. A run that is started
//! again with the same command keeps the longest part of the rows that the journal vouches for,
//! passes over as many [`images`] of its inputs, whose names must be the same, and goes on.
//!
//! An image's rows are written first and its line in the journal after them, each with one system
//! call: at whatever moment a run is killed, every image with a line has all its rows.

mod fingerprint;
mod images;
mod line;
mod log;
mod shard;

pub(crate) use fingerprint::Fingerprint;
pub(crate) use images::{Admit, Found, ImageName, Images, Names};
pub(crate) use line::{DoneImage, Line};
pub(crate) use log::{JournalReader, Place, RunLog};
pub(crate) use shard::Shard;
