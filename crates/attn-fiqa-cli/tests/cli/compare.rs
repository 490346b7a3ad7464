//! verify, edc and advise as processes: what they write, and what they refuse.

use crate::support::{self, TestDir};

const PAUC_HEADING: &str = "method,protocol,target,fmr_realised,fnmr_start,pauc_x1000,pauc_low,\
                            pauc_high,above_ideal_x1000,range_low,range_high,auc_x1000,warnings";

/// Two hundred pairs of four hundred images with scores, and two quality files: an informative and
/// a random one.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    let [mut pairs, mut good, mut groups] = [const { String::new() }; 3];
    let mut level = "path,score,other,message\n".to_owned();
    for pair in 0..200 {
        let mated = pair % 2 == 0;
        // Every tenth mated comparison fails.
        let score = match (mated, pair % 20) {
            (true, 0) => -0.5,
            // The same in every fold, so that a threshold from some folds suits all.
            (true, _) => 0.7 + f64::from(pair % 20) / 1000.0,
            (false, _) => f64::from(pair) / 1000.0,
        };
        pairs += &format!(
            "A{pair}_0001 {}{pair}_0002 {} {score}\n",
            if mated { "A" } else { "B" },
            i32::from(mated)
        );
        for name in
            [format!("A{pair}_0001"), format!("{}{pair}_0002", if mated { "A" } else { "B" })]
        {
            let quality = if mated && pair % 20 == 0 { 0.0 } else { 1.0 + f64::from(pair) };
            good += &format!("faces/{name}.jpg {quality:.15}\n");
            level += &format!("faces/{name}.png,{},{},\n", pair % 7, pair % 3);
            groups += &format!("{name} {}\n", if pair < 100 { "first" } else { "second" });
        }
    }
    here.write("pairs.txt", pairs);
    here.write("good.txt", good);
    here.write("level.csv", level);
    here.write("groups.txt", groups);
    here
}

