//! Lets a killed run continue: its rows so far, with a journal next to them.
//!
//! While a run writes `FILE`, its rows are in `FILE.part`, and its [`log::RunLog`] records their
//! length and checksum, image by image, in `FILE.journal`. The journal starts with a
//! [`fingerprint::Fingerprint`] of everything that the rows depend on. When the same command is
//! started again, it keeps the longest part of the rows that the journal vouches for, skips the
//! same number of [`images`] in its inputs, whose names must be unchanged, and goes on.
//!
//! An image's rows are written first and its journal line after them, each with one system call:
//! whenever a run is killed, every image with a line has all its rows.
//!
//! If rows refer to files, such as crops, the journal records when these reached the disk: after a
//! loss of power, later images are processed again ([`files`], [`whole`]).

mod files;
mod fingerprint;
mod images;
mod line;
mod log;
mod paths;
mod reader;
mod recovery;
mod shard;

pub(crate) use files::{RunFiles, sync_folder};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use images::{Admit, Found, ImageName, Images, Names};
pub(crate) use line::{DoneImage, Line};
pub(crate) use log::{Done, RunLog};
pub(crate) use paths::RunPaths;
pub(crate) use reader::JournalReader;
pub(crate) use shard::Shard;

use std::fs::File;
use std::path::Path;

/// Reads a journal alone, and together with its rows; returns how many bytes of both can be
/// trusted.
pub(crate) fn read(journal: &Path, rows: &Path) -> anyhow::Result<[u64; 2]> {
    let (_, mut reader) = JournalReader::open(journal)?;
    while let Ok(Some(_)) = reader.next_line() {}
    let whole =
        recovery::RecoverableRun::find(&mut File::open(journal)?, &mut File::open(rows)?, None)?;
    Ok([whole.journal_end, whole.data_end])
}
