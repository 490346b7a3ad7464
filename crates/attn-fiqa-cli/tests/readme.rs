//! Runs every command in the README, as a new user would, on a copy of the repository's files.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::page::{commands, words};

/// The second set-up command runs this very test.
const THIS_TEST: &str = "cargo test --workspace";

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a copy");
    }
}

#[test]
fn every_command_of_the_readme_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().expect("a folder");
    for part in ["examples", "models"] {
        copy(&root.join(part), &folder.path().join(part));
    }
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let commands = commands(&readme);
    assert_eq!(commands[..2], ["cargo run --release -- score examples/faces", THIS_TEST]);
    for command in commands {
        if command == THIS_TEST {
            continue;
        }
        let arguments = command
            .strip_prefix("attn-fiqa ")
            .or_else(|| command.strip_prefix("cargo run --release -- "))
            .unwrap_or_else(|| panic!("no test can run `{command}`"));
        let output = Command::new(env!("CARGO_BIN_EXE_attn-fiqa"))
            .args(words(arguments))
            .current_dir(folder.path())
            .output()
            .expect("the program");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` failed: {errors}");
    }
    for made in ["scores.parquet", "maps/manifest.csv", "sheet.png", "small.safetensors"] {
        assert!(folder.path().join(made).is_file(), "{made} was not made");
    }
}
