//! The overview of a table of scores against an independent count.

use std::fmt::Write;
use std::path::PathBuf;

use attn_fiqa::components::Component;
use attn_fiqa_eval::files::Missing;
use attn_fiqa_eval::overview::{Overview, OverviewOptions, Thumbnails};
use attn_fiqa_eval::report::overview_page;
use proptest::prelude::*;
use tempfile::TempDir;

/// One row as it was generated.
#[derive(Clone)]
struct Face {
    image: usize,
    number: usize,
    quality: i32,
    cause: &'static str,
    dynamic_range: usize,
    camera: &'static str,
}

/// 1,000 images: every tenth has two faces, every 37th none.
fn faces() -> Vec<Face> {
    let mut faces = Vec::new();
    for image in 0..1_000_usize {
        let count = if image % 10 == 3 && image % 37 != 36 { 2 } else { 1 };
        for number in 0..count {
            let quality = match image % 37 {
                36 => -1,
                _ => ((image * 7919 + number * 13) % 101) as i32,
            };
            faces.push(Face {
                image,
                number,
                quality,
                cause: ["", "blur", "too_dark"][if quality < 40 { image % 3 } else { 0 }],
                dynamic_range: (image * 31) % 101,
                camera: ["front", "door", "gate"][image % 3],
            });
        }
    }
    faces
}

fn csv(faces: &[Face]) -> String {
    let mut text = "\u{feff}path,face,status,score,quality,main_cause,causes,DynamicRange,\
                    DynamicRange.scalar,camera,message\n"
        .to_owned();
    for face in faces {
        let Face { image, number, quality, cause, dynamic_range, camera } = face;
        if *quality < 0 {
            writeln!(text, "p/{image}.jpg,,no-face,,-1,,,,,{camera},\"no face, <b>none</b>\"")
        } else {
            let causes = if cause.is_empty() { "" } else { &format!("{cause}:0.50 noise:0.25") };
            let (score, native) = (f64::from(*quality) / 50.0, *dynamic_range as f64 / 12.5);
            writeln!(
                text,
                "p/{image}.jpg,{number},ok,{score},{quality},{cause},{causes},{native},\
                 {dynamic_range},{camera},"
            )
        }
        .expect("in memory");
    }
    text
}

struct Place(TempDir);

