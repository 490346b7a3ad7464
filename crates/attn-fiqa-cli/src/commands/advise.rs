//! `attn-fiqa advise`: what a quality threshold achieves.

use std::io::Write;

use anyhow::bail;
use attn_fiqa_eval::edc::{Evaluator, Interval, PAUC_LIMIT};
use attn_fiqa_eval::rejection::{Advice, Reject, advise};

use super::compare::{Compared, Source, Tables, bootstrap, cell};
use super::verify::whole_qualities;
use crate::args::AdviseArgs;
use crate::exit::Exit;
use crate::log;
use crate::output::{NewFile, PlainTable};

pub(crate) fn run(args: &AdviseArgs) -> anyhow::Result<Exit> {
    let tables = Tables {
        qualities: &[Source::parse(&args.quality)],
        failed_lowest: args.failed_lowest,
        identities: Some(&args.bootstrap),
        groups: None,
    };
    let compared = Compared::read(&args.comparisons, &tables)?;
    let qualities = &compared.qualities[0];
    let bootstrap = bootstrap(&args.bootstrap, compared.identities.as_deref(), PAUC_LIMIT);
    let evaluator = Evaluator::new(&compared.comparisons);
    let rejects: Vec<Reject> = match args.below.as_slice() {
        [] => args.reject.iter().copied().map(Reject::Fraction).collect(),
        below => below.iter().copied().map(Reject::Below).collect(),
    };
    let mut policy = match &args.write_policy {
        Some(file) => {
            let &[reject] = rejects.as_slice() else {
                bail!(
                    "--write-policy holds one threshold, and {} were asked for; give --reject or \
                     --below one value",
                    rejects.len()
                );
            };
            whole_qualities(&tables.qualities[0], qualities)?;
            check_limit(reject, reject.threshold(qualities)?)?;
            Some(NewFile::create(file)?)
        }
        None => None,
    };
    let mut table = PlainTable::new(&[
        "reject_below",
        "images",
        "rejected",
        "rejected_share",
        "mated_left",
        "non_mated_left",
        "target",
        "fmr_before",
        "fnmr_before",
        "fnmr_before_low",
        "fnmr_before_high",
        "fmr_after",
        "fnmr_after",
        "fnmr_after_low",
        "fnmr_after_high",
        "gain_low",
        "gain_high",
        "fnmr_after_at_old_threshold",
    ]);
    let mut sentences = Vec::new();
    for reject in rejects {
        let advice = advise(
            &evaluator,
            &compared.list.pairs,
            qualities,
            reject,
            args.target(),
            bootstrap.as_ref(),
        )?;
        table.push(row(&advice));
        if let Some(mut file) = policy.take() {
            file.write_all(policy_text(&advice).as_bytes())?;
            file.finish()?;
        }
        sentences.push(advice);
    }
    table.print()?;
    sentences.iter().for_each(|advice| log::info(advice.to_string()));
    if sentences.iter().any(|advice| advice.unresolved) {
        log::warning(format!(
            "{} is less than one false match among the non-mated comparisons; these figures are \
             not reliable",
            args.target()
        ));
    }
    Ok(Exit::Done)
}

/// Whether a policy can hold this limit.
fn check_limit(reject: Reject, reject_below: f64) -> anyhow::Result<()> {
    if (0.0..=100.0).contains(&reject_below) {
        return Ok(());
    }
    let (why, advice) = match reject {
        Reject::Below(_) => ("", "give --below a quality from 0 to 100"),
        _ if reject_below < 0.0 => {
            (": the images without a quality already reach the fraction", "give a larger --reject")
        }
        _ => (": every image is rejected", "give a smaller --reject"),
    };
    bail!(
        "--write-policy needs a limit from 0 to 100, but the advice is to reject below \
         {reject_below}{why}; {advice}"
    )
}

/// A policy with the advised rule and its effect.
fn policy_text(advice: &Advice) -> String {
    format!(
        "# By attn-fiqa advise: {advice}.\n\n[rules]\nquality = {{ min = {} }}\n",
        advice.reject_below
    )
}

fn row(advice: &Advice) -> Vec<String> {
    let low = |interval: &Option<Interval>| cell(interval.as_ref().map(|interval| interval.low));
    let high = |interval: &Option<Interval>| cell(interval.as_ref().map(|interval| interval.high));
    vec![
        advice.reject_below.to_string(),
        advice.images.to_string(),
        advice.rejected.to_string(),
        (advice.rejected as f64 / advice.images as f64).to_string(),
        advice.retained[0].to_string(),
        advice.retained[1].to_string(),
        advice.target.to_string(),
        advice.before[0].to_string(),
        advice.before[1].to_string(),
        low(&advice.before_interval),
        high(&advice.before_interval),
        cell(advice.after.map(|after| after[0])),
        cell(advice.after.map(|after| after[1])),
        low(&advice.after_interval),
        high(&advice.after_interval),
        low(&advice.gain_interval),
        high(&advice.gain_interval),
        cell(advice.after_at_fixed_threshold),
    ]
}
