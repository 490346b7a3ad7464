//! Networks made to exhaust memory or run forever: each is refused with a message about what it
//! needs, before anything is allocated for it. Networks like those in use are accepted.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use attn_fiqa::detect::Detector;
use attn_fiqa::onnx::{OnnxError, OnnxModel, OnnxProblem, Tensor};
use attn_fiqa::recognise::{Recogniser, RecogniserError, RecogniserPreset};
use attn_fiqa::threads::Threads;

use crate::common;
use crate::onnx_support::{
    bytes_field, channel_means, constant, model, model_with, node, number_field, value,
};

fn threads() -> Threads {
    Threads::new(NonZeroUsize::new(1)).expect("a thread")
}

/// Input `data` `[1, 3, side, side]`, these nodes, output `out`.
fn network(side: u64, constants: &[Vec<u8>], nodes: &[Vec<u8>]) -> Vec<u8> {
    let input = value("data", &[Some(1), Some(3), Some(side), Some(side)]);
    model_with(constants, nodes, &[input], &[bytes_field(1, b"out")])
}

/// Opens the network and, if that succeeds, runs it on zeros.
fn open_and_run(file: Vec<u8>, side: usize) -> Result<Vec<Tensor>, OnnxError> {
    let started = Instant::now();
    let network = OnnxModel::from_bytes(file, "stranger.onnx")?;
    let data = Tensor::new(&[1, 3, side, side], vec![0.0; 3 * side * side]).expect("a tensor");
    let outcome = network.run(&[("data", &data)], &["out"], &threads());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    outcome
}

#[track_caller]
fn assert_too_costly(file: Vec<u8>, part: &str) {
    let error = open_and_run(file, 4).expect_err("it must be refused");
    let text = error.to_string();
    assert!(matches!(error.problem, OnnxProblem::TooCostly { .. }), "{text}");
    assert!(text.contains(part), "'{part}' is not in: {text}");
    assert!(text.chars().count() < 900 && !text.contains(char::is_control), "{text}");
}

#[test]
fn huge_intermediate_tensors_are_rejected() {
    for shape in [&[1, 1 << 38][..], &[1, 8 << 30], &[1 << 30], &[1 << 32, 1 << 32]] {
        let shape = constant("shape", shape);
        let nodes = [node("big", "ConstantOfShape", &["shape"], "out", &[])];
        assert_too_costly(network(4, std::slice::from_ref(&shape), &nodes), "'big'");
        let nodes = [
            node("one", "ConstantOfShape", &["one"], "unit", &[]),
            node("big", "Expand", &["unit", "shape"], "out", &[]),
        ];
        assert_too_costly(network(4, &[shape, constant("one", &[1])], &nodes), "'big'");
    }
    let huge = constant("times", &[1, 1, 1 << 20, 1 << 20]);
    assert_too_costly(
        network(4, &[huge], &[node("big", "Tile", &["data", "times"], "out", &[])]),
        "'big'",
    );
    let pads = [0, 0, 1 << 20, 1 << 20, 0, 0, 1 << 20, 1 << 20];
    let pad = node("big", "Pad", &["data", "pads"], "out", &[]);
    assert_too_costly(network(4, &[constant("pads", &pads)], &[pad]), "'big'");
    let sizes = constant("sizes", &[1, 3, 1 << 20, 1 << 20]);
    let resize = node("big", "Resize", &["data", "", "", "sizes"], "out", &[]);
    assert_too_costly(network(4, &[sizes], &[resize]), "'big'");
    let ends = ["start", "limit", "step"];
    let range = node("big", "Range", &ends, "out", &[]);
    let numbers = [constant("start", &[0]), constant("limit", &[1 << 40]), constant("step", &[1])];
    assert_too_costly(network(4, &numbers, &[range]), "'big'");
}

