//! Which model, and what its file does not say.

use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::checkpoint::{
    BUILTIN_NAME, Checkpoint, CheckpointOptions, Preset, WeightDtype, builtin,
};
use attn_fiqa::engine::PrecisionChoice;
use attn_fiqa::export::{ExportDtype, ScoreOutput};
use attn_fiqa::vit::config::{Activation, LandmarkBias, ScoreTokens};
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Subcommand, ValueEnum};

use crate::log;
use crate::models::{Located, locate};

/// Names the model of all commands.
const MODEL_VARIABLE: &str = "ATTN_FIQA_MODEL";

/// The model that a command runs.
#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Checkpoint file, or a name of `attn-fiqa model list` [default: built-in]
    ///
    /// A .safetensors file, the index of a sharded one, or a PyTorch zip file. Environment:
    /// ATTN_FIQA_MODEL.
    #[arg(
        long,
        short,
        value_name = "FILE|NAME",
        env = MODEL_VARIABLE,
        hide_env = true,
        help_heading = "Model"
    )]
    pub(crate) model: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) options: CheckpointArgs,

    /// Arithmetic: f32, bf16x2, bf16, int8 or auto
    ///
    /// f32 gives the same scores on every machine to six digits. bf16 and int8 are faster where the
    /// CPU supports them, and change scores slightly (see docs/performance.md). bf16x2, sums of two
    /// bf16, changes them in the sixth digit; it is meant for AMX, and is f32 on machines without
    /// bf16. The built-in detector uses the same precision, but bf16 or f32 for int8 and f32 for
    /// bf16x2. auto takes the fastest that changes the scores of probe faces by less than 2 % of
    /// their range. Environment: ATTN_FIQA_PRECISION.
    #[arg(long, value_name = "NAME", env = "ATTN_FIQA_PRECISION", hide_env = true, default_value = "f32", value_parser = precision, help_heading = "Model")]
    pub(crate) precision: PrecisionChoice,
}

fn precision(name: &str) -> Result<PrecisionChoice, String> {
    PrecisionChoice::all().find(|choice| choice.name() == name).ok_or_else(|| {
        let names: Vec<_> = PrecisionChoice::all().map(PrecisionChoice::name).collect();
        format!("expected {}", names.join(", "))
    })
}

impl ModelArgs {
    /// Opens the checkpoint.
    pub(crate) fn open(&self) -> anyhow::Result<Checkpoint> {
        let checkpoint = self.options.open(self.model.as_deref())?;
        for warning in checkpoint.warnings() {
            log::warning(format!("'{}': {warning}", self.name()));
        }
        Ok(checkpoint)
    }

    /// What reports call the model.
    pub(crate) fn name(&self) -> String {
        match &self.model {
            Some(model) => model.display().to_string(),
            None => BUILTIN_NAME.to_owned(),
        }
    }

    /// The file that the model is read from; nothing for the built-in model.
    pub(crate) fn file(&self) -> anyhow::Result<Option<PathBuf>> {
        match self.model.as_deref().map(locate).transpose()? {
            Some(Located::File(file, _)) => Ok(Some(file)),
            Some(Located::BuiltIn) | None => Ok(None),
        }
    }
}

/// What a checkpoint file does not say about itself.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CheckpointArgs {
    /// Published network that the file must match; sets the number of heads
    #[arg(long, value_name = "NAME", value_parser = presets(), hide_short_help = true, help_heading = "Model")]
    preset: Option<Preset>,

    /// Number of attention heads, which the weights do not determine
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = "Model")]
    heads: Option<usize>,

    /// MLP activation, if not the usual one of its family
    #[arg(long, value_name = "NAME", value_parser = activations(), hide_short_help = true, help_heading = "Model")]
    activation: Option<Activation>,

    /// Tokens that a score averages, in a network with class token or registers
    ///
    /// all is the published formula, the mean over every pair of tokens. patches leaves out class
    /// token and registers, so that the score is the mean of its map. They differ only in a network
    /// with such tokens.
    #[arg(long, value_name = "NAME", value_parser = score_tokens(), hide_short_help = true, help_heading = "Model")]
    tokens: Option<ScoreTokens>,

    /// Where the landmarks' attention bias is used, in a KP-RPE network
    ///
    /// softmax is the published formula: the bias acts in the forward pass only, and a score is the
    /// mean of query times key. score includes the last block's bias in scores and maps.
    #[arg(long, value_name = "NAME", value_parser = landmark_biases(), hide_short_help = true, help_heading = "Model")]
    landmark_bias: Option<LandmarkBias>,

    /// Accept known classifiers that are only used in training
    #[arg(long, hide_short_help = true, help_heading = "Model")]
    allow_unused: bool,
}

fn presets() -> impl TypedValueParser<Value = Preset> {
    PossibleValuesParser::new(Preset::ALL.iter().map(|preset| preset.name()))
        .try_map(|name| Preset::from_name(&name).ok_or("unknown preset"))
}

