//! `--shard` and `merge`: parts of a set, each computed on its own, and merged again.

use std::fs;

use crate::support::{Table, TestDir};

const SHARDS: [&str; 3] = ["1/3", "2/3", "3/3"];

/// Twelve files in two folders, two of which are not images.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    for (number, face) in
        ["blur-1", "blur-3", "dark-5", "blur-5"].iter().cycle().take(10).enumerate()
    {
        here.face(&format!("{face}.png"), &format!("set/{}/{number}.png", number % 2));
    }
    here.write("set/0/text.png", "no picture");
    here.write("set/1/empty.png", "");
    here
}

fn shard(here: &TestDir, args: &[&str], shard: &str, output: &str) {
    here.run(&[args, &["--shard", shard, "--output", output]].concat());
    assert!(here.path(output).exists(), "{output}");
}

/// The contents of every file of an output.
fn content(here: &TestDir, output: &str) -> Vec<(String, Vec<u8>)> {
    if here.path(output).is_file() {
        return vec![(String::new(), here.read(output))];
    }
    let names = here.files(output).into_iter().filter(|name| name != "_journal");
    names.map(|name| (name.clone(), here.read(&format!("{output}/{name}")))).collect()
}

#[test]
fn merged_shards_equal_single_run() {
    let here = test_dir();
    let score = ["score", "set", "--aligned", "-q"];
    let columns = [&score[..], &["--columns", "main_cause,causes,map,embedding"]].concat();
    let runs: [(&[&str], &str, &[&str]); 6] = [
        (&columns, "csv", &[]),
        (&columns, "jsonl", &[]),
        (&score, "txt", &[]),
        (&columns, "parquet", &[]),
        (&columns, "/", &["--rows-per-file", "3"]),
        (&["detect", "set", "-q"], "csv", &[]),
    ];
    for (number, (args, ending, more)) in runs.into_iter().enumerate() {
        let name = |of: &str| match ending {
            "/" => format!("{of}-{number}/"),
            ending => format!("{of}-{number}.{ending}"),
        };
        let args = [args, more].concat();
        here.run(&[&args[..], &["--output", &name("whole")]].concat()).ended_with(1);
        let parts: Vec<String> = (1..=3).map(|index| name(&format!("part{index}"))).collect();
        for (part, index) in parts.iter().zip(SHARDS) {
            shard(&here, &args, index, part);
        }
        let merged = name("merged");
        // In any order.
        let merge = ["merge", &parts[2], &parts[0], &parts[1], "--output", &merged];
        let ran = here.run(&[&merge[..], more].concat()).ended_with(0);
        assert!(ran.stderr.starts_with("3 parts merged: 12 images, 12 rows"), "{}", ran.stderr);
        assert_eq!(content(&here, &merged), content(&here, &name("whole")), "{ending}");
    }
    // The length of an embedding is in the column 'score'.
    let embed = ["embed", "set", "--aligned", "-q", "--format", "parquet"];
    for (output, more) in
        [("e/", &[][..]), ("e1/", &["--shard", "1/2"]), ("e2/", &["--shard", "2/2"])]
    {
        here.run(&[&embed[..], &["--output", output], more].concat());
    }
    here.run(&["merge", "e1", "e2", "--output", "e.parquet"]).ended_with(0);
    assert!(here.path("e/_SUCCESS").is_file());
}

/// The shards of a set are the same in an archive, and wherever it is mounted.
#[test]
fn shard_assignment_depends_on_relative_path() {
    let here = test_dir();
    let mut builder = tar::Builder::new(fs::File::create(here.path("set.tar")).unwrap());
    builder.append_dir_all(".", here.path("set")).unwrap();
    builder.into_inner().unwrap();
    let mut all = Vec::new();
    for index in SHARDS {
        let names = |input: &str, prefix: &str| -> Vec<String> {
            let ran = here.run(&["score", input, "--aligned", "-q", "--shard", index]);
            let table = ran.table();
            let names = table.column("path");
            let mut names: Vec<String> =
                names.iter().map(|name| name.strip_prefix(prefix).unwrap().to_owned()).collect();
            names.sort();
            names
        };
        let absolute = here.path("set").to_string_lossy().into_owned();
        let found = names("set", "set/");
        assert_eq!(names(&absolute, &format!("{absolute}/")), found);
        assert_eq!(names("set.tar", "set.tar/"), found);
        all.extend(found);
    }
    all.sort();
    assert_eq!(all.len(), 12);
    all.dedup();
    assert_eq!(all.len(), 12);
}