#[test]
fn verify_reports_accuracy_and_error_rates() {
    let here = test_dir();
    let ran = here.run(&["verify", "--pairs", "pairs.txt", "--fmr", "0.1,1e-3"]).ended_with(0);
    let table = ran.table();
    assert_eq!(table.heading.join(","), "measure,target,fmr_realised,threshold,value");
    assert_eq!(table.column("measure"), ["accuracy", "accuracy-deviation", "eer", "fnmr", "fnmr"]);
    let values = table.numbers("value");
    assert!((values[0] - 0.95).abs() < 1e-6, "ten of two hundred are wrong: {values:?}");
    assert!(ran.stderr.contains("100 mated and 100 non-mated comparisons"), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: FMR 1e-3 cannot be resolved"), "{}", ran.stderr);
    let quiet = here.run(&["verify", "--pairs", "pairs.txt", "--quiet"]).ended_with(0);
    assert_eq!(quiet.stderr, "");
    let scaled = |more: &[&str]| here.run(&[&["verify", "--pairs", "pairs.txt"], more].concat());
    let exact = scaled(&["--scale", "similarity"]).ended_with(0);
    let asked = scaled(&["--threshold-grid", "exact"]).ended_with(0);
    assert_eq!(exact.table().column("value")[0], asked.table().column("value")[0]);
    scaled(&["--scale", "distance", "--threshold-grid", "insightface"])
        .refused_with("need cosines");
    scaled(&["--folds", "200"]).ended_with(0);
    scaled(&["--folds", "201"])
        .refused_with("--folds 201 needs at least as many comparisons, and there are 200");
    scaled(&["--folds", "1"]).refused_with("2..=65535");
}

#[test]
fn edc_ranks_informative_quality_above_random() {
    let here = test_dir();
    let args = [
        "edc",
        "--pairs",
        "pairs.txt",
        "--quality",
        "good.txt",
        "--quality",
        "level.csv",
        "--quality",
        "x=level.csv:other",
        "--protocol",
        "crfiqa,iso,nist",
        "--fmr",
        "0.05",
        "--bootstrap",
        "20",
        "--identities-by-name",
        "--group-by",
        "groups.txt",
        "--output",
        "out",
    ];
    let ran = here.run(&args).ended_with(0);
    let table = ran.table();
    assert_eq!(table.heading.join(","), PAUC_HEADING);
    assert_eq!(table.rows.len(), 15, "five rows a protocol");
    let pauc = |method: &str, protocol: &str| -> f64 {
        let row = table.rows.iter().find(|row| row[0] == method && row[1] == protocol);
        row.expect("a row")[5].parse().expect("an area")
    };
    for protocol in ["crfiqa", "iso", "nist"] {
        assert!(pauc("theoretical-best", protocol) <= pauc("good", protocol), "{protocol}");
        assert!(pauc("good", protocol) < pauc("level", protocol), "{protocol}");
        assert!(pauc("good", protocol) < pauc("random", protocol), "{protocol}");
    }
    assert!(ran.stderr.contains("good.txt: 400 qualities matched, 0 by path and 400 by stem"));
    assert_eq!(here.read_text("out/pauc.csv"), ran.stdout());
    assert_eq!(
        here.files("out"),
        ["correlations.csv", "curves.csv", "differences.csv", "edc.json", "groups.csv", "pauc.csv"]
    );
    let differences = support::Table::parse(&here.read_text("out/differences.csv"));
    assert_eq!(differences.column("method")[..4], ["level", "x", "level", "x"]);
    assert_eq!(differences.column("against")[..4], ["first", "first", "best", "best"]);
    assert_eq!(differences.column("other")[..4], ["good"; 4]);
    let found = differences.numbers("difference_x1000")[0];
    support::assert_near(found, (pauc("level", "crfiqa") - pauc("good", "crfiqa")) as f32, 1e-3);
    assert!(ran.stderr.contains("crfiqa, FMR 0.05: 'level' less 'good' (first) "));
    let curves = support::Table::parse(&here.read_text("out/curves.csv"));
    let of_good = curves.rows.iter().filter(|row| row[0] == "good" && row[1] == "crfiqa");
    assert_eq!(of_good.count(), 20);
    let low = curves.heading.iter().position(|name| name == "fnmr_low").expect("a column");
    for protocol in ["crfiqa", "iso", "nist"] {
        let of_good = curves.rows.iter().filter(|row| row[0] == "good" && row[1] == protocol);
        let with_interval = of_good.filter(|row| !row[low].is_empty());
        assert_eq!(with_interval.count(), 20, "{protocol}");
    }
    let groups = support::Table::parse(&here.read_text("out/groups.csv"));
    assert_eq!(groups.column("group")[..3], ["all", "first", "second"]);
    assert_eq!(groups.column("images")[..3], ["400", "200", "200"]);
    let json: serde_json::Value = serde_json::from_slice(&here.read("out/edc.json")).expect("JSON");
    assert_eq!(json["curves"].as_array().map(Vec::len), Some(15));
    assert_eq!(here.run(&args).ended_with(0).stdout(), ran.stdout(), "the same seed, the same");
}

#[test]
fn advise_reports_fnmr_before_and_after_rejection() {
    let here = test_dir();
    let args = [
        "advise",
        "--pairs",
        "pairs.txt",
        "--quality",
        "good.txt",
        "--fmr",
        "0.05",
        "--reject",
        "0.05,0.1",
        "--bootstrap",
        "50",
    ];
    let ran = here.run(&args).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("rejected"), ["20", "40"]);
    assert_eq!(table.numbers("fnmr_after"), [0.0, 0.0]);
    assert!(table.numbers("fnmr_before")[0] > 0.09);
    assert!(
        ran.stderr
            .contains("reject below 2: 5.00 % of images are rejected, FNMR at FMR 0.05 falls from"),
        "{}",
        ran.stderr
    );
    let below =
        here.run(&["advise", "--pairs", "pairs.txt", "--quality", "good.txt", "--below", "-1,1"]);
    assert_eq!(below.ended_with(0).table().column("rejected"), ["0", "20"]);
}

