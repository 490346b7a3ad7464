//! Which model, and what its file does not say.

use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::checkpoint::{
    BUILTIN_NAME, Checkpoint, CheckpointOptions, Preset, WeightDtype, builtin,
};
use attn_fiqa::vit::config::Activation;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Subcommand, ValueEnum};

use crate::models::{Located, locate};

/// What a file does not say about itself.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ModelOptions {
    /// The published network that the file must be; gives the number of heads.
    #[arg(long, value_name = "NAME", value_parser = presets(), help_heading = "Model")]
    preset: Option<Preset>,

    /// Number of attention heads, which the weights cannot tell.
    #[arg(long, value_name = "N", help_heading = "Model")]
    heads: Option<usize>,

    /// The MLP's non-linearity, where it is not the official ReLU6.
    #[arg(long, value_name = "NAME", value_parser = activations(), help_heading = "Model")]
    activation: Option<Activation>,

    /// Accept the known classifiers that only training used.
    #[arg(long, help_heading = "Model")]
    allow_unused: bool,
}

fn presets() -> impl TypedValueParser<Value = Preset> {
    PossibleValuesParser::new(Preset::ALL.iter().map(|preset| preset.name()))
        .try_map(|name| Preset::from_name(&name).ok_or("unknown preset"))
}

fn activations() -> impl TypedValueParser<Value = Activation> {
    PossibleValuesParser::new(["relu6", "gelu"])
        .try_map(|name| Activation::from_name(&name).ok_or("unknown activation"))
}

impl ModelOptions {
    pub(crate) fn checkpoint_options(&self) -> CheckpointOptions {
        CheckpointOptions {
            preset: self.preset,
            heads: self.heads,
            activation: self.activation,
            allow_unused: self.allow_unused,
            ..CheckpointOptions::default()
        }
    }

    fn is_given(&self) -> bool {
        let Self { preset, heads, activation, allow_unused } = self;
        preset.is_some() || heads.is_some() || activation.is_some() || *allow_unused
    }

    /// Opens a file or a model by its name, or the built-in model for `None`.
    pub(crate) fn open(&self, model: Option<&PathBuf>) -> anyhow::Result<Checkpoint> {
        let located = match model {
            Some(model) => locate(model)?,
            None => Located::BuiltIn,
        };
        match &located {
            Located::File(file, _) => {
                Ok(Checkpoint::open(file, &located.complete(self.checkpoint_options()))?)
            }
            Located::BuiltIn if self.is_given() => anyhow::bail!(
                "--preset, --heads, --activation and --allow-unused describe a checkpoint file; \
                 name one, since the built-in model knows its own"
            ),
            Located::BuiltIn => builtin().context("the built-in model"),
        }
    }

    /// The file behind a path or a name; nothing for the built-in model.
    pub(crate) fn file(model: &Path) -> anyhow::Result<Option<PathBuf>> {
        match locate(model)? {
            Located::File(file, _) => Ok(Some(file)),
            Located::BuiltIn => Ok(None),
        }
    }

    /// How reports call the model.
    pub(crate) fn name(file: Option<&PathBuf>) -> String {
        file.map_or_else(|| BUILTIN_NAME.to_owned(), |file| file.display().to_string())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub(crate) command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Print what a checkpoint is and where each value of its configuration comes from.
    Inspect {
        /// A .safetensors file, the index of one in shards, a PyTorch zip file or a model's name [default: the built-in model].
        file: Option<PathBuf>,
        #[command(flatten)]
        options: ModelOptions,
    },
    /// Write a checkpoint as a canonical .safetensors with its configuration inside.
    Convert {
        /// A .safetensors file, the index of one in shards, a PyTorch zip file or a model's name.
        file: PathBuf,
        /// The .safetensors file to write.
        output: PathBuf,
        /// Number format of the weights.
        #[arg(long, value_enum, default_value_t = DtypeChoice::F32)]
        dtype: DtypeChoice,
        /// Leave out what a quality score does not need; such a file gives no embeddings.
        #[arg(long)]
        quality_only: bool,
        #[command(flatten)]
        options: ModelOptions,
    },
    /// List the models that have a name: built in, added, fetched, and known.
    List {
        /// How to write it [default: a table on a terminal, else CSV].
        #[arg(long, value_enum)]
        format: Option<ListFormat>,
    },
    /// Fetch a known model from the Hugging Face hub, or verify that it is here.
    #[command(after_help = PULL)]
    Pull {
        /// Its name, as `attn-fiqa model list` shows it.
        name: String,
        /// Accept the licence that is shown, without being asked.
        #[arg(long, alias = "accept-license")]
        accept_licence: bool,
        /// Say nothing on standard error but a licence to accept and what went wrong.
        #[arg(long, short)]
        quiet: bool,
    },
    /// Give a checkpoint of yours a name that `--model` takes.
    Add {
        /// A .safetensors file, the index of one in shards, or a PyTorch zip file; it must load.
        file: PathBuf,
        /// The name [default: the file's, without its ending].
        #[arg(long)]
        name: Option<String>,
        /// Keep a copy; else the file is used where it is.
        #[arg(long)]
        copy: bool,
        /// In place of a model that was added under the same name.
        #[arg(long)]
        replace: bool,
        /// What its licence is, for the list.
        #[arg(long, value_name = "TEXT")]
        licence: Option<String>,
        #[command(flatten)]
        options: ModelOptions,
    },
    /// Take a name back that was added; the file stays, unless it was a copy.
    Remove {
        /// The name.
        name: String,
    },
}

const PULL: &str = "\
The licence is shown before the first download, and must be accepted: by typing yes, or with \
--accept-licence. The file goes into the cache that all clients of the hub share, an interrupted \
download goes on where it was, and the path of the file is printed. Its SHA-256 must be that of \
the registry or, where that has none, that of the first download, which is kept beside the cache.

Environment: HF_ENDPOINT (a mirror), HF_HOME or HF_HUB_CACHE (where the cache is), HF_TOKEN, \
HF_HUB_OFFLINE=1 (fetch nothing), HTTPS_PROXY; ATTN_FIQA_HOME (where names are kept).";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Table,
    Csv,
    /// One object a line.
    Jsonl,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DtypeChoice {
    F16,
    Bf16,
    F32,
}

impl From<DtypeChoice> for WeightDtype {
    fn from(choice: DtypeChoice) -> Self {
        match choice {
            DtypeChoice::F16 => Self::F16,
            DtypeChoice::Bf16 => Self::Bf16,
            DtypeChoice::F32 => Self::F32,
        }
    }
}
