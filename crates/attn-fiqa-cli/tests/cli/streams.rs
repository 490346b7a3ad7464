//! What goes to standard output and to standard error, and what happens when a reader leaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, MISSING, NOT_AN_IMAGE, TestDir, WRONG_SIZE};

/// Longer than any test here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The status of a run whose reader left, as of a program terminated by SIGPIPE.
const CLOSED: i32 = 141;

fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["astronaut.png", "blur-1.png"]);
    here.bad_images("bad");
    here
}

#[test]
fn stderr_reports_failures_and_summary() {
    let here = test_dir();
    let ran = here.run(&[
        "score",
        "--aligned",
        "bad/wide.png",
        "astronaut.png",
        "gone.png",
        "bad/text.png",
    ]);
    let ran = ran.ended_with(1);
    assert_eq!(
        ran.said(),
        format!(
            "bad/wide.png: wrong-size: {WRONG_SIZE}\n\
             gone.png: not-found: {MISSING}\n\
             bad/text.png: not-an-image: {NOT_AN_IMAGE}\n\
             1 scored, 3 failed (1 not-an-image, 1 not-found, 1 wrong-size)\n\
             note: 1 × ICC profile ignored\n"
        )
    );
    assert_eq!(ran.table().rows.len(), 4);
}

#[test]
fn stderr_lists_five_failures_unless_verbose() {
    let here = test_dir();
    let images: Vec<String> = (0..8).map(|index| format!("gone-{index}.png")).collect();
    let args: Vec<&str> = ["score", "--aligned", "astronaut.png"]
        .into_iter()
        .chain(images.iter().map(String::as_str))
        .collect();
    let told = |count: usize| -> String {
        images[..count].iter().map(|image| format!("{image}: not-found: {MISSING}\n")).collect()
    };
    let summary = "1 scored, 8 failed (8 not-found)\n";

    let ran = here.run(&args).ended_with(1);
    let rest = "further failures are in the rows; --verbose reports all of them here\n";
    assert_eq!(ran.said(), format!("{}{rest}{summary}", told(5)));

    let verbose = here.run(&[&args[..], &["--verbose"]].concat()).ended_with(1);
    let said = verbose.said();
    let (model, said) = said.split_once('\n').unwrap();
    assert!(model.starts_with("model built-in "), "{model}");
    assert!(model.contains(", method attn-calibrated, f32 on "), "{model}");
    assert_eq!(said, format!("{}{summary}", told(8)));
    assert_eq!(ran.bytes, verbose.bytes);
}

#[test]
fn verbose_prints_every_note() {
    let here = test_dir();
    let args = [
        "score",
        "blur-1.png",
        "bad/wide.png",
        "--aligned",
        "--resize",
        "--swapped-channels",
        "-v",
    ];
    let ran = here.run(&args).ended_with(0);
    let said = ran.said();
    let (_, said) = said.split_once('\n').unwrap();
    assert_eq!(
        said,
        "blur-1.png: red and blue swapped back\n\
         bad/wide.png: ICC profile ignored; red and blue swapped back; resized from 512×512 to \
         112×112\n\
         2 scored\n\
         note: 1 × ICC profile ignored\n\
         note: 2 × red and blue swapped back\n\
         note: 1 × resized to 112×112\n"
    );
}

#[test]
fn quiet_prints_only_fatal_errors() {
    let here = test_dir();
    for option in ["--quiet", "-q"] {
        let ran = here.run(&["score", "astronaut.png", option]).ended_with(0);
        assert_eq!((ran.stderr.as_str(), ran.table().rows.len()), ("", 1));
        let ran = here.run(&["score", "bad", "gone.png", option]).ended_with(1);
        assert_eq!((ran.stderr.as_str(), ran.table().rows.len()), ("", 5));
    }
    let ran = here.run(&["map", "bad", "astronaut.png", "-q", "--sheet", "s.png", "--range=1,2"]);
    assert_eq!(ran.ended_with(1).stderr, "");
    here.run(&["score", "*.webp", "--quiet"])
        .refused("*.webp: no such file, and nothing matches it as a pattern");
    here.run(&["score", "astronaut.png", "-q", "-v"])
        .refused_with("the argument '--quiet' cannot be used with '--verbose'");
}

#[test]
fn piped_output_has_no_progress_or_colours() {
    let here = test_dir();
    for args in [
        &["score", "bad", "astronaut.png", "-v"][..],
        &["score", "bad", "astronaut.png", "--format", "table"],
        &["map", "bad", "astronaut.png", "--output", "maps"],
        &["score", "--bogus"],
        &["--help"],
    ] {
        let ran = here.run(args);
        for text in [ran.stderr.as_str(), ran.stdout()] {
            assert!(!text.contains(['\x1b', '\r', '\x08']), "{args:?}: {text:?}");
        }
    }
}

#[test]
fn map_writes_nothing_to_stdout() {
    let here = test_dir();
    let ran = here.run(&["map", "astronaut.png", "--output", "maps", "--sheet", "sheet.png"]);
    assert_eq!(ran.ended_with(0).stdout(), "");
}

/// Waits for the end, with a time limit; returns the exit status and standard error.
fn end(mut child: Child) -> (Option<i32>, String) {
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the program does not notice that its reader has left");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (status.code(), stderr)
}

fn spawn(here: &TestDir, args: &[&str]) -> Child {
    let mut command = here.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn closed_stdout_ends_the_run_quietly() {
    let here = test_dir();
    here.write("list.txt", "astronaut.png\n".repeat(1_000_000));
    for format in ["csv", "jsonl", "txt"] {
        let mut child = spawn(&here, &["score", "--list", "list.txt", "--format", format]);
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n') && line.len() > 1, "{line:?}");
        drop(reader);
        assert_eq!(end(child), (Some(CLOSED), String::new()), "{format}");
    }
}

#[test]
fn early_closed_stdout_ends_the_run_quietly() {
    let here = test_dir();
    for format in ["csv", "table", "parquet"] {
        let mut child = spawn(&here, &["score", "--list", "-", "-q", "--format", format]);
        drop(child.stdout.take());
        // Rows are written only now, so the reader is certainly gone.
        child.stdin.take().unwrap().write_all(b"astronaut.png\nblur-1.png\n").unwrap();
        assert_eq!(end(child), (Some(CLOSED), String::new()), "{format}");
    }
}

/// The status must not say that every face was accepted.
#[test]
fn gate_with_closed_stdout_does_not_accept() {
    let here = test_dir();
    let mut child = spawn(&here, &["gate", "enrol", "--list", "-", "-q"]);
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"astronaut.png\ngone.png\n").unwrap();
    assert_eq!(end(child), (Some(CLOSED), String::new()));
}

#[test]
fn rows_are_flushed_immediately() {
    let here = test_dir();
    let mut child = spawn(&here, &["score", "--list", "-", "-q"]);
    let mut list = child.stdin.take().unwrap();
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    for image in ["astronaut.png", "blur-1.png"] {
        writeln!(list, "{image}").unwrap();
        // Would never arrive if rows were held back until their batch is full.
        let mut row = rows.next().unwrap().unwrap();
        if row == support::HEADING {
            row = rows.next().unwrap().unwrap();
        }
        assert!(row.starts_with(&format!("{image},0,ok,")), "{row}");
    }
    drop(list);
    assert_eq!(end(child), (Some(0), String::new()));
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_is_an_error() {
    let here = test_dir();
    for format in ["csv", "jsonl", "parquet"] {
        let mut command = here.command(&["score", "astronaut.png", "--format", format]);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let ran = support::CommandResult::from(output).ended_with(2);
        assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
    }
}
