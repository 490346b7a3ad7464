//! `attn-fiqa benchmark`: every number and figure of a study.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};

use attn_fiqa_eval::report::write_tables_and_figures;
use attn_fiqa_eval::study::results::Results;
use attn_fiqa_eval::study::summary::summaries;
use attn_fiqa_eval::study::{
    Event, Progress as Done, RunOptions as StudyOptions, StudyConfig, run as run_study,
};

use super::compare::thousandths;
use crate::args::{BenchmarkArgs, RunOptions};
use crate::exit::Exit;
use crate::log;
use crate::models::find_for_study;
use crate::output::stdout;
use crate::progress::Progress;

pub(crate) fn run(args: &BenchmarkArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    let mut config = StudyConfig::read_with(&args.study, &find_for_study)?;
    if let Some(missing) = args.missing {
        config.settings.missing = missing.into();
    }
    let output = args.output.clone().unwrap_or_else(|| beside(&args.study));
    let options =
        StudyOptions { output: output.clone(), cache: args.cache.clone(), threads: run.jobs };
    let steps = RefCell::new(Steps::new());
    let results = run_study(&config, &options, &|event| steps.borrow_mut().report(event))?;
    drop(steps);
    write_tables_and_figures(&output, &results)?;
    write_table(&results, stdout())?;
    log::info(format!(
        "wrote '{}'; `attn-fiqa report {}` makes a page of it",
        output.display(),
        output.display()
    ));
    let failed = results.qualities.iter().any(|quality| quality.failed > 0)
        || results.baselines.iter().any(|baseline| !baseline.failures.is_empty());
    Ok(if failed { Exit::SomeFailed } else { Exit::Done })
}

/// `study.run` for `study.toml`.
fn beside(study: &Path) -> PathBuf {
    study.with_extension("run")
}

/// The table used in papers, as CSV: pAUC ×1000, its mean over data sets relative to random, and
/// the rank.
fn write_table(results: &Results, to: impl Write) -> anyhow::Result<()> {
    let mut table = csv::Writer::from_writer(to);
    let datasets = results.datasets.iter().map(|dataset| dataset.name.as_str());
    let heading = ["protocol", "recogniser", "fmr", "method"].into_iter().chain(datasets);
    table.write_record(heading.chain(["relative", "rank"]))?;
    for summary in summaries(results) {
        for row in &summary.rows {
            let start = [
                summary.protocol.to_string(),
                summary.recogniser.clone(),
                summary.fmr.to_string(),
                row.method.clone(),
            ];
            let pauc = row.pauc.iter().map(|&pauc| thousandths(pauc));
            let relative = row.mean_relative.map_or(String::new(), |mean| format!("{mean:.4}"));
            let rank = row.rank.map_or(String::new(), |rank| rank.to_string());
            table.write_record(start.into_iter().chain(pauc).chain([relative, rank]))?;
        }
    }
    Ok(table.flush()?)
}

/// Reports the steps of a study.
struct Steps {
    progress: Progress,
    step: String,
}

impl Steps {
    fn new() -> Self {
        let progress = Progress::start("{msg}: {pos}/{len}, {eta} left");
        Self { progress, step: String::new() }
    }

    fn report(&mut self, event: Event) {
        match event {
            Event::Note(note) => log::note(note),
            Event::Progress(Done { step, done, total }) => {
                if step != self.step {
                    self.progress.set_total(total as u64);
                    self.progress.start_step(&step, done as u64);
                    self.step = step;
                }
                self.progress.set_done(done as u64);
                let finished = done == total;
                if finished || self.progress.is_line_due() {
                    let left = match finished {
                        true => String::new(),
                        false => format!(", {} s left", self.progress.time_left().as_secs()),
                    };
                    log::event(
                        log::Level::Info,
                        &format!("{}: {done}/{total}{left}", self.step),
                        "progress",
                        [
                            ("step", self.step.as_str().into()),
                            ("done", done.into()),
                            ("total", total.into()),
                        ],
                    );
                }
            }
        }
    }
}
