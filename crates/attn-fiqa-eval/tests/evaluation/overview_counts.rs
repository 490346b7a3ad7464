//! Counts of an overview, worked by hand on tables of a few rows.

use attn_fiqa::components::Component;
use attn_fiqa_eval::overview::{CauseSummary, Overview, OverviewOptions};

fn read(text: &str) -> Result<Overview, String> {
    let here = tempfile::tempdir().expect("a folder");
    let path = here.path().join("scores.csv");
    std::fs::write(&path, text).expect("a file");
    let options = OverviewOptions { by: Vec::new(), ..OverviewOptions::default() };
    Overview::read(&path, &options).map_err(|error| error.to_string())
}

fn overview(text: &str) -> Overview {
    read(text).expect("an overview")
}

#[test]
fn an_image_ends_where_path_or_face_number_says_so() {
    // The first face of b.jpg was left out, and then b.jpg starts again.
    let found = overview(
        "path,face,status,quality\na.jpg,0,ok,50\na.jpg,1,ok,50\nb.jpg,2,ok,50\nb.jpg,0,ok,50\n\
         b.jpg,1,ok,50\nb.jpg,2,ok,50\nc.jpg,,no-face,\n",
    );
    assert_eq!((found.images, found.faces, found.with_several_faces), (4, 6, 2));
}

#[test]
fn rows_without_face_numbers_are_faces_if_they_have_a_quality() {
    let found = overview("path,quality\na.jpg,0\nb.jpg,50\nc.jpg,\nd.jpg,-1\n");
    assert_eq!((found.images, found.faces, found.with_several_faces), (4, 2, 0));
    assert_eq!((found.qualities.computed(), found.qualities.total()), (2, 4));
}

#[test]
fn failures_are_sorted_by_frequency_with_three_examples() {
    let mut text = "path,status,quality,message\n".to_owned();
    for (status, count) in [("b-rare", 1), ("a-rare", 1), ("often", 5), ("ok", 2)] {
        (0..count).for_each(|n| text += &format!("{status}-{n}.jpg,{status},,why {n}\n"));
    }
    text += "good.jpg,ok,70,\n";
    let found = overview(&text).failures;
    let rows: Vec<(&str, u64, usize)> =
        found.iter().map(|row| (row.status.as_str(), row.rows, row.examples.len())).collect();
    assert_eq!(rows, [("often", 5, 3), ("ok", 2, 2), ("a-rare", 1, 1), ("b-rare", 1, 1)]);
    let example = |n: usize| (format!("often-{n}.jpg"), format!("why {n}"));
    assert_eq!(found[0].examples, [0, 1, 2].map(example));
}

/// Name, faces with it as main cause and among their causes, median quality.
type Counts<'a> = (&'a str, Option<usize>, Option<usize>, Option<f64>);

fn counts(causes: &[CauseSummary]) -> Vec<Counts<'_>> {
    let count = |row: &CauseSummary| {
        let [main, named] = [row.main, row.named].map(|part| part.map(|part| part.count));
        (main, named, row.median_quality)
    };
    let row = |row| {
        let (main, named, median) = count(row);
        (row.cause.as_str(), main, named, median)
    };
    causes.iter().map(row).collect()
}

#[test]
fn causes_are_counted_from_either_column() {
    let text = "path,quality,main_cause,causes\n1,10,blur,blur:0.9 noise:0.4\n2,20,noise,noise:0.8\n\
                3,30,,noise:0.1\n4,40,blur,blur:0.5\n5,90,,\n";
    let both = overview(text).causes.expect("causes");
    let expected =
        [("blur", Some(2), Some(2), Some(25.0)), ("noise", Some(1), Some(3), Some(20.0))];
    assert_eq!(counts(&both.causes), expected);
    assert_eq!((both.without.count, both.without.total), (1, 5));

    // Without one of the columns, the other one determines the qualities.
    let without = |column: usize| {
        let line = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.remove(column);
            cells.join(",") + "\n"
        };
        overview(&text.lines().map(line).collect::<String>()).causes.expect("causes")
    };
    let named = without(2);
    assert_eq!(
        counts(&named.causes),
        [("noise", None, Some(3), Some(20.0)), ("blur", None, Some(2), Some(25.0))]
    );
    assert_eq!(named.without.count, 1);
    let main = without(3);
    assert_eq!(
        counts(&main.causes),
        [("blur", Some(2), None, Some(25.0)), ("noise", Some(1), None, Some(20.0))]
    );
    assert_eq!(main.without.count, 2);
}

#[test]
fn different_causes_are_limited_but_not_their_rows() {
    let mut text = "path,quality,main_cause\n".to_owned();
    (0..200).for_each(|row| text += &format!("{row}.jpg,50,cause-{}\n", row % 64));
    assert_eq!(overview(&text).causes.expect("causes").causes.len(), 64);
    text += "last.jpg,50,cause-64\n";
    let error = read(&text).expect_err("too many");
    assert!(error.contains("at most 64 different causes"), "{error}");
}

#[test]
fn lowest_measures_of_a_face_are_listed_rarest_first() {
    // Of twenty faces, the first has the lowest sharpness alone, and the lowest dynamic range
    // together with the second. The third is among the three lowest of neither.
    let mut text = "path,quality,DynamicRange,DynamicRange.scalar,sharpness.scalar\n".to_owned();
    for face in 0..20 {
        let range = [5, 5, 30][face.min(2)] + face;
        let range = if face < 2 { 5 } else { range };
        text += &format!("{face}.jpg,{},{}.5,{range},{}\n", 10 + face, face, 20 + face);
    }
    let found = overview(&text);
    let lowest = |face: usize| {
        let path = format!("{face}.jpg");
        found.worst.iter().find(|face| face.path == path).expect("shown").lowest.clone()
    };
    let (range, sharpness) = (Component::DynamicRange, Component::Sharpness);
    assert_eq!(lowest(0), [(sharpness, 20), (range, 5)]);
    // Two of twenty are the tenth that still counts as low.
    let second = lowest(1);
    assert!(second.len() == 2 && second.contains(&(sharpness, 21)) && second.contains(&(range, 5)));
    assert_eq!(lowest(2), []);

    let summary = |component| {
        let mut rows = found.components.iter();
        rows.find(|row| row.component == component).expect("a measure")
    };
    assert_eq!((summary(range).faces, summary(range).native_sampled), (20, false));
    assert_eq!(summary(range).native.expect("values").median, 10.0);
    // Sharpness has no column of native values.
    assert_eq!((summary(sharpness).faces, summary(sharpness).native), (20, None));
    assert_eq!(summary(sharpness).scalar.expect("values").median, 29.5);
}

#[test]
fn groups_keep_their_own_counts() {
    let here = tempfile::tempdir().expect("a folder");
    let path = here.path().join("scores.csv");
    let text = "path,quality,age\na,10,20\nb,30,3\nc,50,20\nd,,3\ne,70,\n";
    std::fs::write(&path, text).expect("a file");
    let options = OverviewOptions { by: vec!["age".to_owned()], ..OverviewOptions::default() };
    let grouping = Overview::read(&path, &options).expect("an overview").groupings.remove(0);
    let groups: Vec<Option<&str>> = grouping.rows.iter().map(|row| row.group.as_deref()).collect();
    assert_eq!((groups, grouping.unlabelled), (vec![None, Some("3"), Some("20")], 1));
    let counts: Vec<[u64; 2]> =
        grouping.counts.iter().map(|counts| [counts.computed(), counts.total()]).collect();
    assert_eq!(counts, [[3, 4], [1, 2], [2, 2]]);
}
