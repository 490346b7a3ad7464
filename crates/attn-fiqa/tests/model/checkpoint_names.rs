//! Names and formats: what is stripped, accepted, refused and detected.

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, Family, Provenance};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use crate::checkpoint_support::network::{TINY, Tensor, prefixed, to_safetensors, to_torch};
use crate::checkpoint_support::reading::{heads, read, refused};

#[test]
fn prefixes_and_wrappers_are_stripped_and_reported() {
    let tensors = TINY.tensors(1);
    for prefix in [
        "",
        "net.",
        "module.",
        "model.net.",
        "backbone.",
        "module.backbone.net.",
        "_orig_mod.",
        "module._orig_mod.",
    ] {
        for wrappers in [
            &[][..],
            &["state_dict"],
            &["model"],
            &["model", "state_dict"],
            &["model_state_dict"],
            &["state_dict_backbone"],
        ] {
            let bytes = to_torch(&prefixed(&tensors, prefix), wrappers);
            let checkpoint = read(bytes, &heads(2)).unwrap();
            let report = checkpoint.inspect();
            assert_eq!(report.prefix, prefix);
            assert_eq!(report.wrappers, wrappers);
            assert_eq!(report.beside, vec!["epoch"; wrappers.len()]);
            for tensor in &tensors {
                assert_eq!(checkpoint.read_f32(&tensor.name).unwrap(), tensor.values);
            }
        }
    }
    let unknown = to_torch(&prefixed(&tensors, "encoder."), &[]);
    refused(read(unknown, &heads(2)), &["`encoder.`", "`module.`"]);
    let two = [prefixed(&tensors, "net."), prefixed(&tensors, "model.")].concat();
    refused(read(to_torch(&two, &[]), &heads(2)), &["several networks", "`net.`", "`model.`"]);
}

#[test]
fn missing_misshaped_or_extra_tensors_are_rejected() {
    let tensors = TINY.tensors(1);
    let without = |name: &str| -> Vec<Tensor> {
        tensors.iter().filter(|tensor| tensor.name != name).cloned().collect()
    };
    for tensor in &tensors {
        let bytes = to_safetensors(&without(&tensor.name), &[]);
        refused(read(bytes, &heads(2)), &[&tensor.name]);

        let mut longer = tensors.clone();
        for other in longer.iter_mut().filter(|other| other.name == tensor.name) {
            other.shape.push(1);
        }
        let found = format!("{:?}", [tensor.shape.as_slice(), &[1]].concat());
        let bytes = to_safetensors(&longer, &[]);
        refused(read(bytes, &heads(2)), &[&tensor.name, "expected [", &found]);
    }
    let extra = [tensors.clone(), vec![Tensor::zeros("blocks.0.ls1.gamma", &[8])]].concat();
    let both = CheckpointOptions { allow_unused: true, ..heads(2) };
    for options in [heads(2), both] {
        let bytes = to_safetensors(&extra, &[]);
        refused(read(bytes, &options), &["unexpected: `blocks.0.ls1.gamma`", "timm or DINOv2"]);
    }
    // A large block index is a missing block, not a deep network.
    let far = Tensor::zeros("blocks.18446744073709551615.norm1.weight", &[8]);
    let bytes = to_safetensors(&[tensors, vec![far]].concat(), &[]);
    refused(read(bytes, &heads(2)), &["missing", "blocks.2.norm1.weight"]);
}