#[test]
fn invalid_comparison_inputs_are_rejected() {
    let here = test_dir();
    let edc = |quality: &str| here.run(&["edc", "--pairs", "pairs.txt", "--quality", quality]);
    edc("none.txt").refused_with("none.txt: cannot be read");
    here.run(&["edc", "--pairs", "pairs.txt", "--quality", "good.txt", "--max-discard", "0.97"])
        .refused_with("--max-discard: the largest discard fraction is 0.97; expected at most 0.95");
    here.write(
        "nan.txt",
        here.read_text("good.txt").replacen("A1_0001.jpg 2.000000000000000", "A1_0001.jpg nan", 1),
    );
    edc("nan.txt").refused_with("nan.txt, line 3: expected a quality");
    let lowest = ["edc", "--pairs", "pairs.txt", "--quality", "nan.txt", "--failed-lowest"];
    let ran = here.run(&lowest).ended_with(0);
    assert!(ran.stderr.contains("1 images failed and count as the lowest"), "{}", ran.stderr);
    here.write("short.txt", "faces/A0_0001.jpg 1\n");
    edc("short.txt").refused_with("short.txt: has no quality for 399 of 400 images");
    here.write("twice.txt", "a 1\na 2\n");
    edc("twice.txt").refused_with("twice.txt, line 2: 'a' has another quality on line 1");
    here.write("mated.txt", "a b 1 0.5\nc d 1 0.4\n");
    here.run(&["verify", "--pairs", "mated.txt"]).refused_with("mated.txt: all 2 pairs are mated");
    here.write("empty.txt", "");
    here.run(&["verify", "--pairs", "empty.txt"]).refused_with("empty.txt: holds no pair");
    here.write("bare.txt", "a b 1\nc d 0\n");
    here.run(&["verify", "--pairs", "bare.txt"])
        .refused_with("its pairs have no scores; give --embeddings");
    here.write("persons.txt", here.read_text("groups.txt"));
    let persons = [
        "edc",
        "-q",
        "--pairs",
        "pairs.txt",
        "--quality",
        "good.txt",
        "--identities",
        "persons.txt",
    ];
    here.run(&persons).refused_with("is non-mated, but the identities say one person");
    here.run(&["edc", "--pairs", "pairs.txt", "--quality", "good.txt", "--quality", "good.txt"])
        .refused_with("two rows would be called 'good'");
    here.run(&["edc", "--pairs", "pairs.txt", "--quality", "good.txt", "--start-fnmr", "0.05"])
        .refused_with("--start-fnmr and --threshold are for --protocol iso,nist");
}

#[test]
fn threshold_targets_are_mutually_exclusive() {
    let here = test_dir();
    let commands = [
        vec!["verify", "--pairs", "pairs.txt"],
        vec!["edc", "--pairs", "pairs.txt", "--quality", "good.txt", "--protocol", "nist"],
        vec!["advise", "--pairs", "pairs.txt", "--quality", "good.txt"],
    ];
    for command in commands {
        let with = |more: &[&str]| here.run(&[&command[..], more].concat());
        for [a, b] in
            [["--fmr", "--threshold"], ["--fmr", "--start-fnmr"], ["--threshold", "--start-fnmr"]]
        {
            with(&[a, "0.1", b, "0.1"]).refused_with("cannot be used with");
        }
        for (flag, target) in [
            ("--fmr", "FMR 0.05"),
            ("--start-fnmr", "FNMR 0.05"),
            ("--threshold", "threshold 0.05"),
        ] {
            let table = with(&[flag, "0.05"]).ended_with(0).table();
            assert_eq!(table.column("target").last(), Some(&target));
        }
        with(&["--threshold", "nan"]).refused_with("expected a finite number");
    }
}

