//! Rules, and how they are read.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{Decision, Evidence, Limit, Reason, Subject, Verdict};
use crate::causes::FoundCause;
use crate::score::Band;
use crate::status::{Failure, Status};

/// The range that a value must lie in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The subject whose value must lie in it.
    pub subject: Subject,
    /// A lower value means a retake.
    pub min: Option<f64>,
    /// A higher value means a retake.
    pub max: Option<f64>,
    /// A lower value is rejected.
    pub reject_below: Option<f64>,
    /// A higher value is rejected.
    pub reject_above: Option<f64>,
}

/// Rules that decide whether face images are accepted, retaken or rejected.
///
/// # Examples
///
/// ```
/// use attn_fiqa::gate::{Decision, Evidence, Policy};
///
/// let policy = Policy::from_toml("policy.toml", r#"
/// [rules]
/// quality = { min = 60, reject_below = 20 }
/// faces = { max = 1 }
/// "#)?;
/// let blurred = Evidence { quality: Some(35), faces: 1, ..Evidence::default() };
/// let verdict = policy.judge(&blurred);
/// assert_eq!(verdict.decision, Decision::Retake);
/// assert_eq!(verdict.reasons[0].to_string(), "quality 35, expected at least 60");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// One rule per subject.
    pub rules: Vec<Rule>,
}

/// Why a policy could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{file}'{}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
#[non_exhaustive]
pub struct PolicyError {
    /// The file name, or a name for the text.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong there, and what was expected.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    profile: Option<Spanned<String>>,
    #[serde(default)]
    rules: BTreeMap<Spanned<String>, Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    min: Option<toml::Value>,
    max: Option<toml::Value>,
    reject_below: Option<toml::Value>,
    reject_above: Option<toml::Value>,
}

/// The maximum number of causes that explain one refusal: a person does one thing at a time, and
/// weak causes are the least certain on a face that a strong one ruins.
const MAX_CAUSES: usize = 3;

/// The built-in policies by name.
const PROFILES: [(&str, &str); 3] = [
    ("enrol", include_str!("profiles/enrol.toml")),
    ("probe", include_str!("profiles/probe.toml")),
    ("gallery", include_str!("profiles/gallery.toml")),
];

