//! The shared golden models: both formats, the same weights and configuration.

mod checkpoint_support;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, ContainerFormat, Content, Provenance};
use attn_fiqa::vit::config::{Activation, EmbeddingHeadConfig, EmbeddingTokens, VitConfig};
use checkpoint_support::shared;
use safetensors::{Dtype, SafeTensors};

/// Name, heads, and (patch, width, depth, MLP width, qkv bias, embedding).
type Golden = (&'static str, usize, (usize, usize, usize, usize, bool, usize));

const GOLDEN: [Golden; 3] = [
    ("tiny_p8", 4, (8, 32, 3, 160, false, 32)),
    ("tiny_p16_deep", 6, (16, 48, 5, 144, false, 16)),
    ("tiny_p14_qkvbias", 5, (14, 40, 2, 160, true, 24)),
];

#[test]
fn golden_models_read_the_same_from_both_formats() {
    let Some(folder) = shared("golden/vit") else {
        return;
    };
    for (name, heads, (patch_size, embed_dim, depth, mlp_dim, qkv_bias, dim)) in GOLDEN {
        let options = CheckpointOptions { heads: Some(heads), ..CheckpointOptions::default() };
        let file = folder.join(format!("{name}.safetensors"));
        let safetensors = Checkpoint::open(&file, &options).unwrap();
        let torch = Checkpoint::open(&folder.join(format!("{name}.pt")), &options).unwrap();
        let config = VitConfig {
            image_size: 112,
            patch_size,
            embed_dim,
            depth,
            num_heads: heads,
            mlp_dim,
            qkv_bias,
            activation: Activation::Relu6,
            class_token: false,
            layer_norm_eps: 1e-5,
            embedding_head: Some(EmbeddingHeadConfig {
                tokens: EmbeddingTokens::All,
                hidden_dim: embed_dim,
                dim,
            }),
        };
        assert_eq!(*safetensors.config(), config, "{name}");
        assert_eq!(*torch.config(), config, "{name}");

        let bytes = std::fs::read(&file).unwrap();
        let reference = SafeTensors::deserialize(&bytes).unwrap();
        let mut compared = 0;
        for (tensor, view) in reference.iter() {
            if view.dtype() != Dtype::F32 {
                assert!(tensor.ends_with("num_batches_tracked"), "{tensor}");
                continue;
            }
            let expected: Vec<u32> = view
                .data()
                .chunks(4)
                .map(|four| u32::from_le_bytes(four.try_into().unwrap()))
                .collect();
            for checkpoint in [&safetensors, &torch] {
                let values = checkpoint.read_f32(tensor).unwrap();
                let bits: Vec<u32> = values.into_iter().map(f32::to_bits).collect();
                assert_eq!(bits, expected, "{name} {tensor}");
                assert_eq!(checkpoint.shape(tensor), Some(view.shape()), "{name} {tensor}");
            }
            compared += 1;
        }
        assert!(compared > 20, "{name}");

        let report = torch.inspect();
        assert_eq!(report.format, ContainerFormat::TorchZip);
        assert_eq!(report.prefix, "net.");
        assert_eq!(safetensors.inspect().prefix, "");
        assert_eq!(report.parameters, safetensors.inspect().parameters);
    }
}

#[test]
fn the_heads_of_a_golden_model_are_never_guessed() {
    let Some(file) = shared("golden/vit/tiny_p8.pt") else {
        return;
    };
    let error = Checkpoint::open(&file, &CheckpointOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("heads") && text.contains("1, 2, 4"), "{text}");
    assert!(text.contains("tiny_p8.pt"), "{text}");
}

#[test]
fn the_interim_model_says_everything_itself() {
    let Some(file) = shared("data/models/interim-vit.safetensors") else {
        return;
    };
    let checkpoint = Checkpoint::open(&file, &CheckpointOptions::default()).unwrap();
    assert_eq!(checkpoint.config().num_heads, 6);
    assert_eq!(checkpoint.shape("calibration.key_bias"), Some([6, 32].as_slice()));
    let report = checkpoint.inspect();
    assert!(report.has_key_bias);
    assert_eq!(report.content, Content::Full);
    assert_eq!(report.file_size, 18_940_696);
    // As `sha256sum` gives it.
    let sha256 = "7b44c148181410717edc8f0c9644f951c0f55ec6b753806376bf1c1ef28dcc14";
    assert_eq!(report.sha256, sha256);
    assert_eq!(report.dtypes, [("float32", 82)]);
    let heads = report.config.iter().find(|value| value.name == "num_heads").unwrap();
    assert_eq!((heads.value.as_str(), &heads.from), ("6", &Provenance::Metadata));
}
