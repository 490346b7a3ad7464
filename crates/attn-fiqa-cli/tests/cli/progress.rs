//! What a long run writes to a log.

use crate::support::{CommandResult, TestDir};

/// Twelve files, one of which is not an image.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    for number in 0..11 {
        here.face("blur-1.png", &format!("set/{number:02}.png"));
    }
    here.write("set/05x.png", "no picture");
    here
}

fn run(here: &TestDir, args: &[&str], seconds: Option<&str>) -> CommandResult {
    let mut command = here.command(args);
    command.env_remove("ATTN_FIQA_PROGRESS_SECONDS");
    if let Some(seconds) = seconds {
        command.env("ATTN_FIQA_PROGRESS_SECONDS", seconds);
    }
    CommandResult::from(command.output().expect("the program"))
}

#[test]
fn score_and_embed_report_progress_to_a_log() {
    let here = test_dir();
    let commands = [
        vec!["score", "set", "--aligned", "--output", "s.csv"],
        vec!["embed", "set", "--aligned", "--output", "e.parquet"],
    ];
    for args in commands {
        let ran = run(&here, &args, Some("0")).ended_with(1);
        let lines: Vec<&str> =
            ran.stderr.lines().filter(|line| line.starts_with("progress: ")).collect();
        assert_eq!(lines.len(), 12, "one an image: {}", ran.stderr);
        let last = lines[11];
        assert!(last.starts_with("progress: 12 of 12 images, "), "{last}");
        assert!(last.ends_with(" images/s, 1 failed"), "{last}");
        assert!(lines[5].ends_with(" s left"), "{}", lines[5]);

        // By default a short run reports no progress, and a quiet one never does.
        let ran = run(&here, &args, None).ended_with(1);
        assert!(!ran.stderr.contains("progress: "), "{}", ran.stderr);
        let ran = run(&here, &[&args[..], &["--quiet"]].concat(), Some("0")).ended_with(1);
        assert_eq!(ran.stderr, "");
    }
}
