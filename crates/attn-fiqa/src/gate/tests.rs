use proptest::prelude::*;

use super::*;
use crate::align::{Landmarks, TEMPLATE_112};
use crate::causes::{Cause, Causes, FoundCause};
use crate::components::Component;
use crate::face::FaceInfo;
use crate::status::{Failure, Status};

fn read(text: &str) -> Result<Policy, PolicyError> {
    Policy::from_toml("p.toml", text)
}

/// A face of the size of the template.
fn evidence(quality: Option<i8>, faces: usize) -> Evidence {
    let landmarks = Landmarks(TEMPLATE_112.map(|point| point.map(|value| value as f32)));
    let face = Some(FaceInfo::with_landmarks(0, landmarks));
    Evidence { quality, faces, face, ..Evidence::default() }
}

#[test]
fn subject_names_round_trip() {
    for subject in Subject::all() {
        assert_eq!(subject.name().parse(), Ok(subject));
    }
}

#[test]
fn builtin_policies_are_read_and_differ() {
    let policies: Vec<Policy> = Policy::builtin_names().filter_map(Policy::builtin).collect();
    assert_eq!(policies.len(), 3);
    assert!(policies[0] != policies[1] && policies[1] != policies[2] && policies[0] != policies[2]);
    assert_eq!(Policy::builtin("nothing"), None);
}

#[test]
fn the_worst_reason_decides_and_comes_first() {
    let policy = read(
        "[rules]\nquality = { min = 60, reject_below = 30 }\nfaces = { max = 1 }\n\
         inter_eye_distance = { min = 40 }\n",
    )
    .expect("a policy");
    let verdict = policy.judge(&evidence(Some(80), 1));
    assert_eq!(verdict.decision, Decision::Retake);
    assert_eq!(verdict.reasons[0].to_string(), "inter_eye_distance 35.24, expected at least 40");
    let verdict = policy.judge(&evidence(Some(20), 3));
    assert_eq!(verdict.decision, Decision::Reject);
    let subjects: Vec<Subject> = verdict.reasons.iter().map(|reason| reason.subject).collect();
    assert_eq!(subjects, [Subject::Quality, Subject::Faces, Subject::InterEyeDistance]);
    // What would be accepted, not what just escapes rejection.
    assert_eq!(verdict.reasons[0].to_string(), "quality 20, expected at least 60");
    assert_eq!(verdict.advice().len(), 3);
}

#[test]
fn limits_are_inclusive() {
    let policy = read("[rules]\nquality = { min = 60, max = 90 }").expect("a policy");
    for (quality, decision) in [
        (60, Decision::Accept),
        (90, Decision::Accept),
        (59, Decision::Retake),
        (91, Decision::Retake),
    ] {
        assert_eq!(policy.judge(&evidence(Some(quality), 1)).decision, decision, "{quality}");
    }
}

#[test]
fn failures_are_retaken_only_under_policies_that_ask_for_it() {
    let judged = |name, status| {
        let policy = Policy::builtin(name).expect("built in");
        policy.judge_failure(Failure::new(status, "why")).decision
    };
    for (name, decision) in
        [("enrol", Decision::Retake), ("probe", Decision::Retake), ("gallery", Decision::Reject)]
    {
        assert_eq!(judged(name, Status::NoFace), decision, "{name}");
        assert_eq!(judged(name, Status::Unreadable), Decision::Reject, "{name}");
    }
}

#[test]
fn missing_quality_means_retake_and_gaps_are_reported() {
    let policy =
        read("[rules]\nquality = { min = 1 }\njpeg_quality = { min = 50 }").expect("a policy");
    for quality in [None, Some(-1)] {
        let verdict = policy.judge(&evidence(quality, 1));
        assert_eq!(verdict.decision, Decision::Retake);
        let text = verdict.reasons[0].to_string();
        assert_eq!(text, "quality could not be computed, expected at least 1");
        assert_eq!(verdict.unchecked, [Subject::Component(Component::JpegQuality)]);
    }
}

