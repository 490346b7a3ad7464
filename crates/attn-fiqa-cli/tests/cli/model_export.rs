//! `model export`: files that other runtimes read, and what is refused.

use attn_fiqa::checkpoint::{ConvertOptions, WeightDtype, builtin, write_canonical};
use attn_fiqa::onnx::OnnxModel;

use crate::support::TestDir;

fn outputs(here: &TestDir, file: &str) -> Vec<String> {
    let network = OnnxModel::open(&here.path(file)).unwrap();
    network.outputs().map(ToString::to_string).collect()
}

const DEFAULT: [&str; 6] = [
    "'score' [batch]",
    "'quality' [batch]",
    "'map' [batch, 14, 14]",
    "'causes' [batch, 12]",
    "'cause_gains' [batch, 12]",
    "'none_probability' [batch]",
];

#[test]
fn builtin_and_converted_models_are_exported() {
    let here = TestDir::new();
    let ran = here.run(&["model", "export", "score.onnx"]).ended_with(0);
    assert_eq!((ran.stdout(), ran.stderr.as_str()), ("", ""));
    assert_eq!(outputs(&here, "score.onnx"), DEFAULT);
    let text = |part: &str| {
        here.read("score.onnx").windows(part.len()).any(|bytes| bytes == part.as_bytes())
    };
    assert!(text("MIT OR Apache-2.0") && text("built-in attn-fiqa-t"));

    let options = ConvertOptions { dtype: WeightDtype::F16, quality_only: false };
    write_canonical(&builtin().unwrap(), &here.path("model.safetensors"), options).unwrap();
    let from = ["--model", "model.safetensors"];
    let args = ["model", "export", "file.onnx", "--dtype", "f16", "--outputs", "embedding,score"];
    here.run(&[&args[..], &from].concat()).ended_with(0);
    let dim = builtin().unwrap().config().embedding_head.unwrap().dim();
    assert_eq!(
        outputs(&here, "file.onnx"),
        ["'score' [batch]".to_owned(), format!("'embedding' [batch, {dim}]")]
    );
    let licence = here.read("file.onnx");
    assert!(licence.windows(10).any(|bytes| bytes == b"not stated"));
}

#[test]
fn detector_and_landmark_networks_are_exported() {
    let here = TestDir::new();
    for (network, first) in [("detector", "'confidences' ["), ("landmarks", "'landmarks' [")] {
        let file = format!("{network}.onnx");
        let args = ["model", "export", &file, "--network", network, "--opset", "18"];
        here.run(&args).ended_with(0);
        assert!(outputs(&here, &file)[0].starts_with(first));
        here.run(&[&args[..], &["--dtype", "f16", "--outputs", "map"]].concat()).refused(
            "--outputs, --dtype describe a score; the detector and the landmark network are \
             written as they are",
        );
    }
}

#[test]
fn rejected_exports_write_nothing() {
    let here = TestDir::new();
    let options = ConvertOptions { quality_only: true, ..ConvertOptions::default() };
    write_canonical(&builtin().unwrap(), &here.path("q.safetensors"), options).unwrap();
    here.write("net.onnx", b"\x08\x07\x12\x07pytorch\x1a\x051.8.1");
    here.write("folder.onnx/x", "");
    let before = here.files("");
    let refused = |args: &[&str], message: &str| {
        here.run(&[&["model", "export"], args].concat()).refused_with(message);
    };
    refused(&["x.bin"], "the file to write is an ONNX file, but 'x.bin' does not end in .onnx");
    refused(&["gone/x.onnx"], "cannot write 'gone/x.onnx': there is no such folder");
    refused(&["folder.onnx"], "folder.onnx: is a folder; expected the name of a file to write");
    refused(
        &["x.onnx", "--opset", "13"],
        "x.onnx: cannot be written in opset 13; expected 17 or 18",
    );
    refused(&["x.onnx", "--model", "net.onnx"], "net.onnx: is an ONNX model");
    refused(&["net.onnx", "--model", "net.onnx"], "'net.onnx' is the file to read");
    refused(&["x.onnx", "--model", "gone.safetensors"], "gone.safetensors: cannot be read");
    refused(
        &["x.onnx", "--model", "q.safetensors", "--outputs", "embedding"],
        "q.safetensors: has no embedding head for the output 'embedding'; export the full \
         checkpoint (`model convert --quality-only` writes such files)",
    );
    refused(&["x.onnx", "--outputs", "scores"], "invalid value 'scores' for '--outputs");
    assert_eq!(here.files(""), before);
}

/// A network without a calibration, as trained.
#[test]
fn uncalibrated_export_has_no_quality_output() {
    let here = TestDir::new();
    let golden = attn_fiqa_testing::golden("vit").join("tiny_p14_qkvbias.safetensors");
    let model = golden.to_str().unwrap();
    let args = ["model", "export", "tiny.onnx", "--model", model, "--heads", "5"];
    here.run(&args).ended_with(0);
    assert_eq!(outputs(&here, "tiny.onnx"), ["'score' [batch]", "'map' [batch, 8, 8]"]);
    for (output, message) in [
        (
            "quality",
            "has no calibration, which the output 'quality' needs; calibrate it first (`calibrate` \
             adds one)",
        ),
        (
            "causes",
            "has no readout of causes for the output 'causes'; fit one first (`calibrate --only \
             causes` adds one to a calibrated model)",
        ),
    ] {
        here.run(&[&args[..], &["--outputs", output]].concat()).refused_with(message);
    }
}
