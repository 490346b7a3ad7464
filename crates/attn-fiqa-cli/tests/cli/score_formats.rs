//! The formats in which `score` writes its rows.

use crate::support::{
    self, ALIGNED_HEADING, HEADING, MISSING, SCORE_TOLERANCE, Table, TestDir, WRONG_SIZE,
    assert_near, wide_image,
};

/// Sorted neither by name nor by score.
const FACES: [&str; 4] = ["blur-5.png", "astronaut.png", "jpeg-3.jpg", "blur-1.png"];

/// Two good faces with two failures between them.
fn mixed() -> TestDir {
    let here = TestDir::with_faces(&FACES);
    here.write("wide.png", wide_image());
    here
}

const MIXED: [&str; 4] = ["blur-5.png", "wide.png", "missing.png", "astronaut.png"];

fn score(here: &TestDir, options: &[&str]) -> support::CommandResult {
    here.run(&[&["score", "--aligned"], &MIXED[..], options].concat())
}

#[test]
fn csv_rows_keep_input_order() {
    let here = TestDir::with_faces(&FACES);
    let ran = here.run(&[&["score"], &FACES[..]].concat()).ended_with(0);
    assert!(ran.stdout().starts_with(&format!("{HEADING}\n")), "{}", ran.stdout());
    let table = ran.table();
    assert_eq!(table.outcomes(), FACES.map(|face| [face, "ok", ""]));
    let scores = table.numbers("score");
    let (blurred, original) = (scores[0], scores[1]);
    assert!(blurred < original, "a strong blur must cost: {blurred}, {original}");
}

#[test]
fn builtin_model_scores_are_unchanged() {
    let expected = [-1.2162, 0.9233, 0.9431];
    let here = TestDir::with_faces(&FACES);
    let ran = here.run(&["score", "blur-5.png", "astronaut.png", "blur-1.png"]).ended_with(0);
    for (found, expected) in ran.table().numbers("score").into_iter().zip(expected) {
        assert_near(found, expected, SCORE_TOLERANCE);
    }
}

#[test]
fn csv_quotes_special_cells_and_leaves_failures_empty() {
    let here = mixed();
    let ran = score(&here, &["--format", "csv"]).ended_with(1);
    let lines: Vec<&str> = ran.stdout().lines().collect();
    assert_eq!(lines[0], ALIGNED_HEADING);
    assert!(lines[1].starts_with("blur-5.png,ok,-") && lines[1].ends_with(','), "{}", lines[1]);
    let quality = support::quality_of_failure();
    assert_eq!(lines[2], format!("wide.png,wrong-size,,{quality},\"{WRONG_SIZE}\""));
    assert_eq!(lines[3], format!("missing.png,not-found,,{quality},{MISSING}"));
    assert_eq!(lines.len(), 5);
}

#[test]
fn jsonl_objects_hold_null_for_failed_scores() {
    let here = mixed();
    let expected = score(&here, &[]).table();
    let ran = score(&here, &["--format", "jsonl"]).ended_with(1);
    let objects: Vec<serde_json::Value> =
        ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), expected.rows.len());
    for (object, row) in objects.iter().zip(&expected.rows) {
        let [path, status, score, quality, message] = &row[..] else { panic!("{row:?}") };
        assert_eq!(object.as_object().unwrap().len(), expected.heading.len(), "{object}");
        assert_eq!(object["path"], path.as_str());
        assert_eq!(object["status"], status.as_str());
        assert_eq!(object["message"], message.as_str());
        match quality.parse::<i64>() {
            Ok(quality) => assert_eq!(object["quality"], quality),
            Err(_) => assert_eq!(object["quality"], serde_json::Value::Null),
        }
        match score.parse::<f64>() {
            Ok(score) => assert_eq!(object["score"], score),
            Err(_) => assert_eq!(object["score"], serde_json::Value::Null),
        }
    }
}

#[test]
fn txt_scores_have_15_decimals_or_nan() {
    let here = mixed();
    let expected = score(&here, &[]).table();
    let ran = score(&here, &["--format", "txt"]).ended_with(1);
    let lines: Vec<(&str, &str)> =
        ran.stdout().lines().map(|line| line.rsplit_once(' ').unwrap()).collect();
    let paths: Vec<&str> = lines.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, MIXED);
    for ((_, text), score) in lines.iter().zip(expected.column("score")) {
        if score.is_empty() {
            assert_eq!(*text, "nan");
            continue;
        }
        let (_, digits) = text.split_once('.').unwrap();
        assert_eq!(digits.len(), 15, "{text}");
        assert_eq!(text.parse::<f64>().unwrap() as f32, score.parse::<f32>().unwrap());
    }
}