/// `rten` follows a field of such a message past the end of the message, and a length found there
/// sends it back, in an endless loop.
#[test]
fn overlong_fields_read_only_by_rten_are_rejected() {
    let same = node("same", "Identity", &["data"], "out", &[]);
    let too_long = [3 << 3 | 2, 100];
    // What the field would extend into.
    let after = bytes_field(2, &[b'p'; 300]);
    let of_a_place = [constant("unused", &[1]), bytes_field(13, &too_long)].concat();
    let valid = network(4, &[constant("unused", &[1])], std::slice::from_ref(&same));
    assert!(open_and_run([&valid[..], &after].concat(), 4).is_ok());
    for file in [
        [&valid[..], &bytes_field(14, &too_long), &after].concat(),
        [network(4, &[of_a_place], &[same]), after.clone()].concat(),
    ] {
        let error = open_and_run(file, 4).expect_err("it must be refused");
        assert!(matches!(error.problem, OnnxProblem::NotOnnx(_)), "{error}");
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}

#[test]
fn cumulative_graph_cost_is_bounded() {
    // The size doubles with every node.
    let doubling = |from: &str, axis| -> Vec<Vec<u8>> {
        (0..60)
            .map(|i| {
                let name = |i: usize| if i == 0 { from.to_owned() } else { format!("v{i}") };
                let (input, output) =
                    (name(i), if i == 59 { "out".to_owned() } else { name(i + 1) });
                let mut bytes = node("double", "Concat", &[&input, &input], &output, &[]);
                let axis = [bytes_field(1, b"axis"), number_field(3, axis), number_field(20, 2)];
                bytes.extend(bytes_field(5, &axis.concat()));
                bytes
            })
            .collect()
    };
    assert_too_costly(network(4, &[], &doubling("data", 2)), "'double'");
    // An integer vector, which the runtime would keep as expressions.
    assert_too_costly(network(4, &[constant("few", &[1, 2])], &doubling("few", 0)), "vectors");

    // [1, n] and [n, 1] broadcast to [n, n].
    let (row, column) = (constant("row", &[1, 1 << 20]), constant("column", &[1 << 20, 1]));
    let nodes = [
        node("a", "ConstantOfShape", &["row"], "wide", &[]),
        node("b", "ConstantOfShape", &["column"], "tall", &[]),
        node("outer", "Add", &["wide", "tall"], "out", &[]),
    ];
    assert_too_costly(network(4, &[row.clone(), column.clone()], &nodes), "'outer'");

    // Small inputs and outputs, but 10¹⁷ multiplications.
    let nodes = [
        node("a", "ConstantOfShape", &["square"], "matrix", &[]),
        node("first", "MatMul", &["matrix", "matrix"], "m1", &[]),
        node("second", "MatMul", &["m1", "m1"], "out", &[]),
    ];
    assert_too_costly(
        network(4, &[constant("square", &[16_000, 16_000])], &nodes),
        "multiplications",
    );
    let pool = node(
        "pool",
        "MaxPool",
        &["data"],
        "out",
        &[("kernel_shape", &[30_000, 30_000]), ("pads", &[20_000, 20_000, 20_000, 20_000])],
    );
    assert_too_costly(network(4, &[], &[pool]), "'pool'");

    // A chain so long that sorting it would exhaust a thread's stack.
    let chain = |length: usize| -> Vec<Vec<u8>> {
        let name = |i: usize| match i {
            0 => "data".to_owned(),
            i if i == length => "out".to_owned(),
            i => format!("v{i}"),
        };
        (0..length).map(|i| node("link", "Relu", &[&name(i)], &name(i + 1), &[])).collect()
    };
    assert_too_costly(network(4, &[], &chain(5000)), "chain of more than");
    // The longest accepted chain runs on the usual two megabytes of thread stack.
    let longest = network(4, &[], &chain(4096));
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let run =
        thread.spawn(move || open_and_run(longest, 4).expect("a long network")).expect("a thread");
    assert_eq!(run.join().expect("no overflow")[0].shape(), [1, 3, 4, 4]);
    let many: Vec<Vec<u8>> = (0..9000).map(|_| node("n", "Relu", &["data"], "", &[])).collect();
    let error = open_and_run(network(4, &[], &many), 4).expect_err("too many nodes").to_string();
    assert!(error.contains("more nodes than any face network"), "{error}");
}

#[test]
fn control_flow_and_unknown_operators_are_refused() {
    let attribute = [bytes_field(1, b"body"), bytes_field(6, b""), number_field(20, 5)].concat();
    for operator in ["Loop", "Scan", "If"] {
        let mut looping = node("l", operator, &["data"], "out", &[]);
        looping.extend(bytes_field(5, &attribute));
        let error =
            open_and_run(network(4, &[], &[looping]), 4).expect_err("control flow").to_string();
        assert!(error.contains("a graph of its own"), "{error}");
    }
    for operator in ["Loop", "SequenceConstruct", "NonMaxSuppression", "LSTM", "Einsum"] {
        let nodes = [node("odd", operator, &["data"], "out", &[])];
        let error = open_and_run(network(4, &[], &nodes), 4).expect_err(operator).to_string();
        assert!(error.contains("'odd'") && error.contains(operator), "{error}");
    }
    // Sizes that depend on pixel values.
    let nodes = [
        node("small", "Flatten", &["data"], "flat", &[]),
        node("open", "Expand", &["flat", "flat"], "out", &[]),
    ];
    assert_too_costly(network(4, &[], &nodes), "'open'");
}

/// The runtime trusts shapes that a file declares for intermediate values, and computes constants
/// from them while loading.
#[test]
fn incorrect_declared_shapes_are_not_trusted() {
    let lie = value("flat", &[Some(1 << 20), Some(1 << 20)]);
    let nodes = [
        node("flatten", "Flatten", &["data"], "flat", &[]),
        node("shape", "Shape", &["flat"], "shape", &[]),
        node("fill", "ConstantOfShape", &["shape"], "out", &[]),
    ];
    for side in [Some(4), None] {
        let input = value("data", &[Some(1), Some(3), side, side]);
        let mut file = model(&nodes, &[input], &[bytes_field(1, b"out")]);
        // A second message for the same graph would replace the first, so the graph is rebuilt.
        let graph = file.iter().position(|&byte| byte == 7 << 3 | 2).expect("the graph");
        let rest = file.split_off(graph);
        let (inner, after) = split_field(&rest);
        let graph = [inner, &bytes_field(13, &lie)].concat();
        let file = [&file[..], &bytes_field(7, &graph), after].concat();
        assert_eq!(open_and_run(file, 4).expect("it is sound otherwise")[0].shape(), [1, 48]);
    }
}

/// The inner bytes of the first field, and what follows the field.
fn split_field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (mut length, mut at) = (0, 1);
    for shift in (0..).step_by(7) {
        length |= usize::from(bytes[at] & 0x7f) << shift;
        at += 1;
        if bytes[at - 1] < 0x80 {
            break;
        }
    }
    (&bytes[at..at + length], &bytes[at + length..])
}

