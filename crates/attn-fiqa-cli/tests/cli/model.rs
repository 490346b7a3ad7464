//! `model inspect`, `model convert`, and models that are refused.

use attn_fiqa::checkpoint::{ConvertOptions, WeightDtype, builtin, write_canonical};
use sha2::{Digest, Sha256};

use crate::support::{CommandResult, TestDir, assert_near};

/// With a face, and the built-in model as a file with its 16-bit weights.
fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let options = ConvertOptions { dtype: WeightDtype::F16, quality_only: false };
    write_canonical(&builtin().unwrap(), &here.path("model.safetensors"), options).unwrap();
    here
}

fn score(here: &TestDir, options: &[&str]) -> Vec<f32> {
    let args = [&["score", "blur-1.png", "--method", "attn-calibrated,attn"], options].concat();
    let table = here.run(&args).ended_with(0).table();
    vec![table.numbers("score")[0], table.numbers("attn")[0]]
}

/// The value after a label in the output of `inspect`.
#[track_caller]
fn value<'a>(ran: &'a CommandResult, label: &str) -> &'a str {
    let line = ran.stdout().lines().find(|line| {
        line.trim_start().strip_prefix(label).is_some_and(|rest| rest.starts_with(' '))
    });
    let line = line.unwrap_or_else(|| panic!("no '{label}' in {}", ran.stdout()));
    line.trim_start()[label.len()..].trim()
}