fn activations() -> impl TypedValueParser<Value = Activation> {
    PossibleValuesParser::new(Activation::ALL.iter().map(|activation| activation.name()))
        .try_map(|name| Activation::from_name(&name).ok_or("unknown activation"))
}

fn score_tokens() -> impl TypedValueParser<Value = ScoreTokens> {
    PossibleValuesParser::new(ScoreTokens::ALL.iter().map(|tokens| tokens.name()))
        .try_map(|name| ScoreTokens::from_name(&name).ok_or("unknown tokens"))
}

fn landmark_biases() -> impl TypedValueParser<Value = LandmarkBias> {
    PossibleValuesParser::new(LandmarkBias::ALL.iter().map(|bias| bias.name()))
        .try_map(|name| LandmarkBias::from_name(&name).ok_or("unknown landmark bias"))
}

impl CheckpointArgs {
    pub(crate) fn checkpoint_options(&self) -> CheckpointOptions {
        CheckpointOptions {
            preset: self.preset,
            heads: self.heads,
            activation: self.activation,
            score_tokens: self.tokens,
            landmark_bias: self.landmark_bias,
            allow_unused: self.allow_unused,
            ..CheckpointOptions::default()
        }
    }

    fn is_given(&self) -> bool {
        let Self { preset, heads, activation, tokens, landmark_bias, allow_unused } = self;
        let of_shape = [preset.is_some(), heads.is_some(), activation.is_some()];
        let of_score = [tokens.is_some(), landmark_bias.is_some()];
        of_shape.contains(&true) || of_score.contains(&true) || *allow_unused
    }

    /// Opens a file or a model by its name, or the built-in model for `None`.
    pub(crate) fn open(&self, model: Option<&Path>) -> anyhow::Result<Checkpoint> {
        let located = match model {
            Some(model) => locate(model)?,
            None => Located::BuiltIn,
        };
        match &located {
            Located::File(file, _) => {
                Ok(Checkpoint::open(file, &located.complete(self.checkpoint_options()))?)
            }
            Located::BuiltIn if self.is_given() => anyhow::bail!(
                "--preset, --heads, --activation, --tokens, --landmark-bias and --allow-unused \
                 describe a checkpoint file; name one, since the built-in model has its own"
            ),
            Located::BuiltIn => builtin().context("the built-in model"),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ModelCommandArgs {
    #[command(subcommand)]
    pub(crate) command: ModelCommand,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa model inspect
  attn-fiqa model list
  attn-fiqa model pull cvlface-vit-b
  attn-fiqa model export score.onnx";

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Describe a checkpoint and the source of each configuration value
    #[command(
        after_help = "Examples:\n  attn-fiqa model inspect\n  attn-fiqa model inspect model.pt --heads 8"
    )]
    Inspect {
        /// Checkpoint file or a model's name [default: built-in]
        ///
        /// A .safetensors file, the index of a sharded one, or a PyTorch zip file.
        file: Option<PathBuf>,
        #[command(flatten)]
        options: CheckpointArgs,
    },
    /// Convert a checkpoint to a canonical .safetensors with its configuration inside
    #[command(
        after_help = "Examples:\n  attn-fiqa model convert model.pt model.safetensors --heads 8 --dtype f16"
    )]
    Convert {
        /// Checkpoint file or a model's name
        ///
        /// A .safetensors file, the index of a sharded one, or a PyTorch zip file.
        file: PathBuf,
        /// The .safetensors file to write
        output: PathBuf,
        /// Number format of the weights
        #[arg(long, value_enum, default_value_t = DtypeChoice::F32)]
        dtype: DtypeChoice,
        /// Leave out what a quality score does not need; such a file gives no embeddings
        #[arg(long)]
        quality_only: bool,
        #[command(flatten)]
        options: CheckpointArgs,
    },
    /// Write the score, or a built-in network, as an ONNX file for other runtimes
    #[command(after_help = EXPORT_EXAMPLES, after_long_help = super::join(EXPORT, EXPORT_EXAMPLES))]
    Export(ExportArgs),
    /// List the models that have a name: built in, added, fetched and known
    #[command(
        after_help = "Examples:\n  attn-fiqa model list\n  attn-fiqa model list --format csv"
    )]
    List {
        /// Output format [default: table on a terminal, else csv]
        #[arg(long, value_enum)]
        format: Option<ListFormat>,
    },
    /// Fetch a known model from the Hugging Face hub, or verify the local copy
    #[command(after_help = "Examples:\n  attn-fiqa model pull cvlface-vit-b --accept-licence", after_long_help = super::join(PULL, "Examples:\n  attn-fiqa model pull cvlface-vit-b --accept-licence"))]
    Pull {
        /// Its name, as shown by `attn-fiqa model list`
        name: String,
        /// Accept the licence that is shown, without being asked
        #[arg(long, alias = "accept-license")]
        accept_licence: bool,
    },
    /// Give your own checkpoint a name for `--model`
    #[command(
        after_help = "Examples:\n  attn-fiqa model add my-vit.safetensors --name mine --copy"
    )]
    Add {
        /// A .safetensors file, the index of a sharded one, or a PyTorch zip file; it must load
        file: PathBuf,
        /// The name [default: the file's, without its extension]
        #[arg(long)]
        name: Option<String>,
        /// Keep a copy; otherwise the file is used where it is
        #[arg(long)]
        copy: bool,
        /// Replace a model that was added under the same name
        #[arg(long)]
        replace: bool,
        /// Its licence, for the list
        #[arg(long, value_name = "TEXT")]
        licence: Option<String>,
        #[command(flatten)]
        options: CheckpointArgs,
    },
    /// Remove a name that was added; the file stays, unless it was a copy
    #[command(after_help = "Examples:\n  attn-fiqa model remove mine")]
    Remove {
        /// The name
        name: String,
    },
}

