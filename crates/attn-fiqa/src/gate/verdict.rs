//! The outcome of a policy for one face.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Subject;
use crate::causes::FoundCause;
use crate::status::{Failure, Status};

/// What is done with a face image; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Use it.
    Accept,
    /// Take another one.
    Retake,
    /// Do not use it, and do not expect another attempt to help.
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

/// The limit that a value does not keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// It must be at least this.
    AtLeast(f64),
    /// It must be at most this.
    AtMost(f64),
}

/// One rule that a face does not keep.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// What the rule is about.
    pub subject: Subject,
    /// The value; `None` where there is none, which only the quality is refused for.
    pub found: Option<f64>,
    /// What it must be.
    pub limit: Limit,
    /// What this rule alone decides.
    pub decision: Decision,
    /// How far the value is from the limit: 0 is at the limit, 1 as far as it can be.
    pub cost: f64,
    /// What costs the quality most, where the rule is about the quality and its causes are known:
    /// the cause whose absence would gain the most first, at most three.
    pub causes: Vec<FoundCause>,
}

impl Reason {
    /// What to do about it, as an order to the person at the camera: the most useful first.
    pub fn advice(&self) -> Vec<&'static str> {
        if self.causes.is_empty() {
            return vec![self.subject.advice(matches!(self.limit, Limit::AtLeast(_)))];
        }
        self.causes.iter().map(|found| found.cause.advice()).collect()
    }
}

impl fmt::Display for Reason {
    /// As `quality 35, expected at least 60 (too dark, noisy)`.
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

/// A number with at most two decimals, and none that are zero.
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
    /// The worst decision of its reasons; accept without any.
    pub decision: Decision,
    /// The rules that are not kept: those that reject first, then those whose value is
    /// farthest from its limit.
    pub reasons: Vec<Reason>,
    /// Rules that could not be checked, because the face has no such value: a crop has no pose,
    /// a PNG no JPEG quality.
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

    /// For an image without a face, or one that could not be read: another photo may help where
    /// the face was not found or not usable, and nothing else does.
    pub fn of_failure(failure: Failure) -> Self {
        let decision = match failure.status {
            Status::NoFace | Status::BadLandmarks | Status::NonFinite => Decision::Retake,
            _ => Decision::Reject,
        };
        Self { decision, reasons: Vec::new(), unchecked: Vec::new(), failure: Some(failure) }
    }

    /// The reasons in words, in their order; of a failure its message.
    pub fn explanations(&self) -> Vec<String> {
        match &self.failure {
            Some(failure) => vec![failure.to_string()],
            None => self.reasons.iter().map(Reason::to_string).collect(),
        }
    }

    /// The advice for each reason, without repetitions, in their order.
    pub fn advice(&self) -> Vec<&'static str> {
        let mut advice = match self.failure.as_ref().map(|failure| failure.status) {
            None => Vec::new(),
            Some(Status::NoFace) => vec!["show the whole face, uncovered and facing the camera"],
            Some(Status::BadLandmarks | Status::NonFinite) => vec!["take another photo"],
            Some(Status::NotFound | Status::Unreadable) => {
                vec!["check the name of the file and who may read it"]
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

/// A reason in JSON; of a failure its status as `rule`, and `text`.
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
        // Not the digits that a widened f32 has.
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
