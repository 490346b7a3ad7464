//! Sizes that are only declared, numbers of names, and how a file is loaded into memory.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use attn_fiqa::checkpoint::{
    Checkpoint, CheckpointOptions, CheckpointProblem, ConvertOptions, Loading, write_canonical,
};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, Request};

use crate::checkpoint_support::network::{
    Spec, TINY, Tensor, raw_safetensors, to_safetensors, to_torch,
};
use crate::checkpoint_support::reading::{heads, read, refused};

/// A quality-only file of one block; no tensor backs its MLP width.
fn one_block(ratio: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a small checkpoint");
    let path = folder.path().join("quality.safetensors");
    let spec = Spec { depth: 1, ..TINY };
    let full = read(to_safetensors(&spec.tensors(1), &[]), &heads(2)).expect("a small checkpoint");
    let options = ConvertOptions { quality_only: true, ..ConvertOptions::default() };
    write_canonical(&full, &path, options).expect("a small checkpoint");
    let bytes = std::fs::read(&path).expect("a small checkpoint");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a small checkpoint");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = str::from_utf8(header).expect("a small checkpoint");
    assert!(header.contains(r#""mlp_ratio":"1.5""#), "{header}");
    let header = header.replace(r#""mlp_ratio":"1.5""#, &format!(r#""mlp_ratio":"{ratio}""#));
    raw_safetensors(&header, data)
}

#[test]
fn declared_mlp_ratio_is_bounded() {
    for ratio in ["1.5", "64"] {
        read(one_block(ratio), &CheckpointOptions::default()).unwrap();
    }
    for ratio in ["65", "5000000", "1e8", "1e300"] {
        let outcome = read(one_block(ratio), &CheckpointOptions::default());
        refused(outcome, &["`mlp_ratio`", "at most 64"]);
    }
}

#[test]
fn oversized_network_dimensions_are_rejected() {
    // A million tokens of width one take four megabytes; their attention, four terabytes.
    let side = 1000;
    let spec = Spec { dim: 1, heads: 1, mlp: 1, hidden: 1, embedding: 1, patch: 1, ..TINY };
    let tensors: Vec<Tensor> = spec
        .tensors(1)
        .into_iter()
        .map(|tensor| match tensor.name.as_str() {
            "pos_embed" => Tensor::zeros("pos_embed", &[1, side * side, 1]),
            "feature.0.weight" => Tensor::zeros("feature.0.weight", &[1, side * side]),
            _ => tensor,
        })
        .collect();
    let metadata = [("num_heads", "1"), ("image_size", "1000")];
    let outcome = read(to_safetensors(&tensors, &metadata), &CheckpointOptions::default());
    refused(outcome, &["matrix of attention", "1000000000000 numbers"]);

    let spec = Spec { mlp: 8 * 64 + 1, ..TINY };
    let outcome = read(to_safetensors(&spec.tensors(1), &[]), &heads(2));
    refused(outcome, &["MLP width of 513 numbers, more than the 512"]);

    let spec = Spec { patch: 1100, dim: 1, heads: 1, ..TINY };
    let mut tensors = spec.tensors(1);
    for tensor in &mut tensors {
        match tensor.name.as_str() {
            "pos_embed" => *tensor = Tensor::zeros("pos_embed", &[1, 1, 1]),
            "feature.0.weight" => *tensor = Tensor::zeros("feature.0.weight", &[6, 1]),
            _ => {}
        }
    }
    let metadata = [("num_heads", "1"), ("image_size", "1100")];
    let outcome = read(to_safetensors(&tensors, &metadata), &CheckpointOptions::default());
    refused(outcome, &["side of the input of 1100 pixels"]);
}

#[test]
fn oversized_safetensors_headers_are_rejected() {
    let header = |names: usize| {
        let mut header = "{".to_owned();
        for name in 0..names {
            let comma = if name == 0 { "" } else { "," };
            let entry = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
            write!(header, r#"{comma}"t{name}":{entry}"#).unwrap();
        }
        header + "}"
    };
    refused(read(raw_safetensors(&header(60_000), &[]), &heads(2)), &["none of its 60000"]);
    let many = read(raw_safetensors(&header(70_000), &[]), &heads(2));
    refused(many, &["65537 names or more", "more than the 65536"]);
    let long = format!("{{{}}}", " ".repeat(17 << 20));
    refused(read(raw_safetensors(&long, &[]), &heads(2)), &["header of 17825794 bytes"]);
}

/// Names from an untrusted file appear in a message on one line and shortened.
#[test]
fn error_messages_are_bounded_and_single_line() {
    let odd = |index: usize| format!("{index}\n\u{7}\u{1b}[31m{}", "\u{85}long".repeat(200));
    let tensors: Vec<Tensor> = (0..50).map(|index| Tensor::zeros(&odd(index), &[1])).collect();
    let network = TINY.tensors(1);
    for tensors in [tensors.clone(), [&network[..], &tensors].concat()] {
        for bytes in [to_safetensors(&tensors, &[]), to_torch(&tensors, &[])] {
            let text = read(bytes, &heads(2)).unwrap_err().to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            assert!(text.chars().count() <= 900, "{}: {text}", text.chars().count());
        }
    }
    let error = Checkpoint::from_bytes(b"x".to_vec(), "a\nb", &heads(2)).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
}

fn score(checkpoint: &Checkpoint) -> f32 {
    let threads = NonZeroUsize::new(1);
    let engine = Engine::new(checkpoint, &EngineOptions { threads, ..Default::default() })
        .expect("an engine of a small checkpoint");
    let crop =
        Crop::from_rgb(112, vec![90; 112 * 112 * 3]).expect("an engine of a small checkpoint");
    let request = Request::new(engine.default_method());
    engine
        .assess(&[crop], &request)
        .expect("a request that it can do")
        .remove(0)
        .expect("a score")
        .scores[0]
}

/// Reading a truncated mapped file kills the process; a copied one is unaffected.
#[test]
fn a_copied_checkpoint_outlives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    // More than a page, so that truncating the file removes pages.
    let spec = Spec { dim: 64, mlp: 128, ..TINY };
    std::fs::write(&path, to_safetensors(&spec.tensors(1), &[])).unwrap();
    let expected = score(&Checkpoint::open(&path, &heads(2)).unwrap());
    let options = CheckpointOptions { loading: Loading::Copied, ..heads(2) };
    let copied = Checkpoint::open(&path, &options).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10).unwrap();
    for tensor in spec.tensors(1) {
        assert_eq!(copied.read_f32(&tensor.name).unwrap(), tensor.values, "{}", tensor.name);
    }
    assert_eq!(score(&copied).to_bits(), expected.to_bits());
    assert_ne!(copied.inspect().file_size, 10);
}

/// Once built, an engine reads nothing from the file, however the file was loaded.
#[test]
fn an_engine_outlives_a_mapped_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let spec = Spec { dim: 64, mlp: 128, key_bias: true, ..TINY };
    std::fs::write(&path, to_safetensors(&spec.tensors(1), &[])).unwrap();
    let mapped = Checkpoint::open(&path, &heads(2)).unwrap();
    let options =
        EngineOptions { threads: NonZeroUsize::new(1), embedding: true, ..Default::default() };
    let engine = Engine::new(&mapped, &options).unwrap();
    let crop = Crop::from_rgb(112, vec![90; 112 * 112 * 3]).unwrap();
    let request = Request {
        received: true,
        embedding: true,
        mean_query: true,
        mean_token: true,
        ..Request::new(engine.default_method())
    };
    let before = engine.assess(std::slice::from_ref(&crop), &request).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(engine.assess(&[crop], &request).unwrap(), before);
}

#[test]
fn copying_refuses_what_mapping_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pt");
    std::fs::write(&empty, b"").unwrap();
    for loading in [Loading::Mapped, Loading::Copied] {
        let options = CheckpointOptions { loading, ..heads(2) };
        refused(Checkpoint::open(folder.path(), &options), &["not a regular file"]);
        refused(Checkpoint::open(&folder.path().join("absent"), &options), &["cannot be read"]);
        let error = refused(Checkpoint::open(&empty, &options), &["is empty"]);
        assert!(matches!(error.problem(), CheckpointProblem::Empty));
    }
}
