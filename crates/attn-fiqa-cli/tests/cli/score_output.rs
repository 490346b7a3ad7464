//! `--output`: a file that appears only when it is complete.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{self, CommandResult, HEADING, Table, TestDir};

const OLD: &str = "what stood here before\n";

#[test]
fn invalid_arguments_leave_output_untouched() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("old.csv", OLD);
    here.write("text.safetensors", "no weights");
    for output in ["old.csv", "new.csv"] {
        for wrong in [
            &["nothing-*.png"][..],
            &["--list", "gone.txt"],
            &["blur-1.png", "--method", "attn@block=99"],
            &["blur-1.png", "--model", "text.safetensors"],
            &["blur-1.png", "--columns", "age"],
        ] {
            here.run(&[&["score", "--output", output], wrong].concat()).ended_with(2);
            assert_eq!(here.files(""), ["blur-1.png", "old.csv", "text.safetensors"], "{wrong:?}");
            assert_eq!(here.read_text("old.csv"), OLD, "{wrong:?}");
        }
    }
}

#[test]
fn output_is_replaced_only_when_complete() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("old.csv", OLD);
    let before = here.files("");
    let mut command = here.command(&["score", "--list", "-", "--output", "old.csv"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut list = child.stdin.take().unwrap();
    list.write_all(b"blur-1.png\n").unwrap();
    let started = Instant::now();
    while here.files("") == before {
        assert!(started.elapsed() < Duration::from_secs(30), "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(here.read_text("old.csv"), OLD, "while the run goes on");
    list.write_all(b"gone.png\n").unwrap();
    drop(list);
    let ran = CommandResult::from(child.wait_with_output().unwrap()).ended_with(1);
    assert_eq!(ran.stdout(), "");
    assert_eq!(here.files(""), before, "nothing else is left");
    let table = Table::parse(&here.read_text("old.csv"));
    assert_eq!(table.column("path"), ["blur-1.png", "gone.png"]);
    assert_eq!(table.column("status"), ["ok", "not-found"]);
}

#[test]
fn rows_are_written_even_if_all_images_fail() {
    let here = TestDir::new();
    here.run(&["score", "gone.png", "-o", "scores.csv"]).ended_with(1);
    assert_eq!(
        here.read_text("scores.csv"),
        format!(
            "{HEADING}\ngone.png,,not-found,,{}{}no such file\n",
            support::quality_of_failure(),
            ",".repeat(10)
        )
    );
}

#[test]
fn inputs_without_images_are_rejected() {
    let here = TestDir::new();
    here.write("empty.txt", "\n\n");
    here.write("old.csv", OLD);
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, "notes.txt", &b""[..]).unwrap();
    here.write("notes.tar", builder.into_inner().unwrap());
    for input in [&["--list", "empty.txt"][..], &["--list", "-"], &["notes.tar"]] {
        let ran = here.run(&[&["score", "--output", "old.csv"], input].concat()).ended_with(2);
        assert!(ran.stderr.contains("error: the inputs hold no image\n"), "{}", ran.stderr);
        assert_eq!(here.read_text("old.csv"), OLD);
    }
    assert_eq!(here.files("").len(), 3, "nothing else is left");
}

#[test]
#[cfg(unix)]
fn output_has_default_file_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("ordinary", "");
    let mode = |name: &str| fs::metadata(here.path(name)).unwrap().permissions().mode() & 0o7777;
    for output in ["scores.csv", "scores.parquet"] {
        here.run(&["score", "blur-1.png", "-o", output]).ended_with(0);
        assert_eq!(mode(output), mode("ordinary"), "{output}");
    }
}

#[test]
fn unwritable_output_is_rejected() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    fs::create_dir(here.path("folder")).unwrap();
    here.run(&["score", "blur-1.png", "-o", "folder", "--format", "csv"])
        .refused("cannot write 'folder': it is a folder");
    here.run(&["score", "blur-1.png", "-o", "gone/scores.csv"])
        .refused("cannot write 'gone/scores.csv': there is no such folder");
    assert_eq!(here.files(""), ["blur-1.png"]);
}

/// Whatever name refers to standard output, rows are appended to its contents.
#[test]
#[cfg(unix)]
fn stdout_aliases_are_appended_to() {
    use std::os::unix::fs::MetadataExt;
    let here = TestDir::with_faces(&["blur-1.png"]);
    let expected = here.run(&["score", "blur-1.png", "--format", "csv", "-q"]).ended_with(0);
    for output in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        if output.starts_with("/proc") && !std::path::Path::new(output).exists() {
            continue;
        }
        here.write("log", OLD);
        let inode = fs::metadata(here.path("log")).unwrap().ino();
        let log = fs::File::options().append(true).open(here.path("log")).unwrap();
        let mut command = here.command(&["score", "blur-1.png", "-q", "-o", output]);
        let status = command.stdout(log).status().unwrap();
        assert!(status.success(), "{output}");
        let rows = expected.stdout();
        assert_eq!(here.read_text("log"), format!("{OLD}{rows}"), "{output}");
        assert_eq!(fs::metadata(here.path("log")).unwrap().ino(), inode, "{output}");
        // Also for a pipe, and in a binary format.
        let args = ["score", "blur-1.png", "-q", "--format", "parquet", "-o", output];
        let parquet = here.run(&args).ended_with(0).bytes;
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"), "{output}");
    }
    // A file whose name merely resembles it is an ordinary file.
    here.run(&["score", "blur-1.png", "--format", "csv", "-o", "./-"]).ended_with(0);
    assert_eq!(here.files(""), ["-", "blur-1.png", "log"]);
}

#[test]
#[cfg(unix)]
fn fd_and_device_outputs_are_written_in_place() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let expected = here.run(&["score", "blur-1.png", "--format", "csv", "-q"]).ended_with(0);
    here.write("log", OLD);
    let script = "\"$0\" score blur-1.png -q --format csv -o /dev/fd/3 3>> log && \
                  \"$0\" score blur-1.png -q --format csv -o /dev/null";
    let mut shell = std::process::Command::new("sh");
    let shell = shell.current_dir(here.path("")).args(["-c", script]);
    let status = shell.arg(env!("CARGO_BIN_EXE_attn-fiqa")).status().unwrap();
    assert!(status.success());
    assert_eq!(here.read_text("log"), format!("{OLD}{}", expected.stdout()));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}