#[test]
fn inspect_describes_builtin_model() {
    let here = TestDir::new();
    let expected = builtin().unwrap().inspect();
    let config = *builtin().unwrap().config();
    let ran = here.run(&["model", "inspect"]).ended_with(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(value(&ran, "file"), expected.file);
    assert_eq!(value(&ran, "format"), "safetensors");
    assert_eq!(value(&ran, "size"), format!("{} bytes", expected.file_size));
    assert_eq!(value(&ran, "sha-256"), expected.sha256);
    assert_eq!(value(&ran, "content"), "full: scores and embeddings");
    assert_eq!(value(&ran, "key bias"), "fitted");
    let heads = format!("{} ", config.num_heads);
    assert!(value(&ran, "num_heads").starts_with(&heads), "{}", value(&ran, "num_heads"));
    assert!(value(&ran, "num_heads").ends_with("from the file's metadata"));
    let patch = value(&ran, "patch_size");
    assert!(patch.starts_with(&format!("{} ", config.patch_size)), "{patch}");
    assert!(patch.ends_with("from tensor `patch_embed.proj.weight`"), "{patch}");
    assert!(value(&ran, "parameters").contains("not needed"));
}

#[test]
fn conversion_preserves_scores() {
    let here = test_dir();
    let expected = score(&here, &[]);
    let size = |name: &str| here.read(name).len();
    for (dtype, tolerance) in [("f32", 1e-4), ("f16", 1e-2), ("bf16", 1e-1)] {
        for quality_only in [&[][..], &["--quality-only"]] {
            let output = format!("{dtype}{}.safetensors", quality_only.concat());
            let args = ["model", "convert", "model.safetensors", &output, "--dtype", dtype];
            let ran = here.run(&[&args[..], quality_only].concat()).ended_with(0);
            assert_eq!((ran.stdout(), ran.stderr.as_str()), ("", ""));
            let found = score(&here, &["--model", &output]);
            for (found, expected) in found.into_iter().zip(&expected) {
                assert_near(found, *expected, tolerance);
            }
        }
        let (full, quality) =
            (format!("{dtype}.safetensors"), format!("{dtype}--quality-only.safetensors"));
        assert!(size(&quality) < size(&full), "{dtype}");
    }
    assert_eq!(score(&here, &["--model", "f16.safetensors"]), expected, "no weight has changed");
    assert!(size("f16.safetensors") * 10 < size("f32.safetensors") * 6);
    here.run(&["model", "convert", "model.safetensors", "again.safetensors"]).ended_with(0);
    assert_eq!(here.read("again.safetensors"), here.read("f32.safetensors"), "f32 is the default");
}

#[test]
fn quality_only_checkpoint_is_reported_and_enforced() {
    let here = test_dir();
    let args = ["model", "convert", "model.safetensors", "q.safetensors", "--quality-only"];
    here.run(&args).ended_with(0);
    let ran = here.run(&["model", "inspect", "q.safetensors"]).ended_with(0);
    assert_eq!(value(&ran, "content"), "quality-only: scores, no embeddings");
    assert_eq!(value(&ran, "file"), "q.safetensors");
    here.run(&["score", "blur-1.png", "-m", "q.safetensors", "--columns", "embedding"]).refused(
        "an embedding, or a method that needs a full forward pass, was asked for, but this file \
         holds only what an attention score needs (a quality-only checkpoint); use the full \
         checkpoint (`model convert --quality-only` writes such files)",
    );
    here.run(&["score", "blur-1.png", "-m", "q.safetensors", "--columns", "map"]).ended_with(0);
    here.run(&["model", "convert", "q.safetensors", "full.safetensors"]).refused(
        "q.safetensors: holds only what a score needs, so a full file cannot be made from it; \
         convert the original checkpoint or ask for a quality-only file",
    );
    assert!(!here.path("full.safetensors").exists());
}

#[test]
fn conversion_never_overwrites_its_input() {
    let here = test_dir();
    std::fs::create_dir(here.path("folder")).unwrap();
    let before = here.read("model.safetensors");
    for output in ["model.safetensors", "./model.safetensors", "folder/../model.safetensors"] {
        here.run(&["model", "convert", "model.safetensors", output])
            .refused(&format!("'{output}' is the file to read; name another to write"));
    }
    assert_eq!(here.read("model.safetensors"), before);
}

#[test]
fn failed_conversion_writes_nothing() {
    let here = test_dir();
    let before = here.files("");
    for output in ["model.pt", "model", "model.safetensors.bak"] {
        here.run(&["model", "convert", "model.safetensors", output]).refused(&format!(
            "the file to write is a safetensors file, but '{output}' does not end in .safetensors"
        ));
    }
    here.run(&["model", "convert", "model.safetensors", "gone/x.safetensors"])
        .refused("cannot write 'gone/x.safetensors': there is no such folder");
    here.run(&["model", "convert", "gone.safetensors", "x.safetensors"])
        .refused_with("gone.safetensors: cannot be read: ");
    here.run(&["model", "convert", "model.safetensors", "x.safetensors", "--dtype", "f8"])
        .refused_with("invalid value 'f8' for '--dtype <DTYPE>'");
    assert_eq!(here.files(""), before);
}

#[test]
fn non_model_files_are_rejected_with_reason() {
    let here = test_dir();
    let model = here.read("model.safetensors");
    here.write("text.safetensors", "some text of no great length\n");
    here.write("cut.safetensors", &model[..model.len() / 2]);
    here.write("short.safetensors", &model[..100]);
    here.write("empty.safetensors", "");
    here.write("net.onnx", b"\x08\x07\x12\x07pytorch\x1a\x051.8.1");
    here.write("old.pth", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
    here.write("folder/x", "");
    for (file, part) in [
        ("text.safetensors", "is a text file; expected a .safetensors file"),
        ("cut.safetensors", "the file may be truncated or damaged"),
        ("short.safetensors", "the file may be truncated or damaged"),
        ("empty.safetensors", "is empty"),
        ("net.onnx", "is an ONNX model"),
        ("old.pth", "is "),
        ("folder", "is not a regular file"),
        ("gone.safetensors", "cannot be read"),
    ] {
        for command in [&["score", "blur-1.png", "--model", file][..], &["model", "inspect", file]]
        {
            let ran = here.run(command).ended_with(2);
            let start = format!("error: {file}: ");
            assert!(
                ran.stderr.starts_with(&start) && ran.stderr.contains(part),
                "{command:?}: {}",
                ran.stderr
            );
            assert_eq!((ran.stdout(), ran.stderr.lines().count()), ("", 1));
        }
    }
}

#[test]
fn conflicting_model_options_are_rejected() {
    let here = test_dir();
    let heads = builtin().unwrap().config().num_heads;
    here.run(&["model", "inspect", "model.safetensors", "--heads", "3"]).refused(&format!(
        "model.safetensors: num_heads is 3 by the option given, but {heads} by the file's \
         metadata; remove or correct one of them"
    ));
    here.run(&["score", "blur-1.png", "-m", "model.safetensors", "--preset", "cvlface-vit-s"])
        .refused_with("model.safetensors: ");
    here.run(&["model", "inspect", "model.safetensors", "--preset", "vit-xxl"])
        .refused_with("invalid value 'vit-xxl' for '--preset <NAME>'");
    here.run(&["model", "inspect", "model.safetensors", "--activation", "silu"])
        .refused_with("invalid value 'silu' for '--activation <NAME>'");
    assert_eq!(
        score(&here, &["-m", "model.safetensors", "--heads", &heads.to_string()]),
        score(&here, &[])
    );
}

/// A constant would be copied into every crate that uses it: 16 MB each.
#[test]
fn model_is_embedded_once_in_binary() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_attn-fiqa")).expect("the program");
    for model in [attn_fiqa_models::ATTN_FIQA_T, attn_fiqa_models_embedding::ATTN_FIQA_T] {
        let part = &model[model.len() / 2..][..64];
        assert_eq!(program.windows(part.len()).filter(|window| *window == part).count(), 1);
    }
}

/// The built-in model is embedded in two parts. Together they are the file that was trained and
/// calibrated, and whose hash the model's card gives.
#[test]
fn builtin_model_parts_match_published_hash() {
    let here = TestDir::with_faces(&[]);
    here.run(&["model", "convert", "built-in", "full.safetensors", "--dtype", "f16"]).ended_with(0);
    let hash = Sha256::digest(std::fs::read(here.path("full.safetensors")).expect("the file"));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let card = include_str!("../../../../models/attn-fiqa-t.md");
    assert!(card.contains(&hash), "no {hash} in models/attn-fiqa-t.md");
    let small =
        ["model", "convert", "built-in", "q.safetensors", "--dtype", "f16", "--quality-only"];
    here.run(&small).ended_with(0);
    let small = std::fs::read(here.path("q.safetensors")).expect("the file");
    assert!(small == attn_fiqa_models::ATTN_FIQA_T, "the part for scores differs");
}

/// A random timm network with a class token, next to its `config.json`.
fn timm() -> String {
    let file = attn_fiqa_testing::golden("families").join("timm-token/model.safetensors");
    file.display().to_string()
}

#[test]
fn timm_checkpoint_is_inspected_scored_and_converted() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let ran = here.run(&["model", "inspect", &timm()]).ended_with(0);
    assert_eq!(value(&ran, "family"), "timm ViT, from tensor `head.weight`");
    assert!(value(&ran, "image_size").starts_with("32 "), "{}", value(&ran, "image_size"));
    assert!(value(&ran, "image_size").ends_with("config.json"), "{}", value(&ran, "image_size"));
    assert_eq!(value(&ran, "activation"), "gelu      from assumed: usual for timm ViT");
    assert!(!ran.stdout().contains("warning"), "{}", ran.stdout());

    let score = |options: &[&str]| {
        let args = ["score", "blur-1.png", "--aligned", "--resize", "--model"];
        let ran = here.run(&[&args[..], options].concat()).ended_with(0);
        assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
        ran.table().numbers("score")[0]
    };
    let all = score(&[&timm()]);
    let patches = score(&[&timm(), "--tokens", "patches"]);
    assert_ne!(all, patches);
    assert_eq!(score(&[&timm(), "--tokens", "all"]), all);
    let args = ["model", "convert", &timm(), "patches.safetensors", "--tokens", "patches"];
    here.run(&args).ended_with(0);
    assert_eq!(score(&["patches.safetensors"]), patches);
    here.run(&["score", "blur-1.png", "-m", "patches.safetensors", "--tokens", "all"])
        .refused_with("patches.safetensors: score_tokens is all by the option given, but patches");
}

