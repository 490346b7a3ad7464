//! Methods and columns on request.

use attn_fiqa::checkpoint::builtin;

use crate::support::{self, MISSING, TestDir, WRONG_SIZE, assert_near, wide_image};

const METHODS: &str = "attn,attn-max@block=3,attn-calibrated,attn@head=2,attn-median@block=1@head=0,\
                       attn-inverse-std";

#[test]
fn requested_columns_come_between_score_and_message() {
    let config = *builtin().unwrap().config();
    let here = TestDir::with_faces(&["astronaut.png", "turn-2.png"]);
    here.write("wide.png", wide_image());
    let images = ["astronaut.png", "wide.png", "gone.png", "turn-2.png"];
    let columns = ["--aligned", "--columns", "embedding,map,size"];
    let ran = here.run(&[&["score"], &images[..], &columns[..]].concat()).ended_with(1);
    let table = ran.table();
    assert_eq!(
        table.heading,
        ["path", "status", "score", "quality", "width", "height", "map", "embedding", "message"]
    );
    assert_eq!(table.column("width"), ["112", "512", "", "112"]);
    assert_eq!(table.column("height"), ["112", "512", "", "112"]);
    assert_eq!(table.rows[1][..3], ["wide.png", "wrong-size", ""]);
    assert_eq!(table.rows[1][6..], ["", "", WRONG_SIZE]);
    let quality = support::quality_of_failure();
    assert_eq!(table.rows[2][1..], ["not-found", "", quality, "", "", "", "", MISSING]);

    let (maps, embeddings) = (table.lists("map"), table.lists("embedding"));
    for row in [0, 3] {
        assert_eq!(maps[row].len(), config.patches());
        let mean = maps[row].iter().sum::<f32>() / maps[row].len() as f32;
        assert_near(mean, table.rows[row][2].parse().unwrap(), 1e-4);
        assert_eq!(embeddings[row].len(), config.embedding_head.unwrap().dim());
        assert!(embeddings[row].iter().all(|value| value.is_finite()));
    }
    assert_ne!(maps[0], maps[3]);
    assert_ne!(embeddings[0], embeddings[3]);
}

#[test]
fn map_mean_equals_score() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    for method in ["attn", "attn-calibrated", "attn@block=2", "attn@head=1"] {
        let args = ["score", "astronaut.png", "--columns", "map", "--method", method];
        let table = here.run(&args).ended_with(0).table();
        let map = &table.lists("map")[0];
        let mean = map.iter().sum::<f32>() / map.len() as f32;
        assert_near(mean, table.numbers("score")[0], 1e-4);
    }
    here.run(&["score", "astronaut.png", "--columns", "map", "--method", "attn-max"]).refused(
        "a map was asked for, but method 'attn-max' is not a mean over patches; put 'attn' or \
         'attn-calibrated' first",
    );
}

#[test]
fn jsonl_contains_requested_columns() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let args = ["score", "astronaut.png", "gone.png", "--columns", "size,map,embedding"];
    let table = here.run(&args).ended_with(1).table();
    let ran = here.run(&[&args[..], &["--format", "jsonl"]].concat()).ended_with(1);
    let objects: Vec<serde_json::Value> =
        ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for list in ["map", "embedding"] {
        let values: Vec<f32> = serde_json::from_value(objects[0][list].clone()).unwrap();
        assert_eq!(values, table.lists(list)[0]);
        assert_eq!(objects[1][list], serde_json::Value::Null);
    }
    assert_eq!((&objects[0]["width"], &objects[0]["height"]), (&112.into(), &112.into()));
    assert_eq!(objects[1]["width"], serde_json::Value::Null);
}

#[test]
fn first_method_is_score_others_are_named_columns() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let ran = here.run(&["score", "--aligned", "astronaut.png", "gone.png", "--method", METHODS]);
    let table = ran.ended_with(1).table();
    let mut heading = vec!["path", "status", "score", "quality"];
    heading.extend(METHODS.split(',').skip(1));
    heading.push("message");
    assert_eq!(table.heading, heading);
    assert_eq!(table.rows[1][2..heading.len() - 1], [""; 7]);
    for (index, method) in METHODS.split(',').enumerate() {
        let alone =
            here.run(&["score", "--aligned", "astronaut.png", "--method", method]).ended_with(0);
        assert_near(
            alone.table().numbers("score")[0],
            // The quality follows the first score.
            table.rows[0][2 + index + usize::from(index > 0)].parse().unwrap(),
            1e-5,
        );
    }
}

