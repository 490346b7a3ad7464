//! The central directory of a zip file: the location of each entry's bytes.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::error::CheckpointProblem;
use crate::sanitize::sanitized_name;

/// An entry of the central directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Why its bytes cannot be used in place.
    pub(super) unusable: Option<&'static str>,
    header_start: usize,
    /// Offset of its bytes in the file.
    pub(super) start: usize,
    pub(super) len: usize,
}

/// Every entry by name; none overlap.
pub(super) fn entries(file: &[u8]) -> Result<HashMap<String, Entry>, CheckpointProblem> {
    let unreadable = |error: zip::result::ZipError| CheckpointProblem::Zip {
        detail: sanitized_name(&error.to_string()),
    };
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(file)).map_err(unreadable)?;
    let directory_start =
        usize::try_from(archive.central_directory_start()).unwrap_or(file.len()).min(file.len());
    if archive.has_duplicate_names() {
        let directory = file.get(directory_start..).unwrap_or_default();
        return Err(CheckpointProblem::DuplicateName {
            name: duplicate_name(directory).unwrap_or_default(),
        });
    }

    let mut entries = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(unreadable)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let range = entry
            .data_start()
            .and_then(|start| usize::try_from(start).ok())
            .zip(usize::try_from(entry.compressed_size()).ok())
            .zip(usize::try_from(entry.header_start()).ok());
        let Some(((start, len), header_start)) = range else {
            return Err(entry_problem(&name, "does not lie within the file"));
        };
        if start.checked_add(len).is_none_or(|end| end > directory_start) {
            return Err(entry_problem(&name, "does not lie within the file"));
        }
        let unusable = if entry.encrypted() {
            Some("is encrypted; save the checkpoint without a password")
        } else if entry.compression() != CompressionMethod::Stored {
            Some(
                "is compressed; torch.save stores entries uncompressed, so this file was repacked: \
                 give the original, or load it and save it again",
            )
        } else if entry.size() != entry.compressed_size() {
            Some("is stored with two different sizes; the file is damaged")
        } else {
            None
        };
        let placed = Entry { unusable, header_start, start, len };
        // Two different names may become equal if their bytes are not UTF-8.
        if entries.insert(name.clone(), placed).is_some() {
            return Err(CheckpointProblem::DuplicateName { name: sanitized_name(&name) });
        }
    }
    check_disjoint(&entries)?;
    Ok(entries)
}

/// The first name that occurs twice. The directory reader reports that there is one, but keeps only
/// one entry per name.
fn duplicate_name(mut directory: &[u8]) -> Option<String> {
    /// Length of an entry before its name, and the offsets of the lengths of its name, extra field
    /// and comment (APPNOTE.TXT 4.3.12).
    const FIXED: usize = 46;
    const LENGTHS: [usize; 3] = [28, 30, 32];

    let mut seen = HashSet::new();
    loop {
        let mut lengths = [0_usize; LENGTHS.len()];
        for (length, at) in lengths.iter_mut().zip(LENGTHS) {
            let bytes = directory.get(at..)?.first_chunk::<2>()?;
            *length = u16::from_le_bytes(*bytes).into();
        }
        let [name_len, extra_len, comment_len] = lengths;
        let name = directory.get(FIXED..FIXED + name_len)?;
        if !seen.insert(name) {
            return Some(sanitized_name(&String::from_utf8_lossy(name)));
        }
        directory = directory.get(FIXED + name_len + extra_len + comment_len..)?;
    }
}

fn check_disjoint(entries: &HashMap<String, Entry>) -> Result<(), CheckpointProblem> {
    let mut ordered: Vec<(&String, &Entry)> = entries.iter().collect();
    ordered.sort_by_key(|(_, entry)| (entry.header_start, entry.start));
    for pair in ordered.windows(2) {
        if let [(_, before), (name, after)] = pair
            && after.header_start < before.start + before.len
        {
            return Err(entry_problem(name, "overlaps another entry; the file is damaged"));
        }
    }
    Ok(())
}

/// The bytes of an entry, if they are stored without compression.
pub(super) fn usable<'a>(
    file: &'a [u8],
    name: &str,
    entry: &Entry,
) -> Result<&'a [u8], CheckpointProblem> {
    if let Some(reason) = entry.unusable {
        return Err(entry_problem(name, reason));
    }
    file.get(entry.start..entry.start.saturating_add(entry.len))
        .ok_or_else(|| entry_problem(name, "does not lie within the file"))
}

pub(super) fn entry_problem(name: &str, reason: &str) -> CheckpointProblem {
    CheckpointProblem::ZipEntry { entry: sanitized_name(name), reason: reason.to_owned() }
}
