//! The options that every command takes, and where their defaults come from.

use serde_json::Value;

use crate::support::{CommandResult, TestDir};

/// Runs `attn-fiqa score blur-1.png --verbose` with further arguments and variables.
fn score(here: &TestDir, args: &[&str], variables: &[(&str, &str)]) -> CommandResult {
    let mut command = here.command(&[&["score", "blur-1.png", "--verbose"], args].concat());
    command.envs(variables.iter().copied());
    CommandResult::from(command.output().expect("the program"))
}

#[test]
fn cli_overrides_environment_overrides_config_file() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("c.toml", "precision = \"int8\"\njobs = 1\nlog-format = \"json\"\n");
    let file = score(&here, &["--config", "c.toml"], &[]).ended_with(0);
    assert!(file.stderr.contains("int8 on") && file.stderr.starts_with('{'), "{}", file.stderr);
    let named = [("ATTN_FIQA_CONFIG", "c.toml")];
    let environment = score(&here, &[], &[named[0], ("ATTN_FIQA_PRECISION", "bf16")]);
    assert!(environment.stderr.contains("bf16 on"), "{}", environment.stderr);
    let typed = score(&here, &["--precision", "f32", "--log-format=text"], &named).ended_with(0);
    assert!(typed.stderr.contains("f32 on") && !typed.stderr.contains('{'), "{}", typed.stderr);
}

#[test]
fn config_model_path_is_relative_to_config_file() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("conf/note", "");
    here.run(&["model", "convert", "built-in", "conf/m.safetensors"]).ended_with(0);
    here.write("conf/c.toml", "model = \"m.safetensors\"\n");
    let ran = score(&here, &["--config", "conf/c.toml"], &[]).ended_with(0);
    assert!(ran.stderr.contains("model conf/m.safetensors: "), "{}", ran.stderr);
    here.write("conf/named.toml", "model = \"built-in\"\n");
    score(&here, &["--config", "conf/named.toml"], &[]).ended_with(0);
    let gone = score(&here, &[], &[("ATTN_FIQA_MODEL", "gone.safetensors")]);
    gone.refused_with("gone.safetensors");
}

#[test]
fn invalid_config_file_is_rejected() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let refused = |text: &str, part: &str| {
        here.write("c.toml", text);
        score(&here, &["--config", "c.toml"], &[]).refused_with(part);
    };
    refused("presicion = \"f32\"\n", "unknown key 'presicion'; expected model, precision, jobs");
    refused("jobs = [1]\n", "expected text or a number for 'jobs', found type array");
    refused("jobs = \n", "c.toml: this is not a TOML file");
    refused("precision = \"f8\"\n", "c.toml: invalid value 'f8' for '--precision <NAME>'");
    score(&here, &["--config", "gone.toml"], &[]).refused_with("gone.toml: the configuration");
}

#[test]
fn json_log_format_emits_json_objects() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let args = ["--log-format", "json", "score", "blur-1.png", "gone.png"];
    let ran = here.run(&args).ended_with(1);
    let lines: Vec<Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let event = |name: &str| lines.iter().find(|line| line["event"] == name).expect(name);
    assert_eq!(event("failure")["path"], "gone.png");
    assert_eq!(event("failure")["status"], "not-found");
    let summary = event("summary");
    assert_eq!([&summary["images"], &summary["failed"]], [2, 1]);
    assert_eq!(summary["level"], "info");
    assert_eq!(summary["failures"]["not-found"], 1);
    let refused = here.run(&["score", "none/*.png", "--log-format", "json"]).ended_with(2);
    let error: Value = serde_json::from_str(refused.stderr.trim()).expect("one object");
    assert_eq!(error["level"], "error");
}

#[test]
fn global_options_work_before_command_and_force_colour() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let quiet = here.run(&["-q", "-j", "1", "score", "blur-1.png"]).ended_with(0);
    assert_eq!(quiet.stderr, "");
    here.run(&["score", "-q", "-v", "blur-1.png"]).refused_with("cannot be used with");
    let plain = here.run(&["score", "none/*.png"]).ended_with(2);
    assert!(plain.stderr.starts_with("error: "), "{}", plain.stderr);
    for args in [["score", "none/*.png", "--color=always"], ["--color", "always", "nothing"]] {
        let coloured = here.run(&args).ended_with(2);
        assert!(coloured.stderr.contains("\u{1b}["), "{}", coloured.stderr);
    }
}
