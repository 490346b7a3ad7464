//! The `attn-fiqa` command line.
//!
//! `args` parses the command line, `commands` does the work, `inputs` reads what the library does
//! not read itself, `models` resolves model names, `output` writes rows. Standard output carries
//! data only; `log` writes to standard error, where `progress` and `summary` report on a run.

mod args;
mod commands;
mod exit;
mod hint;
mod inputs;
mod interrupt;
mod journal;
mod log;
mod models;
mod output;
mod progress;
mod summary;

use std::ffi::OsString;
use std::path::Path;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, builtin};

use args::{Cli, Command};
use exit::Exit;

pub use inputs::Tables;

/// Runs the command line `args`, which starts with the program's name, and returns the exit status:
/// 0 if everything was done, 1 if some images failed, 2 if the run could not start or its output
/// could not be written, 130 after Ctrl-C, 141 if the reader of the output left early. Wrong
/// arguments and `--help` end the process.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    silence_caught_panics();
    interrupt::handle();
    let outcome = args::parse(args).and_then(|cli| run_command(&cli));
    let failed = outcome.is_err();
    let exit = Exit::from(outcome);
    if interrupt::is_interrupted() && !failed {
        interrupt::report_interrupted()
    } else {
        exit as u8
    }
}

/// Opens a model as `--model` does: from a file, or by the name of a model that was fetched, added
/// or is built in. `options` supply what the file does not specify.
///
/// # Errors
///
/// If there is neither such a file nor such a name, the model has not been fetched yet, or its file
/// cannot be loaded.
pub fn open_model(model: &Path, options: CheckpointOptions) -> anyhow::Result<Checkpoint> {
    let located = models::locate(model)?;
    match &located {
        models::Located::File(file, _) => Ok(Checkpoint::open(file, &located.complete(options))?),
        models::Located::BuiltIn => Ok(builtin()?),
    }
}

/// Reads the journal of a run as `merge` does, and together with the rows as a continued run does;
/// returns how many bytes of both are kept. For fuzzing, since shards come from other machines.
///
/// # Errors
///
/// If a file cannot be read, or the first lines are not those of a journal.
#[doc(hidden)]
pub fn read_journal(journal: &Path, rows: &Path) -> anyhow::Result<[u64; 2]> {
    journal::read(journal, rows)
}

fn run_command(Cli { command, run }: &Cli) -> anyhow::Result<Exit> {
    log::init(run);
    if let Some(jobs) = run.jobs {
        // Curves and intervals use the global pool; networks use their own.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.get());
        // Another call in the same process may have created it.
        let _ = pool.build_global();
    }
    match command {
        Command::Score(args) => commands::score::run(args, run),
        Command::Best(args) => commands::best::run(args, run),
        Command::Gate(args) => commands::gate::run(args, run),
        Command::Measure(args) => commands::measure::run(args, run),
        Command::Map(args) => commands::map::run(args, run),
        Command::Detect(args) => commands::detect::run(args, run),
        Command::Filter(args) => commands::filter::run(args),
        Command::Crop(args) => commands::crop::run(args, run),
        Command::Embed(args) => commands::embed::run(args, run),
        Command::Merge(args) => commands::merge::run(args, run),
        #[cfg(feature = "serve")]
        Command::Serve(args) => commands::serve::run(args, run),
        Command::Edc(args) => commands::edc::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Advise(args) => commands::advise::run(args),
        Command::Groups(args) => commands::groups::run(args),
        Command::Benchmark(args) => commands::benchmark::run(args, run),
        Command::Report(args) => commands::report::run(args),
        Command::Degrade(args) => commands::degrade::run(args, run),
        Command::Validate(args) => commands::validate::run(args, run),
        Command::Calibrate(args) => commands::calibrate::run(args, run),
        Command::Model(args) => commands::model::run(args),
        Command::Completions(args) => commands::shell::completions(args),
        Command::Man(args) => commands::shell::man(args),
    }
}

/// A file that makes a decoder panic becomes a row, and the panic message is of no use to whoever
/// reads standard error.
fn silence_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !attn_fiqa::panics::is_caught() {
            report(panic);
        }
    }));
}