#[test]
fn profile_rules_can_be_overridden() {
    let policy = read("profile = \"enrol\"\n[rules]\nquality = { min = 70 }").expect("a policy");
    let enrol = Policy::builtin("enrol").expect("built in");
    assert_eq!(policy.rules.len(), enrol.rules.len());
    assert_eq!(policy.rule(Subject::Quality).and_then(|rule| rule.min), Some(70.0));
    assert_eq!(policy.rule(Subject::Faces), enrol.rule(Subject::Faces));
}

#[test]
fn causes_explain_a_refusal_for_the_quality() {
    let found = |cause, strength, gain| FoundCause { cause, strength, gain };
    let list = vec![found(Cause::Noise, 0.6, 5.0), found(Cause::TooDark, 0.4, 30.0)];
    let causes = Causes { found: list, ..Causes::default() };
    let face = Evidence { causes: Some(causes), ..evidence(Some(30), 1) };
    let policy = read("[rules]\nquality = { min = 60 }\nblur = { max = 0.2 }").expect("a policy");
    let verdict = policy.judge(&face);
    let explanations = verdict.explanations();
    assert_eq!(explanations, ["quality 30, expected at least 60 (too dark, noisy)"]);
    assert_eq!(verdict.advice(), [Cause::TooDark.advice(), Cause::Noise.advice()]);
    // A rule about a cause.
    let policy = read("[rules]\nnoise = { max = 0.5 }").expect("a policy");
    let verdict = policy.judge(&face);
    assert_eq!(verdict.explanations(), ["noise 0.6, expected at most 0.5"]);
    assert_eq!(policy.judge(&evidence(Some(30), 1)).unchecked, [Subject::Cause(Cause::Noise)]);
}

#[test]
fn bands_stand_for_their_lowest_quality() {
    let policy = read("[rules]\nquality = { min = \"good\", reject_below = \"poor\" }");
    let rule = *policy.expect("a policy").rule(Subject::Quality).expect("a rule");
    assert_eq!((rule.min, rule.reject_below), (Some(60.0), Some(20.0)));
}

#[test]
fn invalid_policies_are_rejected_with_line_number() {
    for (text, line, part) in [
        ("", None, "no rules"),
        ("[rules]\n", None, "quality = { min = 60 }"),
        ("\nprofile = \"enroll\"", Some(2), "expected one of enrol, probe, gallery"),
        ("[rules]\nfaces = { max = 1 }\nqality = { min = 3 }", Some(3), "unknown rule 'qality'"),
        ("[rules]\nquality = { minimum = 3 }", Some(2), "minimum"),
        ("[rules]\nquality = { min = \"high\" }", Some(2), "one of unusable, poor, fair"),
        ("[rules]\nquality = { max = \"fair\" }", Some(2), "expected a number"),
        ("[rules]\nfaces = { max = \"one\" }", Some(2), "expected a number"),
        ("[rules]\nquality = 60", Some(2), "60"),
        ("[rules]\nquality = {}", Some(2), "no limit"),
        ("[rules]\nquality = { min = 101 }", Some(2), "from 0 to 100"),
        ("[rules]\nquality = { min = nan }", Some(2), "from 0 to 100"),
        ("[rules]\nfaces = { min = -1 }", Some(2), "0 or more"),
        ("[rules]\nquality = { min = 60, max = 50 }", Some(2), "in the order"),
        ("[rules]\nquality = { min = 20, reject_below = 30 }", Some(2), "in the order"),
        ("[rules]\nquality = { min = 20 }\nquality = { min = 30 }", Some(3), "duplicate"),
        ("rules = 3", Some(1), "3"),
        ("[rules\n", Some(1), ""),
    ] {
        let error = read(text).expect_err(text);
        assert_eq!(error.line, line, "{text}: {error}");
        let shown = error.to_string();
        assert!(shown.starts_with("'p.toml'") && shown.contains(part), "{text}: {shown}");
    }
}

proptest! {
    #[test]
    fn decision_is_monotone_in_quality(low in 0_i8..=100, more in 0_i8..=100, min in 0_u8..=100) {
        let policy = read(&format!("[rules]\nquality = {{ min = {min} }}")).expect("a policy");
        let high = low.saturating_add(more).min(100);
        let decision = |quality| policy.judge(&evidence(Some(quality), 1)).decision;
        prop_assert!(decision(high) <= decision(low));
    }

    #[test]
    fn parsing_arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = read(&text);
    }
}