impl Place {
    fn with(name: &str, text: &str) -> (Self, PathBuf) {
        let here = Self(tempfile::tempdir().expect("a folder"));
        let path = here.write(name, text);
        (here, path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

fn by(columns: &[&str]) -> OverviewOptions {
    let by = columns.iter().map(|&column| column.to_owned()).collect();
    OverviewOptions { by, ..OverviewOptions::default() }
}

/// NumPy's quantile, by hand.
fn quantile(mut values: Vec<f64>, fraction: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let position = fraction * (values.len() - 1) as f64;
    let (low, high) = (values[position as usize], values[(position.ceil()) as usize]);
    low + (high - low) * position.fract()
}

#[test]
fn overview_matches_independent_count() {
    let faces = faces();
    let (_here, path) = Place::with("scores.csv", &csv(&faces));
    let overview = Overview::read(&path, &by(&["camera"])).expect("an overview");
    let good: Vec<&Face> = faces.iter().filter(|face| face.quality >= 0).collect();
    let qualities = |faces: &[&Face]| faces.iter().map(|face| f64::from(face.quality)).collect();
    let count = |keep: &dyn Fn(&Face) -> bool| faces.iter().filter(|face| keep(face)).count();

    let mut images: Vec<usize> = faces.iter().map(|face| face.image).collect();
    images.dedup();
    assert_eq!(overview.images, images.len() as u64);
    assert_eq!(overview.faces, good.len() as u64);
    let doubled = good.iter().filter(|face| face.number == 1).count();
    assert_eq!(overview.with_several_faces, doubled as u64);
    assert_eq!(overview.qualities.quantile(0.5), Some(quantile(qualities(&good), 0.5)));
    let below = overview.qualities.below(40);
    assert_eq!((below.count, below.total), (count(&|face| face.quality < 40), faces.len()));
    let [failure] = overview.failures.as_slice() else { panic!("{:?}", overview.failures) };
    let failed = count(&|face| face.quality < 0) as u64;
    assert_eq!((failure.status.as_str(), failure.rows), ("no-face", failed));
    assert_eq!(failure.examples[0], ("p/36.jpg".to_owned(), "no face, <b>none</b>".to_owned()));

    let [dynamic] = overview.components.as_slice() else { panic!("{:?}", overview.components) };
    let scalars: Vec<f64> = good.iter().map(|face| face.dynamic_range as f64).collect();
    let scalar = dynamic.scalar.expect("a scale");
    assert_eq!(dynamic.component, Component::DynamicRange);
    assert_eq!(dynamic.faces, good.len() as u64);
    assert_eq!(
        [scalar.p10, scalar.median, scalar.p90],
        [0.1, 0.5, 0.9].map(|fraction| { quantile(scalars.clone(), fraction) })
    );
    let native = dynamic.native.expect("native values");
    assert!((native.median - quantile(scalars.clone(), 0.5) / 12.5).abs() < 1e-6);

    let causes = overview.causes.as_ref().expect("causes");
    for cause in ["blur", "too_dark"] {
        let summary = causes.causes.iter().find(|summary| summary.cause == cause).expect(cause);
        let own: Vec<&Face> = good.iter().copied().filter(|face| face.cause == cause).collect();
        assert_eq!(summary.main.map(|part| part.count), Some(own.len()));
        assert_eq!(summary.named.map(|part| part.count), Some(own.len()));
        assert_eq!(summary.median_quality, Some(quantile(qualities(&own), 0.5)));
    }
    let with = good.iter().filter(|face| !face.cause.is_empty()).count();
    let noise = causes.causes.last().expect("noise");
    assert_eq!((noise.cause.as_str(), noise.main.map(|part| part.count)), ("noise", Some(0)));
    assert_eq!(noise.named.map(|part| part.count), Some(with));
    assert_eq!((causes.without.count, causes.without.total), (good.len() - with, good.len()));

    let mut sorted = good.clone();
    sorted.sort_by_key(|face| face.quality);
    let shown: Vec<(String, i8)> =
        overview.worst.iter().map(|face| (face.path.clone(), face.quality)).collect();
    let expected = sorted[..12].iter();
    let expected: Vec<(String, i8)> =
        expected.map(|face| (format!("p/{}.jpg", face.image), face.quality as i8)).collect();
    assert_eq!(shown, expected);
    assert_eq!(overview.best.len(), 12);
    assert!(overview.best.iter().all(|face| face.quality >= 99));
    let is_low = |value: i8| {
        let reached = scalars.iter().filter(|&&other| other <= f64::from(value)).count();
        10 * reached <= scalars.len()
    };
    let value_of = |path: &str| {
        let face = good.iter().find(|face| path == format!("p/{}.jpg", face.image));
        face.expect(path).dynamic_range as i8
    };
    for face in overview.worst.iter().chain(&overview.best) {
        let value = value_of(&face.path);
        let expected: &[(Component, i8)] = &[(Component::DynamicRange, value)];
        assert_eq!(face.lowest, if is_low(value) { expected } else { &[] });
    }
    let named = overview.worst.iter().find(|face| face.main_cause.is_some()).expect("a cause");
    assert_eq!(named.causes[1], ("noise".to_owned(), 0.25));

    let [grouping] = overview.groupings.as_slice() else { panic!("one grouping") };
    for row in &grouping.rows {
        let is_own = |face: &Face| row.group.as_deref().is_none_or(|camera| face.camera == camera);
        let own: Vec<&Face> = good.iter().copied().filter(|face| is_own(face)).collect();
        assert_eq!(row.images, count(&is_own));
        assert_eq!(row.rejected.count, count(&|face| is_own(face) && face.quality < 40));
        assert_eq!(row.median, Some(quantile(qualities(&own), 0.5)));
    }

    let page = overview_page(&overview, &Thumbnails::default()).expect("a page");
    let share = 100.0 * below.count as f64 / below.total as f64;
    for part in [
        format!("scores.csv: {} images, {} faces", images.len(), good.len()),
        format!("{share:.2} % ["),
        "By camera".to_owned(),
        "&lt;b&gt;none".to_owned(),
        "too dark".to_owned(),
        "DynamicRange".to_owned(),
    ] {
        assert!(page.contains(&part), "'{part}' is not on the page");
    }
    assert!(!page.contains("<b>none"));
}

#[test]
fn external_labels_give_same_groups_as_column() {
    let faces = faces();
    let (here, path) = Place::with("scores.csv", &csv(&faces));
    let mut labels = "name,camera\n".to_owned();
    for face in faces.iter().filter(|face| face.number == 0) {
        writeln!(labels, "{}.jpg,{}", face.image, face.camera).expect("in memory");
    }
    let all = here.write("labels.csv", &labels);
    let own = Overview::read(&path, &by(&["camera"])).expect("an overview");
    let with = |labels: PathBuf, missing| OverviewOptions {
        labels: Some(labels),
        missing,
        ..by(&["camera"])
    };
    let other = Overview::read(&path, &with(all, Missing::Fail)).expect("an overview");
    assert_eq!(own.groupings[0].rows, other.groupings[0].rows);
    let fewer = labels.lines().take(501).collect::<Vec<_>>().join("\n");
    let fewer = here.write("fewer.csv", &fewer);
    let refused = Overview::read(&path, &with(fewer.clone(), Missing::Fail)).expect_err("missing");
    assert!(refused.to_string().contains("has no group for 500 of 1000 images"), "{refused}");
    let skipped = Overview::read(&path, &with(fewer, Missing::Skip)).expect("an overview");
    assert_eq!(skipped.groupings[0].unlabelled, 500);
    let first_half = faces.iter().filter(|face| face.image < 500).count();
    assert_eq!(skipped.groupings[0].rows[0].images, first_half);
}

#[test]
fn malformed_score_tables_are_rejected() {
    let (here, _) = Place::with("empty.csv", "path,quality\n");
    let refused = |name: &str, text: &str, options: &OverviewOptions| {
        let path = here.write(name, text);
        Overview::read(&path, options).expect_err(name).to_string()
    };
    let plain = by(&[]);
    for (name, text, expected) in [
        ("a.txt", "x.jpg 0.5\n", "is not a .csv, .jsonl or .parquet file"),
        ("a.parquet", "PAR", "is damaged or in another format"),
        ("a.csv", "path,score\nx,1\n", "expected a column 'quality', found only 'path', 'score'"),
        ("b.csv", "path,quality\n", "holds no row"),
        ("c.jsonl", "", "holds no row"),
        ("d.jsonl", "[1]\n", "line 1: expected one JSON object per line"),
        (
            "e.csv",
            "path,quality\nx,30\ny,101\n",
            "line 3: expected a whole number from -1 to 100 in the column 'quality', found '101'",
        ),
        (
            "f.csv",
            "path,quality,causes\nx,30,blur:2\n",
            "line 2: expected `cause:strength` with strengths from 0 to 1 in the column 'causes'",
        ),
        ("g.csv", "path,quality\nx,\ny,\n", "none in 2 scored rows"),
    ] {
        let error = refused(name, text, &plain);
        assert!(error.contains(expected), "{error}");
    }
    let mut many = "path,quality\n".to_owned();
    (0..300).for_each(|image| many += &format!("{image}.jpg,50\n"));
    let error = refused("h.csv", &many, &by(&["path"]));
    assert!(error.contains("expected a column of at most 200 groups, found more in 'path'"));
    let error = refused("h.csv", &many, &by(&["race"]));
    assert!(error.contains("expected a column 'race'"), "{error}");
}

#[test]
fn overview_page_renders_without_faces() {
    let text = "{\"path\":\"x.jpg\",\"status\":\"no-face\",\"quality\":-1,\"message\":\"none\"}\n";
    let (_here, path) = Place::with("scores.jsonl", text);
    let overview = Overview::read(&path, &by(&[])).expect("an overview");
    assert_eq!((overview.images, overview.faces), (1, 0));
    let page = overview_page(&overview, &Thumbnails::default()).expect("a page");
    assert!(page.contains("no-face") && !page.contains("Worst"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Cells that are almost valid, in any combination: a table is refused or counted consistently.
    #[test]
    fn accepted_tables_have_consistent_counts(
        rows in prop::collection::vec(
            (
                "[ab]{1}\\.jpg",
                prop::sample::select(vec!["", "0", "1", "2", "-1", "x"]),
                prop::sample::select(vec!["ok", "ok", "no-face", "", "\u{202e}"]),
                prop::sample::select(vec!["", "-1", "0", "50", "100", "100", "50.0", "nan", "1e2"]),
                prop::sample::select(vec!["", "", "blur:0.5", "blur:1 noise:0", "blur", ":1"]),
                prop::sample::select(vec!["", "30", "100", "-3"]),
            ),
            0..12,
        )
    ) {
        let mut text = "path,face,status,quality,causes,DynamicRange.scalar\n".to_owned();
        for (path, face, status, quality, causes, scalar) in &rows {
            writeln!(text, "{path},{face},{status},{quality},{causes},{scalar}").expect("in memory");
        }
        let (_here, path) = Place::with("scores.csv", &text);
        let Ok(overview) = Overview::read(&path, &by(&["face"])) else { return Ok(()) };
        let total = overview.qualities.total();
        prop_assert_eq!(total, rows.len() as u64);
        prop_assert!(overview.images <= total && overview.faces <= total);
        let failed: u64 = overview.failures.iter().map(|failure| failure.rows).sum();
        prop_assert_eq!(overview.qualities.computed() + failed, total);
        let shown = (overview.worst.len() + overview.best.len()) as u64;
        prop_assert_eq!(shown, overview.qualities.computed().min(24));
        let in_groups: usize =
            overview.groupings[0].rows[1..].iter().map(|row| row.images).sum();
        prop_assert_eq!(in_groups, overview.groupings[0].rows[0].images);
        let page = overview_page(&overview, &Thumbnails::default());
        prop_assert!(page.is_ok(), "{:?}", page.err());
    }
}
