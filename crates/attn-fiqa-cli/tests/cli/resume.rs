//! Runs that are killed and continued by the same command.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Table, TestDir};

/// Names that need care in every format, and one file that is not an image.
const NAMES: [&str; 6] =
    ["a.png", "b,\"c\".png", "two words.png", "é's.png", "text.png", "last.png"];

fn test_dir() -> TestDir {
    let here = TestDir::new();
    for (name, face) in
        NAMES.into_iter().zip(["blur-1", "blur-3", "dark-5", "blur-5"].iter().cycle())
    {
        here.face(&format!("{face}.png"), name);
    }
    here.write("text.png", "no picture");
    here
}

fn list(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| [name.as_bytes(), b"\n"].concat()).collect()
}

/// Starts a run over a list, waits until `names` are done, and leaves it waiting for more.
fn start(here: &TestDir, args: &[&str], names: &[&str], journal: &str) -> Child {
    let mut command = here.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&list(names)).unwrap();
    let started = Instant::now();
    // The last image is known to be complete only when the next one comes, or the list ends.
    while images(&here.path(journal)) + 1 < names.len() {
        assert!(started.elapsed() < Duration::from_secs(60), "{journal} does not grow");
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Images that a journal lists.
fn images(journal: &Path) -> usize {
    let journal = fs::read_to_string(journal).unwrap_or_default();
    journal.lines().filter(|line| line.split(' ').count() == 6).count()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The contents of every file of an output.
fn content(here: &TestDir, output: &str) -> Vec<(String, Vec<u8>)> {
    if here.path(output).is_file() {
        return vec![(output.to_owned(), here.read(output))];
    }
    let names = here.files(output);
    names.into_iter().map(|name| (name.clone(), here.read(&format!("{output}/{name}")))).collect()
}

fn journal_of(output: &str) -> String {
    match output.strip_suffix('/') {
        Some(folder) => format!("{folder}/_journal"),
        None => format!("{output}.journal"),
    }
}

const SCORE: [&str; 7] =
    ["score", "--aligned", "--columns", "main_cause,causes,map,embedding", "--batch", "2", "-q"];

/// A run, the part of its arguments that names the output, and where its journal is.
fn runs() -> Vec<(Vec<&'static str>, &'static str, String)> {
    let score = |output: &'static str, more: &[&'static str]| {
        ([&SCORE[..], more].concat(), output, journal_of(output))
    };
    let few = ["score", "--aligned", "--batch", "2", "-q"];
    let folder = |args: &[&'static str], output: &'static str| {
        (args.to_vec(), output, format!("{output}/manifest.csv.journal"))
    };
    vec![
        score("scores.csv", &[]),
        score("scores.jsonl", &[]),
        score("scores.parquet", &[]),
        score("scores/", &["--rows-per-file", "2"]),
        (few.to_vec(), "scores.txt", journal_of("scores.txt")),
        (vec!["detect", "-q"], "faces.csv", journal_of("faces.csv")),
        (vec!["embed", "--aligned", "-q"], "e.npy", journal_of("e.npy")),
        (vec!["embed", "--aligned", "-q"], "npy", "npy/_journal".to_owned()),
        (vec!["embed", "--aligned", "-q"], "e.csv", journal_of("e.csv")),
        folder(&["crop", "-q"], "crops"),
        folder(&["map", "--aligned", "-q"], "maps"),
        (vec!["map", "--aligned", "-q", "--sheet"], "sheet.png", journal_of("sheet.png")),
    ]
}

fn with_output<'a>(args: &[&'a str], output: &'a str) -> Vec<&'a str> {
    let flag = if args.last() == Some(&"--sheet") { &[][..] } else { &["--output"] };
    [args, flag, &[output, "--list", "-"]].concat()
}

#[test]
fn killed_run_resumes_to_identical_output() {
    for (args, output, journal) in runs() {
        let here = test_dir();
        let args = with_output(&args, output);
        here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
        let expected = content(&here, output.trim_end_matches('/'));
        let _ = fs::remove_dir_all(here.path(output));
        let _ = fs::remove_file(here.path(output));
        let _ = fs::remove_file(here.path("e.txt"));
        let before = here.files("");

        for done in [3, 5] {
            let child = start(&here, &args, &NAMES[..done], &journal);
            kill(child);
            assert!(!here.path(output).is_file(), "{output} is not complete");
        }
        let mut loud = args.clone();
        loud.retain(|&arg| arg != "-q");
        let ran = here.run_with_stdin(&loud, &list(&NAMES)).ended_with(1);
        // Elsewhere a kill cannot be told apart from a power loss, and files were not synced yet.
        if cfg!(target_os = "linux") || !["crops", "npy"].contains(&output) {
            assert!(ran.stderr.contains("holds 4 images of an earlier run"), "{}", ran.stderr);
            assert!(ran.stderr.contains(", 4 images by earlier runs in "), "{}", ran.stderr);
        }
        assert_eq!(content(&here, output.trim_end_matches('/')), expected, "{output}");
        for left in here.files("").into_iter().filter(|file| !before.contains(file)) {
            assert!(!left.contains("journal") && !left.contains(".part"), "{left} is left");
        }
    }
}

/// After a power loss, rows may exist whose files do not: images are processed again from the last
/// point at which all files were on disk.
#[test]
fn unsynced_files_are_rewritten_after_power_loss() {
    let commands: [(&[&str], &str, &str); 3] = [
        (&["crop", "-q"], "out", "out/manifest.csv.journal"),
        (&["embed", "--aligned", "-q"], "out", "out/_journal"),
        (&["detect", "-q", "--draw", "out"], "faces.csv", "faces.csv.journal"),
    ];
    for (args, output, journal) in commands {
        let here = test_dir();
        let args = with_output(args, output);
        here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
        let expected = [content(&here, output), content(&here, "out")];
        fs::remove_dir_all(here.path("out")).unwrap();
        let _ = fs::remove_file(here.path(output));

        kill(start(&here, &args, &NAMES[..4], journal));
        let lines = here.read_text(journal);
        let machine = lines.lines().find(|line| line.starts_with("files ")).unwrap().to_owned();
        // Another boot of the machine, and files of which only the names reached the disk.
        here.write(journal, lines.replace(&machine, "files 00000000"));
        let made: Vec<String> = here.files("out");
        let made = made.iter().filter(|name| !name.contains("manifest") && !name.starts_with('_'));
        assert!(made.clone().count() > 0, "{output}");
        made.for_each(|name| here.write(&format!("out/{name}"), ""));
        let loud: Vec<&str> = args.iter().copied().filter(|&arg| arg != "-q").collect();
        let ran = here.run_with_stdin(&loud, &list(&NAMES)).ended_with(1);
        let said = "the files of 3 images may not have reached the disk before the machine was";
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert_eq!([content(&here, output), content(&here, "out")], expected, "{args:?}");
    }
}

/// Whatever is cut off or changed, continuing from the rest gives the same bytes.
#[test]
fn damaged_journal_or_part_file_is_recovered() {
    let args = ["score", "--aligned", "--batch", "2", "--list", "-", "--output", "scores.csv"];
    let here = test_dir();
    here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
    let expected = here.read("scores.csv");
    kill(start(&here, &args, &NAMES[..5], "scores.csv.journal"));
    let (part, journal) = (here.read("scores.csv.part"), here.read("scores.csv.journal"));

    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 5] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.truncate(bytes.len() - 80),
        |bytes| bytes.extend(b"and more"),
        |bytes| {
            let at = bytes.len() - 30;
            bytes[at] ^= 1;
        },
        |bytes| {
            let at = bytes.len() - 60;
            bytes[at..].fill(0);
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        for damaged in [0, 1] {
            let mut files = [part.clone(), journal.clone()];
            damage(&mut files[damaged]);
            here.write("scores.csv.part", &files[0]);
            here.write("scores.csv.journal", &files[1]);
            let ran = here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
            assert_eq!(here.read("scores.csv"), expected, "damage {number} of {damaged}");
            let said = ran.stderr.contains("damaged or missing, and are made again");
            // A damaged journal line may or may not be detected as one that the rows do not match.
            if damaged == 0 {
                assert_eq!(said, number != 2, "{number}: {}", ran.stderr);
            }
            assert!(!here.path("scores.csv.journal").exists());
        }
    }

    // A journal with damaged first lines vouches for nothing.
    for header in [&b""[..], b"attn-fiqa journal 2\n{}\n", b"attn-fiqa journal 1\n{\"sett"] {
        here.write("scores.csv.part", &part);
        here.write("scores.csv.journal", header);
        let ran = here.run_with_stdin(&args, &list(&NAMES));
        ran.refused_with("'scores.csv.part' cannot be continued, since its journal");
        assert_eq!(here.read("scores.csv.part"), part);
        let args = [&args[..], &["--overwrite"]].concat();
        here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
        assert_eq!(here.read("scores.csv"), expected);
    }
}

