//! What a file's name says, and names that are safe to write to.

use std::path::{Component, Path, PathBuf};

/// Extensions of images, in lower case.
const IMAGE_EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// The same, for messages.
pub(super) const EXTENSIONS_SHOWN: &str = "jpg, jpeg, png, webp, gif, bmp, tif, tiff";

/// Endings of tar archives. The compressed ones that are not read are known
/// here so that they can be refused by name.
const ARCHIVE_ENDINGS: [&str; 9] =
    [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"];

/// Whether a file's extension, in any case, is an image's.
pub(super) fn is_image(name: &Path) -> bool {
    name.extension().is_some_and(|extension| {
        IMAGE_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Whether a file's name ends, in any case, as a tar archive's.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    ARCHIVE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// A path with only its ordinary parts: no root, no drive, no `.`, no `..`.
///
/// It stays below whatever folder it is joined to, whoever wrote it.
pub(super) fn safe_relative(path: &Path) -> PathBuf {
    let safe = ordinary_parts(path);
    if safe.as_os_str().is_empty() { PathBuf::from("unnamed") } else { safe }
}

/// The same, but empty where nothing is left.
pub(super) fn ordinary_parts(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}
