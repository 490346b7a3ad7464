//! The contents of a map run's log for an image, one section after the other.

use std::ffi::OsStr;
use std::io::Write;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Context;

use crate::journal::RunLog;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// A row of the manifest.
    Row = 0,
    /// A scored image.
    Image = 1,
    /// A photo.
    Photo = 2,
    /// A face in the previous photo.
    Face = 3,
}

/// Length of a section header: its kind, and its length in four bytes.
const HEAD: u64 = 5;

/// Writes a section, and returns the position of its contents.
pub(super) fn write_section(
    log: &mut RunLog,
    section: Section,
    bytes: &[u8],
) -> anyhow::Result<u64> {
    let at = log.position() + HEAD;
    log.write_all(&[section as u8])?;
    log.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
    log.write_all(bytes)?;
    Ok(at)
}

/// Calls `each` for every section of an image, given the image's `bytes` and their position
/// `start`, with the position of the section's contents.
pub(super) fn for_each_section(
    start: u64,
    bytes: &[u8],
    mut each: impl FnMut(Section, u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let next = reader.array().map(|[kind]| kind).and_then(|kind| {
            let known = [Section::Row, Section::Image, Section::Photo, Section::Face];
            known.into_iter().find(|section| *section as u8 == kind)
        });
        let next = next.and_then(|section| {
            let at = start + (bytes.len() - reader.0.len()) as u64 + HEAD - 1;
            Some((section, at, reader.bytes()?))
        });
        let (section, at, own) = next.context("a log that cannot be read back: this is a bug")?;
        each(section, at, own)?;
    }
    Ok(())
}

/// Reads values from the front of a byte slice.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Bytes prefixed by their length.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// A path as its encoded bytes.
    pub(super) fn path(&mut self) -> Option<PathBuf> {
        let bytes = self.bytes()?;
        #[cfg(unix)]
        let path = OsStr::from_bytes(bytes);
        #[cfg(not(unix))]
        let path = OsStr::new(std::str::from_utf8(bytes).ok()?);
        Some(PathBuf::from(path))
    }

    pub(super) fn number(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    pub(super) fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).ok()
    }
}
