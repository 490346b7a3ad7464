//! What a study file may contain, and the line that an error names.

use std::path::{Path, PathBuf};

use attn_fiqa_eval::benchmark::BenchmarkKind;
use attn_fiqa_eval::study::StudyConfig;
use attn_fiqa_eval::study::config::{EmbeddingsFrom, ScoresFrom};
use tempfile::TempDir;

/// A folder with the files named by the study files.
fn place() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("set")).expect("a folder");
    for name in ["net.pt", "emb.npy", "names.txt", "scores.txt", "pairs.txt"] {
        std::fs::write(folder.path().join(name), "").expect("a file");
    }
    folder
}

const GOOD: &str = "\
[settings]
fmr = [1e-3]
protocols = [\"crfiqa\", \"iso\"]

[[dataset]]
name = \"set\"
kind = \"pairs\"
path = \"set\"
pairs = \"pairs.txt\"

[[recogniser]]
name = \"ready\"
embeddings = { set = \"emb.npy\" }
lists = { set = \"names.txt\" }

[[recogniser]]
name = \"net\"
model = \"net.pt\"
flip = true

[[method]]
name = \"attn-max@block=2\"

[[method]]
name = \"ours\"
method = \"attn\"
model = \"net.pt\"

[[method]]
name = \"length\"
norm_of = \"ready\"

[[method]]
name = \"theirs\"
scores = { set = \"scores.txt\" }
";

fn parse(text: &str) -> Result<StudyConfig, String> {
    let folder = place();
    let parsed = StudyConfig::parse("study.toml", text.to_owned(), folder.path());
    parsed.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "HERE"))
}

#[test]
fn old_names_of_settings_are_still_read() {
    let settings = |text: &str| {
        let text = GOOD.replacen("fmr = [1e-3]", &format!("fmr = [1e-3]\n{text}"), 1);
        parse(&text).map(|config| config.settings)
    };
    let new = "max_discard = 0.2\nbootstrap = 7\nconfidence_level = 0.9\norders = 5";
    let old = "limit = 0.2\nreplicates = 7\nlevel = 0.9\ntie_orders = 5";
    assert_eq!(settings(old), settings(new));
    let found = settings(new).expect("settings");
    assert_eq!((found.max_discard, found.bootstrap, found.orders), (0.2, 7, 5));
    assert!(settings("orders = 5\ntie_orders = 6").unwrap_err().contains("orders"));
}

#[test]
fn valid_study_file_is_parsed() {
    let folder = place();
    let config = StudyConfig::parse("study.toml", GOOD.to_owned(), folder.path()).expect("good");
    let here = |name: &str| -> PathBuf { folder.path().join(name) };
    assert_eq!(config.settings.fmr, [1e-3]);
    assert_eq!((config.settings.max_discard, config.settings.bootstrap), (0.3, 200));
    let dataset = &config.datasets[0];
    assert_eq!((dataset.kind, &dataset.path), (BenchmarkKind::Pairs, &here("set")));
    let EmbeddingsFrom::Files(files) = &config.recognisers[0].from else { panic!("no files") };
    assert_eq!(files["set"], (here("emb.npy"), Some(here("names.txt"))));
    let EmbeddingsFrom::Model(model) = &config.recognisers[1].from else { panic!("no model") };
    assert!(model.flip && model.file == Some(here("net.pt")));
    let ScoresFrom::Attention(model, method) = &config.methods[0].from else { panic!("no model") };
    assert_eq!((model.file.clone(), method.to_string().as_str()), (None, "attn-max@block=2"));
    assert_eq!(config.methods[2].from, ScoresFrom::EmbeddingNorm(0));
    assert_eq!(config.sha256.len(), 64);
}

/// The valid study file with one part replaced, and the resulting error.
#[track_caller]
fn refused(from: &str, to: &str, message: &str) {
    assert!(GOOD.contains(from), "{from}");
    let found = parse(&GOOD.replacen(from, to, 1)).expect_err(message);
    assert!(found.contains(message), "expected '{message}' in: {found}");
}

#[test]
fn errors_name_the_line() {
    refused("fmr = [1e-3]", "fmr = [0.0]", "study.toml, line 1: fmr needs rates between 0 and 1");
    refused("fmr =", "fnr =", "study.toml, line 2: unknown field `fnr`");
    refused("[1e-3]", "[1e-3", "study.toml, line ");
    refused("fmr =", "max_discard = 0.97\nfmr =", "line 1: max_discard must be at most 0.95");
    refused("\"iso\"", "\"dasec\"", "study.toml, line 3: unknown variant `dasec`");
    refused("\"iso\"", "\"crfiqa\"", "at most once");
    refused(
        "kind = \"pairs\"",
        "kind = \"lwf\"",
        "line 7: no benchmark 'lwf'; expected one of lfw",
    );
    refused("kind = \"pairs\"", "kind = \"lfw\"", "line 9: 'pairs' belongs to kind = \"pairs\"");
    refused("path = \"set\"", "path = \"gone\"", "line 8: 'HERE/gone' cannot be read");
    refused(
        "name = \"net\"",
        "name = \"ready\"",
        "line 17: recogniser 'ready' was already described on line 12",
    );
    refused("model = \"net.pt\"\nflip", "flip", "line 17: 'net' needs model");
    refused("{ set = \"emb.npy\" }", "{ sot = \"emb.npy\" }", "line 13: there is no dataset 'sot'");
    refused("{ set = \"emb.npy\" }", "{}", "line 12: 'ready' has no file for the dataset 'set'");
    refused("emb.npy", "gone.npy", "line 13: 'HERE/gone.npy' cannot be read");
    refused("method = \"attn\"", "method = \"atn\"", "line 26: unknown name in method 'atn'");
    refused("norm_of = \"ready\"", "norm_of = \"redy\"", "line 31: there is no recogniser 'redy'");
    refused(
        "norm_of = \"ready\"",
        "norm_of = \"net\"",
        "line 31: the embeddings of 'net' are normalised",
    );
    refused(
        "scores = {",
        "column = \"q\"\nmodel = \"net.pt\"\nscores = {",
        "line 34: 'theirs' has scores",
    );
    refused(
        "[[method]]\nname = \"attn-max@block=2\"",
        "[[method]]\nname = \"\"",
        "line 22: a method needs a name",
    );
}

#[test]
fn missing_sections_and_file_are_reported() {
    assert_eq!(parse("").expect_err("empty"), "study.toml: there is no [[dataset]]");
    let without = GOOD.split("[[method]]").next().expect("a part");
    assert_eq!(parse(without).expect_err("no method"), "study.toml: there is no [[method]]");
    let gone = StudyConfig::read(Path::new("/nowhere/study.toml")).expect_err("no file");
    assert!(gone.to_string().starts_with("/nowhere/study.toml: cannot be read"), "{gone}");
}