#[test]
fn merge_rejects_inconsistent_parts() {
    let here = test_dir();
    let args = ["score", "set", "--aligned", "-q"];
    for (index, part) in SHARDS.into_iter().zip(["1.csv", "2.csv", "3.csv"]) {
        shard(&here, &args, index, part);
    }
    let merge = |parts: &[&str]| here.run(&[&["merge"], parts, &["-o", "out.csv"]].concat());
    merge(&["1.csv", "3.csv"]).refused("shards are missing: 2/3");
    merge(&["1.csv", "2.csv", "3.csv", "2.csv"]).refused("'2.csv' and '2.csv' are both shard 2/3");
    here.run(&["merge", "1.csv", "2.csv", "3.csv", "-o", "3.csv"])
        .refused("'3.csv' is a part; name another output");
    merge(&["gone.csv"]).refused_with("'gone.csv' has no journal 'gone.csv.journal'");
    merge(&["1.csv", "2.csv", "set"]).refused_with("'set' has no journal 'set/_journal'");

    shard(&here, &args, "2/4", "other.csv");
    merge(&["1.csv", "other.csv", "3.csv"])
        .refused_with("'1.csv' is shard 1/3 and 'other.csv' is shard 2/4");
    shard(&here, &[&args[..], &["--method", "attn-max"]].concat(), "2/3", "max.csv");
    merge(&["1.csv", "max.csv", "3.csv"])
        .refused_with("are from different runs and cannot be merged: --method was ''");
    shard(&here, &args, "2/3", "lines.jsonl");
    merge(&["1.csv", "lines.jsonl", "3.csv"]).refused_with("name an output with the same");

    // Rows that were changed after the run, then a changed journal.
    let (whole, journal) = (here.read_text("2.csv"), here.read_text("2.csv.journal"));
    for changed in [
        whole.replacen("0.png", "9.png", 1),
        whole[..whole.len() - 1].to_owned(),
        whole.clone() + "x",
    ] {
        here.write("2.csv", changed);
        merge(&["1.csv", "2.csv", "3.csv"])
            .refused_with("'2.csv' does not hold the rows that its journal lists");
    }
    here.write("2.csv", &whole);
    here.write("2.csv.journal", &journal[..journal.len() - 3]);
    merge(&["1.csv", "2.csv", "3.csv"]).refused_with("the journal '2.csv.journal' is damaged");
    let (lines, _) = journal.split_at(journal.rfind("end ").unwrap());
    here.write("2.csv.journal", lines);
    merge(&["1.csv", "2.csv", "3.csv"]).refused_with("the run of '2.csv.journal' is not finished");
    here.write("2.csv.journal", &journal);

    // An image added in the meantime.
    here.face("blur-1.png", "set/0/00.png");
    shard(&here, &args, "2/3", "2.csv");
    merge(&["1.csv", "2.csv", "3.csv"]).refused_with(
        "'1.csv' was made from inputs with 12 images and '2.csv' from 13: the inputs have changed",
    );
    assert!(!here.path("out.csv").exists());
}

/// More shards than images: some are empty, and are merged like the others.
#[test]
fn empty_shards_succeed_and_merge() {
    let here = TestDir::with_faces(&["blur-1.png", "dark-5.png"]);
    let args = ["score", "blur-1.png", "dark-5.png", "--aligned", "-q"];
    here.run(&[&args[..], &["--output", "whole.csv"]].concat()).ended_with(0);
    for index in 1..=5 {
        let (shard, output) = (format!("{index}/5"), format!("{index}.csv"));
        here.run(&[&args[..], &["--shard", &shard, "--output", &output]].concat()).ended_with(0);
    }
    let parts = ["1.csv", "2.csv", "3.csv", "4.csv", "5.csv"];
    here.run(&[&["merge"], &parts[..], &["-o", "merged.csv"]].concat()).ended_with(0);
    assert_eq!(here.read("merged.csv"), here.read("whole.csv"));
    let rows = |name: &str| Table::parse(&here.read_text(name)).rows.len();
    assert_eq!(parts.map(rows).iter().sum::<usize>(), 2);
    // A shard that is computed again replaces itself.
    here.run(&[&args[..], &["--shard", "1/5", "--output", "1.csv"]].concat()).ended_with(0);
    here.run(&[&["merge"], &parts[..], &["-o", "merged.csv"]].concat()).ended_with(0);
}

