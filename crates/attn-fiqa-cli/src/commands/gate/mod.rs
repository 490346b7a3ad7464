//! `attn-fiqa gate`: which faces are accepted, and why the others are not.

mod page;
mod rows;

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use attn_fiqa::engine::Request;
use attn_fiqa::gate::{Decision, Evidence, Policy, Subject};
use attn_fiqa::pipeline::{Row, ScoreOptions};
use attn_fiqa::score::QualityMap;

use super::session::Session;
use crate::args::{GateArgs, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::journal::Images;
use crate::log;
use crate::output::stdout;
use page::Page;
use rows::{GateResult, Rows};

pub(crate) fn run(args: &GateArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    if let Some(name) = &args.print_policy {
        return print_policy(name);
    }
    args.input.refuse_as_output(args.output.as_deref())?;
    args.input.refuse_as_output(args.html.as_deref())?;
    let policy_name = args.policy.as_deref().unwrap_or_default();
    let policy = read_policy(policy_name)?;
    let session = Session::open(&args.model, run, &[], false)?;
    let map = session.engine.quality_map();
    if map.is_none() && policy.rule(Subject::Quality).is_some() {
        anyhow::bail!(
            "the policy has a rule for the quality, but the model has no quality calibration; \
             `attn-fiqa calibrate` adds one"
        );
    }
    let method = map.map_or_else(|| session.engine.default_method(), QualityMap::method);
    let causes = session.engine.cause_model().is_some();
    if let Some(rule) = policy.rule_about_cause().filter(|_| !causes) {
        anyhow::bail!(
            "the policy has a rule for '{}', but the model's calibration has no causes; `attn-fiqa \
             calibrate` fits them",
            rule.subject
        );
    }
    let request = Request { received: args.html.is_some(), causes, ..Request::new(method) };
    let components = policy.needs_components();
    let options = ScoreOptions { components, best_only: args.best.best, ..request.into() };
    let pipeline = session.pipeline(session.faces(&args.input, &args.faces)?, options)?;

    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let mut rows = Rows::open(args.format, args.output.as_deref())?;
    let limit = args.html_faces.into();
    let mut page = args.html.as_deref().map(|file| Page::create(file, limit)).transpose()?;
    let mut counts = [0_u64; 3];
    let summary = session.run(Images::all(sources), &pipeline, &args.input, run, |row, _| {
        let judged = judge(&policy, row, map);
        counts[judged.verdict.decision as usize] += 1;
        if let Some(page) = &mut page {
            page.add(&judged)?;
        }
        rows.write(&judged)
    })?;
    rows.finish()?;
    if let Some(page) = page {
        page.finish(policy_name, counts)?;
    }
    summary.finish();
    let [accepted, retake, rejected] = counts;
    log::info(format!("{accepted} accepted, {retake} to be retaken, {rejected} rejected"));
    Ok(if retake + rejected == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn judge(policy: &Policy, row: Row, map: Option<&QualityMap>) -> GateResult {
    let (quality, verdict) = match &row.outcome {
        Err(failure) => (None, policy.judge_failure(failure.clone())),
        Ok(assessment) => {
            let (face, components) = (row.face, row.components.clone());
            let evidence = Evidence::new(assessment, map, face, components, row.faces_found);
            (evidence.quality, policy.judge(&evidence))
        }
    };
    GateResult { row, quality, verdict }
}

/// A built-in policy by name, or one read from a file.
pub(super) fn read_policy(name: &str) -> anyhow::Result<Policy> {
    if let Some(policy) = Policy::builtin(name) {
        return Ok(policy);
    }
    let path = Path::new(name);
    let known = || Policy::builtin_names().collect::<Vec<_>>().join(", ");
    if !name.contains(['.', '/', '\\']) && !path.exists() {
        anyhow::bail!("there is no policy '{name}'; expected one of {} or a .toml file", known());
    }
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("the policy '{name}' cannot be read (built-in ones are {})", known())
    })?;
    Ok(Policy::from_toml(name, &text)?)
}

fn print_policy(name: &str) -> anyhow::Result<Exit> {
    let Some(text) = Policy::builtin_toml(name) else {
        let known = Policy::builtin_names().collect::<Vec<_>>().join(", ");
        anyhow::bail!("--print-policy prints a built-in policy: one of {known}, not '{name}'");
    };
    stdout().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Whether a face is on the page.
fn is_refused(judged: &GateResult) -> bool {
    judged.verdict.decision != Decision::Accept
}