#[test]
fn attn_score_is_the_mean_over_heads() {
    let heads = builtin().unwrap().config().num_heads;
    let here = TestDir::with_faces(&["noise-2.png"]);
    let methods: Vec<String> = (0..heads).map(|head| format!("attn@head={head}")).collect();
    let methods = format!("attn,{}", methods.join(","));
    let args = ["score", "--aligned", "noise-2.png", "--method", &methods];
    let table = here.run(&args).ended_with(0).table();
    let of_heads = (0..heads).map(|head| table.numbers(&format!("attn@head={head}"))[0]);
    assert_near(of_heads.sum::<f32>() / heads as f32, table.numbers("score")[0], 1e-4);
}

#[test]
fn calibrated_model_defaults_to_calibrated_score() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let score = |options: &[&str]| {
        let ran = here.run(&[&["score", "astronaut.png"], options].concat()).ended_with(0);
        ran.table().numbers("score")[0]
    };
    let default = score(&[]);
    assert_eq!(default, score(&["--method", "attn-calibrated"]));
    assert!((default - score(&["--method", "attn"])).abs() > 0.1);
}

#[test]
fn out_of_range_blocks_and_heads_are_rejected() {
    let config = *builtin().unwrap().config();
    let here = TestDir::with_faces(&["astronaut.png"]);
    let refused = |method: &str, message: &str| {
        here.run(&["score", "astronaut.png", "--method", method]).refused(message);
    };
    let (blocks, heads) = (config.depth, config.num_heads);
    refused(
        &format!("attn,attn-max@block={blocks}"),
        &format!(
            "method 'attn-max@block={blocks}' names a block that does not exist; this model has \
             blocks 0 to {}",
            blocks - 1
        ),
    );
    refused(
        &format!("attn@head={heads}"),
        &format!(
            "method 'attn@head={heads}' names a head that does not exist; this model has heads 0 \
             to {}",
            heads - 1
        ),
    );
}

#[test]
fn unknown_method_or_column_error_lists_valid_names() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let known = "expected one of attn, attn-calibrated, attn-median, attn-max, attn-inverse-std, \
                 vitnt, vitnt-weighted, norm, dropout, those of attn optionally with @block=N and \
                 @head=N; or laplacian, inter-eye-distance, detection-score, onnx:FILE[@preprocess=SPEC]";
    for (method, reason) in [
        ("atn", "unknown name"),
        ("attn@layer=1", "neither block nor head after '@'"),
        ("attn@block=last", "no whole number after '='"),
    ] {
        here.run(&["score", "astronaut.png", "--method", method]).refused_with(&format!(
            "invalid value '{method}' for '--method <NAME,…>': {reason} in method '{method}'; \
             {known}"
        ));
    }
    here.run(&["score", "astronaut.png", "--columns", "age"]).refused_with(
        "invalid value 'age' for '--columns <NAME,…>'\n  [possible values: band, match_probability, main_cause, causes, weak_regions, size, landmarks, components, map, embedding]",
    );
}

#[test]
fn band_column_matches_quality() {
    let here = TestDir::with_faces(&["astronaut.png", "blur-5.png"]);
    let args =
        ["score", "--aligned", "astronaut.png", "blur-5.png", "gone.png", "--columns", "band"];
    let table = here.run(&args).ended_with(1).table();
    assert_eq!(table.heading.join(","), "path,status,score,quality,band,message");
    for (quality, band) in table.column("quality").into_iter().zip(table.column("band")) {
        let expected = quality.parse().ok().and_then(attn_fiqa::score::Band::of);
        assert_eq!(band, expected.map_or("", attn_fiqa::score::Band::name), "{quality}");
    }
}