impl Policy {
    /// The names of the built-in policies.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        PROFILES.iter().map(|&(name, _)| name)
    }

    /// A built-in policy: `enrol`, `probe` or `gallery`; `None` for other names.
    pub fn builtin(name: &str) -> Option<Self> {
        let text = Self::builtin_toml(name)?;
        Some(Self::from_toml(name, text).expect("built-in policies are right: this is a bug"))
    }

    /// The text of a built-in policy, as a starting point for your own.
    pub fn builtin_toml(name: &str) -> Option<&'static str> {
        PROFILES.iter().find(|&&(known, _)| known == name).map(|&(_, text)| text)
    }

    /// Reads a policy in TOML: a table `rules` with one table per subject, each with any of `min`,
    /// `max`, `reject_below` and `reject_above`, all numbers. For the quality, `min` and
    /// `reject_below` may also be the name of a [`Band`], which stands for its lowest quality. A
    /// preceding `profile = "enrol"` starts from the rules of a built-in policy, which rules for
    /// the same subject replace.
    ///
    /// `file` names the text in errors.
    ///
    /// # Errors
    ///
    /// Unknown keys and subjects, limits that are not finite or contradict each other, and rules
    /// without a limit, all with their line; and a policy without rules.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, PolicyError> {
        let refuse = |span: Option<Range<usize>>, message: String| PolicyError {
            file: file.to_owned(),
            line: span.map(|span| line_of(text, span.start)),
            message,
        };
        let raw: Raw = toml::from_str(text)
            .map_err(|error| refuse(error.span(), error.message().to_owned()))?;
        let mut rules = match &raw.profile {
            None => Vec::new(),
            Some(name) => match Self::builtin(name.get_ref()) {
                Some(policy) => policy.rules,
                None => {
                    let known = Self::builtin_names().collect::<Vec<_>>().join(", ");
                    let message =
                        format!("unknown profile '{}'; expected one of {known}", name.get_ref());
                    return Err(refuse(Some(name.span()), message));
                }
            },
        };
        for (name, rule) in &raw.rules {
            let subject = name.get_ref().parse::<Subject>();
            let subject = subject.map_err(|error| refuse(Some(name.span()), error.to_string()))?;
            let rule = checked(subject, rule.get_ref())
                .map_err(|message| refuse(Some(rule.span()), message))?;
            rules.retain(|other| other.subject != subject);
            rules.push(rule);
        }
        if rules.is_empty() {
            let example = "expected a table [rules], such as quality = { min = 60 }";
            return Err(refuse(None, format!("the policy has no rules; {example}")));
        }
        Ok(Self { rules })
    }

    /// The rule for a subject.
    pub fn rule(&self, subject: Subject) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.subject == subject)
    }

    /// Whether any rule is about a component measure, which
    /// [`ScoreOptions::components`](crate::pipeline::ScoreOptions::components) must then request.
    pub fn needs_components(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.subject, Subject::Component(_)))
    }

    /// The first rule about a cause, which requires the model's calibration to have causes.
    pub fn rule_about_cause(&self) -> Option<&Rule> {
        self.rules.iter().find(|rule| matches!(rule.subject, Subject::Cause(_)))
    }

    /// Applies every rule.
    pub fn judge(&self, evidence: &Evidence) -> Verdict {
        let causes = || {
            let mut found = evidence.causes.as_ref().map_or(Vec::new(), |all| all.found.clone());
            found.sort_by(|a: &FoundCause, b| b.gain.total_cmp(&a.gain));
            found.truncate(MAX_CAUSES);
            found
        };
        let (mut reasons, mut unchecked) = (Vec::new(), Vec::new());
        for rule in &self.rules {
            match rule.subject.value(evidence) {
                Some(value) => reasons.extend(rule.broken_by(value).map(|reason| {
                    let explained = rule.subject == Subject::Quality;
                    Reason { causes: if explained { causes() } else { Vec::new() }, ..reason }
                })),
                // A missing quality fails the rule; other values may be missing for good reasons.
                None if rule.subject == Subject::Quality => reasons.extend(rule.unmet()),
                None => unchecked.push(rule.subject),
            }
        }
        Verdict::new(reasons, unchecked)
    }

    /// The verdict for an image without a face, or one that could not be read: another photo may
    /// help only if the face was not found or not usable. A policy none of whose rules asks for
    /// another photo rejects.
    pub fn judge_failure(&self, failure: Failure) -> Verdict {
        let may_help =
            matches!(failure.status, Status::NoFace | Status::BadLandmarks | Status::NonFinite);
        let mut limits = self.rules.iter().flat_map(Rule::limits);
        let asks = limits.any(|(_, decision)| decision == Decision::Retake);
        let decision = if may_help && asks { Decision::Retake } else { Decision::Reject };
        Verdict::of_failure(failure, decision)
    }
}

impl Default for Policy {
    /// The built-in policy `enrol`.
    fn default() -> Self {
        Self::builtin("enrol").expect("a built-in policy: this is a bug")
    }
}

impl Rule {
    /// A rule without limits.
    pub fn new(subject: Subject) -> Self {
        Self { subject, min: None, max: None, reject_below: None, reject_above: None }
    }

    /// The limits, rejecting ones first.
    fn limits(&self) -> impl Iterator<Item = (Limit, Decision)> {
        [
            (self.reject_below.map(Limit::AtLeast), Decision::Reject),
            (self.reject_above.map(Limit::AtMost), Decision::Reject),
            (self.min.map(Limit::AtLeast), Decision::Retake),
            (self.max.map(Limit::AtMost), Decision::Retake),
        ]
        .into_iter()
        .filter_map(|(limit, decision)| Some((limit?, decision)))
    }

