//! The configuration: what shapes determine, other sources, and contradictions.

use attn_fiqa::checkpoint::{
    Checkpoint, CheckpointError, CheckpointOptions, CheckpointProblem, Loading, Preset, Provenance,
};
use attn_fiqa::vit::config::{
    Activation, EmbeddingHeadConfig, EmbeddingTokens, FlattenedHead, Pooling, VitConfig,
};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use crate::checkpoint_support::network::{Spec, TINY, Tensor, to_safetensors, to_torch};
use crate::checkpoint_support::reading::{heads, read, refused};

fn provenance(checkpoint: &Checkpoint, name: &str) -> Provenance {
    let report = checkpoint.inspect();
    let value = report.config.iter().find(|value| value.name == name);
    value.expect("every value is reported").from.clone()
}

fn flattened(config: &VitConfig) -> FlattenedHead {
    match config.embedding_head {
        Some(EmbeddingHeadConfig::Flattened(head)) => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn checkpoints_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Checkpoint>();
    shareable::<CheckpointError>();
}

#[test]
fn config_is_inferred_from_tensor_shapes() {
    let spec = Spec { qkv_bias: true, class_token: true, patch: 37, depth: 3, ..TINY };
    let checkpoint = read(to_safetensors(&spec.tensors(2), &[]), &heads(4)).unwrap();
    let config = checkpoint.config();
    assert_eq!((config.patch_size, config.embed_dim, config.depth), (37, 8, 3));
    assert_eq!((config.mlp_dim, config.tokens(), config.grid()), (12, 10, 3));
    assert!(config.qkv_bias && config.class_token);
    assert_eq!((config.image_size, config.activation), (112, Activation::Relu6));
    let head = flattened(config);
    assert_eq!((head.tokens, head.hidden_dim, head.dim), (EmbeddingTokens::All, 6, 5));
    assert_eq!(provenance(&checkpoint, "image_size"), Provenance::Assumed);
    assert_eq!(provenance(&checkpoint, "activation"), Provenance::Assumed);
    assert_eq!(provenance(&checkpoint, "num_heads"), Provenance::Option);
    assert_eq!(provenance(&checkpoint, "depth"), Provenance::Shape("blocks.*"));

    for (tokens, expected) in [(9, EmbeddingTokens::Patches), (1, EmbeddingTokens::Class)] {
        let mut tensors = spec.tensors(2);
        for tensor in tensors.iter_mut().filter(|tensor| tensor.name == "feature.0.weight") {
            *tensor = Tensor::zeros("feature.0.weight", &[6, tokens * 8]);
        }
        let checkpoint = read(to_safetensors(&tensors, &[]), &heads(4)).unwrap();
        assert_eq!(flattened(checkpoint.config()).tokens, expected);
    }
    let mut tensors = spec.tensors(2);
    for tensor in tensors.iter_mut().filter(|tensor| tensor.name == "feature.0.weight") {
        *tensor = Tensor::zeros("feature.0.weight", &[6, 16]);
    }
    refused(read(to_safetensors(&tensors, &[]), &heads(4)), &["[hidden, 80 or 72 or 8]"]);
    // A class token without a row in `pos_embed`.
    let mut tensors = TINY.tensors(1);
    tensors.push(Tensor::zeros("cls_token", &[1, 1, 8]));
    refused(read(to_safetensors(&tensors, &[]), &heads(2)), &["`pos_embed`", "[1, 5, 8]"]);
}

#[test]
fn conflicting_head_counts_are_rejected() {
    let tensors = Spec { key_bias: true, ..TINY }.tensors(1);
    let none = CheckpointOptions::default();
    let from_bias = read(to_torch(&tensors, &[]), &none).unwrap();
    assert_eq!(from_bias.config().num_heads, 2);
    assert_eq!(provenance(&from_bias, "num_heads"), Provenance::Shape("calibration.key_bias"));

    let plain = TINY.tensors(1);
    let with = |heads| to_safetensors(&plain, &[("num_heads", heads)]);
    assert_eq!(read(with("4"), &none).unwrap().config().num_heads, 4);
    let by_option = read(with("4"), &heads(4)).unwrap();
    assert_eq!(provenance(&by_option, "num_heads"), Provenance::Option);
    let contradiction = ["num_heads is 2 by the option given", "4 by the file's metadata"];
    refused(read(with("4"), &heads(2)), &contradiction);
    refused(read(to_torch(&tensors, &[]), &heads(4)), &["calibration.key_bias", "2", "4"]);
    for bad in ["", "0", "-4", "4.5", "99999999999999999999"] {
        refused(read(with(bad), &none), &["`num_heads`", "whole number"]);
    }
    for bad in [0, 3, usize::MAX] {
        let error = refused(read(to_safetensors(&plain, &[]), &heads(bad)), &["do not divide"]);
        assert!(matches!(error.problem(), CheckpointProblem::HeadsDoNotDivide { .. }));
    }
}

#[test]
fn metadata_must_not_contradict_shapes() {
    let tensors = TINY.tensors(1);
    let agreeing = [
        ("num_heads", "2"),
        ("depth", "2"),
        ("patch_size", "56"),
        ("embed_dim", "8"),
        ("mlp_ratio", "1.5"),
        ("activation", "gelu"),
        ("image_size", "113"),
        ("layer_norm_eps", "1e-6"),
        ("embedding_dim", "5"),
        ("color", "RGB"),
        ("attn_fiqa.format", "1"),
        ("attn_fiqa.content", "full"),
        ("author", "somebody"),
    ];
    let none = CheckpointOptions::default();
    let checkpoint = read(to_safetensors(&tensors, &agreeing), &none).unwrap();
    let config = checkpoint.config();
    assert_eq!((config.image_size, config.activation), (113, Activation::Gelu));
    assert_eq!(config.layer_norm_eps, 1e-6);
    assert_eq!(provenance(&checkpoint, "activation"), Provenance::Metadata);

    for (key, value) in [
        ("depth", "3"),
        ("patch_size", "8"),
        ("embed_dim", "512"),
        ("mlp_ratio", "4"),
        ("activation", "swish"),
        ("image_size", "224"),
        ("image_size", "18446744073709551615"),
        ("image_size", "1"),
        ("layer_norm_eps", "nan"),
        ("embedding_dim", "512"),
        ("color", "BGR"),
        ("attn_fiqa.format", "2"),
        ("attn_fiqa.content", "quality-only"),
        ("attn_fiqa.content", "half"),
    ] {
        let mut metadata = agreeing;
        for entry in metadata.iter_mut().filter(|entry| entry.0 == key) {
            entry.1 = value;
        }
        let error = read(to_safetensors(&tensors, &metadata), &none).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains("metadata"), "{key}={value}: {shown}");
        assert!(shown.contains(value.trim_start_matches("nan")), "{key}={value}: {shown}");
    }
    let option =
        CheckpointOptions { activation: Some(Activation::Relu6), ..CheckpointOptions::default() };
    refused(read(to_safetensors(&tensors, &agreeing), &option), &["relu6", "gelu", "option"]);
}

