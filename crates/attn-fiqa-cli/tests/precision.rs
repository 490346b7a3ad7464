//! Precisions and instruction sets: close to f32, named when asked, refused when unknown.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod support;

use support::Workplace;

const FACES: [&str; 6] = [
    "astronaut.png",
    "blur-3.png",
    "dark-4.png",
    "noise-2.png",
    "occlude-5.png",
    "downsample-5.png",
];

fn scores(here: &Workplace, precision: &str) -> Vec<f32> {
    let args = [&["score"], &FACES[..], &["--precision", precision]].concat();
    here.run(&args).ended_with(0).table().numbers("score")
}

#[test]
fn coarser_precisions_move_scores_by_little() {
    let here = Workplace::with_faces(&FACES);
    let exact = scores(&here, "f32");
    let spread = exact.iter().copied().fold(f32::MIN, f32::max)
        - exact.iter().copied().fold(f32::MAX, f32::min);
    for (precision, share) in [("bf16", 0.05), ("int8", 0.15)] {
        let found = scores(&here, precision);
        assert_ne!(found, exact, "{precision} was not used");
        for (found, exact) in found.iter().zip(&exact) {
            assert!((found - exact).abs() < share * spread, "{precision}: {found}, not {exact}");
        }
    }
}

#[test]
fn an_instruction_set_can_be_forced_and_is_named() {
    let here = Workplace::with_faces(&FACES[..1]);
    let run = |isa: Option<&str>| {
        let mut command = here.command(&["score", FACES[0], "--verbose", "--precision", "int8"]);
        command.env_remove("ATTN_FIQA_ISA");
        if let Some(isa) = isa {
            command.env("ATTN_FIQA_ISA", isa);
        }
        command.output().unwrap()
    };
    let said = |isa: Option<&str>| String::from_utf8(run(isa).stderr).unwrap();
    assert!(said(Some("baseline")).contains("int8 on baseline"), "{}", said(Some("baseline")));
    assert!(said(None).contains("int8 on "));
    let refused = run(Some("mmx"));
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(
        message.contains("ATTN_FIQA_ISA is 'mmx'") && message.contains("it has baseline"),
        "{message}"
    );
}

#[test]
fn auto_says_what_it_chose_and_keeps_its_bound() {
    let here = Workplace::with_faces(&FACES);
    let exact = scores(&here, "f32");
    let spread = exact.iter().copied().fold(f32::MIN, f32::max)
        - exact.iter().copied().fold(f32::MAX, f32::min);
    for (found, exact) in scores(&here, "auto").iter().zip(&exact) {
        assert!((found - exact).abs() <= 0.02 * spread, "{found}, not {exact}");
    }
    let said = |isa: &str| {
        let mut command = here.command(&["score", FACES[0], "--verbose", "--precision", "auto"]);
        let output = command.env("ATTN_FIQA_ISA", isa).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    // Nothing is faster than f32 there.
    let said = said("baseline");
    assert!(said.contains("f32 (auto: no faster precision of this machine"), "{said}");
}

#[test]
fn an_unknown_precision_is_refused() {
    let here = Workplace::with_faces(&FACES[..1]);
    here.run(&["score", FACES[0], "--precision", "fp8"])
        .ended_with(2)
        .refused_with("expected auto, f32, bf16, int8");
}
