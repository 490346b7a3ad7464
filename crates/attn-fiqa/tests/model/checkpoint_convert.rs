//! Conversion: what is written reads back unchanged, or is refused.

use std::path::Path;

use attn_fiqa::checkpoint::{
    Checkpoint, CheckpointOptions, CheckpointProblem, Content, ConvertOptions, WeightDtype,
    write_canonical,
};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::checkpoint_support::network::{Spec, TINY, Tensor, prefixed, to_safetensors, to_torch};

fn open(bytes: Vec<u8>, heads: usize) -> Checkpoint {
    let options = CheckpointOptions { heads: Some(heads), ..CheckpointOptions::default() };
    Checkpoint::from_bytes(bytes, "made up", &options).expect("a valid checkpoint")
}

fn convert(checkpoint: &Checkpoint, path: &Path, options: ConvertOptions) -> Checkpoint {
    write_canonical(checkpoint, path, options).expect("a checkpoint can be written");
    // No option: the canonical file declares everything itself.
    Checkpoint::open(path, &CheckpointOptions::default()).expect("what was written can be read")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn specs() -> impl Strategy<Value = Spec> {
    (
        (prop_oneof![Just(28_usize), Just(37), Just(56), Just(112)], 1..4_usize, 1..4_usize),
        (1..4_usize, 1..20_usize, 1..6_usize, 1..6_usize),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(
                (patch, heads, head_dim),
                (depth, mlp, hidden, embedding),
                (qkv_bias, class_token, key_bias),
            )| Spec {
                patch,
                dim: heads * head_dim,
                depth,
                heads,
                mlp,
                qkv_bias,
                class_token,
                key_bias,
                hidden,
                embedding,
            },
        )
}

/// `value` as stored in a data type.
fn rounded(dtype: WeightDtype, name: &str, value: f32) -> f32 {
    match dtype {
        _ if name == "calibration.key_bias" => value,
        WeightDtype::F32 => value,
        WeightDtype::F16 => f16::from_f32(value).to_f32(),
        WeightDtype::Bf16 => bf16::from_f32(value).to_f32(),
        other => panic!("{}", other.name()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn full_files_round_trip(spec in specs(), seed in any::<u64>(), torch in any::<bool>()) {
        let tensors = spec.tensors(seed);
        let source = open(
            if torch { to_torch(&tensors, &[]) } else { to_safetensors(&tensors, &[]) },
            spec.heads,
        );
        let folder = tempfile::tempdir().unwrap();
        for dtype in [WeightDtype::F32, WeightDtype::F16, WeightDtype::Bf16] {
            let path = folder.path().join("out.safetensors");
            let options = ConvertOptions { dtype, quality_only: false };
            let written = convert(&source, &path, options);
            prop_assert_eq!(written.config(), source.config());
            prop_assert!(!written.is_quality_only());
            for Tensor { name, shape, values } in &tensors {
                let expected: Vec<f32> =
                    values.iter().map(|&value| rounded(dtype, name, value)).collect();
                prop_assert_eq!(bits(&written.read_f32(name).unwrap()), bits(&expected));
                prop_assert_eq!(written.shape(name), Some(shape.as_slice()));
            }
        }
    }

    #[test]
    fn quality_only_files_keep_exactly_what_a_score_needs(
        spec in specs(),
        seed in any::<u64>(),
        bf16 in any::<bool>(),
    ) {
        let tensors = spec.tensors(seed);
        let source = open(to_safetensors(&tensors, &[]), spec.heads);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let dtype = if bf16 { WeightDtype::Bf16 } else { WeightDtype::F32 };
        let options = ConvertOptions { dtype, quality_only: true };
        let written = convert(&source, &path, options);
        prop_assert!(written.is_quality_only());
        prop_assert_eq!(written.config().embedding_head, None);
        prop_assert_eq!(written.config().num_heads, spec.heads);
        prop_assert_eq!(written.config().mlp_dim, spec.mlp);
        prop_assert_eq!(written.config().qkv_bias, spec.qkv_bias);

        let last = format!("blocks.{}.", spec.depth - 1);
        for Tensor { name, values, .. } in &tensors {
            let kept: Option<(String, usize)> = match name.strip_prefix(&last) {
                Some("attn.qkv.weight") => {
                    Some((format!("{last}attn.qk.weight"), 2 * spec.dim * spec.dim))
                }
                Some("attn.qkv.bias") => Some((format!("{last}attn.qk.bias"), 2 * spec.dim)),
                Some(part) if !part.starts_with("norm1.") => None,
                _ if name.starts_with("norm.") || name.starts_with("feature.") => None,
                _ => Some((name.clone(), values.len())),
            };
            if kept.as_ref().is_none_or(|(kept, _)| kept != name) {
                prop_assert!(!written.contains(name), "{} is kept", name);
            }
            if let Some((kept, count)) = kept {
                let expected: Vec<f32> =
                    values[..count].iter().map(|&value| rounded(dtype, name, value)).collect();
                prop_assert_eq!(bits(&written.read_f32(&kept).unwrap()), bits(&expected));
            }
        }

        // A second conversion changes nothing.
        let again = folder.path().join("again.safetensors");
        convert(&written, &again, options);
        prop_assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
    }
}

#[test]
fn conversion_is_independent_of_container_and_prefix() {
    let tensors = TINY.tensors(1);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let plain = open(to_safetensors(&tensors, &[]), 2);
    let wrapped = open(to_torch(&prefixed(&tensors, "module.net."), &["state_dict"]), 2);
    convert(&plain, &path("one"), ConvertOptions::default());
    convert(&wrapped, &path("two"), ConvertOptions::default());
    let one = std::fs::read(path("one")).unwrap();
    assert_eq!(one, std::fs::read(path("two")).unwrap());
    // Tensors start at an offset aligned for every type.
    let header = u64::from_le_bytes(one[..8].try_into().unwrap());
    assert_eq!(header % 8, 0);
}

#[test]
fn a_written_file_has_ordinary_permissions_and_no_leftovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    let source = open(to_safetensors(&TINY.tensors(1), &[]), 2);
    std::fs::write(&path, "an older file").unwrap();
    convert(&source, &path, ConvertOptions::default());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let other = folder.path().join("other");
    std::fs::write(&other, "").unwrap();
    let permissions = |path: &Path| std::fs::metadata(path).unwrap().permissions();
    assert_eq!(permissions(&path), permissions(&other));
}

#[test]
fn an_output_that_is_the_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, to_safetensors(&TINY.tensors(1), &[("num_heads", "2")])).unwrap();
    let source = Checkpoint::open(&path, &CheckpointOptions::default()).unwrap();
    let roundabout = folder.path().join(".").join("model.safetensors");
    let error = write_canonical(&source, &roundabout, ConvertOptions::default()).unwrap_err();
    assert!(matches!(error.problem(), CheckpointProblem::OutputIsInput), "{error}");
}

