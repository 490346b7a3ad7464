//! What file names reveal, and names that are safe to write to.

use std::path::{Component, Path, PathBuf};

/// Extensions of images, in lower case. Nothing that looks like an image is skipped silently:
/// unsupported ones are included so that a row reports them.
const IMAGE_EXTENSIONS: [&str; 49] = [
    "jpg", "jpeg", "jpe", "jfif", "jfi", "jif", "pjpeg", "pjp", "png", "apng", "webp", "gif",
    "bmp", "dib", "tif", "tiff", "jp2", "j2k", "j2c", "jpc", "jpx", "jpf", "jxl", "ppm", "pgm",
    "pnm", "qoi", // Not read:
    "pbm", "pam", "heic", "heif", "hif", "avif", "psd", "exr", "jxr", "wdp", "dng", "cr2", "cr3",
    "nef", "arw", "raf", "orf", "rw2", "pef", "srw", "tga", "pcx",
];

/// The most common supported ones, for messages.
pub(super) const EXTENSIONS_SHOWN: &str = "jpg, png, webp, gif, bmp, tif, jp2, jxl, ppm and others";

/// Extensions of tar archives. Unsupported compressions are included so that they can be refused by
/// name.
const TAR_ENDINGS: [&str; 9] =
    [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"];

const ZIP_ENDING: &str = ".zip";

/// Whether a file has an image extension, in any case.
pub(super) fn is_image(name: &Path) -> bool {
    name.extension().is_some_and(|extension| {
        IMAGE_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Whether a name is that of a companion file of macOS: `._NAME`, or anything in a folder
/// `__MACOSX`. Such a file may have an image's extension but is not an image.
pub(super) fn is_companion(path: &Path) -> bool {
    let own = path.file_name().unwrap_or_default();
    own.to_string_lossy().starts_with("._")
        || path.components().any(|part| part.as_os_str() == "__MACOSX")
}

/// Whether a file has an archive extension, in any case.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    is_zip(path) || TAR_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file has a zip archive extension, in any case.
pub(super) fn is_zip(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.to_ascii_lowercase().ends_with(ZIP_ENDING)
}

/// A path as displayed in rows: its text, with each byte that is not UTF-8 as `\xNN` in lower case,
/// so that different paths are displayed differently.
///
/// Backslashes stay as they are, unless a name itself contains what looks like such an escape:
/// there the backslash is written as `\x5c`. Replacing every `\xNN` by its byte restores the path.
#[cfg(unix)]
pub(super) fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    escaped_bytes(path.as_os_str().as_bytes())
}

/// A path as displayed in rows, with the replacement character for invalid Unicode.
#[cfg(not(unix))]
pub(super) fn escaped(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// As [`escaped`], for a name in an archive, on every system.
pub(super) fn escaped_bytes(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        let mut from = 0;
        for (at, _) in text.match_indices('\\').filter(|&(at, _)| is_escape(&text[at..])) {
            escaped.push_str(&text[from..at]);
            escaped.push_str(r"\x5c");
            from = at + 1;
        }
        escaped.push_str(&text[from..]);
        for byte in chunk.invalid() {
            escaped.push_str(&format!(r"\x{byte:02x}"));
        }
    }
    escaped
}

fn is_escape(text: &str) -> bool {
    let digits = text.strip_prefix(r"\x").map(str::as_bytes);
    digits
        .and_then(|digits| digits.get(..2))
        .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
}

/// A path reduced to its normal components: no root, no drive, no `.`, no `..`.
///
/// It stays inside any folder that it is joined to, regardless of who wrote it.
pub(super) fn safe_relative(path: &Path) -> PathBuf {
    let safe = ordinary_parts(path);
    if safe.as_os_str().is_empty() { PathBuf::from("unnamed") } else { safe }
}

/// As [`safe_relative`], but empty if nothing is left.
pub(super) fn ordinary_parts(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_reversible() {
        let names: [&[u8]; 9] = [
            b"a.jpg",
            b"a\xFF.jpg",
            b"a\xFE.jpg",
            br"a\xff.jpg",
            br"a\x5cxff.jpg",
            br"a\b\xg0\x1",
            "\u{fffd}é".as_bytes(),
            b"\xC3",
            b"\xFF\xC3\xA9\xFF",
        ];
        let escaped = names.map(escaped_bytes);
        assert_eq!(escaped[1], r"a\xff.jpg");
        assert_eq!(escaped[3], r"a\x5cxff.jpg");
        assert_eq!([&escaped[5], &escaped[6]], [r"a\b\xg0\x1", "\u{fffd}é"]);
        for (name, escaped) in names.iter().zip(&escaped) {
            assert_eq!(&named(escaped), name, "{escaped}");
        }
    }

    /// Undoes the escaping.
    fn named(mut escaped: &str) -> Vec<u8> {
        let mut name = Vec::new();
        while let Some(at) =
            (0..escaped.len()).find(|&at| is_escape(escaped.get(at..).unwrap_or("")))
        {
            name.extend_from_slice(&escaped.as_bytes()[..at]);
            name.push(u8::from_str_radix(&escaped[at + 2..at + 4], 16).expect("two digits"));
            escaped = &escaped[at + 4..];
        }
        name.extend_from_slice(escaped.as_bytes());
        name
    }
}
