//! Which model, and what its file does not say.

use std::path::PathBuf;

use anyhow::Context;
use attn_fiqa::checkpoint::{
    BUILTIN_NAME, Checkpoint, CheckpointOptions, Preset, WeightDtype, builtin,
};
use attn_fiqa::vit::config::Activation;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Subcommand, ValueEnum};

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

    /// Accept the known tensors that only training used (mask_token, classifiers).
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
    fn checkpoint_options(&self) -> CheckpointOptions {
        CheckpointOptions {
            preset: self.preset,
            heads: self.heads,
            activation: self.activation,
            allow_unused: self.allow_unused,
        }
    }

    fn is_given(&self) -> bool {
        let Self { preset, heads, activation, allow_unused } = self;
        preset.is_some() || heads.is_some() || activation.is_some() || *allow_unused
    }

    /// Opens a file, or the built-in model for `None`.
    pub(crate) fn open(&self, file: Option<&PathBuf>) -> anyhow::Result<Checkpoint> {
        match file {
            Some(file) => Ok(Checkpoint::open(file, &self.checkpoint_options())?),
            None if self.is_given() => anyhow::bail!(
                "--preset, --heads, --activation and --allow-unused describe a checkpoint file; \
                 name one, since the built-in model knows its own"
            ),
            None => builtin().context("the built-in model"),
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
        /// A .safetensors or PyTorch zip file [default: the built-in model].
        file: Option<PathBuf>,
        #[command(flatten)]
        options: ModelOptions,
    },
    /// Write a checkpoint as a canonical .safetensors with its configuration inside.
    Convert {
        /// A .safetensors or PyTorch zip file.
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
