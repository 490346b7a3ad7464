//! Models made to exhaust memory, to run forever or to crash the program, given to every option
//! that takes a model: each ends the run at once, with exit code 2 and one line.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{self, CommandResult, TestDir};

fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(inner.len() as u64));
    field.extend_from_slice(inner);
    field
}

fn number(number: u8, value: u64) -> Vec<u8> {
    [varint(u64::from(number) << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A model around a graph.
fn model(graph: &[u8]) -> Vec<u8> {
    [number(1, 8), bytes(7, graph), bytes(8, &[bytes(1, b""), number(2, 17)].concat())].concat()
}

/// `data [1, 3, side, side]` through one node to `out`.
fn one_node(side: u64, node: &[u8]) -> Vec<u8> {
    let axes: Vec<u8> = [1, 3, side, side].iter().flat_map(|&n| bytes(1, &number(1, n))).collect();
    let tensor = [number(1, 1), bytes(2, &axes)].concat();
    let input = [bytes(1, b"data"), bytes(2, &bytes(1, &tensor))].concat();
    model(&[bytes(1, node), bytes(11, &input), bytes(12, &bytes(1, b"out"))].concat())
}

fn pool(side: u64) -> Vec<u8> {
    let node = [bytes(1, b"data"), bytes(2, b"out"), bytes(4, b"GlobalAveragePool")].concat();
    one_node(side, &node)
}

/// Graphs nested in attributes of nodes to this depth.
fn nested(levels: usize) -> Vec<u8> {
    let (mut parts, mut length) = (Vec::new(), 0);
    for _ in 0..levels {
        let mut level = Vec::new();
        for field in [6_u8, 5, 1] {
            let head = [vec![field << 3 | 2], varint(length as u64)].concat();
            length += head.len();
            level.splice(0..0, head);
        }
        parts.push(level);
    }
    parts.reverse();
    model(&parts.concat())
}

/// An infinite `Loop`.
fn endless() -> Vec<u8> {
    let body = [bytes(1, b"body"), bytes(6, &bytes(2, b"b")), number(20, 5)].concat();
    let node = [bytes(1, b"data"), bytes(2, b"out"), bytes(4, b"Loop"), bytes(5, &body)].concat();
    one_node(112, &node)
}

/// The built-in model with one text of its header replaced.
fn changed_checkpoint(from: &str, to: &str) -> Vec<u8> {
    let file = attn_fiqa_models::ATTN_FIQA_T;
    let (length, rest) = file.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = std::str::from_utf8(header).expect("text");
    assert!(header.contains(from), "{from} is not in the header");
    let header = header.replacen(from, to, 1);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Runs the program, which must refuse the model quickly and in one line.
#[track_caller]
fn refused(here: &TestDir, args: &[&str], part: &str) {
    let mut command = here.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    let started = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().expect("its end");
            panic!("{args:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = CommandResult::from(child.wait_with_output().expect("its output")).ended_with(2);
    let error = ran.stderr.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: "), "{}", ran.stderr);
    assert!(error.contains(part), "'{part}' is not in: {error}");
    assert!(error.chars().count() < 1200, "{error}");
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
}

#[test]
fn hostile_onnx_models_are_rejected_everywhere() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let files = [
        ("nested.onnx", nested(10_000), "graph of its own"),
        ("endless.onnx", endless(), "graph of its own"),
        ("large.onnx", pool(20_000), "big or large"),
        ("huge.onnx", pool(1 << 31), "big or large"),
    ];
    for (name, file, part) in files {
        here.write(name, file);
        let part = if part == "big or large" { name } else { part };
        refused(&here, &["detect", "blur-1.png", "--detector", name], part);
        refused(&here, &["score", "blur-1.png", "--detector", name], part);
        refused(
            &here,
            &["embed", "blur-1.png", "--aligned", "-m", name, "--pixels", "arcface", "-o", "e.csv"],
            part,
        );
        let method = format!("onnx:{name}");
        refused(&here, &["score", "blur-1.png", "--aligned", "--method", &method], part);
    }
}

#[cfg(unix)]
#[test]
fn named_pipes_are_rejected_without_blocking() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    for name in ["pipe.onnx", "pipe.safetensors"] {
        let made = std::process::Command::new("mkfifo").arg(here.path(name)).status();
        assert!(made.expect("mkfifo").success());
    }
    let part = "not a regular file";
    refused(&here, &["detect", "blur-1.png", "--detector", "pipe.onnx"], part);
    refused(&here, &["score", "blur-1.png", "--aligned", "--method", "onnx:pipe.onnx"], part);
    refused(&here, &["embed", "blur-1.png", "--aligned", "-m", "pipe.onnx", "-o", "e.csv"], part);
    refused(&here, &["score", "blur-1.png", "--aligned", "--model", "pipe.safetensors"], part);
    refused(&here, &["model", "inspect", "pipe.safetensors"], part);
}

#[test]
fn oversized_mlp_ratio_is_rejected() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    if let Some(shared) = support::shared() {
        let file = shared.join("cases/hostile/qo_ratio5e6.safetensors");
        let file = file.to_str().expect("a path");
        refused(&here, &["score", "blur-1.png", "--aligned", "--model", file], "`mlp_ratio`");
        refused(&here, &["model", "inspect", file], "`mlp_ratio`");
    }
}

#[test]
fn assumed_activation_is_recorded_in_metadata() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("silent.safetensors", changed_checkpoint("\"activation\"", "\"activation_\""));
    for (model, expected) in
        [("silent.safetensors", "relu6 (assumed: official layout)"), ("built-in", "relu6")]
    {
        let mut args = vec!["score", "blur-1.png", "--aligned", "--output", "scores.parquet"];
        if model != "built-in" {
            args.extend(["--model", model]);
        }
        here.run(&args).ended_with(0);
        let written = here.read("scores.parquet");
        let key = b"attn_fiqa.activation";
        let at = written.windows(key.len()).position(|part| part == key).expect("the key");
        let after = String::from_utf8_lossy(&written[at + key.len()..at + key.len() + 60]);
        assert_eq!(after.contains("assumed"), model != "built-in", "{after:?}");
        assert!(after.contains(expected), "{after:?}");
    }
}
