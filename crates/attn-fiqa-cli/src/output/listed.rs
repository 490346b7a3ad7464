//! What the manifest of earlier runs lists.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;
use attn_fiqa::status::Status;

use super::{BeforeRun, MANIFEST, name_hash};

/// The images of earlier runs into a folder whose rows stay, as hashes of their paths.
pub(crate) struct ListedImages(HashSet<u64>);

impl ListedImages {
    /// Those with a file in this column of the folder's manifest; none unless existing files are
    /// kept.
    pub(crate) fn read(folder: &Path, file: &str, before: BeforeRun) -> anyhow::Result<Self> {
        let mut listed = HashSet::new();
        if before.is_skipping() {
            for_each_listed(&folder.join(MANIFEST), ["path", file], |path, file| {
                if !file.is_empty() {
                    listed.insert(name_hash(path));
                }
            })?;
        }
        Ok(Self(listed))
    }

    /// Another image may have the same name inside its input.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains(&name_hash(path.as_bytes()))
    }
}

/// Calls `each` with the cells of two columns, in rows of a CSV manifest whose status is ok. Without
/// a manifest there are no rows.
///
/// # Errors
///
/// If the manifest cannot be read or has other columns.
pub(crate) fn for_each_listed(
    manifest: &Path,
    columns: [&str; 2],
    mut each: impl FnMut(&[u8], &[u8]),
) -> anyhow::Result<()> {
    if !manifest.exists() {
        return Ok(());
    }
    let context = || format!("cannot read '{}'", manifest.display());
    let mut reader = csv::Reader::from_path(manifest).with_context(context)?;
    let heading = reader.byte_headers().with_context(context)?.clone();
    let place = |name: &str| {
        let place = heading.iter().position(|cell| cell == name.as_bytes());
        place.with_context(|| format!("'{}' has no column '{name}'", manifest.display()))
    };
    let [first, second] = [place(columns[0])?, place(columns[1])?];
    let status = place("status")?;
    for row in reader.byte_records() {
        let row = row.with_context(context)?;
        if row[status] == *Status::Ok.name().as_bytes() {
            each(&row[first], &row[second]);
        }
    }
    Ok(())
}
