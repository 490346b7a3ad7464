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

    /// What the score is fitted to [default: recognition where the norm of the recogniser's
    /// embeddings says how likely a match is, else cosine].
    #[arg(long, value_name = "TARGET", help_heading = "Model")]
    pub(crate) target: Option<TargetChoice>,

    /// False match rate between clean faces at which a match is decided.
    #[arg(long, value_name = "RATE", default_value = "1e-3", value_parser = fmr, help_heading = "Model")]
    pub(crate) fmr: f64,

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

/// What a score can be fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TargetChoice {
    /// The chance that the recogniser knows the face again, by the norm of its embedding
    Recognition,
    /// The cosine between its embeddings of the picture and of the clean face
    Cosine,
}

fn fmr(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| *rate > 0.0 && *rate <= 0.5);
    rate.ok_or_else(|| "a false match rate is a number above 0 and up to 0.5".to_owned())
}

const EXPLANATION: &str = "\
Faces are degraded and turned in seeded ways. A picture matches where the recogniser's cosine \
between it and the clean face reaches the threshold of --fmr; the norm of the embedding tells \
how likely that is, and that chance is what the score is fitted to, by a key bias that leaves \
the model's embeddings as they are. Ridge and share of the published score are chosen, and the \
fit is judged on the one face in five that is held out, by errors: false non-matches left when \
the worst comparisons are discarded (pAUC-EDC), and the chance of a match (Brier score). A fit \
that does not help there is not stored. Qualities then mean: 0, 20, 40 and 60 are known again \
2, 50, 80 and 95 % of the time, 80 and 100 are the median and the 95th percentile of the clean \
faces. --verbose lists every choice that the cross-validation tried.";
