//! `map`: which files it writes and what its manifest says.

use attn_fiqa::checkpoint::builtin;
use attn_fiqa_eval::files::npy;

use crate::support::{MISSING, Table, TestDir, WRONG_SIZE, assert_near, wide_image};

const HEADING: [&str; 9] =
    ["path", "face", "status", "score", "overlay", "map", "grid", "photo", "message"];

fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["astronaut.png", "blur-4.png"]);
    here.write("wide.png", wide_image());
    here
}

#[test]
fn map_writes_overlay_map_grid_and_manifest_row() {
    let here = test_dir();
    let args = ["astronaut.png", "wide.png", "gone.png", "blur-4.png"];
    let scores =
        here.run(&[&["score", "--aligned", "--columns", "map"], &args[..]].concat()).ended_with(1);
    let ran =
        here.run(&[&["map", "--aligned", "--output", "maps"], &args[..]].concat()).ended_with(1);
    assert!(ran.said().contains("2 scored, 2 failed (1 not-found, 1 wrong-size)\n"));
    assert_eq!(
        here.files("maps"),
        [
            "astronaut.png.grid.json",
            "astronaut.png.map.png",
            "astronaut.png.overlay.png",
            "blur-4.png.grid.json",
            "blur-4.png.map.png",
            "blur-4.png.overlay.png",
            "manifest.csv",
        ]
    );

    let manifest = Table::parse(&here.read_text("maps/manifest.csv"));
    assert_eq!(manifest.heading, HEADING);
    assert_eq!(
        manifest.outcomes(),
        [
            ["astronaut.png", "ok", ""],
            ["wide.png", "wrong-size", WRONG_SIZE],
            ["gone.png", "not-found", MISSING],
            ["blur-4.png", "ok", ""],
        ]
    );
    assert_eq!(manifest.column("score"), scores.table().column("score"));
    for (row, image) in [(0, "astronaut.png"), (3, "blur-4.png")] {
        let files = ["overlay.png", "map.png", "grid.json"].map(|end| format!("{image}.{end}"));
        assert_eq!(manifest.rows[row][4..7], files);
        let grid: serde_json::Value =
            serde_json::from_str(&here.read_text(&format!("maps/{image}.grid.json"))).unwrap();
        assert_eq!((&grid["path"], &grid["head"]), (&image.into(), &serde_json::Value::Null));
        let values: Vec<Vec<f32>> = serde_json::from_value(grid["grid"].clone()).unwrap();
        assert!(values.iter().all(|line| line.len() == values.len()), "a square");
        assert_eq!(values.concat(), scores.table().lists("map")[row]);
        assert_near(
            grid["score"].as_f64().unwrap() as f32,
            manifest.column("score")[row].parse().unwrap(),
            1e-5,
        );
    }
    for row in [1, 2] {
        assert_eq!(
            (manifest.rows[row][1].as_str(), &manifest.rows[row][3..7]),
            ("", &[""; 4].map(String::from)[..])
        );
    }
}

/// Shape and values of a NumPy file.
fn npy(bytes: &[u8]) -> (Vec<usize>, Vec<f32>) {
    let found = npy::parse("file", bytes, bytes.len() as u64).expect("an array");
    (found.shape, found.values)
}

#[test]
fn npy_grid_matches_map_column() {
    let grid = builtin().unwrap().config().grid();
    let here = test_dir();
    let scores = here.run(&["score", "blur-4.png", "--columns", "map"]).ended_with(0).table();
    here.run(&["map", "blur-4.png", "--output", "maps", "--grid", "npy"]).ended_with(0);
    let (shape, values) = npy(&here.read("maps/blur-4.png.grid.npy"));
    assert_eq!(shape, [grid, grid]);
    assert_eq!(values, scores.lists("map")[0]);
    assert!(!here.path("maps/blur-4.png.grid.json").exists());
}

#[test]
fn paid_attention_differs_but_has_equal_mean() {
    let here = test_dir();
    let grid = |attention: &str| {
        let args =
            ["map", "blur-4.png", "-o", attention, "--grid", "npy", "--attention", attention];
        here.run(&args).ended_with(0);
        npy(&here.read(&format!("{attention}/blur-4.png.grid.npy"))).1
    };
    let (received, paid) = (grid("received"), grid("paid"));
    assert_ne!(received, paid);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    assert_near(mean(&received), mean(&paid), 1e-4);
}

