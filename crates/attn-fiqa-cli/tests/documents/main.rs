//! Runs every command of every document as a reader would: each document in a folder of its own,
//! block after block.
//!
//! Commands are in `sh` blocks. A block that no test can run says why on its fence, as in
//! "```sh no-run=network"; these blocks are counted among the skipped tests.

mod blocks;
mod links;
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blocks::{Block, blocks};
use place::Place;

/// The second command of the README runs this very test.
const ALL_TESTS: &str = "cargo test --workspace";

/// Why a block is not run.
const REASONS: [(&str, &str); 7] = [
    ("network", "it fetches something"),
    ("release", "it installs what is not released yet"),
    ("data", "it needs data or models that are not in the repository"),
    ("slow", "it builds, trains or measures for minutes, or is run by .ci/run itself"),
    ("container", "it needs a container engine or a cluster"),
    ("host", "it changes the machine"),
    ("feature", "it needs a feature that is off by default"),
];

/// Documents whose commands another test runs, with the files that only they need.
const ELSEWHERE: [(&str, &str); 1] = [("docs/inputs.md", "cli/tables.rs")];

/// What a line of a command begins with.
const PROGRAMS: [&str; 5] = ["attn-fiqa ", "cargo ", "docker ", "pip install", "curl "];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths of all Markdown files of the repository from its root, with `/` as separator.
fn documents() -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                // Builds, environments and third-party packages.
                if !matches!(name, "target" | "node_modules" | "venv" | ".venv" | ".git" | "book") {
                    open.push(path);
                }
            } else if name.ends_with(".md") {
                let path = path.strip_prefix(&root).expect("a path below the root");
                found.push(path.to_str().expect("a path in UTF-8").replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn read(document: &str) -> Vec<Block> {
    blocks(&fs::read_to_string(root().join(document)).expect(document))
}

#[test]
fn documented_commands_succeed() {
    if !Command::new("bash").arg("--version").output().is_ok_and(|out| out.status.success()) {
        attn_fiqa_testing::skip("no bash");
        return;
    }
    let mut failed = String::new();
    for document in documents() {
        let blocks = read(&document);
        let commands = |block: &&Block| block.language == "sh" && block.no_run.is_none();
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == document);
        if let Some((_, test)) = elsewhere {
            let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(test);
            let test = fs::read_to_string(test).expect("the test that runs this document");
            assert!(test.contains(&document), "no test runs the commands of {document}");
            continue;
        }
        if blocks.iter().filter(commands).count() == 0 {
            continue;
        }
        let mut place = Place::new(&root());
        for block in blocks.iter().filter(commands) {
            let block = Block {
                line: block.line,
                language: block.language.clone(),
                no_run: None,
                text: block.text.replace(ALL_TESTS, "true"),
            };
            if let Err(error) = place.run(&block) {
                failed += &format!("{document}:{}: {error}\n{}\n", block.line, block.text);
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// The first command of the first page does the program's main job, the second runs all tests, and
/// what the page shows as output is what a reader gets.
#[test]
fn readme_commands_produce_the_shown_output() {
    let blocks = read("README.md");
    let start = blocks.iter().position(|block| block.language == "sh").expect("a command");
    let lines: Vec<&str> = blocks[start].text.lines().collect();
    let [first, second] = lines[..] else { panic!("two commands, not {lines:?}") };
    assert!(first.starts_with("cargo run --release -- score "), "{first}");
    assert_eq!(second.split('#').next().map(str::trim), Some(ALL_TESTS));
    let shown = blocks.iter().filter(|block| block.language == "text");
    let mut place = Place::new(&root());
    for block in shown {
        let (command, expected) = block.text.split_once('\n').expect("a command and its output");
        let command = command.strip_prefix("$ ").expect("a command after `$ `");
        let block = Block {
            line: block.line,
            language: String::new(),
            no_run: None,
            // A terminal gets a table.
            text: format!("{command} --format table --quiet"),
        };
        let output = place.run(&block).unwrap_or_else(|error| panic!("{command}: {error}"));
        // What is the same on every machine: all but the last digits of scores, and with them the
        // ends of bars.
        let words = |text: &str| {
            let words = text.split_whitespace().map(|word| word.trim_end_matches(is_block));
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let (found, expected) = (words(&output), words(expected));
        assert_eq!(found.len(), expected.len(), "{output}");
        for (found, expected) in found.iter().zip(&expected) {
            let near = match (found.parse::<f64>(), expected.parse::<f64>()) {
                (Ok(found), Ok(expected)) => {
                    (found - expected).abs() <= 0.02 + expected.abs() / 50.0
                }
                _ => found == expected,
            };
            assert!(near, "{found} and not {expected} in:\n{output}");
        }
    }
}

/// Whether a character is a piece of a bar.
fn is_block(character: char) -> bool {
    matches!(character, '\u{2580}'..='\u{259f}')
}

#[test]
fn skipped_blocks_give_a_known_reason() {
    let mut counts = BTreeMap::new();
    let mut run = 0;
    for document in documents() {
        for block in read(&document) {
            let place = format!("{document}:{}", block.line);
            match &block.no_run {
                Some(reason) => {
                    assert!(
                        REASONS.iter().any(|(known, _)| known == reason),
                        "{place}: `no-run={reason}` is none of {REASONS:?}"
                    );
                    *counts.entry(reason.clone()).or_insert(0) += 1;
                }
                None if block.language == "sh" => run += 1,
                // Shown with its output on the first page.
                None => {
                    let command =
                        block.text.lines().find(|l| PROGRAMS.iter().any(|p| l.starts_with(p)));
                    assert!(command.is_none(), "{place}: {command:?} must be in a block of `sh`");
                }
            }
        }
    }
    assert!(run >= 10, "{run} blocks are run");
    attn_fiqa_testing::skip(&format!(
        "{run} blocks of commands in documents are run, not {counts:?}"
    ));
}

/// With `--help` at the end, a command is parsed up to that point and does nothing else.
#[test]
fn skipped_commands_can_be_parsed() {
    let mut parsed = 0;
    for document in documents() {
        let not_run = |block: &&Block| !matches!(block.no_run.as_deref(), None | Some("feature"));
        for block in read(&document).iter().filter(not_run) {
            let text = block.text.replace("\\\n", " ");
            let commands = text.lines().filter_map(|line| line.strip_prefix("attn-fiqa "));
            for command in commands {
                let arguments = command.split(" #").next().unwrap_or_default().split_whitespace();
                let output = Command::new(env!("CARGO_BIN_EXE_attn-fiqa"))
                    .args(arguments.map(|word| word.trim_matches('\'')))
                    .arg("--help")
                    .output()
                    .expect("the program");
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{document}: attn-fiqa {command}: {errors}");
                parsed += 1;
            }
        }
    }
    assert!(parsed > 3, "{parsed} commands");
}

/// Every document can be found from the first page, the index and the book.
#[test]
fn every_document_is_listed() {
    let lists = ["README.md", "docs/README.md", "docs/SUMMARY.md"];
    let mut missing = String::new();
    for list in lists {
        let text = fs::read_to_string(root().join(list)).expect(list);
        let links = links::relative_links(&text);
        for document in documents() {
            let Some(name) = document.strip_prefix("docs/") else { continue };
            let listed =
                links.iter().filter(|(_, target)| target.rsplit('/').next() == Some(name)).count();
            // The first page may name a document wherever it is needed; mdBook accepts each once.
            let expected = if list == "README.md" { 1..=usize::MAX } else { 1..=1 };
            if !expected.contains(&listed) && !matches!(name, "README.md" | "SUMMARY.md") {
                missing += &format!("{document} is listed {listed} times in {list}\n");
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn relative_links_resolve() {
    let root = root();
    let mut broken = String::new();
    let mut checked = 0;
    for document in documents() {
        let path = root.join(&document);
        let text = fs::read_to_string(&path).expect(&document);
        for (line, target) in links::relative_links(&text) {
            checked += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            if !to.exists() {
                broken += &format!("{document}:{line}: there is no {file}\n");
            } else if !anchor.is_empty() {
                let there = fs::read_to_string(&to).expect("a text with anchors");
                if !links::anchors(&there).iter().any(|found| found == anchor) {
                    broken += &format!("{document}:{line}: {target} has no such heading\n");
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken}");
    assert!(checked > 50, "{checked} links");
}
