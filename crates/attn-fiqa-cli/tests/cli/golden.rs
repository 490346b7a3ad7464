//! The whole program, compared with the official code's results.

use std::path::{Path, PathBuf};

use image::RgbImage;
use safetensors::SafeTensors;

use crate::support::{SCORE_TOLERANCE, TestDir, assert_near};

/// A small random network that is part of the repository.
fn model(ending: &str) -> PathBuf {
    attn_fiqa_testing::golden(&format!("vit/tiny_p14_qkvbias.{ending}"))
}

/// A tensor's float32 values.
fn values(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn scores_and_maps_match_official_code() {
    scores_and_maps_match_the_expected_ones(
        &attn_fiqa_testing::golden("vit"),
        "tiny_p14_qkvbias",
        "5",
    );
    if let Some(folder) = attn_fiqa_testing::shared("golden/vit") {
        scores_and_maps_match_the_expected_ones(&folder, "tiny_p8", "4");
        scores_and_maps_match_the_expected_ones(&folder, "tiny_p16_deep", "6");
    }
}

fn scores_and_maps_match_the_expected_ones(golden: &Path, name: &str, heads: &str) {
    let bytes = std::fs::read(golden.join(format!("{name}.expected.safetensors"))).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let here = TestDir::new();
    let images = expected.tensor("images_u8_nhwc_rgb").unwrap();
    let [count, height, width, 3] = *images.shape() else { panic!("{:?}", images.shape()) };
    for (index, rgb) in images.data().chunks(height * width * 3).enumerate() {
        let image = RgbImage::from_raw(width as u32, height as u32, rgb.to_vec()).unwrap();
        image.save(here.path(&format!("{index}.png"))).unwrap();
    }
    let methods = "attn,attn-max,attn-median,attn-inverse-std";
    for ending in ["safetensors", "pt"] {
        let model = golden.join(format!("{name}.{ending}"));
        let model = model.to_str().unwrap();
        let args = ["score", ".", "-m", model, "--heads", heads, "--method", methods];
        let columns = ["--columns", "map,embedding"];
        let table = here.run(&[&args[..], &columns].concat()).ended_with(0).table();
        assert_eq!(table.rows.len(), count);
        for (column, tensor) in [
            ("score", "score"),
            ("attn-max", "max"),
            ("attn-median", "median"),
            ("attn-inverse-std", "inverse_std"),
        ] {
            for (found, expected) in
                table.numbers(column).into_iter().zip(values(&expected, tensor))
            {
                assert_near(found, expected, SCORE_TOLERANCE);
            }
        }
        for (column, tensor) in [("map", "received_by_patch"), ("embedding", "embedding")] {
            let (found, expected) = (table.lists(column).concat(), values(&expected, tensor));
            assert_eq!(found.len(), expected.len(), "{column}");
            for (found, expected) in found.into_iter().zip(expected) {
                assert_near(found, expected, SCORE_TOLERANCE);
            }
        }
    }
}

#[test]
fn undeclared_heads_require_the_heads_option() {
    let here = TestDir::new();
    let model = model("safetensors");
    let model = model.to_str().unwrap();
    here.run(&["model", "inspect", model]).refused(&format!(
        "{model}: does not say how many attention heads it has, and tensor shapes do not determine it: \
         give the number of heads (plausible for width 40: 1, 2, 4, 5) (--heads N or --preset \
         NAME)"
    ));
    here.run(&["model", "inspect", model, "--heads", "7"])
        .refused(&format!("{model}: 7 heads (the option given) do not divide the width 40"));
    let ran = here.run(&["model", "inspect", model, "--heads", "5"]).ended_with(0);
    let lines: Vec<String> = ran
        .stdout()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "weights float32 in 39 of the tensors",
        "key bias none",
        "num_heads 5 from the option given",
        "embed_dim 40 from tensor `patch_embed.proj.weight`",
    ] {
        assert!(lines.iter().any(|found| found == line), "no '{line}' in {}", ran.stdout());
    }
}

#[test]
fn model_without_key_bias_defaults_to_published_score() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let model = model("pt");
    let args = ["score", "astronaut.png", "-m", model.to_str().unwrap(), "--heads", "5"];
    let score = |options: &[&str]| {
        here.run(&[&args[..], options].concat()).ended_with(0).table().numbers("score")
    };
    assert_eq!(score(&[]), score(&["--method", "attn"]));
    here.run(&[&args[..], &["--method", "attn-calibrated"]].concat()).refused(
        "method 'attn-calibrated' needs a fitted key bias, but this model has no tensor \
         'calibration.key_bias'; use 'attn' for the published score",
    );
}