#[test]
fn f16_overflow_error_names_the_tensor() {
    let mut tensors = TINY.tensors(1);
    tensors[2].values[3] = 70_000.0;
    let source = open(to_safetensors(&tensors, &[]), 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    let options = |dtype| ConvertOptions { dtype, quality_only: false };
    let error = write_canonical(&source, &path, options(WeightDtype::F16)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("pos_embed") && text.contains("position 3"), "{text}");
    assert!(!path.exists());
    convert(&source, &path, options(WeightDtype::Bf16));
}

#[test]
fn non_finite_weight_error_names_the_tensor() {
    let mut tensors = TINY.tensors(1);
    tensors[0].values[7] = f32::NAN;
    let source = open(to_safetensors(&tensors, &[]), 2);
    let text = source.read_f32("patch_embed.proj.weight").unwrap_err().to_string();
    assert!(text.contains("`patch_embed.proj.weight` holds NaN at position 7"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    assert!(write_canonical(&source, &path, ConvertOptions::default()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_full_file_cannot_be_made_from_a_quality_only_one() {
    let source = open(to_safetensors(&TINY.tensors(1), &[]), 2);
    let folder = tempfile::tempdir().unwrap();
    let options = ConvertOptions { quality_only: true, ..ConvertOptions::default() };
    let part = convert(&source, &folder.path().join("part"), options);
    assert_eq!(part.inspect().content, Content::QualityOnly);
    let out = folder.path().join("out");
    let error = write_canonical(&part, &out, ConvertOptions::default()).unwrap_err();
    assert!(matches!(error.problem(), CheckpointProblem::NotFull), "{error}");
    let text = part.read_f32("norm.weight").unwrap_err().to_string();
    assert!(text.contains("`norm.weight`") && text.contains("full checkpoint"), "{text}");
}
