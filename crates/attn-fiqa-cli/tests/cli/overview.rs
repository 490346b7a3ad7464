//! `attn-fiqa report SCORES` as a process: the page of a set's qualities.

use attn_fiqa::causes::Cause;

use crate::support::{Table, TestDir};

const FACES: [&str; 3] = ["astronaut.png", "blur-3.png", "jpeg-2.jpg"];

/// Example faces, a file that is not an image, and their scores in every format.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    FACES.iter().for_each(|face| here.face(face, &format!("set/{face}")));
    here.write("set/text.png", "no image");
    for format in ["csv", "jsonl", "parquet"] {
        let output = format!("scores.{format}");
        let columns = "components,causes,main_cause";
        here.run(&["score", "set", "--columns", columns, "--output", &output]).ended_with(1);
    }
    here
}

#[test]
fn report_is_identical_for_every_score_format() {
    let here = test_dir();
    let page = |format: &str| {
        let (scores, output) = (format!("scores.{format}"), format!("{format}.html"));
        let ran = here.run(&["report", &scores, "--output", &output]).ended_with(0);
        assert_eq!(ran.stdout(), format!("{output}\n"));
        assert_eq!(ran.stderr, "");
        here.read_text(&output).replace(&scores, "SCORES")
    };
    let of_csv = page("csv");
    assert_eq!(page("jsonl"), of_csv);
    assert_eq!(page("parquet"), of_csv);

    let scores = Table::parse(&here.read_text("scores.csv"));
    let mut qualities: Vec<f32> =
        scores.numbers("quality").into_iter().filter(|&quality| quality >= 0.0).collect();
    qualities.sort_by(f32::total_cmp);
    assert_eq!(qualities.len(), 3);
    let median = format!("SCORES: 4 images, 3 faces, median quality {}.", qualities[1]);
    assert!(of_csv.contains(&median), "{median}");
    assert!(of_csv.contains("not-an-image") && of_csv.contains("set/text.png: "));
    for cause in scores.column("main_cause").into_iter().filter(|cause| !cause.is_empty()) {
        let cause: Cause = cause.parse().expect("a cause");
        assert!(of_csv.contains(cause.description()) && of_csv.contains(cause.advice()));
    }
    // Two worst and one best, each with its thumbnail; the page is alone.
    assert_eq!(of_csv.matches("src=\"data:image/jpeg;base64,").count(), 3);
    assert!(of_csv.contains("default-src 'none'"));
    for outside in ["src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!of_csv.contains(outside), "{outside}");
    }
}

#[test]
fn images_are_resolved_and_missing_ones_reported() {
    let here = test_dir();
    let moved = here.path("moved");
    std::fs::create_dir(&moved).expect("a folder");
    std::fs::rename(here.path("set"), moved.join("set")).expect("moved");
    let ran = here.run(&["report", "scores.csv", "--output", "page.html"]).ended_with(0);
    assert!(ran.stderr.contains("3 of 3 images could not be shown"), "{}", ran.stderr);
    assert!(here.read_text("page.html").contains("3 of the 3 faces have no thumbnail"));
    let args = ["report", "scores.csv", "--output", "page.html", "--images", "moved"];
    let ran = here.run(&args).ended_with(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(here.read_text("page.html").matches("alt=\"Face of").count(), 3);
    let ran = here.run(&[&args[..], &["--top", "0"]].concat()).ended_with(0);
    assert_eq!(ran.stderr, "");
    assert!(!here.read_text("page.html").contains("<img"));
}

#[test]
fn report_groups_match_groups_command() {
    let here = TestDir::new();
    let (mut scores, mut labels) = ("path,quality\n".to_owned(), "path,age\n".to_owned());
    for image in 0..200 {
        scores += &format!("{image}.jpg,{}\n", (image * 37) % 101);
        labels += &format!("{image}.jpg,{}\n", ["3-9", "20-29", "70+", "3-9 ", " "][image % 5]);
    }
    here.write("scores.csv", scores);
    here.write("labels.csv", labels);
    let labels = ["--labels", "labels.csv", "--by", "age", "--missing", "skip"];
    let shared = [&["scores.csv", "--below", "60"], &labels[..]].concat();
    let groups = here.run(&[&["groups"], &shared[..]].concat()).ended_with(0);
    let report = [&["report"], &shared[..], &["--output", "page.html"]].concat();
    here.run(&report).ended_with(0);
    let page = here.read_text("page.html");
    let table = groups.table();
    assert_eq!(table.column("group"), ["all", "3-9", "20-29", "70+"]);
    assert_eq!(table.column("images"), ["160", "80", "40", "40"]);
    assert!(page.contains("40 images without a label"), "they are left out of both");
    let [rejected, low, high] =
        ["rejected", "rejected_low", "rejected_high"].map(|name| table.numbers(name));
    for row in 0..4 {
        // The table has four decimals of the fraction: two of the percentage.
        let [rejected, low, high] = [rejected[row], low[row], high[row]].map(|f| 100.0 * f);
        let cell = format!("{rejected:.2} % [{low:.2}, {high:.2}]");
        assert!(page.contains(&cell), "{cell}");
    }
    let times = groups.stderr.trim().rsplit(", ").next().expect("a ratio").to_owned();
    assert!(page.contains(&format!("{times}</b> as many")), "{times}");
}

#[test]
fn invalid_outputs_and_tables_are_rejected() {
    let here = TestDir::new();
    here.write("scores.csv", "path,quality\na.jpg,50\n");
    here.write("labels.csv", "path,age\na.jpg,30\n");
    here.write("photo.jpg", "a photo");
    let report = |args: &[&str]| here.run(&[&["report"], args].concat());
    report(&["scores.csv"]).refused_with("needs an output file: --output FILE.html");
    report(&["scores.csv", "-o", "photo.jpg"]).refused_with("does not end in .html");
    report(&["scores.csv", "-o", "scores.csv"]).refused_with("is an input");
    report(&["scores.csv", "-o", "gone/page.html"]).refused_with("there is no such folder");
    report(&["gone.csv", "-o", "page.html"]).refused_with("gone.csv: cannot be read");
    report(&[".", "-o", "page.html"]).refused_with("--output is only for a file");
    let age = ["scores.csv", "-o", "page.html", "--by", "age"];
    report(&age).refused_with("expected a column 'age'");
    here.write("bad.csv", "path,score\na.jpg,1\n");
    let no_quality = "expected a column 'quality', found only 'path', 'score' (`attn-fiqa score` \
                      writes it)";
    report(&["bad.csv", "-o", "page.html"]).refused_with(no_quality);
    assert!(!here.path("page.html").exists());
    assert_eq!(here.read_text("photo.jpg"), "a photo");
    // A page on standard output is the page alone.
    let ran = report(&["scores.csv", "-o", "-", "--top", "0"]).ended_with(0);
    assert!(ran.stdout().starts_with("<!DOCTYPE html>") && ran.stdout().ends_with("</html>"));
}