/// A complete shard keeps its journal until another run has something to put in its place.
#[test]
fn failed_rerun_keeps_complete_shard() {
    let here = test_dir();
    let names = "set/0/0.png\nset/1/1.png\nset/0/2.png\n";
    here.write("list.txt", names);
    let args = ["score", "--list", "list.txt", "--aligned", "-q"];
    let run = |shard: &str, output: &str, more: &[&str]| {
        here.run(&[&args[..], &["--shard", shard, "--output", output], more].concat())
    };
    run("1/2", "1.csv", &[]).ended_with(0);
    run("2/2", "2.csv", &[]).ended_with(0);
    let complete = || ["1.csv", "1.csv.journal"].map(|file| here.read(file));
    let before = complete();

    here.write("list.txt", "");
    run("1/2", "1.csv", &[]).refused_with("the inputs hold no image");
    assert_eq!(complete(), before);
    here.write("list.txt", names);
    run("2/2", "1.csv", &[])
        .refused_with("'1.csv' is the output of a different run, whose journal is '1.csv.journal'");
    run("1/2", "1.csv", &["--method", "attn-max"])
        .refused_with("--method was '' and is 'attn-max'");
    assert_eq!(complete(), before);
    assert!(!here.path("1.csv.part").exists());
    here.run(&["merge", "1.csv", "2.csv", "-o", "merged.csv"]).ended_with(0);

    run("1/2", "1.csv", &[]).ended_with(0);
    assert_eq!(here.read("1.csv"), before[0]);
    run("2/2", "1.csv", &["--overwrite"]).ended_with(0);
    assert_eq!(here.read("1.csv"), here.read("2.csv"));
}

/// A folder that holds a run, or a data set, is changed only once the merged rows are complete.
#[test]
fn merge_keeps_existing_data_until_it_is_replaced() {
    let here = TestDir::with_faces(&["blur-1.png", "dark-5.png", "blur-3.png", "blur-5.png"]);
    let args = ["score", "blur-1.png", "dark-5.png", "blur-3.png", "blur-5.png"];
    let args = [&args[..], &["--aligned", "-q"]].concat();
    let files = ["--rows-per-file", "1", "--output"];
    for (index, part) in [("1/2", "1.parquet"), ("2/2", "2.parquet")] {
        shard(&here, &args, index, part);
    }
    here.run(&[&args[..], &files, &["set/"]].concat()).ended_with(0);
    let merge = |more: &[&str]| here.run(&[&["merge", "1.parquet", "2.parquet"], more].concat());

    // Rows that do not match their journal are found only when they are read.
    let journal = here.read_text("1.parquet.journal");
    let image = journal.lines().rfind(|line| line.split(' ').count() == 6).unwrap();
    let crc = image.split(' ').nth(4).unwrap();
    here.write("1.parquet.journal", journal.replace(crc, "00000000"));
    let before = content(&here, "set");
    merge(&["--overwrite", "--output", "set/"]).refused_with("does not hold the rows");
    assert_eq!(content(&here, "set"), before);
    merge(&["--output", "new/"]).refused_with("does not hold the rows");
    assert!(here.files("new").is_empty());
    here.write("1.parquet.journal", journal);

    here.write("set/_journal", "attn-fiqa journal 1\n{}\n");
    here.write("set/_rows.part", "rows");
    fs::remove_file(here.path("set/_SUCCESS")).unwrap();
    let before = here.files("set");
    merge(&["--output", "set/"]).refused_with("the folder 'set/' holds an unfinished run");
    assert_eq!(here.files("set"), before);
    merge(&["--overwrite", "--output", "set/", "--rows-per-file", "3"]).ended_with(0);
    assert_eq!(here.files("set"), ["_SUCCESS", "part-00000.parquet", "part-00001.parquet"]);
}