#[test]
fn resume_rejects_changed_settings_or_inputs() {
    let here = test_dir();
    let args = ["score", "--aligned", "--list", "-", "--output", "scores.csv"];
    kill(start(&here, &args, &NAMES[..3], "scores.csv.journal"));
    let left = here.files("");
    for (other, named) in [
        (&["--method", "attn-max"][..], "--method was '' and is 'attn-max'"),
        (&["--precision", "int8"], "precision was 'f32' and is 'int8'"),
        (&["--shard", "1/2"], "--shard was 'all images' and is '1/2'"),
        (&["a.png"], "INPUT was '' and is 'a.png'"),
        (&["--max-memory", "1G"], "--max-memory was '' and is '1G'"),
    ] {
        let ran = here.run_with_stdin(&[&args[..], other].concat(), &list(&NAMES));
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
        ran.refused_with("is from a different unfinished run, and the two cannot be mixed");
        assert_eq!(here.files(""), left);
    }
    // Nor are changed images.
    let mut names = NAMES;
    names.swap(0, 1);
    here.run_with_stdin(&args, &list(&names))
        .refused_after_output("since the inputs have changed: image 1");
    here.run_with_stdin(&args, b"").refused_after_output("since the inputs have changed: image 1");
    assert_eq!(here.files(""), left);
    // The number of threads and the verbosity make no difference.
    let args = [&args[..], &["--jobs", "1", "--batch", "1", "--verbose"]].concat();
    let ran = here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
    assert!(ran.stderr.contains("holds 2 images of an earlier run"), "{}", ran.stderr);
    assert_eq!(Table::parse(&here.read_text("scores.csv")).column("path").len(), NAMES.len());
}