#[test]
fn kp_rpe_checkpoint_is_inspected_and_scored() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let file = attn_fiqa_testing::golden("families").join("kp-rpe/model.safetensors");
    let file = file.display().to_string();
    let ran = here.run(&["model", "inspect", &file, "--heads", "5"]).ended_with(0);
    assert_eq!(value(&ran, "family"), "KP-RPE (CVLface), from tensor `keypoint_linear.weight`");
    let bias = value(&ran, "landmark_bias");
    assert_eq!(bias, "softmax   from the default");

    let model = ["--model", &file, "--heads", "5"];
    let score = |options: &[&str]| {
        let ran = here.run(&[&["score", "blur-1.png", "--aligned"], &model[..], options].concat());
        ran.ended_with(0).table()
    };
    let table = score(&[]);
    assert_eq!(table.column("message"), ["landmarks of the ArcFace template assumed"]);
    let softmax = table.numbers("score")[0];
    assert_eq!(score(&["--landmark-bias", "softmax"]).numbers("score")[0], softmax);
    assert_ne!(score(&["--landmark-bias", "score"]).numbers("score")[0], softmax);
    here.run(&[&["embed", "blur-1.png", "--aligned", "-o", "e.csv"], &model[..]].concat())
        .ended_with(0);
    here.run(&[&["model", "export", "score.onnx"], &model[..]].concat())
        .refused_with("a landmark bias");
    here.run(&["score", "blur-1.png", "--model", &timm(), "--landmark-bias", "score"])
        .refused_with("`landmark_bias` is `score` (the option given); expected none");
    here.run(&["score", "blur-1.png", "--landmark-bias", "score"])
        .refused_with("--landmark-bias and --allow-unused describe a checkpoint file");
    let args = ["model", "add", &file, "--name", "ours", "--heads", "5"];
    here.run(&[&args[..], &["--landmark-bias", "score"]].concat()).ended_with(0);
    let ran = here.run(&["model", "inspect", "ours"]).ended_with(0);
    assert_eq!(value(&ran, "landmark_bias"), "score     from the option given");
}

#[test]
fn clip_checkpoint_triggers_non_face_warning() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let file = attn_fiqa_testing::golden("families").join("openai-clip/model.safetensors");
    let file = file.display().to_string();
    let ran = here.run(&["model", "inspect", &file]).ended_with(0);
    assert_eq!(value(&ran, "family"), "OpenAI CLIP, from tensor `class_embedding`");
    let expected = "public networks of the family OpenAI CLIP are not face recognisers; the score \
                    predicts recognition only if this one was trained or fine-tuned on faces";
    assert_eq!(value(&ran, "warning"), expected);
    assert!(value(&ran, "unused").contains("logit_scale"), "{}", value(&ran, "unused"));
    let args = ["score", "blur-1.png", "--aligned", "--resize", "--model", &file];
    let ran = here.run(&args).ended_with(0);
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}