#[test]
fn per_head_grids_average_to_the_map() {
    let heads = builtin().unwrap().config().num_heads;
    let here = test_dir();
    let args = ["map", "blur-4.png", "--output", "maps", "--per-head", "--grid", "npy"];
    here.run(&args).ended_with(0);
    let files = here.files("maps");
    assert_eq!(files.len(), 3 * (1 + heads) + 1, "{files:?}");
    let read = |name: String| npy(&here.read(&format!("maps/blur-4.png.{name}"))).1;
    let mut sum = vec![0.0; builtin().unwrap().config().patches()];
    for head in 0..heads {
        for end in ["overlay.png", "map.png"] {
            let name = format!("blur-4.png.head-{head:02}.{end}");
            assert!(files.contains(&name), "{name}");
        }
        let values = read(format!("head-{head:02}.grid.npy"));
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    for (mean, sum) in read("grid.npy".to_owned()).into_iter().zip(sum) {
        assert_near(sum / heads as f32, mean, 1e-4);
    }
    here.run(&["map", "blur-4.png", "--sheet", "s.png", "--per-head"])
        .refused_with("the following required arguments were not provided:\n  --output <DIR>");
}

#[test]
fn output_preserves_input_subfolders() {
    let here = TestDir::new();
    here.face("blur-1.png", "in/a/x.png");
    here.face("blur-2.png", "in/b/x.png");
    here.run(&["map", "in", "-r", "--output", "maps"]).ended_with(0);
    let manifest = Table::parse(&here.read_text("maps/manifest.csv"));
    assert_eq!(manifest.column("overlay"), ["a/x.png.overlay.png", "b/x.png.overlay.png"]);
    for file in [manifest.column("overlay"), manifest.column("map"), manifest.column("grid")] {
        for file in file {
            assert!(here.path("maps").join(file).is_file(), "{file}");
        }
    }
}

#[test]
fn name_collisions_are_reported_not_overwritten() {
    let here = TestDir::new();
    here.face("blur-1.png", "first/x.png");
    here.face("blur-5.png", "second/x.png");
    let ran = here.run(&["map", "first", "second", "--output", "maps"]).ended_with(1);
    let message = "another image of this run has the same name inside its input, and the files of \
                   one would overwrite the other's; map each input into its own folder";
    assert_eq!(
        ran.said(),
        format!("second/x.png: not-written: {message}\n1 scored, 1 failed (1 not-written)\n")
    );
    let manifest = Table::parse(&here.read_text("maps/manifest.csv"));
    assert_eq!(
        manifest.outcomes(),
        [["first/x.png", "ok", ""], ["second/x.png", "not-written", message],]
    );
    assert_eq!(here.files("maps").len(), 4);
    here.run(&["map", "first", "--output", "alone"]).ended_with(0);
    assert_eq!(here.read("maps/x.png.grid.json"), here.read("alone/x.png.grid.json"));
    here.run(&["map", "first", "second", "--sheet", "sheet.png"]).ended_with(0);
}

#[test]
fn missing_or_unwritable_output_is_rejected() {
    let here = test_dir();
    let ran = here.run(&["map", "astronaut.png"]).ended_with(2);
    assert!(
        ran.stderr.starts_with(
            "error: the following required arguments were not provided:\n  \
             <--output <DIR>|--sheet <FILE.png>>\n"
        ),
        "{}",
        ran.stderr
    );
    here.run(&["map", "astronaut.png", "--sheet", "gone/sheet.png"])
        .refused_with("cannot write 'gone/sheet.png': there is no such folder");
    here.write("file", "");
    here.run(&["map", "astronaut.png", "--output", "file"])
        .refused_with("cannot make the folder 'file': ");
}

#[test]
fn method_without_map_is_rejected() {
    let here = test_dir();
    here.run(&["map", "astronaut.png", "--output", "maps", "--method", "attn-median"]).refused(
        "a map was asked for, but method 'attn-median' is not a mean over patches; put 'attn' or \
         'attn-calibrated' first",
    );
    assert!(!here.path("maps").exists());
}

#[test]
fn invalid_arguments_create_no_output_folder() {
    let here = test_dir();
    let before = here.files("");
    for wrong in [&["nothing-*.png"][..], &["astronaut.png", "--method", "attn@block=99"]] {
        here.run(&[&["map", "--output", "maps"], wrong].concat()).ended_with(2);
        assert!(!here.path("maps").exists(), "{wrong:?}");
    }
    assert_eq!(here.files(""), before);
}

#[test]
fn skip_existing_keeps_maps_of_another_input() {
    let here = TestDir::new();
    here.face("blur-1.png", "one/a.png");
    here.face("dark-5.png", "two/a.png");
    let args = ["--aligned", "--skip-existing", "-o", "out"];
    here.run(&[&["map", "one"], &args[..]].concat()).ended_with(0);
    let map = here.read("out/a.png.map.png");
    // A file as new as the run would count as the run's own.
    std::thread::sleep(std::time::Duration::from_millis(50));
    here.run(&[&["map", "two"], &args[..]].concat()).ended_with(1);
    assert_eq!(here.read("out/a.png.map.png"), map);
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    assert_eq!(manifest.column("path"), ["one/a.png", "two/a.png"]);
    assert_eq!(manifest.column("status"), ["ok", "not-written"]);
    let ran = here.run(&[&["map", "one"], &args[..]].concat()).ended_with(0);
    assert!(ran.said().contains("note: 1 image skipped: its files exist"), "{}", ran.said());
}