#[test]
fn classifier_tensors_require_allow_unused() {
    let plain = prefixed(&TINY.tensors(1), "net.");
    let leftovers = [
        Tensor::zeros("net.mask_token", &[1, 1, 8]),
        Tensor::zeros("head.weight", &[3, 5]),
        Tensor::zeros("module.margin.kernel", &[5, 3]),
        Tensor::zeros("kernel", &[5, 3]),
    ];
    let bytes = to_torch(&[&plain[..], &leftovers].concat(), &[]);
    refused(
        read(bytes.clone(), &heads(2)),
        &["3 tensors not needed", "`head.weight`", "they can be allowed for"],
    );
    let options = CheckpointOptions { allow_unused: true, ..heads(2) };
    let checkpoint = read(bytes, &options).unwrap();
    let mut unused = checkpoint.inspect().unused;
    unused.sort();
    assert_eq!(unused, ["head.weight", "kernel", "mask_token", "module.margin.kernel"]);
    assert!(!checkpoint.contains("mask_token"));

    // The mask token needs no option and is reported.
    let masked = to_torch(&[&plain[..], &leftovers[..1]].concat(), &[]);
    let masked = read(masked, &heads(2)).unwrap();
    assert_eq!(masked.inspect().unused, ["mask_token"]);
    assert!(!masked.contains("mask_token"));
    let odd = [&plain[..], &[Tensor::zeros("net.mask_token", &[1, 2, 8])]].concat();
    refused(read(to_torch(&odd, &[]), &options), &["unexpected: `mask_token`"]);
    // BatchNorm's counter is always accepted.
    let count = [&plain[..], &[Tensor::zeros("net.feature.1.num_batches_tracked", &[])]].concat();
    assert!(read(to_torch(&count, &[]), &heads(2)).is_ok());
}

/// The network as safetensors, all of it in one data type.
fn stored_as(dtype: Dtype, encode: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = TINY
        .tensors(1)
        .into_iter()
        .map(|tensor| {
            let bytes = tensor.values.iter().flat_map(|&value| encode(value)).collect();
            (tensor.name, tensor.shape, bytes)
        })
        .collect();
    let views = stored.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(dtype, shape.clone(), bytes).expect("a tensor of its shape"))
    });
    serialize(views, None).expect("a valid file")
}

#[test]
fn int32_weights_are_rejected() {
    let bytes = stored_as(Dtype::I32, |value| (value as i32).to_le_bytes().to_vec());
    refused(read(bytes, &heads(2)), &["int32", "float32, float64, float16"]);
}

#[test]
fn float64_weights_are_rounded_and_reported() {
    // A third of a unit in the last place is rounded away.
    let third = |value: f32| f64::from(value) * (1.0 + f64::from(f32::EPSILON) / 6.0);
    let bytes = stored_as(Dtype::F64, |value| third(value).to_le_bytes().to_vec());
    let checkpoint = read(bytes, &heads(2)).unwrap();
    for tensor in TINY.tensors(1) {
        assert_eq!(checkpoint.read_f32(&tensor.name).unwrap(), tensor.values, "{}", tensor.name);
    }
    let dtypes = checkpoint.inspect().dtypes;
    assert!(matches!(dtypes.as_slice(), [("float64", _)]), "{dtypes:?}");
    // A value out of the range of f32 is refused, not silently converted to infinity.
    let bytes = stored_as(Dtype::F64, |_| 1e300_f64.to_le_bytes().to_vec());
    let large = read(bytes, &heads(2)).unwrap().read_f32("norm.bias").unwrap_err();
    assert!(large.to_string().contains("norm.bias"), "{large}");
}

#[test]
fn other_networks_are_recognised() {
    let cases: [(&[&str], &str); 7] = [
        (&["layer1.0.bn1.weight", "layer1.0.prelu.weight", "fc.weight"], "IResNet"),
        (&["layer1.0.conv1.weight", "layer1.0.bn1.weight", "fc.weight"], "torchvision ResNet"),
        (&["conv_6_dw.conv.weight", "conv1.conv.weight"], "MobileFaceNet"),
        (&["text_model.final_layer_norm.weight"], "CLIP"),
        (
            &["patch_embed.proj.weight", "layers.0.blocks.0.attn.relative_position_bias_table"],
            "Swin",
        ),
        (&["pos_embed", "blocks.0.attn.rpe_k.lookup_table_weight"], "relative position"),
        (&["0.exp_avg", "0.exp_avg_sq"], "optimizer"),
    ];
    for (names, what) in cases {
        let tensors: Vec<Tensor> = names.iter().map(|name| Tensor::zeros(name, &[1])).collect();
        for bytes in [to_safetensors(&tensors, &[]), to_torch(&tensors, &[])] {
            refused(read(bytes, &heads(2)), &["looks like", what]);
        }
    }
}

