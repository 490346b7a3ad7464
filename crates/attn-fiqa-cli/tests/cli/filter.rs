//! `filter` as a process: from scores to lists and smaller tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use crate::support::{self, TestDir};

const SCORES: &str = "\
path,face,status,score,quality,person,message
people/ann/1.jpg,0,ok,0.9,80,ann,
people/ann/2.jpg,0,ok,0.5,60,ann,\"resized, \"\"twice\"\"\"
people/ann/2.jpg,1,ok,0.4,55,bob,
people/ann/3.jpg,0,ok,0.3,20,ann,
people/bob/1.jpg,,no-face,,-1,,none
people/bob/2.jpg,0,ok,0.6,60,bob,
people/bob/3.jpg,0,ok,0.7,60,bob,
top.jpg,0,ok,0.1,10,,
";

fn test_dir() -> TestDir {
    let here = TestDir::new();
    here.write("scores.csv", SCORES);
    here
}

fn kept(here: &TestDir, more: &[&str]) -> Vec<String> {
    let args = [&["filter", "scores.csv"], more].concat();
    here.run(&args).ended_with(0).stdout().lines().map(str::to_owned).collect()
}

#[test]
fn list_contains_each_kept_image_once() {
    let here = test_dir();
    let all = [
        "people/ann/1.jpg",
        "people/ann/2.jpg",
        "people/ann/3.jpg",
        "people/bob/2.jpg",
        "people/bob/3.jpg",
        "top.jpg",
    ];
    assert_eq!(kept(&here, &[]), all);
    assert_eq!(kept(&here, &["--below", "60"]), [all[0], all[1], all[3], all[4]]);
    assert_eq!(kept(&here, &["--status", "no-face"]), ["people/bob/1.jpg"]);
    assert_eq!(kept(&here, &["--status", "no-face,ok", "--below", "80"]), [all[0]]);
    let ran = here.run(&["filter", "scores.csv", "--below", "60", "-o", "good.txt"]).ended_with(0);
    assert_eq!(ran.stdout(), "");
    assert_eq!(here.read_text("good.txt").lines().count(), 4);
    assert_eq!(
        ran.stderr.trim(),
        "4 of 8 rows kept; left out: 1 of another status, 3 below the quality"
    );
}

#[test]
fn top_rows_of_each_group_are_kept() {
    let here = test_dir();
    let scores = |more: &[&str]| -> Vec<String> {
        let args = [&["filter", "scores.csv", "--format", "csv"], more].concat();
        let table = here.run(&args).ended_with(0).table();
        table.column("score").into_iter().map(str::to_owned).collect()
    };
    // By folder: ann has four rows, bob two, and one row is next to these folders.
    assert_eq!(scores(&["--top", "1"]), ["0.9", "0.7", "0.1"]);
    assert_eq!(scores(&["--top", "2"]), ["0.9", "0.5", "0.6", "0.7", "0.1"]);
    assert_eq!(scores(&["--top-share", "0.5"]), ["0.9", "0.5", "0.7", "0.1"]);
    assert_eq!(scores(&["--top-share", "0.5", "--top", "1"]), ["0.9", "0.7", "0.1"]);
    // By person, across folders; the last row has no person.
    assert_eq!(scores(&["--top", "1", "--by", "person"]), ["0.9", "0.7"]);
    assert_eq!(scores(&["--top", "2", "--by", "person"]), ["0.9", "0.5", "0.6", "0.7"]);
    assert_eq!(scores(&["--top", "1", "--by", "person", "--below", "61"]), ["0.9"]);
    assert_eq!(scores(&["--top", "3", "--group-by", "all"]), ["0.9", "0.6", "0.7"]);
    assert_eq!(scores(&["--top-share", "0", "--group-by", "all"]), Vec::<String>::new());
}

#[test]
fn groups_are_read_from_label_file() {
    let here = test_dir();
    here.write("labels.csv", "path,id\npeople/ann/1.jpg,a\npeople/ann/2.jpg,a\n");
    let args = ["filter", "scores.csv", "--top", "1", "--by", "id", "--labels", "labels.csv"];
    here.run(&args).refused_with("has no group for");
    let ran = here.run(&[&args[..], &["--missing", "skip"]].concat()).ended_with(0);
    assert_eq!(ran.stdout().lines().next(), Some("people/ann/1.jpg"));
    assert!(ran.stderr.contains("without a group"), "{}", ran.stderr);
    here.run(&["filter", "scores.csv", "--by", "id"]).refused_with("--top-share or --top");
    here.run(&["filter", "scores.csv", "--top", "1", "--by", "id"]).refused_with("--by names");
}