#[test]
fn a_json_file_beside_the_checkpoint_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.pt");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::write(&file, to_torch(&TINY.tensors(1), &[])).unwrap();
    let none = CheckpointOptions::default();
    let open = |options: &CheckpointOptions| Checkpoint::open(&file, options);

    write("config.json", r#"{"heads": 4, "activation": "gelu", "layer_norm_eps": 1e-6}"#);
    let config = *open(&none).unwrap().config();
    assert_eq!((config.num_heads, config.activation), (4, Activation::Gelu));
    assert_eq!(config.layer_norm_eps, 1e-6);
    refused(open(&heads(2)), &["2 by the option", "4 by", "config.json"]);

    // The file with the same stem takes precedence.
    write("model.json", r#"{"num_heads": 2, "image_size": 112}"#);
    let checkpoint = open(&none).unwrap();
    assert_eq!(checkpoint.config().num_heads, 2);
    let json = folder.path().join("model.json").display().to_string();
    assert_eq!(provenance(&checkpoint, "num_heads"), Provenance::Json(json));

    for (text, part) in [
        (r#"{"num_heads": 2, "heads": 4}"#, "both"),
        (r#"{"num_heads": "two"}"#, "whole number"),
        ("[1, 2]", "not a JSON object"),
        (r#"{"num_heads": "#, "not valid JSON"),
        (r#"{"heads": 2, "image_size": 224}"#, "pos_embed"),
    ] {
        write("model.json", text);
        refused(open(&none), &["model.json", part]);
    }
}

/// InsightFace ViT-T as a quality-only `float16` file of zeros.
fn vit_t(mlp: usize) -> Vec<u8> {
    let (patch, dim, depth) = (9, 256, 12);
    let mut shapes = vec![
        ("patch_embed.proj.weight".to_owned(), vec![dim, 3, patch, patch]),
        ("patch_embed.proj.bias".to_owned(), vec![dim]),
        ("pos_embed".to_owned(), vec![1, 144, dim]),
        (format!("blocks.{}.attn.qk.weight", depth - 1), vec![2 * dim, dim]),
    ];
    for block in 0..depth {
        let mut add = |part: &str, shape: &[usize]| {
            shapes.push((format!("blocks.{block}.{part}"), shape.to_vec()));
        };
        add("norm1.weight", &[dim]);
        add("norm1.bias", &[dim]);
        if block + 1 < depth {
            add("attn.qkv.weight", &[3 * dim, dim]);
            add("attn.proj.weight", &[dim, dim]);
            add("attn.proj.bias", &[dim]);
            add("norm2.weight", &[dim]);
            add("norm2.bias", &[dim]);
            add("mlp.fc1.weight", &[mlp, dim]);
            add("mlp.fc1.bias", &[mlp]);
            add("mlp.fc2.weight", &[dim, mlp]);
            add("mlp.fc2.bias", &[dim]);
        }
    }
    let zeros = vec![0; 2 * 3 * dim * dim.max(mlp)];
    let views = shapes.into_iter().map(|(name, shape)| {
        let bytes = &zeros[..2 * shape.iter().product::<usize>()];
        let view = TensorView::new(Dtype::F16, shape, bytes);
        (name, view.expect("the bytes fit the shape"))
    });
    serialize(views, None).expect("valid tensors serialise")
}

#[test]
fn presets_provide_heads_and_must_match_shapes() {
    let file = vit_t(1024);
    let none = CheckpointOptions::default();
    let parts = ["heads", "2, 4, 8, 16, 32", "insightface-vit-t (8 heads)"];
    refused(read(file.clone(), &none), &parts);
    let preset =
        |preset| CheckpointOptions { preset: Some(preset), ..CheckpointOptions::default() };
    let checkpoint = read(file.clone(), &preset(Preset::InsightfaceVitT)).unwrap();
    assert_eq!(checkpoint.config().num_heads, 8);
    assert!(checkpoint.is_quality_only());
    let report = checkpoint.inspect();
    assert_eq!(report.preset, Some(Preset::InsightfaceVitT));
    assert_eq!(report.parameters, report.parameters_for_quality);
    assert_eq!(report.fraction_not_needed(), 0.0);

    let wrong = [
        (Preset::CvlfaceVitS, "patch size is 9", "8"),
        (Preset::InsightfaceVitS, "width is 256", "512"),
    ];
    for (other, found, expected) in wrong {
        refused(read(file.clone(), &preset(other)), &[other.name(), found, expected]);
    }
    refused(read(vit_t(768), &preset(Preset::InsightfaceVitT)), &["MLP width is 768", "1024"]);
    let both = CheckpointOptions { heads: Some(4), ..preset(Preset::InsightfaceVitT) };
    refused(read(file, &both), &["4 by the option", "8 by preset insightface-vit-t"]);
    for &preset in Preset::ALL {
        assert_eq!(Preset::from_name(preset.name()), Some(preset));
    }
    assert_eq!(Preset::from_name("vit-s"), None);
}

#[test]
fn static_bytes_are_loaded_under_the_given_name() {
    let bytes: &'static [u8] = to_safetensors(&TINY.tensors(1), &[]).leak();
    let checkpoint = Checkpoint::from_static(bytes, "the default model", &heads(2)).unwrap();
    assert_eq!(checkpoint.inspect().file, "the default model");
    assert_eq!(checkpoint.inspect().file_size, bytes.len() as u64);
    let cut = &bytes[..bytes.len() - 1];
    refused(Checkpoint::from_static(cut, "the default model", &heads(2)), &["the default model"]);
}

/// The folder of a golden network of another family, plus another JSON file.
fn with_json(name: &str, file: &str, text: &str) -> Result<Checkpoint, CheckpointError> {
    let golden = attn_fiqa_testing::golden("families").join(name);
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.safetensors", "config.json", "preprocessor_config.json"] {
        if golden.join(file).exists() {
            std::fs::copy(golden.join(file), folder.path().join(file)).unwrap();
        }
    }
    std::fs::write(folder.path().join(file), text).unwrap();
    let options = CheckpointOptions { loading: Loading::Copied, ..CheckpointOptions::default() };
    Checkpoint::open(&folder.path().join("model.safetensors"), &options)
}

#[test]
fn timm_config_is_read_and_unsupported_values_rejected() {
    let open = |text: &str| with_json("timm-token", "config.json", text);
    let checkpoint = open(
        r#"{"architecture": "vit_tiny_patch16_224", "global_pool": "avg",
            "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3],
                               "std": [0.4, 0.5, 0.6]},
            "model_args": {"num_heads": 6, "act_layer": "quick_gelu", "img_size": [32, 32]}}"#,
    )
    .unwrap();
    let config = checkpoint.config();
    assert_eq!((config.num_heads, config.image_size), (6, 32));
    assert_eq!((config.pixel_mean, config.pixel_std), ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]));
    assert_eq!(config.activation, Activation::QuickGelu);
    let Some(EmbeddingHeadConfig::Pooled(head)) = config.embedding_head else { panic!() };
    assert_eq!((head.pooling, head.norm, head.pooled_norm), (Pooling::Average, true, false));

    // The name of the network determines the heads only if its width matches.
    let tiny = r#"{"architecture": "vit_tiny_patch16_224", "num_features": 192}"#;
    refused(open(tiny), &["attention heads", "width 48"]);
    for (text, parts) in [
        (r#"{"global_pool": "map"}"#, &["`global_pool` is `map`", "`token` or `avg`"][..]),
        (r#"{"model_args": {"act_layer": "tanh"}}"#, &["`act_layer` is `tanh`", "`quick_gelu`"]),
        (
            r#"{"model_args": {"act_layer": "silu", "num_heads": 3}}"#,
            &["activation is swiglu", "without a gate"],
        ),
        (r#"{"model_args": {"pool_include_prefix": true}}"#, &["`pool_include_prefix`"]),
        (r#"{"model_args": {"img_size": [32, 40]}}"#, &["`img_size`", "a square"]),
        (r#"{"pretrained_cfg": {"input_size": [1, 32, 32]}}"#, &["`input_size`"]),
        (r#"{"pretrained_cfg": {"input_size": [3, 64, 64]}}"#, &["`pos_embed`", "64×64"]),
        (r#"{"pretrained_cfg": {"std": [0.5, 0, 0.5]}}"#, &["`std`", "above zero"]),
        (r#"{"pretrained_cfg": {"mean": [0.5, 0.5]}}"#, &["`mean`", "one per channel"]),
    ] {
        let text = format!(r#"{{"architecture": "vit_x", {}"#, &text[1..]);
        refused(open(&text), &[&["config.json"], parts].concat());
    }
}

#[test]
fn transformers_config_is_read_and_unsupported_values_rejected() {
    let open = |text: &str| with_json("hf-vit", "config.json", text);
    let vision = r#"{"vision_config": {"num_attention_heads": 2, "hidden_act": "quick_gelu",
                     "layer_norm_eps": 1e-3, "image_size": [32, 32]}}"#;
    let config = *open(vision).unwrap().config();
    assert_eq!((config.num_heads, config.layer_norm_eps), (2, 1e-3));
    assert_eq!((config.image_size, config.activation), (32, Activation::QuickGelu));
    for (text, part) in [
        (r#"{"num_attention_heads": 4, "hidden_act": "gelu_new"}"#, "`hidden_act` is `gelu_new`"),
        (r#"{"num_attention_heads": 4, "image_size": 64}"#, "`embeddings.position_embeddings`"),
        (r#"{"num_attention_heads": 5}"#, "5 heads"),
        (r#"{"num_attention_heads": 4, "use_swiglu_ffn": true}"#, "swiglu"),
    ] {
        refused(open(text), &[part, "config.json"]);
    }
    let pixels = |text: &str| with_json("hf-vit", "preprocessor_config.json", text);
    let both = r#"{"image_mean": [0.1, 0.1, 0.2], "image_std": [1, 1, 2.0]}"#;
    let config = *pixels(both).unwrap().config();
    assert_eq!((config.pixel_mean, config.pixel_std), ([0.1, 0.1, 0.2], [1.0, 1.0, 2.0]));
    assert_eq!(pixels("{}").unwrap().config().pixel_mean, [0.5; 3]);
    refused(pixels(r#"{"image_std": [1, 1, -1]}"#), &["preprocessor_config.json", "`image_std`"]);
}

#[test]
fn preset_for_another_family_is_rejected() {
    let golden = attn_fiqa_testing::golden("families").join("timm-token/model.safetensors");
    let preset = Some(Preset::InsightfaceVitS);
    let options = CheckpointOptions { preset, ..CheckpointOptions::default() };
    let parts = ["the family is official layout", "preset insightface-vit-s", "timm ViT"];
    refused(Checkpoint::open(&golden, &options), &parts);
}
