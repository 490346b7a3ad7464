//! The record of a study, as stored in `results.json`: everything that its tables and figures show,
//! and what makes it repeatable.

use serde::{Deserialize, Serialize};

use super::config::Settings;
use crate::edc::{Protocol, Series};
use crate::figure::Histogram;

/// Incremented when the record's format changes.
pub const FORMAT: u32 = 4;

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub format: u32,
    /// Name and version of the program.
    pub program: String,
    /// The configuration's file as it was named.
    pub config_file: String,
    /// SHA-256 of its text.
    pub config_sha256: String,
    /// Its text.
    pub config: String,
    /// How it was measured, defaults included.
    pub settings: Settings,
    /// In the order of the configuration.
    pub datasets: Vec<DatasetRecord>,
    /// In the order of the configuration.
    pub recognisers: Vec<RecogniserRecord>,
    /// In the order of the configuration.
    pub methods: Vec<MethodRecord>,
    /// One per data set and recogniser.
    pub baselines: Vec<Baseline>,
    /// One per data set, recogniser, protocol, target and series.
    pub curves: Vec<CurveRecord>,
    /// How much larger each method's area is than the first's and the best's.
    pub differences: Vec<DifferenceRecord>,
    /// One per data set and method.
    pub qualities: Vec<QualityRecord>,
    /// One per data set.
    pub correlations: Vec<CorrelationRecord>,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: String,
    /// Its layout.
    pub kind: String,
    /// Its path.
    pub path: String,
    /// Number of images.
    pub images: usize,
    /// Number of templates, if images are compared as templates.
    pub templates: Option<usize>,
    /// Its mated comparisons.
    pub mated: usize,
    /// Its non-mated comparisons.
    pub non_mated: usize,
    /// SHA-256 of its names, its pairs and, if they were read, its images.
    pub sha256: String,
    /// Whether intervals are over persons rather than over pairs.
    pub by_identity: bool,
    /// The files of scores and embeddings that lack some of its images.
    pub missing: Vec<MissingRecord>,
    /// Number of images in which a face was to be detected and none was found.
    pub without_face: usize,
    /// The first few of those, quoted.
    pub without_face_examples: String,
}

/// Images that a file of scores or embeddings lacks. Their comparisons are left out for all
/// methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissingRecord {
    /// The method or recogniser whose file it is.
    pub of: String,
    /// Number of images it lacks.
    pub images: usize,
    /// The first few, quoted.
    pub examples: String,
}

/// A recognition model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecogniserRecord {
    /// Its name.
    pub name: String,
    /// Its file, or those of its embeddings.
    pub source: String,
    /// SHA-256 of its file, or of those files one after the other.
    pub sha256: String,
    /// Whether the mirrored image's embedding is appended.
    pub flip: bool,
}

/// A quality method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodRecord {
    /// Its name.
    pub name: String,
    /// What it is: a method of this program, or where its scores come from.
    pub what: String,
    /// The model's file, or those of its scores.
    pub source: String,
    /// SHA-256 of the model's file, or of those files one after the other.
    pub sha256: String,
}

/// How good a recogniser is on a data set before anything is discarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Name of the data set.
    pub dataset: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// Mated comparisons made.
    pub mated: usize,
    /// Number of non-mated comparisons.
    pub non_mated: usize,
    /// Comparisons left out because an image has no embedding or is missing from a file of scores.
    pub left_out: usize,
    /// Verification accuracy, mean over folds, and its standard deviation.
    pub accuracy: Option<[f64; 2]>,
    /// Equal error rate.
    pub eer: Option<f64>,
    /// At each FMR target.
    pub targets: Vec<TargetRecord>,
    /// FMR and FNMR at successive thresholds.
    pub det: Vec<[f64; 2]>,
    /// Comparison scores of mated comparisons.
    pub mated_scores: Histogram,
    /// Comparison scores of non-mated comparisons.
    pub non_mated_scores: Histogram,
    /// Images without an embedding, at most five, and why.
    pub failures: Vec<String>,
}