/// What is exported, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The .onnx file to write; an existing one is replaced
    pub(crate) output: PathBuf,

    /// What to write: the score of a model, or a network that prepares faces for it
    #[arg(long, value_enum, default_value_t = NetworkChoice::Score)]
    pub(crate) network: NetworkChoice,

    /// Outputs of the score [default: all that the model has except embedding]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…")]
    pub(crate) outputs: Vec<OutputChoice>,

    /// Number format of the score's weights and block products
    #[arg(long, value_enum, default_value_t = ExportDtypeChoice::F32)]
    pub(crate) dtype: ExportDtypeChoice,

    /// ONNX operator set version, 17 or 18
    #[arg(long, value_name = "N", default_value_t = 17)]
    pub(crate) opset: i64,

    /// Checkpoint file, or a name of `attn-fiqa model list` [default: built-in]
    ///
    /// A .safetensors file, the index of a sharded one, or a PyTorch zip file. Environment:
    /// ATTN_FIQA_MODEL.
    #[arg(
        long,
        short,
        value_name = "FILE|NAME",
        env = MODEL_VARIABLE,
        hide_env = true,
        help_heading = "Model"
    )]
    pub(crate) model: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) options: CheckpointArgs,
}

impl ExportArgs {
    /// Flags that only a score takes. A model that is set in the environment is not one.
    pub(crate) fn given_for_the_score(&self) -> Vec<&'static str> {
        let model = self.model.is_some() && std::env::var_os(MODEL_VARIABLE).is_none();
        [
            (!self.outputs.is_empty(), "--outputs"),
            (self.dtype != ExportDtypeChoice::F32, "--dtype"),
            (model, "--model"),
            (self.options.is_given(), "the options of a checkpoint"),
        ]
        .into_iter()
        .filter_map(|(given, flag)| given.then_some(flag))
        .collect()
    }
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  attn-fiqa model export score.onnx
  attn-fiqa model export score.onnx --outputs score,embedding --model vit.pt --heads 8
  attn-fiqa model export detector.onnx --network detector";

const EXPORT: &str = "\
The score's graph takes aligned faces as RGB levels of 0 to 255, `image` [batch, 3, 112, 112], and \
computes what `score` does; normalisation is part of it. docs/deploy.md describes inputs, outputs \
and the alignment, and says which runtimes were tried.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkChoice {
    /// Aligned faces to scores
    Score,
    /// Photos to boxes and rough landmarks
    Detector,
    /// Roughly aligned faces to accurate landmarks
    Landmarks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputChoice {
    /// The raw score
    Score,
    /// The quality of 0–100
    Quality,
    /// Attention received by each patch
    Map,
    /// The recognition embedding
    Embedding,
    /// What costs quality
    Causes,
}

impl From<OutputChoice> for ScoreOutput {
    fn from(choice: OutputChoice) -> Self {
        match choice {
            OutputChoice::Score => Self::Score,
            OutputChoice::Quality => Self::Quality,
            OutputChoice::Map => Self::Map,
            OutputChoice::Embedding => Self::Embedding,
            OutputChoice::Causes => Self::Causes,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportDtypeChoice {
    F32,
    F16,
}

impl From<ExportDtypeChoice> for ExportDtype {
    fn from(choice: ExportDtypeChoice) -> Self {
        match choice {
            ExportDtypeChoice::F32 => Self::F32,
            ExportDtypeChoice::F16 => Self::F16,
        }
    }
}

const PULL: &str = "\
The licence is shown before the first download and must be accepted, by typing yes or with \
--accept-licence. The file goes into the cache that all clients of the hub share, an interrupted \
download is resumed, and the path of the file is printed. Its SHA-256 must be that of the registry \
or, if it has none, that of the first download, which is stored next to the cache.

Environment: HF_ENDPOINT (a mirror), HF_HOME or HF_HUB_CACHE (where the cache is), HF_TOKEN, \
HF_HUB_OFFLINE=1 (fetch nothing), HTTPS_PROXY; ATTN_FIQA_HOME (where names are kept).";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Table,
    Csv,
    /// One object per line
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