/// The scores of the non-mated comparisons are 0.001, 0.003, … 0.199, of the mated ones
/// -0.5 ten times, and 0.702 to 0.718.
#[test]
fn start_fnmr_and_area_above_ideal_match_known_values() {
    let here = test_dir();
    let edc = |more: &[&str]| {
        let args =
            ["edc", "--pairs", "pairs.txt", "--quality", "good.txt", "--protocol", "nist,iso"];
        here.run(&[&args[..], more].concat()).ended_with(0).table()
    };
    let table = edc(&["--start-fnmr", "0.05"]);
    let of_good = |table: &support::Table, column: &str| {
        let at = table.heading.iter().position(|name| name == column).expect("a column");
        let good = table.rows.iter().filter(|row| row[0] == "good");
        good.map(|row| row[at].parse().expect("a number")).collect::<Vec<f64>>()
    };
    // The quantile is -0.5, and a comparison at the threshold is a match.
    assert_eq!(of_good(&table, "fnmr_start"), [0.0, 0.0]);
    assert_eq!(of_good(&table, "fmr_realised"), [1.0, 1.0]);
    let table = edc(&["--threshold", "0.101"]);
    assert_eq!(of_good(&table, "fnmr_start"), [0.1, 0.1]);
    assert_eq!(of_good(&table, "fmr_realised"), [0.5, 0.5]);
    // The quality identifies the ten errors. In iso they are discarded together, which makes a
    // square of the ideal triangle of 0.1²/2; in nist there is a point halfway, with 5 of 95.
    let above = of_good(&table, "above_ideal_x1000");
    let pauc = of_good(&table, "pauc_x1000");
    let expected = [50.0 * 0.05 + 1000.0 * 0.05 * 5.0 / 95.0 - 5.0, 5.0];
    for ((above, pauc), expected) in above.iter().zip(pauc).zip(expected) {
        assert!((above - expected).abs() < 1e-3 && (pauc - above - 5.0).abs() < 1e-3, "{above}");
    }
}

/// The accuracies measured when the embeddings were computed: 99.50 % and 99.2 %.
#[test]
fn lfw_accuracies_match_known_values() {
    let Some(data) = attn_fiqa_testing::shared("data") else { return };
    let here = TestDir::new();
    let archive = std::fs::File::open(data.join("lfw-aligned-112.tar")).expect("the archive");
    let mut archive = tar::Archive::new(archive);
    let names: String = archive
        .entries()
        .expect("entries")
        .map(|entry| format!("{}\n", entry.expect("an entry").path().expect("a path").display()))
        .collect();
    here.write("names.txt", names);
    let pairs = data.join("lfw-pair_list.txt");
    for (model, accuracy) in [("sface", 0.995), ("mobilefacenet", 0.9915)] {
        let embeddings = data.join(format!("embeddings/{model}-lfw.npy"));
        let paths = [&pairs, &embeddings].map(|path| path.to_str().expect("text").to_owned());
        let ran = here.run(&[
            "verify",
            "--pairs",
            &paths[0],
            "--embeddings",
            &paths[1],
            "--names",
            "names.txt",
        ]);
        let found = ran.ended_with(0).table().numbers("value")[0];
        assert!((found - accuracy).abs() < 1e-6, "{model}: {found}");
    }
}

#[test]
fn verify_reports_errors_per_band() {
    let here = test_dir();
    // The images of the mated comparisons that fail are unusable; one image failed.
    let mut table = "path,status,score,quality,message\n".to_owned();
    for pair in 0..200 {
        let second = if pair % 2 == 0 { "A" } else { "B" };
        let quality = match pair {
            _ if pair % 20 == 0 => "3",
            199 => "-1",
            _ => "75",
        };
        table += &format!("A{pair}_0001.png,ok,0.5,{quality},\n");
        table += &format!("{second}{pair}_0002.png,ok,0.5,99,\n");
    }
    here.write("q.csv", table);
    let args = ["verify", "--pairs", "pairs.txt", "--fmr", "0.01", "--bands", "q.csv"];
    let ran = here.run(&args).ended_with(0);
    let found = ran.table();
    assert_eq!(found.column("band"), ["failed", "unusable", "poor", "fair", "good", "excellent"]);
    assert_eq!(found.column("quality"), ["-1", "0-19", "20-39", "40-59", "60-79", "80-100"]);
    assert_eq!(found.column("images"), ["1", "10", "0", "0", "189", "200"]);
    assert_eq!(found.column("mated"), ["0", "10", "0", "0", "90", "0"]);
    assert_eq!(found.column("non_mated"), ["1", "0", "0", "0", "99", "0"]);
    assert_eq!(found.column("fnmr"), ["", "1", "", "", "0", ""]);
    assert!(found.column("fnmr_low")[1].parse::<f64>().expect("a number") > 0.7);
    assert!(ran.stderr.contains("400 qualities matched"), "{}", ran.stderr);
    here.run(&["verify", "--pairs", "pairs.txt", "--bands", "q.csv:score"])
        .refused_after_output("bands need whole numbers from 0 to 100");
}