#[test]
fn concurrent_run_into_same_output_is_rejected() {
    for (args, output, journal) in runs() {
        let here = test_dir();
        let args = with_output(&args, output);
        let child = start(&here, &args, &NAMES[..2], &journal);
        let left = here.files("");
        let ran = here.run_with_stdin(&args, &list(&NAMES));
        ran.refused_with("another run is writing '");
        assert_eq!(here.files(""), left, "{output}");
        kill(child);
    }
}

/// The output itself is no input of the run.
#[test]
fn run_resumes_after_its_sheet_was_written() {
    let here = test_dir();
    let args = ["map", "--aligned", "--sheet", "sheet.png", "--list", "-"];
    kill(start(&here, &args, &NAMES[..3], "sheet.png.journal"));
    here.write("sheet.png", "the sheet");
    let ran = here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
    assert!(ran.stderr.contains("holds 2 images of an earlier run"), "{}", ran.stderr);
}

/// Killed between the last two steps: the output is there, and so is the journal.
#[test]
fn run_killed_before_removing_its_journal_can_be_repeated() {
    let here = test_dir();
    let args = ["detect", "-q", "--draw", "out", "--output", "faces.csv", "--list", "-"];
    kill(start(&here, &args, &NAMES[..3], "faces.csv.journal"));
    let journal = here.read_text("faces.csv.journal");
    here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
    let expected = [content(&here, "faces.csv"), content(&here, "out")];
    for last in ["end 6\n", "end 6\nfiles -\n"] {
        here.write("faces.csv.journal", format!("{journal}{last}"));
        let ran = here.run_with_stdin(&args, &list(&NAMES)).ended_with(1);
        assert!(!ran.stderr.contains("damaged"), "{}", ran.stderr);
        assert_eq!([content(&here, "faces.csv"), content(&here, "out")], expected);
        assert!(!here.path("faces.csv.journal").exists());
        // Without the journal, these are drawings that nobody vouches for.
        here.run_with_stdin(&args, &list(&NAMES)).refused_with("the folder 'out' is not empty");
    }
}

/// Killed after the manifest was replaced, and continued: its new rows are not added again.
#[test]
fn resumed_map_adds_rows_to_manifest_once() {
    let here = test_dir();
    let args = ["map", "--aligned", "-q", "--skip-existing", "--output", "maps", "--list", "-"];
    here.run_with_stdin(&args, &list(&NAMES[..2])).ended_with(0);
    let files = ["maps/manifest.csv.part", "maps/manifest.csv.journal"];
    kill(start(&here, &args, &NAMES[2..4], files[1]));
    let left = files.map(|file| here.read(file));
    here.run_with_stdin(&args, &list(&NAMES[2..])).ended_with(1);
    let expected = here.read_text("maps/manifest.csv");
    assert_eq!(Table::parse(&expected).column("path"), NAMES);
    for (file, content) in files.into_iter().zip(left) {
        here.write(file, content);
    }
    here.run_with_stdin(&args, &list(&NAMES[2..])).ended_with(1);
    assert_eq!(here.read_text("maps/manifest.csv"), expected);
}

