//! `attn-fiqa completions` and `attn-fiqa man`.

use std::fs;
use std::io::Write;

use anyhow::Context;

use crate::args::{CompletionsArgs, ManArgs, command};
use crate::exit::Exit;
use crate::output::stdout;

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    // Collected first: the generator panics if a write fails, and a reader that leaves early should
    // not cause a panic.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "attn-fiqa", &mut script);
    stdout().write_all(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    match &args.output {
        Some(folder) => {
            fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command(), folder))
                .with_context(|| format!("cannot write manual pages into '{}'", folder.display()))?;
        }
        None => clap_mangen::Man::new(command()).render(&mut stdout())?,
    }
    Ok(Exit::Done)
}