/// Error rates at a target with nothing discarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// The target FMR.
    pub fmr: f64,
    /// The realised FMR.
    pub realised: Option<f64>,
    /// The threshold, a distance, by the rule of [`crate::decision`].
    pub threshold: Option<f64>,
    /// The FNMR.
    pub fnmr: Option<f64>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// An error-versus-discard curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveRecord {
    /// Name of the data set.
    pub dataset: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// Name of the method; `random` or `theoretical-best` for the baselines.
    pub method: String,
    /// What it represents.
    pub series: Series,
    /// The protocol.
    pub protocol: Protocol,
    /// The target FMR.
    pub fmr: f64,
    /// Whether a rate is constant until the next point.
    pub steps: bool,
    /// Discard fraction and FNMR.
    pub points: Vec<(f64, Option<f64>)>,
    /// Realised FMR at each point.
    pub realised: Vec<Option<f64>>,
    /// Area up to the limit, not normalised; papers print it ×1000.
    pub pauc: Option<f64>,
    /// Its confidence interval; for the random baseline the range over its orders.
    pub pauc_interval: Option<[f64; 2]>,
    /// Area between the curve and the ideal one, for protocols with a fixed threshold:
    /// [`Curve::above_ideal`](crate::edc::Curve::above_ideal).
    pub above_ideal: Option<f64>,
    /// Area under the whole curve.
    pub auc: Option<f64>,
    /// Discard fraction and confidence interval of the FNMR.
    pub band: Vec<(f64, Option<[f64; 2]>)>,
    /// The pAUC of each bootstrap sample, in order; kept for computing differences, and empty in a
    /// finished record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicates: Vec<Option<f64>>,
    /// Number of comparisons that share their quality with another one.
    pub tied: usize,
    /// Range of the pAUC over random orders of those.
    pub pauc_ties: Option<[f64; 2]>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// The method with which another one is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Against {
    /// The first one in the study file.
    First,
    /// The one with the lowest area on this data set, for this recogniser, protocol and target.
    Best,
}

/// How much larger one method's area is than another's, on the same comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DifferenceRecord {
    /// Name of the data set.
    pub dataset: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The target FMR.
    pub fmr: f64,
    /// Name of the method.
    pub method: String,
    /// Why it is compared with the other.
    pub against: Against,
    /// Name of the other method.
    pub other: String,
    /// Its pAUC minus the other's, not normalised: above 0 the method is worse.
    pub difference: f64,
    /// Its paired confidence interval ([`paired_interval`](crate::edc::paired_interval)), if
    /// bootstrap samples were drawn.
    pub interval: Option<[f64; 2]>,
}

/// The scores that a method gave to a data set's images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityRecord {
    /// Name of the data set.
    pub dataset: String,
    /// Name of the method.
    pub method: String,
    /// The distribution of the finite ones.
    pub scores: Option<Histogram>,
    /// Number of images without a score; they count as the lowest.
    pub failed: usize,
    /// Some of those, at most five, and why.
    pub failures: Vec<String>,
    /// The images with the lowest scores, lowest first.
    pub worst: Vec<FaceRecord>,
    /// The images with the highest scores, highest first.
    pub best: Vec<FaceRecord>,
}

/// An example image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceRecord {
    /// Its name in the data set.
    pub image: String,
    /// Its score.
    pub score: f64,
    /// The crop, a JPEG file in the run's folder.
    pub face: Option<String>,
    /// The map over the crop, likewise, for methods that have one.
    pub map: Option<String>,
}

/// How similarly methods rank the images of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationRecord {
    /// Name of the data set.
    pub dataset: String,
    /// Spearman's rank correlation of each pair of methods, in the methods' order.
    pub spearman: Vec<Vec<Option<f64>>>,
}

impl Results {
    /// The curves of one data set, recogniser, protocol and target.
    pub fn curves_of(
        &self,
        dataset: &str,
        recogniser: &str,
        protocol: Protocol,
        fmr: f64,
    ) -> impl Iterator<Item = &CurveRecord> {
        self.curves.iter().filter(move |curve| {
            curve.dataset == dataset
                && curve.recogniser == recogniser
                && curve.protocol == protocol
                && curve.fmr == fmr
        })
    }
}
