//! Completions, manual pages and help.

use crate::support::TestDir;

#[test]
fn completions_contain_commands_and_options() {
    let here = TestDir::new();
    for (shell, mark) in [
        ("bash", "complete -F _attn__fiqa "),
        ("zsh", "#compdef attn-fiqa"),
        ("fish", "complete -c attn-fiqa"),
    ] {
        let ran = here.run(&["completions", shell]).ended_with(0);
        assert_eq!(ran.stderr, "");
        for part in [mark, "score", "map", "inspect", "swapped-channels", "per-head", "attn"] {
            assert!(ran.stdout().contains(part), "{shell}: no '{part}'");
        }
    }
    here.run(&["completions", "tcsh"]).refused_with(
        "invalid value 'tcsh' for '<SHELL>'\n  [possible values: bash, elvish, fish, powershell, \
         zsh]",
    );
}

#[test]
#[cfg(unix)]
fn bash_completion_passes_syntax_check() {
    let here = TestDir::new();
    let script = here.run(&["completions", "bash"]).ended_with(0);
    here.write("completion.bash", &script.bytes);
    let mut bash = std::process::Command::new("bash");
    let Ok(output) = bash.arg("-n").arg(here.path("completion.bash")).output() else {
        return attn_fiqa_testing::skip("no bash");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn man_page_is_printed_to_stdout() {
    let here = TestDir::new();
    let ran = here.run(&["man"]).ended_with(0);
    for part in [".TH attn-fiqa 1", ".SH NAME", ".SH SUBCOMMANDS", "Exit status: 0 if every image"]
    {
        assert!(ran.stdout().contains(part), "no '{part}'");
    }
    assert!(here.files("").is_empty());
}

#[test]
fn man_output_writes_one_page_per_command() {
    let here = TestDir::new();
    let ran = here.run(&["man", "--output", "share/man1"]).ended_with(0);
    assert_eq!((ran.stdout(), ran.stderr.as_str()), ("", ""));
    assert_eq!(
        here.files("share/man1"),
        [
            "attn-fiqa-advise.1",
            "attn-fiqa-benchmark.1",
            "attn-fiqa-best.1",
            "attn-fiqa-calibrate.1",
            "attn-fiqa-completions.1",
            "attn-fiqa-crop.1",
            "attn-fiqa-degrade.1",
            "attn-fiqa-detect.1",
            "attn-fiqa-edc.1",
            "attn-fiqa-embed.1",
            "attn-fiqa-filter.1",
            "attn-fiqa-gate.1",
            "attn-fiqa-groups.1",
            "attn-fiqa-man.1",
            "attn-fiqa-map.1",
            "attn-fiqa-measure.1",
            "attn-fiqa-merge.1",
            "attn-fiqa-model-add.1",
            "attn-fiqa-model-convert.1",
            "attn-fiqa-model-export.1",
            "attn-fiqa-model-inspect.1",
            "attn-fiqa-model-list.1",
            "attn-fiqa-model-pull.1",
            "attn-fiqa-model-remove.1",
            "attn-fiqa-model.1",
            "attn-fiqa-report.1",
            "attn-fiqa-score.1",
            "attn-fiqa-serve.1",
            "attn-fiqa-validate.1",
            "attn-fiqa-verify.1",
            "attn-fiqa.1",
        ]
    );
    let score = here.read_text("share/man1/attn-fiqa-score.1");
    assert!(score.contains("swapped\\-channels"), "{score}");

    here.write("file", "");
    here.run(&["man", "--output", "file"]).refused_with("cannot write manual pages into 'file': ");
}

#[test]
fn help_lists_the_exit_codes() {
    let here = TestDir::new();
    for option in ["--help", "-h"] {
        let ran = here.run(&[option]).ended_with(0);
        let help = ran.stdout();
        assert!(help.contains("Usage: attn-fiqa [OPTIONS] <COMMAND>"), "{help}");
        for group in ["Everyday:\n  score ", "Evaluation:\n  edc ", "Models and shell:\n"] {
            assert!(help.contains(group), "{help}");
        }
    }
    let long = here.run(&["--help"]).ended_with(0);
    let text = long.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(
        "Exit status: 0 if every image was processed, 1 if some failed (their rows say why), 2 if \
         the run could not start or its output could not be written, 130 after Ctrl-C, 141 if the \
         reader of the output left early, as `| head` does."
    ));
    let version = here.run(&["--version"]).ended_with(0);
    assert_eq!(version.stdout(), concat!("attn-fiqa ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn unknown_commands_and_flags_are_rejected() {
    let here = TestDir::new();
    here.run(&["rate"]).refused_with("unrecognized subcommand 'rate'");
    here.run(&["score", "--bogus"]).refused_with("unexpected argument '--bogus' found");
    let ran = here.run(&[]).ended_with(2);
    assert!(ran.stderr.contains("Usage: attn-fiqa [OPTIONS] <COMMAND>") && ran.bytes.is_empty());
}
