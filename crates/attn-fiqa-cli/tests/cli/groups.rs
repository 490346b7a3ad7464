//! `groups` as a process: quality, bands and rejection by group.

use crate::support::{self, TestDir};

/// 120 images: those of age 70+ are worse, one could not be scored, one has no label.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    let mut scores = "path,status,score,quality,message\n".to_owned();
    let mut labels = "name,split,age,gender\n".to_owned();
    for image in 0..120 {
        let old = image % 3 == 0;
        let quality = if old { image % 80 } else { 20 + image % 80 };
        match image {
            7 => scores += &format!("faces.tar/train/{image}_0.webp,no-face,,-1,none\n"),
            _ => scores += &format!("faces.tar/train/{image}_0.webp,ok,0.1,{quality},\n"),
        }
        let age = if old {
            "70+"
        } else if image % 3 == 1 {
            "3-9"
        } else {
            "20-29"
        };
        labels += &format!("{image}_0.webp,train,{age},{}\n", ["Female", "Male"][image % 2]);
    }
    here.write("scores.csv", &scores);
    here.write("labels.csv", labels);
    here.write("more.csv", format!("{scores}faces.tar/x.webp,ok,0.1,50,\n"));
    here
}

#[test]
fn groups_report_quality_bands_and_rejection_rates() {
    let here = test_dir();
    let args = ["groups", "scores.csv", "--labels", "labels.csv", "--by", "age,gender"];
    let ran = here.run(&args).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("group"), ["all", "3-9", "20-29", "70+", "all", "Female", "Male"]);
    assert_eq!(table.column("by")[..4], ["age"; 4]);
    assert_eq!(table.column("images"), ["120", "40", "40", "40", "120", "60", "60"]);
    assert_eq!(table.column("failed"), ["1", "1", "0", "0", "1", "0", "1"]);
    let numbers = |name: &str| table.numbers(name);
    let (median, rejected) = (numbers("median"), numbers("rejected"));
    assert!(median[3] < median[1] && rejected[3] > rejected[1]);
    for measure in ["median", "rejected", "unusable", "poor", "fair", "good", "excellent"] {
        let [low, high] = ["low", "high"].map(|end| numbers(&format!("{measure}_{end}")));
        for (row, &value) in numbers(measure).iter().enumerate() {
            assert!(low[row] <= value && value <= high[row], "{measure} of row {row}");
        }
    }
    // Only the bands and the failures have rows.
    for row in 0..7 {
        let bands: f32 = ["unusable", "poor", "fair", "good", "excellent"]
            .map(|band| numbers(band)[row])
            .iter()
            .sum();
        let failed = numbers("failed")[row] / numbers("images")[row];
        support::assert_near(bands + failed, 1.0, 1e-3);
    }
    let said = ran.stderr.lines().next().expect("a line");
    assert!(
        said.starts_with("age: rejected below 40: ") && said.contains("(70+, 27 of 40)"),
        "{said}"
    );
    let quiet = here.run(&[&args[..], &["--quiet", "--below", "0"]].concat()).ended_with(0);
    assert_eq!(quiet.stderr, "");
    let rejected = quiet.table().numbers("rejected");
    support::assert_near(rejected[0], 1.0 / 120.0, 1e-4);
}

#[test]
fn ungrouped_images_are_reported() {
    let here = test_dir();
    let groups = |scores: &str, more: &[&str]| {
        let args = ["groups", scores, "--labels", "labels.csv", "--by", "age"];
        here.run(&[&args[..], more].concat())
    };
    groups("more.csv", &[]).refused_with("has no group for 1 of 121 images: 'faces.tar/x.webp'");
    let ran = groups("more.csv", &["--missing", "skip"]).ended_with(0);
    assert!(ran.stderr.contains("age: 1 of 121 images have no label"), "{}", ran.stderr);
    assert_eq!(ran.table().column("images")[0], "120");
    groups("scores.csv:score", &[]).refused_with("bands need whole numbers from 0 to 100");
    groups("gone.csv", &[]).refused_with("gone.csv: cannot be read");
    let args = ["groups", "scores.csv", "--labels", "labels.csv", "--by", "race"];
    here.run(&args).refused_with("expected a column 'race', found only 'name', 'split', 'age'");
}

#[test]
fn repeated_images_and_empty_labels_are_handled() {
    let here = TestDir::new();
    here.write("two.csv", "path,quality\nx/a.jpg,50\nx/b.jpg,20\nx/b.jpg,20\n");
    here.write("gaps.csv", "path,age,gender\na.jpg,30, \nb.jpg,30,m\n");
    let args = ["groups", "two.csv", "--labels", "gaps.csv", "--by", "age,gender"];
    here.run(&args).refused_with("has no group for 1 of 3 images: 'x/a.jpg'");
    let ran = here.run(&[&args[..], &["--missing", "skip"]].concat()).ended_with(0);
    assert_eq!(ran.table().column("group"), ["all", "30", "all", "m"]);
    assert_eq!(ran.table().column("images"), ["3", "3", "2", "2"]);
    assert!(!ran.stderr.contains("times"), "one group is no range: {}", ran.stderr);
    assert!(ran.stderr.contains("gender: 1 of 3 images have no label"), "{}", ran.stderr);
}
