//! ONNX networks through the wrapper: synthetic, damaged, and real ones.

use std::num::NonZeroUsize;

use attn_fiqa::crop::Crop;
use attn_fiqa::onnx::{Dim, OnnxModel, OnnxProblem, Tensor};
use attn_fiqa::recognise::Recogniser;
use attn_fiqa::status::Status;
use attn_fiqa::threads::Threads;

use crate::onnx_support::{
    bytes_field, channel_means, constant, model, model_with, node, number_field, value,
};

fn threads(count: usize) -> Threads {
    Threads::new(NonZeroUsize::new(count)).expect("threads")
}

fn ramp(shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    Tensor::new(shape, (0..count).map(|i| (i % 97) as f32).collect()).expect("a tensor")
}

#[test]
fn a_network_lists_its_inputs_and_outputs_and_runs() {
    let network = OnnxModel::from_bytes(channel_means(4, "data"), "means").expect("a network");
    let input = network.inputs().next().expect("an input");
    assert_eq!(input.name, "data");
    assert_eq!(input.to_string(), "'data' [batch, 3, 4, 4]");
    assert_eq!(input.shape.as_ref().expect("a shape")[0], Dim::Named("batch".to_owned()));
    assert_eq!(network.outputs().next().expect("an output").name, "means");

    let data = ramp(&[1, 3, 4, 4]);
    let found = network.run(&[("data", &data)], &["means"], &threads(2)).expect("a run");
    assert_eq!(found[0].shape(), [1, 3]);
    assert_eq!(found[0].values(), [7.5, 23.5, 39.5]);
}

#[test]
fn mismatched_inputs_are_refused_by_name() {
    let network = OnnxModel::from_bytes(channel_means(4, "data"), "means.onnx").expect("a network");
    let threads = threads(1);
    let data = ramp(&[1, 3, 4, 5]);
    let error = network.run(&[("data", &data)], &["means"], &threads).expect_err("a wrong shape");
    assert_eq!(
        error.to_string(),
        "the input 'data' takes [batch, 3, 4, 4], not [1, 3, 4, 5]: 'means.onnx'"
    );
    let data = ramp(&[1, 3, 4, 4]);
    for (input, output) in [("image", "means"), ("data", "embedding")] {
        let error = network.run(&[(input, &data)], &[output], &threads).expect_err("no such name");
        assert!(matches!(error.problem, OnnxProblem::NoSuchTensor { .. }), "{error}");
    }
    assert!(network.run(&[], &["means"], &threads).is_err(), "an input is missing");
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let file = model(
        &[node("warp_7", "FaceWarp", &["data"], "out", &[])],
        &[value("data", &[Some(1)])],
        &[value("out", &[Some(1)])],
    );
    let error = OnnxModel::from_bytes(file, "warp.onnx").expect_err("no such operator").to_string();
    for part in ["warp_7", "FaceWarp", "opset 17", "'warp.onnx'"] {
        assert!(error.contains(part), "'{part}' is not in: {error}");
    }
}

#[test]
fn corrupted_onnx_files_never_panic() {
    let whole = channel_means(4, "data");
    for cut in 0..whole.len() {
        let _ = OnnxModel::from_bytes(whole[..cut].to_vec(), "cut");
    }
    let threads = threads(1);
    let data = ramp(&[1, 3, 4, 4]);
    for position in 0..whole.len() {
        for bit in [1, 4, 0x80] {
            let mut bytes = whole.clone();
            bytes[position] ^= bit;
            if let Ok(network) = OnnxModel::from_bytes(bytes, "flipped") {
                let _ = network.run(&[("data", &data)], &["means"], &threads);
            }
        }
    }
    for not_onnx in [&b""[..], b"RTEN1234", b"PK\x03\x04", b"{}", &[0; 64]] {
        let error = OnnxModel::from_bytes(not_onnx.to_vec(), "other").expect_err("not ONNX");
        assert!(matches!(error.problem, OnnxProblem::NotOnnx(_)), "{error}");
    }
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = OnnxModel::open(folder.path()).expect_err("a folder");
    assert!(matches!(error.problem, OnnxProblem::NotAFile));
    let error = OnnxModel::open(&folder.path().join("no.onnx")).expect_err("no file").to_string();
    assert!(error.contains("no.onnx") && error.contains("cannot read"), "{error}");
}

/// The real networks run, and give bit for bit identical results on any number of threads.
#[test]
fn real_networks_give_the_same_bits_on_any_number_of_threads() {
    let Some(models) = attn_fiqa_testing::shared("data/models") else { return };
    for file in ["sface-2021dec.onnx", "mobilefacenet.onnx"] {
        let network = OnnxModel::open(&models.join(file)).expect("a network");
        let input = network.inputs().next().expect("an input").name.clone();
        let output = network.outputs().next().expect("an output").name.clone();
        let data = ramp(&[1, 3, 112, 112]);
        let run = |threads: &Threads| {
            let found = network.run(&[(&input, &data)], &[&output], threads).expect("a run");
            found[0].values().to_vec()
        };
        let one = run(&threads(1));
        assert_eq!(one.len(), 128, "{file}");
        assert_eq!(run(&threads(3)), one, "{file} on three threads");
    }
}

/// Whether a network runs may depend on the pixels: this one uses the highest value as an index
/// into the 27 values of the crop.
#[test]
fn network_that_fails_on_a_crop_is_distinguished_from_non_finite_output() {
    let to_integer = [bytes_field(1, b"to"), number_field(3, 7), number_field(20, 2)].concat();
    let nodes = [
        node("flat", "Reshape", &["data", "length"], "flat", &[]),
        node("highest", "ReduceMax", &["data"], "highest", &[("axes", &[0, 1, 2, 3])]),
        [node("index", "Cast", &["highest"], "index", &[]), bytes_field(5, &to_integer)].concat(),
        node("gather", "Gather", &["flat", "index"], "embedding", &[]),
    ];
    let input = [value("data", &[Some(1), Some(3), Some(3), Some(3)])];
    let output = [value("embedding", &[Some(1), Some(1), Some(1), Some(1)])];
    let file = model_with(&[constant("length", &[27])], &nodes, &input, &output);
    let network = OnnxModel::from_bytes(file, "gather.onnx").expect("a network");
    let spec = "rgb:0:5".parse().expect("a preprocessing");
    let network = Recogniser::new(network, Some(spec), &threads(1)).expect("a recogniser");
    let crop = |level| Crop::from_rgb(3, vec![level; 27]).expect("a crop");
    assert_eq!(network.embed(&crop(50)).expect("an embedding"), [10.0]);
    let failure = network.embed(&crop(200)).expect_err("an index out of range");
    assert_eq!(failure.status, Status::NetworkFailed);
}