    fn broken_by(&self, value: f64) -> Option<Reason> {
        let broken = |limit: Limit| match limit {
            Limit::AtLeast(limit) => value < limit,
            Limit::AtMost(limit) => value > limit,
        };
        let (limit, decision) = self.limits().find(|&(limit, _)| broken(limit))?;
        // Users want to know what would be accepted, not what just escapes rejection.
        let limit = match limit {
            Limit::AtLeast(limit) => Limit::AtLeast(self.min.unwrap_or(limit)),
            Limit::AtMost(limit) => Limit::AtMost(self.max.unwrap_or(limit)),
        };
        let cost = self.cost(value, limit);
        Some(Reason {
            subject: self.subject,
            found: Some(value),
            limit,
            decision,
            cost,
            causes: Vec::new(),
        })
    }

    fn unmet(&self) -> Option<Reason> {
        let (limit, decision) = self.limits().next()?;
        Some(Reason {
            subject: self.subject,
            found: None,
            limit,
            decision,
            cost: 1.0,
            causes: Vec::new(),
        })
    }

    /// From 0 at the limit to 1 where the value is as far from it as possible.
    fn cost(&self, value: f64, limit: Limit) -> f64 {
        let part = match limit {
            Limit::AtLeast(limit) => (limit - value) / self.subject.largest().unwrap_or(limit),
            Limit::AtMost(limit) => {
                // Without a maximum, twice the limit counts as the farthest value.
                (value - limit) / self.subject.largest().unwrap_or(limit.max(1.0))
            }
        };
        part.clamp(0.0, 1.0)
    }
}

fn checked(subject: Subject, raw: &RawRule) -> Result<Rule, String> {
    let number = |name: &str, value: &Option<toml::Value>| match value {
        None => Ok(None),
        Some(value) => limit_of(subject, name, value).map(Some),
    };
    let min = number("min", &raw.min)?;
    let max = number("max", &raw.max)?;
    let reject_below = number("reject_below", &raw.reject_below)?;
    let reject_above = number("reject_above", &raw.reject_above)?;
    let rule = Rule { subject, min, max, reject_below, reject_above };
    let named = [
        ("min", min),
        ("max", max),
        ("reject_below", reject_below),
        ("reject_above", reject_above),
    ];
    if named.iter().all(|(_, limit)| limit.is_none()) {
        return Err(format!(
            "the rule '{subject}' has no limit; expected any of min, max, reject_below and \
             reject_above"
        ));
    }
    let largest = subject.largest().unwrap_or(f64::MAX);
    for (name, limit) in named {
        if let Some(limit) = limit.filter(|limit| !(0.0..=largest).contains(limit)) {
            let range = match subject.largest() {
                Some(largest) => format!("from 0 to {largest}"),
                None => "of 0 or more".to_owned(),
            };
            return Err(format!("{name} of '{subject}' is {limit}; expected a number {range}"));
        }
    }
    let ordered = [
        ("reject_below", reject_below),
        ("min", min),
        ("max", max),
        ("reject_above", reject_above),
    ];
    let present: Vec<(&str, f64)> =
        ordered.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect();
    for pair in present.windows(2) {
        let [(low_name, low), (high_name, high)] = [pair[0], pair[1]];
        if low > high {
            return Err(format!(
                "{low_name} of '{subject}' is {low} and {high_name} is {high}; expected them in \
                 the order reject_below ≤ min ≤ max ≤ reject_above"
            ));
        }
    }
    Ok(rule)
}

/// A number, or the lowest quality of a band.
fn limit_of(subject: Subject, name: &str, value: &toml::Value) -> Result<f64, String> {
    let takes_bands = subject == Subject::Quality && matches!(name, "min" | "reject_below");
    let band = |text: &str| Band::ALL.into_iter().find(|band| band.name() == text);
    match value {
        toml::Value::Integer(value) => Ok(*value as f64),
        toml::Value::Float(value) => Ok(*value),
        toml::Value::String(text) if takes_bands => {
            let names = || Band::ALL.map(Band::name).join(", ");
            band(text).map(|band| f64::from(band.lowest())).ok_or_else(|| {
                format!(
                    "{name} of '{subject}' is \"{text}\"; expected a number or one of {}",
                    names()
                )
            })
        }
        other => Err(format!("{name} of '{subject}' is {other}; expected a number")),
    }
}

/// Line number, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