#[test]
fn threshold_is_read_from_policy() {
    let here = test_dir();
    here.write("policy.toml", "# By attn-fiqa advise: x.\n\n[rules]\nquality = { min = 60 }\n");
    assert_eq!(kept(&here, &["--policy", "policy.toml"]), kept(&here, &["--below", "60"]));
    here.write("band.toml", "[rules]\nquality = { min = \"good\" }\n");
    assert_eq!(kept(&here, &["--policy", "band.toml"]), kept(&here, &["--below", "60"]));
    here.write("more.toml", "[rules]\nquality = { min = 60 }\nyaw = { max = 20 }\n");
    here.run(&["filter", "scores.csv", "--policy", "more.toml"]).refused_with("attn-fiqa gate");
    here.write("other.toml", "[rules]\nquality = { reject_below = 60 }\n");
    here.run(&["filter", "scores.csv", "--policy", "other.toml"])
        .refused_with("expected only quality = { min = N }");
}

#[test]
fn text_rows_are_copied_unchanged() {
    let here = test_dir();
    here.run(&["filter", "scores.csv", "--below", "0", "-o", "same.csv"]).ended_with(0);
    let without = SCORES.lines().filter(|line| !line.contains("no-face"));
    let expected: String = without.map(|line| format!("{line}\n")).collect();
    assert_eq!(here.read_text("same.csv"), expected);
    let lines = "{\"path\":\"a.jpg\",\"quality\":50,\"map\":[1.0,2.5]}\n\n\
                 {\"path\": \"b.jpg\", \"quality\": 20}\n{\"path\":\"c.jpg\",\"quality\":null}\n";
    here.write("s.jsonl", lines);
    here.run(&["filter", "s.jsonl", "--below", "30", "-o", "t.jsonl"]).ended_with(0);
    assert_eq!(here.read_text("t.jsonl"), format!("{}\n", lines.lines().next().expect("one")));
    here.run(&["filter", "s.jsonl", "-o", "t.csv"]).refused_with("its rows are copied unchanged");
    here.run(&["filter", "s.jsonl", "-o", "s.jsonl"]).refused_with("is an input");
    here.run(&["filter", "s.jsonl", "-o", "t.xyz"]).refused_with("does not give a format");
    here.run(&["filter", "s.jsonl", "--null", "-o", "t.jsonl"]).refused_with("--null");
    here.write("other.csv", "path,quality\nx.jpg,3\n");
    here.run(&["filter", "scores.csv", "other.csv", "-o", "t.csv"])
        .refused_with("'other.csv' does not have the columns of 'scores.csv'");
    assert!(!here.path("t.csv").exists());
    let both = here.run(&["filter", "scores.csv", "other.csv", "--below", "3"]).ended_with(0);
    assert_eq!(both.stdout().lines().last(), Some("x.jpg"));
}

