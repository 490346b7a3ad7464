//! `attn-fiqa edc`: how errors fall as comparisons of low quality are discarded.

mod differences;
mod groups;
mod json;
mod measure;
mod tables;

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use attn_fiqa_eval::comparisons::pair_qualities;
use attn_fiqa_eval::edc::{Evaluator, Protocol, Ranking, Target};

use super::compare::{Compared, Source, Tables, bootstrap};
use crate::args::EdcArgs;
use crate::exit::Exit;
use crate::log;
use differences::differences;
use measure::Measurement;

pub(crate) fn run(args: &EdcArgs) -> anyhow::Result<Exit> {
    let targets = args.targets.targets();
    if args.protocol.contains(&Protocol::Crfiqa)
        && !targets.iter().all(|target| matches!(target, Target::Fmr(_)))
    {
        bail!(
            "--protocol crfiqa recomputes its threshold at each point and takes only --fmr; \
             --start-fnmr and --threshold are for --protocol iso,nist"
        );
    }
    for protocol in &args.protocol {
        protocol.check_max_discard(args.max_discard).context("--max-discard")?;
    }
    let sources = args.quality.iter().map(|text| Source::parse_all(text));
    let sources: Vec<Source> = sources.collect::<anyhow::Result<Vec<_>>>()?.concat();
    let mut names = BTreeSet::from(["random", "theoretical-best"]);
    if let Some(twice) = sources.iter().find(|source| !names.insert(&source.name)) {
        bail!("two rows would be called '{}'; name one with NAME=FILE", twice.name);
    }
    let group_source = args.groups.as_deref().map(Source::parse);
    let joined = Tables {
        qualities: &sources,
        failed_lowest: args.failed_lowest,
        identities: Some(&args.bootstrap),
        groups: group_source.as_ref(),
    };
    let compared = Compared::read(&args.comparisons, &joined)?;
    let evaluator = Evaluator::new(&compared.comparisons);
    let measurement = Measurement {
        evaluator: &evaluator,
        targets: &targets,
        max_discard: args.max_discard,
        orders: args.orders.get(),
        seed: args.bootstrap.seed,
        bootstrap: bootstrap(&args.bootstrap, compared.identities.as_deref(), args.max_discard),
    };
    let mut measured = Vec::new();
    for (source, qualities) in sources.iter().zip(&compared.qualities) {
        let ranking = Ranking::new(&pair_qualities(qualities, &compared.list.pairs)?)?;
        for &protocol in &args.protocol {
            measured.extend(measurement.quality(&source.name, &ranking, protocol)?);
        }
    }
    for &protocol in &args.protocol {
        measured.extend(measurement.baselines(protocol)?);
    }

    let table = tables::pauc(&measured);
    table.print()?;
    let differences = differences(&sources, &measured, args.bootstrap.confidence_level);
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        table.save(&folder.join("pauc.csv"))?;
        differences::table(&differences).save(&folder.join("differences.csv"))?;
        tables::curves(&measured).save(&folder.join("curves.csv"))?;
        tables::correlations(&sources, &compared.qualities)
            .save(&folder.join("correlations.csv"))?;
        let groups = groups::measure(&evaluator, &compared, &sources, args)?;
        if let Some(groups) = &groups {
            groups::table(groups).save(&folder.join("groups.csv"))?;
        }
        json::save(&measured, &differences, groups.as_deref(), args, &folder.join("edc.json"))?;
    }
    differences.iter().for_each(|difference| log::info(difference.to_string()));
    let warnings = measured.iter().flat_map(|each| &each.curve.warnings).map(ToString::to_string);
    warnings.collect::<BTreeSet<String>>().iter().for_each(log::warning);
    Ok(Exit::Done)
}
