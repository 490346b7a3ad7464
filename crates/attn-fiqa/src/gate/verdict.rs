//! The outcome of a policy for one face.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Subject;
use crate::causes::FoundCause;
use crate::status::{Failure, Status};

/// What to do with a face image, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Use it.
    Accept,
    /// Take another one.
    Retake,
    /// Do not use it; another attempt is not expected to help.
    Reject,
}

impl Decision {
    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Retake => "retake",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The limit that a value violates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// It must be at least this.
    AtLeast(f64),
    /// It must be at most this.
    AtMost(f64),
}

/// One rule that a face violates.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// What the rule is about.
    pub subject: Subject,
    /// The value; `None` if there is none, which is a reason to refuse only for the quality.
    pub found: Option<f64>,
    /// The limit that it must satisfy.
    pub limit: Limit,
    /// The decision of this rule alone.
    pub decision: Decision,
    /// How far the value is from the limit: 0 is at the limit, 1 as far as possible.
    pub cost: f64,
    /// If the rule is about the quality and its causes are known, the causes, at most three, those
    /// whose absence would gain the most first.
    pub causes: Vec<FoundCause>,
}

impl Reason {
    /// What to do about it, as instructions to the person at the camera, the most useful first.
    pub fn advice(&self) -> Vec<&'static str> {
        if self.causes.is_empty() {
            return vec![self.subject.advice(matches!(self.limit, Limit::AtLeast(_)))];
        }
        self.causes.iter().map(|found| found.cause.advice()).collect()
    }
}

impl fmt::Display for Reason {
    /// Formats as `quality 35, expected at least 60 (too dark, noisy)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(found) => write!(f, "{} {}, ", self.subject, Short(found))?,
            None => write!(f, "{} could not be computed, ", self.subject)?,
        }
        match self.limit {
            Limit::AtLeast(limit) => write!(f, "expected at least {}", Short(limit))?,
            Limit::AtMost(limit) => write!(f, "expected at most {}", Short(limit))?,
        }
        if self.causes.is_empty() {
            return Ok(());
        }
        let causes: Vec<_> = self.causes.iter().map(|found| found.cause.description()).collect();
        write!(f, " ({})", causes.join(", "))
    }
}

/// A number with at most two decimals, without trailing zeros.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0)
    }
}

/// The outcome of a policy for one face.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The worst decision of the reasons; accept if there are none.
    pub decision: Decision,
    /// The violated rules: rejecting ones first, then by how far the value is from its limit,
    /// farthest first.
    pub reasons: Vec<Reason>,
    /// Rules that could not be checked because the face has no such value: a crop has no pose, a
    /// PNG no JPEG quality.
    pub unchecked: Vec<Subject>,
    /// Why there was no face to judge.
    pub failure: Option<Failure>,
}

impl Verdict {
    pub(super) fn new(mut reasons: Vec<Reason>, unchecked: Vec<Subject>) -> Self {
        reasons.sort_by(|a, b| b.decision.cmp(&a.decision).then(b.cost.total_cmp(&a.cost)));
        let decision = reasons.first().map_or(Decision::Accept, |reason| reason.decision);
        Self { decision, reasons, unchecked, failure: None }
    }

    pub(super) fn of_failure(failure: Failure, decision: Decision) -> Self {
        Self { decision, reasons: Vec::new(), unchecked: Vec::new(), failure: Some(failure) }
    }

    /// The reasons in words, in the same order; for a failure, its message.
    pub fn explanations(&self) -> Vec<String> {
        match &self.failure {
            Some(failure) => vec![failure.to_string()],
            None => self.reasons.iter().map(Reason::to_string).collect(),
        }
    }

    /// The advice for each reason, in the same order, without duplicates.
    pub fn advice(&self) -> Vec<&'static str> {
        let mut advice = match self.failure.as_ref().map(|failure| failure.status) {
            None => Vec::new(),
            Some(Status::NoFace) => vec!["show the whole face, uncovered and facing the camera"],
            Some(Status::BadLandmarks | Status::NonFinite) => vec!["take another photo"],
            Some(Status::NotFound | Status::Unreadable) => {
                vec!["check the file name and its permissions"]
            }
            Some(Status::TooLarge) => vec!["send a smaller image"],
            Some(_) => vec!["send the image as a whole JPEG or PNG file"],
        };
        for each in self.reasons.iter().flat_map(Reason::advice) {
            if !advice.contains(&each) {
                advice.push(each);
            }
        }
        advice
    }
}

/// A verdict in JSON: `decision`, `reasons`, `advice`, `unchecked`.
#[derive(Serialize)]
struct VerdictRecord {
    decision: &'static str,
    reasons: Vec<ReasonRecord>,
    advice: Vec<&'static str>,
    unchecked: Vec<&'static str>,
}

/// A reason in JSON; for a failure, `rule` is its status and `text` its message.
#[derive(Serialize)]
struct ReasonRecord {
    rule: &'static str,
    found: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    decision: &'static str,
    causes: Vec<&'static str>,
    text: String,
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reasons = match &self.failure {
            Some(failure) => vec![ReasonRecord {
                rule: failure.status.name(),
                found: None,
                min: None,
                max: None,
                decision: self.decision.name(),
                causes: Vec::new(),
                text: failure.to_string(),
            }],
            None => self.reasons.iter().map(ReasonRecord::new).collect(),
        };
        let record = VerdictRecord {
            decision: self.decision.name(),
            reasons,
            advice: self.advice(),
            unchecked: self.unchecked.iter().map(|subject| subject.name()).collect(),
        };
        record.serialize(serializer)
    }
}

impl ReasonRecord {
    fn new(reason: &Reason) -> Self {
        let (min, max) = match reason.limit {
            Limit::AtLeast(limit) => (Some(limit), None),
            Limit::AtMost(limit) => (None, Some(limit)),
        };
        // Drops the extra digits of a widened f32.
        let short = |value: f64| (value * 1e4).round() / 1e4;
        Self {
            rule: reason.subject.name(),
            found: reason.found.map(short),
            min,
            max,
            decision: reason.decision.name(),
            causes: reason.causes.iter().map(|found| found.cause.name()).collect(),
            text: reason.to_string(),
        }
    }
}