#[test]
fn oversized_model_inputs_are_rejected() {
    for side in [2_000, 20_000, 1 << 31, 1 << 40, u64::MAX >> 1] {
        let file = || {
            model(
                &[node("pool", "GlobalAveragePool", &["data"], "out", &[])],
                &[value("data", &[Some(1), Some(3), Some(side), Some(side)])],
                &[value("out", &[Some(1), Some(512)])],
            )
        };
        let spec = Some(RecogniserPreset::ArcFace.spec());
        let refused = match OnnxModel::from_bytes(file(), "big.onnx") {
            Err(error) => matches!(error.problem, OnnxProblem::TooCostly { .. }),
            Ok(network) => matches!(
                Recogniser::new(network, spec, &threads()).map(|_| ()),
                Err(RecogniserError::TooLarge { .. })
            ),
        };
        assert!(refused, "{side}");
        let error = Detector::from_bytes(file(), "big.onnx", &threads()).map(|_| ());
        assert!(error.expect_err("no detector").to_string().contains("big.onnx"));
    }
}

/// A network for any input size is checked for each size that it is given.
#[test]
fn dynamic_input_sizes_are_checked_on_each_run() {
    let file = model(
        &[
            node("flat", "Flatten", &["data"], "row", &[]),
            node("turn", "Transpose", &["row"], "column", &[("perm", &[1, 0])]),
            node("outer", "MatMul", &["column", "row"], "out", &[]),
        ],
        &[value("data", &[None, Some(3), None, None])],
        &[bytes_field(1, b"out")],
    );
    let network = OnnxModel::from_bytes(file, "outer.onnx").expect("a network");
    let run = |side: usize| {
        let data = Tensor::new(&[1, 3, side, side], vec![0.0; 3 * side * side]).expect("a tensor");
        network.run(&[("data", &data)], &["out"], &threads())
    };
    assert_eq!(run(4).expect("48 by 48")[0].shape(), [48, 48]);
    let error = run(100).expect_err("30,000 by 30,000");
    assert!(matches!(error.problem, OnnxProblem::TooCostly { .. }), "{error}");
    assert!(run(4).is_ok());
}

