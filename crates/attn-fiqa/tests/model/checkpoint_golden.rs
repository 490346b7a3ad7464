//! The golden networks: both formats, the same weights and configuration.

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, ContainerFormat};
use attn_fiqa::vit::config::{EmbeddingHeadConfig, EmbeddingTokens, FlattenedHead, VitConfig};
use safetensors::{Dtype, SafeTensors};

use crate::common::Golden;

/// Patch, width, depth, MLP width, qkv bias, embedding.
fn shape(name: &str) -> (usize, usize, usize, usize, bool, usize) {
    match name {
        "tiny_p8" => (8, 32, 3, 160, false, 32),
        "tiny_p16_deep" => (16, 48, 5, 144, false, 16),
        "tiny_p14_qkvbias" => (14, 40, 2, 160, true, 24),
        _ => panic!("no such golden network: {name}"),
    }
}

#[test]
fn golden_models_read_the_same_from_both_formats() {
    for golden in Golden::all() {
        let Golden { name, heads, .. } = golden;
        let (patch_size, embed_dim, depth, mlp_dim, qkv_bias, dim) = shape(name);
        let safetensors = golden.checkpoint("safetensors");
        let torch = golden.checkpoint("pt");
        let config = VitConfig {
            mlp_dim,
            qkv_bias,
            embedding_head: Some(EmbeddingHeadConfig::Flattened(FlattenedHead {
                tokens: EmbeddingTokens::All,
                gated: false,
                hidden_dim: embed_dim,
                dim,
            })),
            ..VitConfig::official(112, patch_size, embed_dim, depth, heads)
        };
        assert_eq!(*safetensors.config(), config, "{name}");
        assert_eq!(*torch.config(), config, "{name}");

        let bytes = std::fs::read(golden.file("safetensors")).unwrap();
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
fn missing_head_count_is_an_error() {
    let file = attn_fiqa_testing::golden("vit/tiny_p14_qkvbias.pt");
    let error = Checkpoint::open(&file, &CheckpointOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("heads") && text.contains("1, 2, 4, 5"), "{text}");
    assert!(text.contains("tiny_p14_qkvbias.pt"), "{text}");
}
