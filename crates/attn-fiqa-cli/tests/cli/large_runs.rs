//! Runs over many images: killed at random and compared, and read by other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::TestDir;

fn bench(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/resume").join(name)
}

/// A Python that has these modules; `None`, with a recorded skip, if there is none.
fn python(modules: &str) -> Option<Command> {
    let name = std::env::var("PYTHON").unwrap_or("python3".to_owned());
    let found = Command::new(&name).args(["-c", &format!("import {modules}")]).output();
    if found.is_ok_and(|found| found.status.success()) {
        return Some(Command::new(name));
    }
    attn_fiqa_testing::skip(&format!("no python3 with {modules}"));
    None
}

#[test]
#[cfg(unix)]
fn randomly_killed_runs_produce_identical_output() {
    let Some(mut python) = python("tarfile") else { return };
    let args = ["--entries", "600", "--kills", "6", "--faces", "0.1"];
    python.arg(bench("run")).args(args).env("ATTN_FIQA", env!("CARGO_BIN_EXE_attn-fiqa"));
    let ran = python.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(said.matches("bytes equal; files left over: none").count(), 3, "{said}");
}

#[test]
fn data_set_is_readable_by_other_programs() {
    let Some(mut python) = python("pyarrow.dataset, duckdb, polars") else { return };
    let here = TestDir::with_faces(&["blur-1.png", "blur-3.png", "dark-5.png"]);
    here.write("text.png", "no picture");
    let score = ["score", "blur-1.png", "blur-3.png", "text.png", "dark-5.png", "--aligned"];
    let columns = ["--columns", "causes,weak_regions,map,embedding"];
    let folder = ["--output", "scores/", "--rows-per-file", "2"];
    here.run(&[&score[..], &columns, &folder].concat()).ended_with(1);
    assert_eq!(here.files("scores"), ["_SUCCESS", "part-00000.parquet", "part-00001.parquet"]);
    here.run(&[&score[..], &["--output", "scores.csv"]].concat()).ended_with(1);
    python.arg(bench("read_data_set.py")).args([here.path("scores"), here.path("scores.csv")]);
    let ran = python.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.starts_with("4 rows in 2 files: "), "{said}");
}

#[test]
fn existing_data_set_requires_overwrite() {
    let here = TestDir::with_faces(&["blur-1.png", "dark-5.png"]);
    let score = ["score", "blur-1.png", "dark-5.png", "--aligned", "-q"];
    let output = ["--output", "scores/"];
    here.run(&[&score[..], &output, &["--rows-per-file", "1"]].concat()).ended_with(0);
    let files = here.files("scores");
    assert_eq!(files, ["_SUCCESS", "part-00000.parquet", "part-00001.parquet"]);
    here.run(&[&score[..], &output].concat())
        .refused_with("the folder 'scores/' holds a complete data set: name another, or use");
    assert_eq!(here.files("scores"), files);
    here.run(&[&score[..], &output, &["--overwrite"]].concat()).ended_with(0);
    assert_eq!(here.files("scores"), ["_SUCCESS", "part-00000.parquet"]);

    here.write("other/notes.txt", "mine");
    here.run(&[&score[..], &["--output", "other"]].concat())
        .refused_with("the folder 'other' is not empty");
    here.run(&[&score[..], &["--output", "a.csv", "--rows-per-file", "2"]].concat())
        .refused_with("--rows-per-file is for a folder of Parquet files");
    here.run(&[&score[..], &["--output", "new/", "--format", "csv"]].concat())
        .refused("cannot write 'new/': it is a folder");
    here.write("file", "");
    here.run(&[&score[..], &["--output", "file/"]].concat())
        .refused_with("cannot make the folder 'file/'");
    assert_eq!(here.read_text("other/notes.txt"), "mine");
}
