//! The paths of kept rows, one per line.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use attn_fiqa_eval::files::ScoreFile;
use attn_fiqa_eval::selection::Selection;

use crate::output::{Destination, printable};

/// Writes the path of every image with a kept row, and returns the number of paths.
pub(super) fn write(
    mut destination: Destination,
    tables: &[PathBuf],
    selection: &Selection,
    null: bool,
) -> anyhow::Result<u64> {
    let (mut row, mut written) = (0, 0);
    // Rows of the same image are consecutive.
    let mut last = None;
    let mut failed = None;
    for table in tables {
        ScoreFile::open_ranking(table, &[])?.each_row(|read| {
            let keeps = selection.keeps(row);
            row += 1;
            if keeps && failed.is_none() && last.as_deref() != Some(read.path) {
                match line(&mut destination, read.path, null) {
                    Ok(()) => written += 1,
                    Err(error) => failed = Some(error),
                }
                last = Some(read.path.to_owned());
            }
            Ok(())
        })?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
    }
    destination.finish()?;
    Ok(written)
}

fn line(destination: &mut Destination, path: &str, null: bool) -> anyhow::Result<()> {
    if !null && (path.contains(['\n', '\r']) || path.trim() != path) {
        bail!(
            "a line of a list cannot hold the path '{}'; use --null, and read the list with 'score \
             --list FILE --null'",
            printable(path)
        );
    }
    destination.write_all(&bytes_of(path))?;
    destination.write_all(if null { b"\0" } else { b"\n" })?;
    Ok(())
}

/// The original bytes of a path: rows show a byte that is not UTF-8 as `\xNN`.
#[cfg(unix)]
fn bytes_of(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.strip_prefix(b"x").and_then(|digits| {
            let digits = std::str::from_utf8(digits.get(..2)?).ok()?;
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        });
        match escaped {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

/// Where names are not byte strings, rows show them unchanged.
#[cfg(not(unix))]
fn bytes_of(path: &str) -> Vec<u8> {
    path.as_bytes().to_vec()
}

#[cfg(all(test, unix))]
mod tests {
    use super::bytes_of;

    #[test]
    fn hex_escapes_are_decoded_to_bytes() {
        assert_eq!(bytes_of(r"a\xff.jpg"), b"a\xff.jpg");
        assert_eq!(bytes_of(r"a\x5cxff.jpg"), br"a\xff.jpg");
        assert_eq!(bytes_of(r"a\b\x9"), br"a\b\x9");
        assert_eq!(bytes_of(r"é\\xc3\x"), [b"\xc3\xa9\\\xc3".as_slice(), br"\x"].concat());
    }
}