/// The nodes that exporters write to compute shapes.
#[test]
fn computed_shapes_are_resolved() {
    let nodes = [
        node("shape", "Shape", &["data"], "shape", &[]),
        node("batch", "Gather", &["shape", "zero"], "batch", &[]),
        node("dim", "Unsqueeze", &["batch", "axes"], "dim", &[]),
        {
            let mut concat = node("concat", "Concat", &["dim", "rest"], "target", &[]);
            let axis = [bytes_field(1, b"axis"), number_field(3, 0), number_field(20, 2)].concat();
            concat.extend(bytes_field(5, &axis));
            concat
        },
        node("reshape", "Reshape", &["data", "target"], "flat", &[]),
        node("slice", "Slice", &["flat", "starts", "ends", "one"], "out", &[]),
    ];
    let scalar = |name: &str| constant_of(name, &[], &[0]);
    let constants = [
        scalar("zero"),
        constant("axes", &[0]),
        constant("rest", &[-1_i64 as u64]),
        constant("starts", &[1]),
        constant("ends", &[i64::MAX as u64]),
        constant("one", &[1]),
    ];
    let found = open_and_run(network(4, &constants, &nodes), 4).expect("a network");
    assert_eq!(found[0].shape(), [1, 47]);
}

fn constant_of(name: &str, shape: &[u64], numbers: &[u64]) -> Vec<u8> {
    let mut tensor: Vec<u8> = shape.iter().flat_map(|&axis| number_field(1, axis)).collect();
    tensor.extend(number_field(2, 7));
    tensor.extend(bytes_field(8, name.as_bytes()));
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor.extend(bytes_field(9, &raw));
    tensor
}

#[cfg(unix)]
#[test]
fn opening_a_pipe_as_detector_is_rejected() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe.onnx");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let error = Detector::open(&pipe, &threads()).map(|_| ()).expect_err("a pipe").to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn long_names_are_truncated_in_error_messages() {
    let long = "line\n".repeat(10_000);
    let files = [
        network(4, &[], &[node(&long, &long, &["data"], "out", &[])]),
        channel_means(4, &long),
        model(&[], &[value("data", &[None; 4])], &vec![bytes_field(1, b"nowhere"); 50_000]),
        model(
            &[node("n", "Identity", &["data"], "out", &[])],
            &[value("data", &[None])],
            &[value("out", &[None]), value("data", &[None])],
        ),
    ];
    for file in files {
        let detector = Detector::from_bytes(file.clone(), "odd.onnx", &threads());
        let mut texts = vec![detector.map(|_| ()).expect_err("no detector").to_string()];
        match OnnxModel::from_bytes(file, "odd.onnx") {
            Err(error) => texts.push(error.to_string()),
            Ok(network) => texts.extend(
                Recogniser::new(network, None, &threads()).map(|_| ()).err().map(|e| e.to_string()),
            ),
        }
        for text in texts {
            assert!(text.chars().count() < 1000, "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}

/// Malicious files in `../shared`, if available.
#[test]
fn the_hostile_files_of_the_shared_folder_are_refused() {
    let Some(shared) = common::shared() else { return };
    let spec = Some(RecogniserPreset::ArcFace.spec());
    for file in ["nest10000", "input20000", "input2p31", "loop2"] {
        let path = shared.join(format!("cases/hostile/{file}.onnx"));
        assert!(Detector::open(&path, &threads()).is_err(), "{file} as a detector");
        let network = OnnxModel::open(&path).map_err(|error| error.to_string());
        let outcome = network.map(|network| Recogniser::new(network, spec, &threads()).is_ok());
        assert!(!matches!(outcome, Ok(true)), "{file} as a recogniser");
    }
}