#[test]
fn incomplete_networks_of_other_families_are_rejected() {
    let stored = |names: &[(&str, &[usize])]| -> Vec<Tensor> {
        names.iter().map(|(name, shape)| Tensor::zeros(name, shape)).collect()
    };
    let vit: [(&str, &[usize]); 4] = [
        ("vit.embeddings.patch_embeddings.projection.weight", &[8, 3, 8, 8]),
        ("vit.embeddings.position_embeddings", &[1, 17, 8]),
        ("vit.encoder.layer.0.intermediate.dense.weight", &[12, 8]),
        ("vit.encoder.layer.1.attention.attention.query.weight", &[8, 8]),
    ];
    let clip: [(&str, &[usize]); 2] =
        [("visual.class_embedding", &[8]), ("visual.conv1.weight", &[8, 3, 4])];
    let timm: [(&str, &[usize]); 3] =
        [("pos_embed", &[1, 5, 8]), ("cls_token", &[1, 1, 8]), ("head.weight", &[4, 8])];
    for (tensors, parts) in [
        (
            &vit[..],
            &["Hugging Face ViT", "`vit.encoder.layer.1.attention.attention.key.weight`"][..],
        ),
        (&vit[..3], &["Hugging Face ViT", "`blocks.0.mlp.fc2.weight`"]),
        (&clip, &["OpenAI CLIP", "`visual.conv1.weight` expected [D, 3, P, P]"]),
        (&timm, &["timm ViT", "missing: `patch_embed.proj.weight`"]),
    ] {
        refused(read(to_safetensors(&stored(tensors), &[]), &heads(2)), parts);
    }
}

#[test]
fn incomplete_or_misshaped_keypoint_linear_is_rejected() {
    // 49 buckets for each of 2 heads and 2 blocks; x and y of 5 landmarks.
    let (weight, bias) = ("keypoint_linear.weight", "keypoint_linear.bias");
    let with = |linear: &[(&str, &[usize])]| {
        let linear = linear.iter().map(|(name, shape)| Tensor::zeros(name, shape));
        let tensors: Vec<Tensor> = TINY.tensors(1).into_iter().chain(linear).collect();
        read(to_safetensors(&tensors, &[]), &heads(2))
    };
    let rows = 49 * 2 * TINY.depth;
    let complete = with(&[(weight, &[rows, 10]), (bias, &[rows])]).unwrap();
    let report = complete.inspect();
    assert_eq!((report.family, report.family_from), (Family::KpRpe, Provenance::Shape(weight)));
    let value = report.config.iter().find(|value| value.name == "landmark_bias").unwrap();
    assert_eq!(value.value, "softmax");

    refused(with(&[(weight, &[rows, 10])]), &["missing: `keypoint_linear.bias`"]);
    refused(with(&[(bias, &[rows])]), &["missing: `keypoint_linear.weight`"]);
    let expected = format!("expected [{rows}, 10]");
    // Shared between blocks or heads, with fewer landmarks, or with other buckets.
    for shape in [&[98, 10][..], &[49, 10], &[rows, 6], &[81 * 4, 10]] {
        let found = format!("{shape:?}");
        let linear = [(weight, shape), (bias, &shape[..1])];
        refused(with(&linear), &["`keypoint_linear.weight`", &expected, &found]);
    }
    let deeper = with(&[
        ("keypoint_linear.0.weight", &[256, 10]),
        ("keypoint_linear.3.weight", &[rows, 256]),
    ]);
    refused(deeper, &["unexpected: `keypoint_linear.0.weight`"]);
    let class = with(&[(weight, &[rows, 10]), (bias, &[rows]), ("cls_token", &[1, 1, 8])]);
    refused(class, &["unexpected: `cls_token`"]);
}

