//! Ctrl-C: finished rows are kept in a partial file that the same command continues, and no
//! hidden files remain.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use crate::support::{Table, TestDir};

/// A run over a list on standard input that has processed the first image.
struct Run {
    child: Child,
    stdin: ChildStdin,
    stderr: BufReader<ChildStderr>,
}

impl Run {
    fn start(here: &TestDir, command: &str, output: &str) -> Self {
        let args = [command, "--list", "-", "--verbose", "--output", output];
        let mut command = here.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(b"gone.png\n").expect("a line");
        let stderr = BufReader::new(child.stderr.take().expect("its messages"));
        let mut run = Self { child, stdin, stderr };
        run.wait_for("gone.png: not-found");
        run
    }

    /// Reads messages until one contains this.
    #[track_caller]
    fn wait_for(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("a message");
            assert!(read > 0, "it ended without saying '{part}'");
        }
    }

    fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    }

    fn status(&mut self) -> Option<i32> {
        self.child.wait().expect("its end").code()
    }
}

fn files(here: &TestDir) -> Vec<String> {
    let entries = std::fs::read_dir(here.path(".")).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn interrupted_run_keeps_finished_rows_in_part_file() {
    for (command, output) in [("score", "scores.csv"), ("detect", "faces.csv")] {
        let here = TestDir::with_faces(&["blur-1.png"]);
        here.write(output, "the result of an earlier run\n");
        let mut run = Run::start(&here, command, output);
        run.interrupt();
        run.wait_for("finishing the current images");
        // An image that arrives later is not processed.
        let _ = run.stdin.write_all(b"blur-1.png\nblur-1.png\n");
        run.wait_for(&format!(
            "'{output}.part' holds what was done so far; repeat the command to continue"
        ));
        assert_eq!(run.status(), Some(130));
        let (part, journal) = (format!("{output}.part"), format!("{output}.journal"));
        assert_eq!(files(&here), ["blur-1.png", output, &journal, &part]);
        assert_eq!(here.read_text(output), "the result of an earlier run\n");
        let table = Table::parse(&here.read_text(&part));
        assert_eq!(table.column("path"), ["gone.png"]);
    }
}

#[test]
fn second_interrupt_stops_immediately_and_keeps_rows() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let mut run = Run::start(&here, "score", "scores.csv");
    // The rows of an image are complete when those of the next begin.
    run.stdin.write_all(b"blur-1.png\n").expect("a line");
    while !here.read_text("scores.csv.journal").contains("not-found") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    run.interrupt();
    run.wait_for("interrupt again to stop immediately");
    run.interrupt();
    assert_eq!(run.status(), Some(130));
    assert_eq!(files(&here), ["blur-1.png", "scores.csv.journal", "scores.csv.part"]);
    let args = ["score", "--list", "-", "--output", "scores.csv"];
    here.run_with_stdin(&args, b"gone.png\nblur-1.png\n").ended_with(1);
    assert_eq!(files(&here), ["blur-1.png", "scores.csv"]);
    let table = Table::parse(&here.read_text("scores.csv"));
    assert_eq!(table.column("path"), ["gone.png", "blur-1.png"]);
}

#[test]
fn interrupted_degrade_is_continued_with_skip_existing() {
    let here = TestDir::with_faces(&["blur-1.png", "blur-3.png"]);
    let mut run = Run::start(&here, "degrade", "out");
    run.interrupt();
    run.wait_for("finishing the current images");
    let _ = run.stdin.write_all(b"blur-1.png\n");
    run.wait_for("--skip-existing continues after it");
    assert_eq!(run.status(), Some(130));
    assert_eq!(here.files("out"), ["manifest.csv"]);
    let list = ["degrade", "--list", "-", "--levels", "2", "--kinds", "blur", "--output", "out"];
    here.run_with_stdin(&list, b"blur-1.png\n").refused_with("use --overwrite");
    let list = [&list[..], &["--skip-existing"]].concat();
    here.run_with_stdin(&list, b"blur-1.png\n").ended_with(0);
    here.run_with_stdin(&list, b"blur-1.png\nblur-3.png\n").ended_with(0);
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    let sources = ["gone.png", "blur-1.png", "blur-1.png", "blur-3.png", "blur-3.png"];
    assert_eq!(manifest.column("source"), sources);
    assert_eq!(here.files("out").len(), 5);
}

/// `best` needs all images.
#[test]
fn interrupted_best_stops_immediately_and_leaves_no_files() {
    let here = TestDir::new();
    let mut run = Run::start(&here, "best", "best.csv");
    run.interrupt();
    assert_eq!(run.status(), Some(130));
    assert!(files(&here).is_empty(), "{:?}", files(&here));
}
