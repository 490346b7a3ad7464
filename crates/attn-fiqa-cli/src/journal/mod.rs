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
//!
//! Where rows speak of files, such as crops, the journal says when these reached the disk: after a
//! loss of power the images since are made again ([`files`], [`whole`]).

mod files;
mod fingerprint;
mod images;
mod line;
mod log;
mod place;
mod reader;
mod shard;
mod whole;

pub(crate) use files::{RunFiles, sync_folder};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use images::{Admit, Found, ImageName, Images, Names};
pub(crate) use line::{DoneImage, Line};
pub(crate) use log::{Done, RunLog};
pub(crate) use place::Place;
pub(crate) use reader::JournalReader;
pub(crate) use shard::Shard;

use std::fs::File;
use std::path::Path;

/// Reads a journal alone, and with its rows; how many bytes of both can be believed.
pub(crate) fn read(journal: &Path, rows: &Path) -> anyhow::Result<[u64; 2]> {
    let (_, mut reader) = JournalReader::open(journal)?;
    while let Ok(Some(_)) = reader.next_line() {}
    let whole = whole::Whole::find(&mut File::open(journal)?, &mut File::open(rows)?, None)?;
    Ok([whole.journal_end, whole.data_end])
}