#[test]
fn moving_averages_and_optimizers_are_left_out_and_reported() {
    let weights = prefixed(&TINY.tensors(1), "net.");
    let average = prefixed(&TINY.tensors(2), "ema.");
    let others = [
        Tensor::zeros("ema.step", &[1]),
        Tensor::zeros("optimizer.state.0.exp_avg", &[8]),
        Tensor::zeros("net.blocks.0.norm1.weight.exp_avg_sq", &[8]),
    ];
    let all = [&weights[..], &average, &others].concat();
    for bytes in [to_safetensors(&all, &[]), to_torch(&all, &[])] {
        let checkpoint = read(bytes, &heads(2)).unwrap();
        assert_eq!(checkpoint.read_f32("norm.bias").unwrap(), value(&weights, "net.norm.bias"));
        let left_out = checkpoint.inspect().left_out;
        let count = average.len() + 1;
        assert_eq!(
            left_out,
            [
                format!("moving average (EMA) of the weights under `ema.` ({count} tensors)"),
                "state of an optimizer (2 tensors)".to_owned()
            ]
        );
    }
    // On its own, the average is the network.
    let alone = read(to_safetensors(&average, &[]), &heads(2)).unwrap();
    assert_eq!(alone.read_f32("norm.bias").unwrap(), value(&average, "ema.norm.bias"));
    assert_eq!(alone.inspect().prefix, "ema.");
    let wrapped = read(to_torch(&TINY.tensors(2), &["state_dict_ema"]), &heads(2)).unwrap();
    assert_eq!(wrapped.inspect().wrappers, ["state_dict_ema"]);
}

fn value(tensors: &[Tensor], name: &str) -> Vec<f32> {
    tensors.iter().find(|tensor| tensor.name == name).unwrap().values.clone()
}

#[test]
fn other_formats_are_refused_with_advice() {
    let old_torch = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let cases: [(&[u8], &str, &str); 12] = [
        (b"", "empty", "download"),
        (old_torch, "before the zip format", "torch.save"),
        (b"\x80\x04\x95\x05\0\0\0\0\0\0\0K\x01.", "plain pickle", "state dict"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip", "unpack"),
        (b"\x08\x07\x12\x07pytorch", "ONNX", "checkpoint"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5", "state dict"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS", "git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Sign in", "web page", "fetch the file itself"),
        (b"{\"error\": \"not found\"}", "JSON", "checkpoint"),
        (b"just some words", "text file", "expected"),
        (b"\x93NUMPY\x01\0", "NumPy", "state dict"),
        (b"\x00\x01\x02\x03\xff\xfe", "unknown format", "safetensors"),
    ];
    for (bytes, what, advice) in cases {
        refused(read(bytes.to_vec(), &heads(2)), &[what, advice]);
    }
    let folder = tempfile::tempdir().unwrap();
    refused(Checkpoint::open(folder.path(), &heads(2)), &["not a regular file"]);
    refused(Checkpoint::open(&folder.path().join("absent.pt"), &heads(2)), &["cannot be read"]);
    let empty = folder.path().join("empty.pt");
    std::fs::write(&empty, "").unwrap();
    refused(Checkpoint::open(&empty, &heads(2)), &["empty.pt", "is empty"]);
}

#[test]
fn the_format_is_detected_by_content_and_not_by_extension() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    std::fs::write(&path, to_safetensors(&TINY.tensors(1), &[])).unwrap();
    assert_eq!(Checkpoint::open(&path, &heads(2)).unwrap().inspect().format.name(), "safetensors");
}

/// Checkpoints as written by training code; each contains the network of plain.pt.
#[test]
fn checkpoints_of_training_programs_are_read() {
    let Some(folder) = attn_fiqa_testing::shared("cases/checkpoint") else { return };
    let open = |name: &str| Checkpoint::open(&folder.join(name), &heads(2)).unwrap();
    let plain = open("plain.pt");
    for (name, wrappers, prefix) in [
        ("checkpoint_gpu_0.pt", &["state_dict_backbone"][..], ""),
        ("compiled.pt", &[], "_orig_mod."),
        ("tutorial.pt", &["model_state_dict"], ""),
        ("with_args.pth", &["model"], ""),
    ] {
        let checkpoint = open(name);
        let report = checkpoint.inspect();
        assert_eq!((report.wrappers.as_slice(), &*report.prefix), (&*owned(wrappers), prefix));
        for tensor in ["patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "norm.bias"] {
            assert_eq!(checkpoint.read_f32(tensor).unwrap(), plain.read_f32(tensor).unwrap());
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
