//! Arguments of `attn-fiqa completions` and `attn-fiqa man`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  attn-fiqa completions bash > ~/.local/share/bash-completion/completions/attn-fiqa"
)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read the script
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  attn-fiqa man --output ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write attn-fiqa.1, attn-fiqa-score.1, … into this folder instead
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
