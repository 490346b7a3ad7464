//! Images missing from a table, in sets whose folders have files of the same names.

use attn_fiqa_eval::files::npy;

use crate::support::{Table, TestDir};

/// Persons with images 01, 02 and 03 each.
const PERSONS: usize = 8;

fn image(root: &str, person: usize, number: usize) -> String {
    format!("{root}/{person:03}/frontal/{number:02}.jpg")
}

/// Two numbers per image: persons are spread on a circle.
fn embedding(person: usize, number: usize) -> [f32; 2] {
    let angle = 0.7 * person as f32 + 0.05 * number as f32;
    [angle.cos(), angle.sin()]
}

/// Pairs of `cfp/…`, and tables without image 03 of person 2: embeddings and scores with the same
/// paths, and both with another root and extension.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    let mut pairs = String::new();
    for person in 0..PERSONS {
        for number in 1..=3 {
            let next = number % 3 + 1;
            let (a, b) = (image("cfp", person, number), image("cfp", person, next));
            pairs += &format!("{a} {b} 1\n");
            let other = image("cfp", (person + 1 + number) % PERSONS, number);
            pairs += &format!("{a} {other} 0\n");
        }
    }
    here.write("pairs.txt", &pairs);
    for (root, file) in [("cfp", "same"), ("elsewhere/crops", "other")] {
        let (mut names, mut numbers, mut scores) = (String::new(), Vec::new(), String::new());
        let mut groups = "path,group\n".to_owned();
        for person in 0..PERSONS {
            for number in 1..=3 {
                let name = image(root, person, number);
                let name = if file == "same" { name } else { name.replace(".jpg", ".png") };
                groups += &format!("{name},{}\n", person % 2);
                if (person, number) == (2, 3) {
                    continue;
                }
                names += &format!("{name}\n");
                numbers.extend(embedding(person, number));
                scores += &format!("{name} {}\n", person * 10 + number);
            }
        }
        here.write(&format!("{file}.txt"), &names);
        here.write(&format!("{file}.npy"), npy::to_bytes(&[numbers.len() / 2, 2], &numbers));
        here.write(&format!("{file}-scores.txt"), scores);
        here.write(&format!("{file}-groups.csv"), groups);
    }
    here
}

const LACKS: &str = "for 1 of 24 images: 'cfp/002/frontal/03.jpg'";

/// Comparisons with image 03 of person 2, of 48.
const LEFT_OUT: &str = "note: 4 of 48 comparisons are left out, because 1 images are missing";

#[test]
fn verify_reports_or_skips_missing_images() {
    let here = test_dir();
    for file in ["same", "other"] {
        let [matrix, names] = [format!("{file}.npy"), format!("{file}.txt")];
        let args = ["verify", "--pairs", "pairs.txt", "--embeddings", &matrix, "--names", &names];
        let ran = here.run(&args).ended_with(2);
        assert!(ran.stderr.contains(&format!("has no embedding {LACKS}")), "{}", ran.stderr);
        assert!(ran.stderr.contains("--missing skip leaves"), "{}", ran.stderr);
        let args = [&args[..], &["--missing", "skip", "--folds", "4", "--fmr", "0.1"]].concat();
        let ran = here.run(&args).ended_with(0);
        assert!(ran.stderr.contains(LEFT_OUT), "{}", ran.stderr);
        let found = match file {
            "same" => "23 embeddings matched, 23 by path and 0 by stem, 1 missing",
            _ => "23 embeddings matched, 0 by path and 23 by stem, 1 missing",
        };
        assert!(ran.stderr.contains(found), "{}", ran.stderr);
        assert!(ran.stderr.contains("22 mated and 22 non-mated comparisons"), "{}", ran.stderr);
        assert_eq!(ran.table().column("measure")[2], "eer");
        assert!(ran.table().numbers("value")[2] < 0.1, "matched with the wrong persons");
    }
}

#[test]
fn edc_and_advise_skip_images_missing_from_tables() {
    let here = test_dir();
    // The embeddings are complete now, and the scores lack one.
    let mut names = String::new();
    let mut numbers = Vec::new();
    for person in 0..PERSONS {
        for number in 1..=3 {
            names += &format!("{}\n", image("cfp", person, number));
            numbers.extend(embedding(person, number));
        }
    }
    here.write("all.txt", names);
    here.write("all.npy", npy::to_bytes(&[3 * PERSONS, 2], &numbers));
    let common = ["--pairs", "pairs.txt", "--embeddings", "all.npy", "--names", "all.txt"];
    for command in ["edc", "advise"] {
        let mut args = [&[command][..], &common, &["--fmr", "0.1"]].concat();
        args.extend(["--quality", "other-scores.txt"]);
        let ran = here.run(&args).ended_with(2);
        assert!(ran.stderr.contains(&format!("has no quality {LACKS}")), "{}", ran.stderr);
        args.extend(["--missing", "skip"]);
        if command == "edc" {
            args.extend(["--group-by", "other-groups.csv", "--output", "out"]);
        }
        let ran = here.run(&args).ended_with(0);
        assert!(ran.stderr.contains(LEFT_OUT), "{}", ran.stderr);
    }
    let groups = Table::parse(&here.read_text("out/groups.csv"));
    assert_eq!(groups.column("images"), ["23", "11", "12"]);
}

#[test]
fn benchmark_skips_and_reports_missing_images() {
    let here = test_dir();
    for person in 0..PERSONS {
        for number in 1..=3 {
            here.write(&image("set/cfp", person, number), "not read");
        }
    }
    let study = "[settings]\nfmr = [0.1]\nreplicates = 5\nfaces = 0\n\
                 [[dataset]]\nname = \"set\"\nkind = \"pairs\"\npath = \"set\"\n\
                 pairs = \"pairs.txt\"\n\
                 [[recogniser]]\nname = \"made-up\"\nembeddings = { set = \"same.npy\" }\n\
                 lists = { set = \"same.txt\" }\n\
                 [[method]]\nname = \"theirs\"\nscores = { set = \"other-scores.txt\" }\n";
    here.write("study.toml", study);
    let ran = here.run(&["benchmark", "study.toml"]).ended_with(2);
    assert!(ran.stderr.contains(LACKS), "{}", ran.stderr);
    assert!(ran.stderr.contains("missing = \"skip\" under [settings]"), "{}", ran.stderr);
    let ran = here.run(&["benchmark", "study.toml", "--missing", "skip"]).ended_with(0);
    let said = "set, made-up: 4 comparisons are left out, because 1 images are missing";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    here.write("study.toml", study.replace("[settings]\n", "[settings]\nmissing = \"skip\"\n"));
    let by_key = here.run(&["benchmark", "study.toml"]).ended_with(0);
    assert_eq!(by_key.stdout(), ran.stdout());
    let baselines = Table::parse(&here.read_text("study.run/tables/baselines.csv"));
    assert_eq!(baselines.column("left_out"), ["4"]);
    here.run(&["report", "study.run"]).ended_with(0);
    let page = here.read_text("study.run/report.html");
    assert!(page.contains("set, theirs: 1 images are missing in its file"), "{page}");

    // An image that does not exist in the folder.
    std::fs::remove_file(here.path(&image("set/cfp", 2, 3))).expect("a picture");
    here.write("study.toml", study);
    let ran = here.run(&["benchmark", "study.toml"]).ended_with(2);
    assert!(ran.stderr.contains("1 of 24 images missing: 'cfp/002/frontal/03.jpg'"));
    assert!(ran.stderr.contains("missing = \"skip\""), "{}", ran.stderr);
    here.run(&["benchmark", "study.toml", "--missing", "skip"]).ended_with(0);
}