#[test]
fn causes_match_applied_degradations() {
    let faces = ["dark-1.png", "dark-5.png", "blur-4.png", "noise-4.png", "gone.png"];
    let here = TestDir::with_faces(&faces[..4]);
    let columns = ["--aligned", "--columns", "main_cause,causes,weak_regions,band"];
    let args = [&["score"], &faces[..], &columns[..]].concat();
    let table = here.run(&args).ended_with(1).table();
    let heading = ["quality", "band", "main_cause", "causes", "weak_regions", "message"];
    assert_eq!(table.heading[3..], heading);
    assert_eq!(table.column("main_cause"), ["", "too_dark", "blur", "noise", ""]);
    assert_eq!(table.column("causes")[0], "");
    for row in 1..4 {
        let causes: Vec<(&str, f32)> = table.rows[row][6]
            .split(' ')
            .map(|cause| cause.split_once(':').unwrap())
            .map(|(name, strength)| (name, strength.parse().unwrap()))
            .collect();
        assert!(causes.is_sorted_by(|a, b| a.1 >= b.1), "{causes:?}");
        assert!(causes.iter().any(|(name, _)| *name == table.rows[row][5]), "{causes:?}");
        assert!(causes.iter().all(|(_, strength)| (0.0..=1.0).contains(strength)));
    }

    let ran = here.run(&[&args[..], &["--format", "jsonl"]].concat()).ended_with(1);
    let objects: Vec<serde_json::Value> =
        ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["causes"], serde_json::json!([]));
    assert_eq!(objects[0]["main_cause"], serde_json::Value::Null);
    assert_eq!(objects[1]["main_cause"], "too_dark");
    let first = &objects[1]["causes"][0];
    assert!(table.rows[1][6].starts_with(first["cause"].as_str().unwrap()));
    assert!(first["strength"].as_f64().unwrap() > 0.3 && first["gain"].as_f64().unwrap() > 10.0);
    assert_eq!(objects[4]["causes"], serde_json::Value::Null);
    assert!(objects[0]["weak_regions"].is_array());
    // A table for people also has them, and so do measures without the network.
    let shown = here.run(&[&args[..], &["--format", "table"]].concat()).ended_with(1);
    assert!(shown.stdout().contains(&format!(" {}", table.rows[1][6])), "{}", shown.stdout());
    let measured = here.run(&[&args[..], &["--method", "laplacian"]].concat()).ended_with(1);
    assert_eq!(measured.table().column("causes"), table.column("causes"));
}

#[test]
fn occluded_region_is_the_weakest() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let face = image::open(here.path("astronaut.png")).unwrap().to_rgb8();
    let covers = [("left_eye", [20, 40, 54, 62]), ("mouth", [34, 84, 78, 103])];
    let mut args = vec!["score", "--aligned", "--columns", "weak_regions"];
    for (name, [left, top, right, bottom]) in covers {
        let mut covered = face.clone();
        for y in top..bottom {
            (left..right).for_each(|x| covered.put_pixel(x, y, image::Rgb([40, 90, 160])));
        }
        covered.save(here.path(&format!("{name}.png"))).unwrap();
    }
    args.extend(["left_eye.png", "mouth.png"]);
    let weak = here.run(&args).ended_with(0).table();
    for (row, (name, _)) in covers.iter().enumerate() {
        assert_eq!(weak.column("weak_regions")[row].split(' ').next(), Some(*name));
    }
}

#[test]
fn table_shows_every_requested_column() {
    let here = TestDir::new();
    here.write("photo.png", wide_image());
    let heading = |rest: &[&str], format| {
        let ran = here.run(&[&["score", "photo.png", "--format", format], rest].concat());
        ran.ended_with(0).stdout().lines().next().unwrap().to_owned()
    };
    let plain = heading(&[], "csv");
    for columns in ["band,main_cause,causes,weak_regions,size", "landmarks", "components"] {
        let asked = ["--columns", columns, "--jitter", "2"];
        let shown = heading(&asked, "table");
        let shown: Vec<&str> = shown.split_whitespace().collect();
        let csv = heading(&asked, "csv");
        let requested = csv.split(',').filter(|name| !plain.split(',').any(|own| own == *name));
        let all = requested.inspect(|name| assert!(shown.contains(name), "{name}: {shown:?}"));
        assert!(all.count() > 1);
    }
}
