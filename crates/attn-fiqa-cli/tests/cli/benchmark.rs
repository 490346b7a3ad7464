//! `attn-fiqa benchmark` and `report` as processes, on synthetic sets.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use attn_fiqa_eval::files::npy;

use crate::support::{self, CommandResult, Table, TestDir, onnx};

/// A float32 matrix as a `.npy` file.
fn npy(rows: &[[f32; 3]]) -> Vec<u8> {
    npy::to_bytes(&[rows.len(), 3], rows.as_flattened())
}

/// A PNG of a flat colour with one bright line, different for each number.
fn picture(number: u8) -> Vec<u8> {
    let mut rgb = image::RgbImage::from_pixel(112, 112, image::Rgb([number, 90, 200]));
    for x in 0..112 {
        rgb.put_pixel(x, u32::from(number) % 112, image::Rgb([250, 250, 250]));
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    rgb.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG");
    bytes.into_inner()
}

/// Four persons with two images each; person 3's second image is recognised badly and has the
/// lowest of the precomputed scores.
fn eight_faces() -> TestDir {
    let here = TestDir::new();
    let faces =
        ["original.png", "blur-1.png", "blur-2.png", "blur-3.png", "blur-4.png", "blur-5.png"];
    let mut rows = Vec::new();
    let mut scores = String::new();
    for person in 0..4_u8 {
        for image in 0..2_u8 {
            let index = usize::from(2 * person + image);
            let name = format!("set/p{person}_{image}.png");
            match faces.get(index) {
                Some(face) if support::examples().join("faces").join(face).is_file() => {
                    here.face(face, &name);
                }
                _ => here.write(&name, picture(100 + index as u8)),
            }
            let angle = 1.3 * f32::from(person) + 0.1 * f32::from(image);
            let mut row = [angle.cos(), angle.sin(), 0.0];
            if (person, image) == (3, 1) {
                row = [0.0, 0.3, 1.0];
            }
            rows.push(row);
            scores += &format!("p{person}_{image} {}\n", 7 - index);
        }
    }
    here.write("emb.npy", npy(&rows));
    let names: Vec<String> =
        (0..8).map(|index| format!("p{}_{}.png\n", index / 2, index % 2)).collect();
    here.write("names.txt", names.concat());
    here.write("scores.txt", scores);
    let mut pairs = String::new();
    for a in 0..8 {
        for b in a + 1..8 {
            let name = |index: i32| format!("p{}_{}", index / 2, index % 2);
            pairs += &format!("{} {} {}\n", name(a), name(b), i32::from(a / 2 == b / 2));
        }
    }
    here.write("set/pair_list.txt", pairs);
    here.write("study.toml", STUDY);
    here
}

const STUDY: &str = "\
[settings]
fmr = [0.1]
replicates = 10
faces = 2

[[dataset]]
name = \"set\"
kind = \"pairs\"
path = \"set\"

[[recogniser]]
name = \"made-up\"
embeddings = { set = \"emb.npy\" }
lists = { set = \"names.txt\" }

[[method]]
name = \"attn\"

[[method]]
name = \"<script>alert(1)</script>\"
scores = { set = \"scores.txt\" }
";

#[test]
fn benchmark_writes_all_tables_and_figures() {
    let here = eight_faces();
    let ran = here.run(&["benchmark", "study.toml"]).ended_with(0);
    let table = Table::parse(ran.stdout());
    assert_eq!(
        table.heading,
        ["protocol", "recogniser", "fmr", "method", "set", "relative", "rank"]
    );
    assert_eq!(
        table.column("method"),
        ["attn", "<script>alert(1)</script>", "random", "theoretical-best"]
    );
    // One of four mated comparisons fails, so that the FNMR is 0.25. The precomputed scores rank
    // its image last, and of that image's seven comparisons it comes last in the list: it is
    // discarded with 7 of 28, at 0.25, and the FNMR is 0 from there on.
    let pauc = table.numbers("set");
    support::assert_near(pauc[1], 0.25 * (0.20 + 0.05 / 2.0) * 1000.0, 1e-3);
    assert!(pauc[3] <= pauc[1] + 1e-6 && pauc[1] < pauc[2], "{pauc:?}");
    assert_eq!(table.column("rank")[2..], ["", ""]);

    support::assert_near(table.numbers("relative")[1], pauc[1] / pauc[2], 1e-3);

    // The difference from the first method and from the best, in every output format.
    let differences = Table::parse(&here.read_text("study.run/tables/differences.csv"));
    assert_eq!(differences.column("against"), ["first", "best"]);
    let difference = differences.numbers("difference")[0];
    support::assert_near(difference * 1000.0, pauc[1] - pauc[0], 1e-3);
    assert!(differences.numbers("low")[0] <= differences.numbers("high")[0]);
    let record: serde_json::Value =
        serde_json::from_slice(&here.read("study.run/results.json")).expect("JSON");
    assert_eq!(record["differences"].as_array().map(Vec::len), Some(2));
    assert_eq!(record["differences"][0]["other"], "attn");
    let files = here.files("study.run");
    for name in [
        "results.json",
        "tables/pauc.csv",
        "tables/curves.csv",
        "tables/baselines.csv",
        "figures/edc-crfiqa-1e-1.svg",
        "figures/edc-crfiqa-1e-1.png",
        "figures/det.svg",
        "figures/comparison-scores.png",
        "figures/quality-scores.svg",
        "scores/1-set.csv",
    ] {
        assert!(files.iter().any(|file| file == name), "{name} is not in {files:?}");
    }
    let scores = Table::parse(&here.read_text("study.run/scores/1-set.csv"));
    assert_eq!(scores.heading, ["path", "attn", "<script>alert(1)</script>"]);
    assert_eq!(scores.rows.len(), 8);

    // The same again, from the cached results, byte for byte.
    let results = here.read("study.run/results.json");
    let again = here.run(&["benchmark", "study.toml", "--quiet"]).ended_with(0);
    assert_eq!((again.stdout(), again.stderr.as_str()), (ran.stdout(), ""));
    assert_eq!(here.read("study.run/results.json"), results);

    let report = here.run(&["report", "study.run"]).ended_with(0);
    assert_eq!(report.stdout().replace('\\', "/"), "study.run/report.html\n");
    let page = here.read_text("study.run/report.html");
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"));
    assert_eq!(page.matches("<script>").count(), 1);
    for outside in ["src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("Difference of pAUC-EDC").count(), 4, "two tables, named twice each");
    // The worst two and the best two of each method, with maps where available.
    assert_eq!(page.matches("alt=\"Face of").count(), 8);
    assert_eq!(page.matches("alt=\"Attention over").count(), 4);
    let tex = here.read_text("study.run/tables/pauc-crfiqa-1e-1.tex");
    assert!(tex.contains("\\toprule") && tex.contains("made-up"), "{tex}");
}

#[test]
fn onnx_and_laplacian_methods_are_benchmarked() {
    let here = eight_faces();
    here.write("quality.onnx", onnx::of_crops(&[0.5]));
    here.write("faces.onnx", onnx::of_crops(&[0.5, 0.1, 0.2]));
    let more = "[[recogniser]]\nname = \"onnx\"\nmodel = \"faces.onnx\"\npreprocess = \"arcface\"\n\
                [[method]]\nname = \"laplacian\"\n\
                [[method]]\nname = \"theirs\"\nmethod = \"onnx:quality.onnx\"\n\
                [[method]]\nname = \"dropout\"\n\
                [[method]]\nname = \"length\"\nnorm_of = \"onnx\"\n";
    here.write("more.toml", format!("{STUDY}{more}"));
    here.run(&["benchmark", "more.toml"]).ended_with(0);
    let scores = Table::parse(&here.read_text("more.run/scores/1-set.csv"));
    assert_eq!(scores.heading[3..], ["laplacian", "theirs", "dropout", "length"]);
    let sharp = here.run(&["score", "--aligned", "set", "--method", "laplacian"]).ended_with(0);
    let sharp = sharp.table().numbers("score");
    for (found, expected) in scores.numbers("laplacian").into_iter().zip(sharp) {
        support::assert_near(found, expected, 1e-3 * expected.max(1.0));
    }
    assert_eq!(scores.numbers("theirs"), [0.5; 8]);
    let length = scores.numbers("length")[0];
    support::assert_near(length, 0.3f32.sqrt(), 1e-6);
    let results = here.read_text("more.run/results.json");
    assert!(results.contains("ONNX quality network"), "the record says what each method is");

    let refused = |from: &str, to: &str, message: &str| {
        here.write("bad.toml", format!("{STUDY}{more}").replacen(from, to, 1));
        here.run(&["benchmark", "bad.toml"]).refused_with(message);
    };
    refused("onnx:quality.onnx", "onnx:faces.onnx", "gives one number per face");
    refused("preprocess = \"arcface\"", "", "does not say how it expects its pixels");
    refused("preprocess = \"arcface\"", "heads = 4", "preset and heads belong to checkpoints");
    refused("preprocess = \"arcface\"", "preprocess = \"arc\"", "not an input specification");
    refused(
        "name = \"laplacian\"",
        "name = \"detector-score\"",
        "attn-fiqa score --method detection-score",
    );
    refused("onnx:quality.onnx", "onnx:gone.onnx", "cannot be read");
}

#[test]
fn study_models_are_resolved_by_name() {
    let here = eight_faces();
    let run = |args: &[&str]| {
        let mut command = here.command(args);
        command.env("ATTN_FIQA_HOME", here.path("home"));
        CommandResult::from(command.output().expect("the program"))
    };
    here.run(&["model", "convert", "built-in", "m.safetensors"]).ended_with(0);
    run(&["model", "add", "m.safetensors", "--name", "mine"]).ended_with(0);
    let study = STUDY.split("[[recogniser]]").next().expect("a part");
    let with = |model: &str| {
        format!(
            "{study}[[recogniser]]\nname = \"own\"\nmodel = \"{model}\"\n[[method]]\nname = \
             \"attn\"\nmodel = \"{model}\"\n"
        )
    };
    let table = |model: &str| {
        here.write("named.toml", with(model));
        run(&["benchmark", "named.toml", "--output", model]).ended_with(0).stdout().to_owned()
    };
    assert_eq!(table("mine"), table("built-in"));
    here.write("named.toml", with("cvlface-vit-b"));
    run(&["benchmark", "named.toml"]).refused_with("`attn-fiqa model pull cvlface-vit-b`");
    here.write("named.toml", with("yours"));
    run(&["benchmark", "named.toml"]).refused_with("yours' cannot be read");
}

#[test]
fn killed_benchmark_resumes_from_cache() {
    let here = TestDir::new();
    let mut pairs = String::new();
    for number in 0..96 {
        here.write(&format!("set/i{number}.png"), picture(number));
        let (before, mated) = ((number + 95) % 96, number % 2);
        pairs += &format!("i{before} i{number} {mated}\n");
    }
    here.write("set/pair_list.txt", pairs);
    let study = STUDY.split("[[recogniser]]").next().expect("a part").replace("10", "0");
    let rest =
        "[[recogniser]]\nname = \"own\"\nmodel = \"built-in\"\n[[method]]\nname = \"attn\"\n";
    here.write("study.toml", format!("{study}{rest}"));

    let mut child = here
        .command(&["benchmark", "study.toml", "--output", "killed", "--quiet", "--jobs", "1"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    let rows = |folder: &str| -> u64 {
        let entries = fs::read_dir(here.path(folder)).into_iter().flatten().flatten();
        let rows = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "rows"));
        rows.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    };
    while rows("killed/cache") < 1000 {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before any row");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a kill");
    child.wait().expect("its end");
    let before = rows("killed/cache");
    assert!(!here.path("killed/results.json").exists());

    let went_on = here.run(&["benchmark", "study.toml", "--output", "killed"]).ended_with(0);
    let whole = here.run(&["benchmark", "study.toml", "--output", "whole"]).ended_with(0);
    assert_eq!(went_on.stdout(), whole.stdout());
    assert!(before > 0 && before < rows("whole/cache"), "{before}");
    assert_eq!(rows("killed/cache"), rows("whole/cache"));
    let results = |folder: &str| here.read(&format!("{folder}/results.json"));
    assert_eq!(results("killed"), results("whole"));
}

#[test]
fn study_changes_add_only_affected_cache_entries() {
    let here = eight_faces();
    let run = |study: &str| {
        here.write("study.toml", study);
        let mut command = here.command(&["benchmark", "study.toml", "--quiet"]);
        // A missing folder for temporary files cannot be used.
        let nowhere = here.path("nowhere");
        for name in ["TMPDIR", "TMP", "TEMP"] {
            command.env(name, &nowhere);
        }
        let ran = command.output().expect("the program");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let files = here.files("study.run/cache");
        let of = |ending: &str| files.iter().filter(|file| file.ends_with(ending)).count();
        [of(".rows"), of(".json")]
    };
    // Scores of one method; curves of two methods and the two baselines.
    assert_eq!(run(STUDY), [1, 3]);
    assert_eq!(run(&STUDY.replace("faces = 2", "faces = 1")), [1, 3]);
    let renamed = STUDY.replace("<script>alert(1)</script>", "theirs").replace("made-up", "ours");
    assert_eq!(run(&renamed), [1, 3]);
    assert_eq!(run(&STUDY.replace("fmr = [0.1]", "fmr = [0.2, 0.1]")), [1, 6]);
    let more = format!("{STUDY}[[method]]\nname = \"laplacian\"\n");
    assert_eq!(run(&more), [2, 7]);
    assert_eq!(run(&STUDY.replace("replicates = 10", "replicates = 11")), [2, 9]);
}

#[test]
fn bad_image_is_reported_without_aborting_run() {
    let here = eight_faces();
    here.write("set/p2_0.png", "no picture");
    let ran = here.run(&["benchmark", "study.toml"]).ended_with(1);
    assert!(ran.stderr.contains("set, attn: 1 of 8 images have no score"), "{}", ran.stderr);
    here.run(&["report", "study.run"]).ended_with(0);
    let page = here.read_text("study.run/report.html");
    assert!(page.contains("p2_0") && page.contains("not-an-image"), "no failure in the page");
    let scores = Table::parse(&here.read_text("study.run/scores/1-set.csv"));
    assert_eq!(scores.column("attn")[4], "");
}

#[test]
fn errors_are_reported_before_any_work() {
    let wrong = |file: &str, content: &str, said: &[&str]| {
        let here = eight_faces();
        here.write(file, content);
        let ran = here.run(&["benchmark", "study.toml"]).ended_with(2);
        for part in said {
            assert!(ran.stderr.contains(part), "'{part}' is not in: {}", ran.stderr);
        }
        assert!(!here.path("study.run").exists(), "work was begun: {said:?}");
    };
    wrong("set/pair_list.txt", "p0_0 p0_1 1\np1_0 p1_1 1\n", &["pair_list.txt", "mated"]);
    wrong("set/pair_list.txt", "", &["pair_list.txt"]);
    wrong("set/pair_list.txt", "p0_0 p0_1 1\np0_0 gone 0\n", &["1 of", "missing", "gone"]);
    wrong("scores.txt", "p0_0 1\np0_0 2\n", &["scores.txt", "line 2"]);
    wrong("scores.txt", "p0_0 1\np0_1 high\n", &["scores.txt", "line 2"]);
    wrong("scores.txt", "p0_0 1\n", &["scores.txt", "7 of 8 images"]);
    wrong("names.txt", "p0_0.png\n", &["emb.npy"]);
    wrong("names.txt", "p0_0.png\n".repeat(8).as_str(), &["p0_0"]);
    wrong("study.toml", &STUDY.replace("replicates", "repliactes"), &["line 3", "repliactes"]);
    wrong("study.toml", &STUDY.replace("\"attn\"", "\"attn@block=99\""), &["attn@block=99"]);

    let here = TestDir::new();
    here.run(&["report", "."]).refused_with("results.json");
    here.write("results.json", "{\"format\": 99}");
    here.run(&["report", "."]).refused_with("run `attn-fiqa benchmark` again");
}

#[test]
fn errors_name_study_keys_instead_of_flags() {
    let here = eight_faces();
    here.write("scores.csv", "path,other\np0_0,1\n");
    here.write("faces.onnx", onnx::of_crops(&[0.5, 0.1, 0.2]));
    let said = |from: &str, to: &str, key: &str| {
        assert!(STUDY.contains(from), "{from}");
        here.write("bad.toml", STUDY.replacen(from, to, 1));
        let ran = here.run(&["benchmark", "bad.toml"]).ended_with(2);
        assert!(ran.stderr.contains(key), "'{key}' is not in: {}", ran.stderr);
        assert!(!ran.stderr.contains("--names") && !ran.stderr.contains("--pixels"));
        assert!(!ran.stderr.contains("--heads"), "a flag that there is not: {}", ran.stderr);
    };
    said(
        "lists = { set = \"names.txt\" }",
        "",
        "lists = { DATASET = \"FILE\" } next to embeddings",
    );
    said("scores.txt", "scores.csv", "column = \"NAME\"");
    let model = "model = \"faces.onnx\"";
    said(
        "embeddings = { set = \"emb.npy\" }\nlists = { set = \"names.txt\" }",
        model,
        "preprocess = ",
    );
    let several = "name = \"q\"\nmethod = \"onnx:faces.onnx\"\npreprocess = \"arcface\"";
    said("name = \"attn\"", several, "norm_of = \"RECOGNISER\"");
    said("name = \"attn\"", "name = \"attn\"\npreset = \"b\"", "line 17: no preset 'b'");
    said("name = \"attn\"", "method = \"attn\"", "line 17: a [[method]] needs a name");
    said("name = \"attn\"", "name = \"x\"\ncolumns = [\"*\"]", "line 18: columns belongs to");
}

#[test]
fn each_score_column_becomes_a_method() {
    let here = eight_faces();
    let score = ["score", "--aligned", "set", "--method", "attn,attn-max,laplacian"];
    for table in ["s.parquet", "s.csv", "s.jsonl"] {
        here.run(&[&score[..], &["--output", table, "--quiet"]].concat()).ended_with(0);
    }
    let measured = |table: &str, columns: &str, name: &str| {
        let methods =
            format!("[[method]]\n{name}scores = {{ set = \"{table}\" }}\ncolumns = {columns}\n");
        let study = STUDY.split("[[method]]").next().expect("a part");
        here.write("study.toml", format!("{study}{methods}"));
        here.run(&["benchmark", "study.toml", "--quiet"]).ended_with(0);
        Table::parse(&here.read_text("study.run/scores/1-set.csv"))
    };
    let all = measured("s.parquet", "[\"*\"]", "");
    let names = all.heading[1..].to_vec();
    assert!(names.iter().any(|name| name == "attn-max"), "{names:?}");
    assert!(names.iter().any(|name| name == "laplacian"), "{names:?}");
    assert!(!names.iter().any(|name| name == "status" || name == "path"), "{names:?}");
    for table in ["s.csv", "s.jsonl"] {
        let mut found = measured(table, "[\"*\"]", "").heading[1..].to_vec();
        let mut expected = names.clone();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{table}");
    }
    let named = measured("s.parquet", "[\"laplacian\", \"attn-max\"]", "name = \"ours\"\n");
    assert_eq!(named.heading[1..], ["ours: laplacian", "ours: attn-max"]);
    assert_eq!(named.column("ours: attn-max"), all.column("attn-max"));

    let edc = |quality: &str| {
        let mut args = vec!["edc", "--pairs", "set/pair_list.txt", "--embeddings", "emb.npy"];
        args.extend(["--names", "names.txt", "--fmr", "0.1", "--quality", quality]);
        here.run(&args)
    };
    let found = edc("ours=s.parquet:*").ended_with(0).table();
    let expected: Vec<String> = names.iter().map(|name| format!("ours:{name}")).collect();
    assert_eq!(found.column("method")[..names.len()], expected);
    let found = edc("s.parquet:attn-max,laplacian").ended_with(0).table();
    assert_eq!(found.column("method")[..2], ["s:attn-max", "s:laplacian"]);
    edc("s.parquet:attn-max,gone").refused_with("expected a column 'gone'");
}

#[test]
fn multi_dataset_pauc_is_averaged_relative_to_random() {
    let here = eight_faces();
    // In the other set the recogniser makes no error that could be discarded: it carries no
    // information, and must not dilute the first set's result.
    let pairs = here.read_text("set/pair_list.txt");
    let easy: Vec<&str> = pairs.lines().filter(|line| !line.contains("p3_1")).collect();
    here.write("easy.txt", easy.join("\n"));
    // With few comparisons, only a fixed threshold is defined at every discard fraction.
    let study = STUDY
        .replace("[settings]", "[settings]\nprotocols = [\"iso\"]")
        .replace(
            "[[recogniser]]",
            "[[dataset]]\nname = \"easy\"\nkind = \"pairs\"\npath = \"set\"\npairs = \"easy.txt\"\n\
             [[dataset]]\nname = \"again\"\nkind = \"pairs\"\npath = \"set\"\n[[recogniser]]",
        )
        .replace("set = \"emb.npy\"", "set = \"emb.npy\", easy = \"emb.npy\", again = \"emb.npy\"")
        .replace(
            "set = \"names.txt\"",
            "set = \"names.txt\", easy = \"names.txt\", again = \"names.txt\"",
        )
        .replace(
            "set = \"scores.txt\"",
            "set = \"scores.txt\", easy = \"scores.txt\", again = \"scores.txt\"",
        );
    here.write("study.toml", study);
    let table = here.run(&["benchmark", "study.toml", "--quiet"]).ended_with(0).table();
    assert_eq!(table.column("easy")[..3], ["0.0000"; 3]);
    let (area, relative) = (table.numbers("set"), table.numbers("relative"));
    for row in 0..3 {
        support::assert_near(relative[row], area[row] / area[2], 1e-3);
    }
    assert_eq!(table.column("rank")[1], "1");
    let pauc = Table::parse(&here.read_text("study.run/tables/pauc.csv"));
    let of_mean: Vec<_> = pauc.rows.iter().filter(|row| row[4] == "mean").collect();
    assert!(of_mean.iter().all(|row| row[5].is_empty() && !row[9].is_empty()), "{of_mean:?}");
    here.run(&["report", "study.run"]).ended_with(0);
    let page = here.read_text("study.run/report.html");
    assert!(page.contains("relative to random, mean over data sets"), "no word of the scale");
}