#[test]
fn filtered_parquet_matches_filtered_jsonl() {
    let here = TestDir::with_faces(&["blur-1.png", "blur-2.png", "blur-3.png", "blur-4.png"]);
    here.bad_images("bad");
    let columns = ["--aligned", "--columns", "band,causes,main_cause,map,size"];
    let score = |format: &str, inputs: &[&str]| {
        here.run(&[&["score", "-o", format], inputs, &columns].concat());
    };
    score("all.parquet", &[".", "bad"]);
    score("all.jsonl", &[".", "bad"]);
    fs::create_dir(here.path("parts")).expect("a folder");
    score("parts/part-0.parquet", &["."]);
    score("parts/part-1.parquet", &["bad"]);
    here.write("parts/_SUCCESS", "");
    here.write("parts/.part-2.parquet.tmp", "half");
    let rows = |table: &str, format: &str, more: &[&str]| {
        here.run(&[&["filter", table, "-o", format], more].concat()).ended_with(0);
    };
    for more in
        [&["--below", "40"][..], &["--top", "1"], &["--status", "broken-image,not-an-image"]]
    {
        rows("all.parquet", "some.parquet", more);
        rows("all.jsonl", "some.jsonl", more);
        rows("parts", "of-parts.parquet", more);
        let expected = json_rows(&here.path("some.jsonl"));
        assert!(!expected.is_empty() && expected.len() < 8);
        assert_eq!(
            parquet_rows(&here.path("some.parquet")),
            parquet_rows(&here.path("of-parts.parquet"))
        );
        let found = parquet_rows(&here.path("some.parquet"));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            for key in ["path", "status", "quality", "band", "main_cause"] {
                assert_eq!(found[key].to_string(), expected[key].to_string(), "{key}");
            }
            let length = match &found["map"] {
                Field::ListInternal(map) => Some(map.len()),
                _ => None,
            };
            assert_eq!(length, expected["map"].as_array().map(Vec::len));
        }
    }
    let keys = |name: &str| {
        let file = fs::File::open(here.path(name)).expect(name);
        let reader = SerializedFileReader::new(file).expect(name);
        reader.metadata().file_metadata().key_value_metadata().cloned()
    };
    assert!(keys("all.parquet").is_some() && keys("all.parquet") == keys("some.parquet"));
    fs::remove_file(here.path("parts/_SUCCESS")).expect("a file");
    let unfinished = here.run(&["filter", "parts"]).ended_with(0);
    assert!(unfinished.stderr.contains("has no _SUCCESS"), "{}", unfinished.stderr);
    let bytes = here.read("all.parquet");
    here.write("cut.parquet", &bytes[..bytes.len() - 20]);
    here.run(&["filter", "cut.parquet"]).refused_with("is damaged");
    here.run(&["filter", "bad"]).refused_with("holds no .parquet files");
    here.run(&["filter", "none.csv"]).refused_with("none.csv");
}

/// A damaged table gives an error or the rows that can still be read, never a crash.
#[test]
fn damaged_tables_never_panic() {
    let here = TestDir::with_faces(&["blur-1.png", "blur-2.png"]);
    for table in ["all.parquet", "all.csv", "all.jsonl"] {
        let columns = if table.ends_with("parquet") { "map,causes" } else { "band" };
        here.run(&["score", ".", "--aligned", "-o", table, "--columns", columns]).ended_with(0);
        let bytes = here.read(table);
        for attack in 0..12_usize {
            let mut bytes = bytes.clone();
            // From the end, where Parquet has its schema, to the values.
            let place = bytes.len() - 9 - attack * bytes.len() / 13;
            bytes[place] = bytes[place].wrapping_add(1 + 16 * attack as u8);
            here.write(&format!("damaged-{table}"), bytes);
            let output = format!("some-{table}");
            let ran = here.run(&["filter", &format!("damaged-{table}"), "-o", &output]);
            assert!(matches!(ran.status, Some(0 | 2)), "{attack}: {:?} {}", ran.status, ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        }
    }
}

fn json_rows(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("rows");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn parquet_rows(path: &Path) -> Vec<BTreeMap<String, Field>> {
    let reader = SerializedFileReader::new(fs::File::open(path).expect("a file")).expect("Parquet");
    let cells = |row: Row| row.into_columns().into_iter().collect();
    reader.into_iter().map(|row| cells(row.expect("a row"))).collect()
}

/// A listed image is found again, whatever its name.
#[cfg(unix)]
#[test]
fn null_separated_lists_preserve_file_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let here = TestDir::new();
    let names: [&[u8]; 8] = [
        b"plain.png",
        b"with space, comma.png",
        b"\"quoted\".png",
        b"not\xff\xfeutf8.png",
        br"looks\xfflike.png",
        b"line\nbreak.png",
        b" ends .png ",
        b"=1+1.png",
    ];
    fs::create_dir(here.path("in")).expect("a folder");
    for name in names {
        let path = here.path("in").join(OsStr::from_bytes(name));
        fs::write(path, support::face_bytes("blur-1.png")).expect("a file");
    }
    for table in ["scores.csv", "scores.jsonl", "scores.parquet"] {
        here.run(&["score", "in", "--aligned", "-o", table]).ended_with(0);
        here.run(&["filter", table, "-o", "list.txt"]).refused_with("use --null, and read");
        here.run(&["filter", table, "--null", "-o", "list.txt"]).ended_with(0);
        let list = here.read("list.txt");
        let mut listed: Vec<&[u8]> =
            list.split(|&byte| byte == 0).filter(|n| !n.is_empty()).collect();
        let mut expected: Vec<Vec<u8>> =
            names.iter().map(|name| [b"in/", *name].concat()).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected, "{table}");
        let again = ["score", "--list", "list.txt", "--null", "--aligned", "-o", "again.csv"];
        here.run(&again).ended_with(0);
    }
}
