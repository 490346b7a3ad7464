//! Arguments of `attn-fiqa calibrate`.

use std::path::{Path, PathBuf};

use attn_fiqa::recognise::InputSpec;
use attn_fiqa_eval::degrade::Degradation;
use clap::builder::RangedU64ValueParser;

use super::ModelArgs;
use super::degrade::{kinds, kinds_help};
use super::numbers::false_match_rate;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = super::join(EXPLANATION, EXAMPLES))]
pub(crate) struct CalibrateArgs {
    /// Aligned crops of the network's size: a folder (with its subfolders) or a tar archive
    ///
    /// No labels are needed.
    #[arg(value_name = "DIR|TAR", required_unless_present = "faces_option")]
    faces: Option<PathBuf>,

    /// The same.
    #[arg(long = "faces", hide = true, conflicts_with = "faces")]
    faces_option: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// ONNX recogniser whose matches the score is fitted to [default: the model itself]
    #[arg(long, value_name = "FILE.onnx", help_heading = "Target")]
    pub(crate) recogniser: Option<PathBuf>,

    /// Preprocessing of the recogniser, as in `attn-fiqa embed`
    #[arg(
        long,
        alias = "pixels",
        value_name = "SPEC",
        requires = "recogniser",
        help_heading = "Target"
    )]
    pub(crate) preprocess: Option<InputSpec>,

    /// What the score is fitted to: recognition or cosine
    ///
    /// 'recognition': the probability of a match, by the norm of the recogniser's embedding; the
    /// default where the norm predicts it. 'cosine': the cosine between the embeddings of the
    /// degraded and the clean image.
    #[arg(long, value_name = "TARGET", hide_possible_values = true, help_heading = "Target")]
    pub(crate) target: Option<TargetChoice>,

    /// FMR of clean faces that sets the match threshold
    #[arg(long, value_name = "RATE", default_value = "1e-3", value_parser = false_match_rate, help_heading = "Target")]
    pub(crate) fmr: f64,

    /// Keep the checkpoint's key bias and fit only the map to 0-100
    ///
    /// The fitted key bias is still evaluated for comparison.
    #[arg(long, hide_short_help = true, help_heading = "Target")]
    pub(crate) keep_key_bias: bool,

    /// Fit only this part of a calibrated model and keep the rest: causes
    ///
    /// Key bias, scores and qualities stay bit-identical.
    #[arg(
        long,
        value_name = "PART",
        hide_possible_values = true,
        hide_short_help = true,
        conflicts_with_all = ["recogniser", "target", "keep_key_bias"],
        help_heading = "Target"
    )]
    pub(crate) only: Option<OnlyChoice>,

    /// Write the calibrated checkpoint here
    #[arg(long, short, value_name = "FILE.safetensors", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// Use N of the faces, chosen by name and seed; all are held in memory
    #[arg(long, alias = "limit", value_name = "N", default_value = "2000", value_parser = RangedU64ValueParser::<usize>::new().range(20..=200_000), help_heading = "Degradation")]
    pub(crate) sample: usize,

    /// Degraded images per face
    #[arg(long, alias = "pictures", value_name = "N", default_value = "8", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100), hide_short_help = true, help_heading = "Degradation")]
    pub(crate) variants: usize,

    /// Kinds of degradation, such as blur,jpeg,yaw [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = kinds(), hide_possible_values = true, long_help = kinds_help(), hide_short_help = true, help_heading = "Degradation")]
    pub(crate) kinds: Vec<Degradation>,

    /// Seed of the sample, the degradations and the held-out faces
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_short_help = true,
        help_heading = "Degradation"
    )]
    pub(crate) seed: u64,
}

impl CalibrateArgs {
    /// Where the faces are.
    pub(crate) fn faces(&self) -> &Path {
        let faces = self.faces.as_ref().or(self.faces_option.as_ref());
        faces.expect("clap requires one of them: this is a bug")
    }
}

/// What can be fitted alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnlyChoice {
    /// The readout of causes
    Causes,
}

/// What a score can be fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TargetChoice {
    /// The probability of a match, by the norm of the recogniser's embedding
    Recognition,
    /// The cosine between its embeddings of the degraded and the clean image
    Cosine,
}

const EXPLANATION: &str = "\
Faces are degraded and turned by seeded draws. A degraded image matches if the recogniser's \
cosine between it and the clean image reaches the threshold of --fmr; the probability of that, \
predicted from the norm of its embedding, is what the score is fitted to, by a key bias that \
leaves the model's embeddings unchanged. Ridge and weight of the published score are chosen by \
cross-validation, and the fit is evaluated on the one face in five that is held out, by errors: \
false non-matches that remain when the worst comparisons are discarded (pAUC of the EDC), and the \
predicted probability of a match (Brier score). A fit that does not help there is not stored. \
Then qualities of 0, 20, 40 and 60 mean 2, 50, 80 and 95 % of matches, 80 and 100 the median and \
the 95th percentile of clean faces. --verbose lists everything that cross-validation tried. From \
the same images and pairs of their degradations, a linear readout of the causes of a low quality \
is fitted, which `attn-fiqa score --columns causes` uses; it is also evaluated on the held-out \
faces.";

const EXAMPLES: &str = "\
Examples:
  attn-fiqa calibrate crops/ --output calibrated.safetensors
  attn-fiqa calibrate crops/ --model vit.pt --recogniser sface.onnx --output new.safetensors";
