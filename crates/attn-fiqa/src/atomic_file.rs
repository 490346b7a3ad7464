//! Files that appear completely or not at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a file next to `path` with `write`, then renames it to `path`, replacing any existing
/// file. If anything fails, `path` is unchanged.
///
/// # Errors
///
/// Those of `write`, and operating system errors converted by `failed`.
pub(crate) fn write_atomically<E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".attn-fiqa-").suffix(".part");
    // A temporary file is private by default; the result has the usual permissions.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(&failed)?;
    let mut writer = BufWriter::new(file.as_file_mut());
    write(&mut writer)?;
    writer.flush().map_err(&failed)?;
    drop(writer);
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Whether two paths lead to the same existing file.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let one = one.canonicalize().ok();
    one.is_some() && one == other.canonicalize().ok()
}
