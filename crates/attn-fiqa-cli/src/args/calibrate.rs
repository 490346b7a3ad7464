//! Arguments of `attn-fiqa calibrate`.

use std::path::PathBuf;

use attn_fiqa::recognise::InputSpec;
use attn_fiqa_eval::degrade::Degradation;
use clap::builder::RangedU64ValueParser;

use super::RunArgs;
use super::degrade::kinds;

#[derive(Debug, clap::Args)]
#[command(after_help = EXPLANATION)]
pub(crate) struct CalibrateArgs {
    /// Aligned faces of the network's size: a folder (searched with the folders inside it) or
    /// a tar archive. No labels are needed.
    #[arg(long, value_name = "DIR|TAR", help_heading = "Input")]
    pub(crate) faces: PathBuf,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// An ONNX recogniser whose embeddings decide what a picture is worth [default: the model
    /// itself].
    #[arg(long, value_name = "FILE.onnx", help_heading = "Model")]
    pub(crate) recogniser: Option<PathBuf>,

    /// What the recogniser wants done to pixels, as in `attn-fiqa embed`.
    #[arg(long, value_name = "SPEC", requires = "recogniser", help_heading = "Model")]
    pub(crate) pixels: Option<InputSpec>,

    /// Keep the key bias that the checkpoint has and fit only the map to 0-100; the fitted one
    /// is judged beside it all the same.
    #[arg(long, help_heading = "Model")]
    pub(crate) keep_key_bias: bool,

    /// Write the calibrated checkpoint here.
    #[arg(long, short, value_name = "FILE.safetensors", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// Take so many of the faces, chosen by their names and the seed; all are held in memory.
    #[arg(long, value_name = "N", default_value = "2000", value_parser = RangedU64ValueParser::<usize>::new().range(20..=200_000), help_heading = "Degradation")]
    pub(crate) limit: usize,

    /// Degraded pictures of each face.
    #[arg(long, value_name = "N", default_value = "8", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100), help_heading = "Degradation")]
    pub(crate) pictures: usize,

    /// Ways of degrading [default: all].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = kinds(), help_heading = "Degradation")]
    pub(crate) kinds: Vec<Degradation>,

    /// Fixes which faces are taken, how they are degraded and which are held out.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Degradation")]
    pub(crate) seed: u64,
}

const EXPLANATION: &str = "\
Faces are degraded in seeded ways; how much a recogniser loses of a face (the cosine between \
its embeddings of the degraded and the clean picture) is the utility that the score is fitted \
to, by a key bias that leaves the model's embeddings as they are. One face in five is held out; \
the rank correlations of the published and of the fitted score with utility on those faces are \
printed, with that of the key bias that the checkpoint had before, if it had one. A fit that does \
not help there is not stored; the map to 0-100 then belongs to the published score. --verbose tells \
every choice that the cross-validation tried.";