/// After a file of a data set is complete, no rows are left beside the journal that lists them.
#[test]
fn data_set_with_damaged_journal_is_not_overwritten() {
    let here = test_dir();
    let args = ["score", "--aligned", "-q", "--list", "-", "--output", "scores/"];
    let args = [&args[..], &["--rows-per-file", "2"]].concat();
    kill(start(&here, &args, &NAMES[..3], "scores/_journal"));
    here.write("scores/_rows.part", "");
    here.write("scores/_journal", "attn-fiqa journal 2\n{}\n");
    let left = content(&here, "scores");
    let ran = here.run_with_stdin(&args, &list(&NAMES));
    ran.refused_with("since its journal 'scores/_journal' is of another version");
    assert_eq!(content(&here, "scores"), left);
}

/// Killed after it had marked a data set as complete.
#[test]
fn data_set_killed_in_its_last_steps_is_completed() {
    let here = test_dir();
    let score = ["score", "--aligned", "-q", "--list", "-", "--rows-per-file", "2", "--output"];
    let whole = [&score[..], &["whole/"]].concat();
    let shard = [&score[..], &["shard/", "--shard", "1/1"]].concat();
    here.run_with_stdin(&shard, &list(&NAMES)).ended_with(1);
    here.run_with_stdin(&whole, &list(&NAMES)).ended_with(1);
    let expected = [content(&here, "whole"), content(&here, "shard")];

    here.write("shard/_rows.part", "");
    here.run(&["merge", "shard", "--output", "merged/"]).refused_with("is not finished");
    here.run_with_stdin(&shard, &list(&NAMES)).ended_with(1);
    assert_eq!(content(&here, "shard"), expected[1]);
    here.run(&["merge", "shard", "--output", "merged/", "--rows-per-file", "2"]).ended_with(0);
    assert_eq!(content(&here, "merged"), expected[0]);

    let journal = here.read_text("shard/_journal").replace("\"1/1\"", "null");
    for rows in [Some(""), None] {
        here.write("whole/_journal", &journal);
        rows.into_iter().for_each(|rows| here.write("whole/_rows.part", rows));
        let written = |here: &TestDir| fs::metadata(here.path("whole/part-00000.parquet"));
        let before = written(&here).unwrap().modified().unwrap();
        here.run_with_stdin(&whole, &list(&NAMES)).ended_with(1);
        assert_eq!(content(&here, "whole"), expected[0]);
        assert_eq!(written(&here).unwrap().modified().unwrap(), before, "not scored again");
    }
    // Another command does not replace it.
    here.write("whole/_journal", &journal);
    let other = [&whole[..], &["--method", "attn-max"]].concat();
    here.run_with_stdin(&other, &list(&NAMES)).refused_with("is the output of a different run");
    here.run_with_stdin(&whole, &list(&NAMES)).ended_with(1);
    here.run_with_stdin(&whole, &list(&NAMES)).refused_with("holds a complete data set");
    assert_eq!(content(&here, "whole"), expected[0]);
}

/// Another program's `.part` file is not touched.
#[test]
fn unrelated_part_file_is_not_overwritten() {
    let here = test_dir();
    here.write("scores.csv.part", "a download");
    let args = ["score", "--aligned", "a.png", "--output", "scores.csv"];
    here.run(&args).refused_with("its journal 'scores.csv.journal' is empty or truncated");
    assert_eq!(here.read_text("scores.csv.part"), "a download");
    let left = here.files("");
    assert!(!left.contains(&"scores.csv".to_owned()), "{left:?}");
}

#[test]
fn full_disk_keeps_completed_rows() {
    // A limit on the file size simulates a full disk.
    let here = test_dir();
    let names = NAMES.repeat(20);
    let args = ["score", "--aligned", "--list", "-", "--output", "scores.csv"];
    here.run_with_stdin(&args, &list(&names)).ended_with(1);
    let expected = here.read("scores.csv");
    fs::remove_file(here.path("scores.csv")).unwrap();
    here.write("names.txt", list(&names));
    let mut shell = std::process::Command::new("bash");
    // In blocks of 1024 bytes; the signal at the limit is ignored, so that writing fails.
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$@\" < names.txt";
    shell.current_dir(here.path("")).args(["-c", script, "bash"]);
    let output = shell.arg(env!("CARGO_BIN_EXE_attn-fiqa")).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let said = stderr.lines().last().unwrap();
    assert!(said.contains("images are kept, and the same command continues"), "{stderr}");
    here.run_with_stdin(&args, &list(&names)).ended_with(1);
    assert_eq!(here.read("scores.csv"), expected);
}
