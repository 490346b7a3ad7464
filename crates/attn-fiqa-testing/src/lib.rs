//! Shared by the tests of every crate: where expected values are, and how a test reports that it
//! was skipped.
//!
//! - [`golden`] files are part of the repository. Tests that use them never skip.
//! - [`shared`] files exist next to the checkout on some machines only. Tests that use them skip if
//!   they are absent.
//! - [`skip`] is the only way to skip: it writes one line to the file that [`SKIPS_VARIABLE`]
//!   names, and `.ci/run` counts and prints these lines at the end. The test harness hides what a
//!   passing test prints, so a printed line alone would be lost.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The environment variable that names the file to which skipped tests are appended.
pub const SKIPS_VARIABLE: &str = "ATTN_FIQA_SKIPS";

/// A file or folder of `golden/` at the repository's root, described by its README.
///
/// # Panics
///
/// If it is absent: without its expected values a test must fail.
#[track_caller]
pub fn golden(name: &str) -> PathBuf {
    let path = root().join("golden").join(name);
    assert!(path.exists(), "{}: no such file: the checkout is incomplete", path.display());
    path
}

/// A file or folder of `../shared` next to the checkout; `None`, with the test recorded as skipped,
/// if it is absent.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("no ../shared/{name}"));
    None
}

/// Records that the current thread's test, or a part of it, is skipped.
///
/// # Panics
///
/// If the file named by [`SKIPS_VARIABLE`] cannot be written: a skip must not be lost.
#[allow(clippy::print_stdout, reason = "shown when a test runs with --nocapture")]
pub fn skip(reason: &str) {
    let line = format!("{}: {reason}\n", test_name());
    print!("skipped: {line}");
    if let Some(file) = std::env::var_os(SKIPS_VARIABLE) {
        record(Path::new(&file), &line);
    }
}

fn record(file: &Path, line: &str) {
    let written = OpenOptions::new().create(true).append(true).open(file).and_then(|mut file| {
        // A single write, so that lines of concurrent tests stay intact.
        file.write_all(line.as_bytes())
    });
    if let Err(error) = written {
        panic!("{}: cannot record a skipped test: {error}", file.display());
    }
}

/// The test program, and the test from the name that the harness gives its thread.
fn test_name() -> String {
    let program = std::env::current_exe().ok();
    let stem = program.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    // Cargo appends `-` and a hash to a test program's name.
    let program = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
    format!("{program}::{}", std::thread::current().name().unwrap_or("?"))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_recorded_one_per_line() {
        let file = std::env::temp_dir().join(format!("attn-fiqa-skips-{}", std::process::id()));
        for reason in ["no python3", "no bash"] {
            record(&file, &format!("{}: {reason}\n", test_name()));
        }
        let found = std::fs::read_to_string(&file).expect("the recorded skips");
        std::fs::remove_file(&file).expect("a file to remove");
        let name = "attn_fiqa_testing::tests::skips_are_recorded_one_per_line";
        assert_eq!(found, format!("{name}: no python3\n{name}: no bash\n"));
    }

    #[test]
    #[should_panic(expected = "the checkout is incomplete")]
    fn missing_golden_file_panics() {
        golden("no-such-file");
    }

    #[test]
    fn golden_files_exist() {
        for name in ["README.md", "vit", "edc", "image"] {
            golden(name);
        }
    }
}