#[test]
fn table_bars_scale_with_score_range() {
    let here = TestDir::with_faces(&["blur-1.png", "blur-3.png", "blur-4.png", "blur-5.png"]);
    let images = ["blur-1.png", "blur-3.png", "gone.png", "blur-4.png", "blur-5.png"];
    let scores = here.run(&[&["score"], &images[..]].concat()).table();
    let ran = here.run(&[&["score", "--format", "table"], &images[..]].concat()).ended_with(1);
    let lines: Vec<&str> = ran.stdout().lines().collect();
    assert_eq!(lines[0], "path        quality       score");
    let mut lengths = Vec::new();
    let rows = lines[1..].iter().zip(images).zip(scores.column("score"));
    for (((line, image), score), quality) in rows.zip(scores.column("quality")) {
        let Ok(score) = score.parse::<f32>() else {
            assert_eq!(*line, format!("{image:10}  {quality:>7}  {:>10}  not-found", "—"));
            continue;
        };
        let text = format!("{image:10}  {quality:>7}  {score:>10.4}");
        let bar = line.strip_prefix(&text).unwrap_or_else(|| panic!("'{line}' is not '{text}…'"));
        lengths.push(bar.trim_start().chars().count());
        let full = bar.trim().chars().filter(|&c| c == '█').count();
        assert!(lengths.last().unwrap() - full <= 1, "only a bar's end is part of a cell: {bar}");
    }
    assert_eq!(lines.len(), 1 + images.len());
    assert_eq!((lengths[0], lengths[3]), (24, 0), "the best bar is full, the worst empty");
    assert!(lengths[0] > lengths[1] && lengths[1] > lengths[2] && lengths[2] > 0, "{lengths:?}");
}

#[test]
fn file_extension_selects_format() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    for (file, format) in
        [("a.csv", "csv"), ("a.jsonl", "jsonl"), ("a.ndjson", "jsonl"), ("a.txt", "txt")]
    {
        let piped = here.run(&["score", "blur-1.png", "--format", format]).ended_with(0);
        let ran = here.run(&["score", "blur-1.png", "--output", file]).ended_with(0);
        assert_eq!(ran.stdout(), "");
        assert_eq!(here.read_text(file), piped.stdout(), "{file}");
    }
    here.run(&["score", "blur-1.png", "-o", "a.txt", "--format", "csv"]).ended_with(0);
    assert_eq!(Table::parse(&here.read_text("a.txt")).heading.join(","), HEADING);
}

#[test]
fn unknown_file_extension_is_rejected() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    for file in ["scores.xlsx", "scores"] {
        here.run(&["score", "blur-1.png", "--output", file]).refused(&format!(
            "the extension of '{file}' does not give a format; expected .csv, .jsonl, .parquet or \
             .txt, or name it with --format"
        ));
        assert_eq!(here.files(""), ["blur-1.png"]);
    }
    here.run(&["score", "blur-1.png", "--format", "xml"]).refused_with(
        "invalid value 'xml' for '--format <FORMAT>'\n  [possible values: table, csv, jsonl, \
         parquet, txt]",
    );
}

#[test]
fn txt_and_table_reject_unsupported_options() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let with = |format, columns| {
        here.run(&["score", "blur-1.png", "--format", format, "--columns", columns])
    };
    with("txt", "size").refused("the format txt has no --columns; use csv, jsonl or parquet");
    with("table", "band,map").refused(
        "a table cannot hold the columns map and embedding; use --format csv, jsonl or parquet",
    );
    let table = with("table", "band,size").ended_with(0);
    let cells: Vec<&str> = table.stdout().split_whitespace().collect();
    assert_eq!(cells[..6], ["path", "quality", "score", "band", "width", "height"]);
    assert_eq!(cells[9..], ["excellent", "112", "112"]);
    here.run(&["score", "blur-1.png", "--format", "txt", "--method", "attn,attn-max"])
        .refused("the format txt holds one score per line; name one --method or use csv");
}
