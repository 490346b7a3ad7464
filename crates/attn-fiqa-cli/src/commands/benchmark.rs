//! `attn-fiqa benchmark`: every number and figure of a study by one description.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use attn_fiqa_eval::report::write_tables_and_figures;
use attn_fiqa_eval::study::results::Results;
use attn_fiqa_eval::study::summary::summaries;
use attn_fiqa_eval::study::{Event, Progress, RunOptions, StudyConfig, run as run_study};

use crate::args::BenchmarkArgs;
use crate::exit::Exit;
use crate::report::say;

/// How often progress is told where standard error is a file.
const SELDOM: Duration = Duration::from_secs(30);
/// How often on a terminal.
const OFTEN: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &BenchmarkArgs) -> anyhow::Result<Exit> {
    let mut config = StudyConfig::read(&args.config)?;
    if let Some(missing) = args.missing {
        config.settings.missing = missing.into();
    }
    let output = args.output.clone().unwrap_or_else(|| beside(&args.config));
    if let Some(jobs) = args.jobs {
        // Curves are drawn on the global pool, networks on their own.
        rayon::ThreadPoolBuilder::new().num_threads(jobs.get()).build_global()?;
    }
    let options =
        RunOptions { output: output.clone(), cache: args.cache.clone(), threads: args.jobs };
    let teller = RefCell::new(Teller::new(args.quiet));
    let results = run_study(&config, &options, &|event| teller.borrow_mut().tell(event))?;
    write_tables_and_figures(&output, &results)?;
    io::stdout().write_all(table(&results).as_bytes())?;
    if !args.quiet {
        say(&format!(
            "wrote '{}'; `attn-fiqa report {}` makes a page of it",
            output.display(),
            output.display()
        ));
    }
    let failed = results.qualities.iter().any(|quality| quality.failed > 0)
        || results.baselines.iter().any(|baseline| !baseline.failures.is_empty());
    Ok(if failed { Exit::SomeFailed } else { Exit::Done })
}

/// `study.run` for `study.toml`.
fn beside(config: &Path) -> PathBuf {
    config.with_extension("run")
}

/// The papers' table as CSV: pAUC ×1000, the mean over data sets of it relative to random,
/// and the rank.
fn table(results: &Results) -> String {
    let mut text = String::from("protocol,recogniser,fmr,method");
    for dataset in &results.datasets {
        text += &format!(",{}", field(&dataset.name));
    }
    text += ",relative,rank\n";
    let number =
        |value: Option<f64>| value.map_or(String::new(), |value| format!("{:.4}", value * 1000.0));
    for summary in summaries(results) {
        for row in &summary.rows {
            let (protocol, fmr) = (summary.protocol, summary.fmr);
            text +=
                &format!("{protocol},{},{fmr},{}", field(&summary.recogniser), field(&row.method));
            for &pauc in &row.pauc {
                text += &format!(",{}", number(pauc));
            }
            let rank = row.rank.map_or(String::new(), |rank| rank.to_string());
            let relative = row.mean_relative.map_or(String::new(), |mean| format!("{mean:.4}"));
            text += &format!(",{relative},{rank}\n");
        }
    }
    text
}

/// A field that stays one field.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// Tells a person on standard error how far the run is.
struct Teller {
    quiet: bool,
    terminal: bool,
    step: String,
    started: Instant,
    /// Parts of the step that were there when it started.
    at_start: usize,
    last: Option<Instant>,
}

impl Teller {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: io::stderr().is_terminal(),
            step: String::new(),
            started: Instant::now(),
            at_start: 0,
            last: None,
        }
    }

    fn tell(&mut self, event: Event) {
        if self.quiet {
            return;
        }
        match event {
            Event::Note(note) => {
                self.clear();
                say(&format!("note: {note}"));
            }
            Event::Progress(Progress { step, done, total }) => {
                if step != self.step {
                    (self.started, self.at_start, self.last) = (Instant::now(), done, None);
                    self.step = step;
                }
                let pause = if self.terminal { OFTEN } else { SELDOM };
                let due = self.last.is_none_or(|last| last.elapsed() >= pause);
                if !due && done < total {
                    return;
                }
                self.last = Some(Instant::now());
                let line = format!("{}: {done}/{total}{}", self.step, self.left(done, total));
                if self.terminal && done < total {
                    let _ = write!(io::stderr(), "\r\u{1b}[K{}", crate::output::printable(&line));
                } else {
                    self.clear();
                    say(&line);
                }
            }
        }
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    fn left(&self, done: usize, total: usize) -> String {
        let fresh = done.saturating_sub(self.at_start);
        if fresh == 0 || done == total {
            return String::new();
        }
        let each = self.started.elapsed().as_secs_f64() / fresh as f64;
        format!(", {:.0} s left", each * (total - done) as f64)
    }
}
