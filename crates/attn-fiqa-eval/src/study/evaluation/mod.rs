//! A recogniser's comparisons on one data set, and the measurements on them.

mod baselines;
mod methods;
mod records;
mod templates;

use std::borrow::Cow;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::StudyError;
use super::cache::ImageHash;
use super::config::Settings;
use super::inputs::hash_pairs;
use super::results::{Baseline, TargetRecord};
use crate::benchmark::Benchmark;
use crate::comparisons::Comparisons;
use crate::edc::{Evaluator, Target};
use crate::figure::Histogram;
use crate::rates::{OperatingPoint, det, equal_error_rate, operating_points};
use crate::verification::{FOLDS, ThresholdGrid, equal_folds, verification};

pub(super) use templates::TemplateEmbeddings;

use templates::without_missing;

/// Incremented when the same comparisons and qualities give different results.
const VERSION: u32 = 5;

/// The comparisons of one data set by one recogniser.
pub(super) struct RecogniserEvaluation<'a> {
    pub(super) dataset: &'a str,
    pub(super) recogniser: &'a str,
    settings: &'a Settings,
    benchmark: Cow<'a, Benchmark>,
    pub(super) left_out: usize,
    comparisons: Comparisons,
    identities: Option<Vec<[u32; 2]>>,
    cache: &'a Path,
    /// Hash of the comparisons and their identities.
    key: ImageHash,
}

impl<'a> RecogniserEvaluation<'a> {
    pub(super) fn new(
        (dataset, recogniser): (&'a str, &'a str),
        settings: &'a Settings,
        benchmark: &'a Benchmark,
        templates: TemplateEmbeddings,
        cache: &'a Path,
    ) -> Result<Self, StudyError> {
        let TemplateEmbeddings { present, embeddings } = templates;
        let (benchmark, left_out) = without_missing(benchmark, &present);
        let comparisons = Comparisons::from_embeddings(&embeddings, &benchmark.pairs);
        let what = format!("dataset '{dataset}', recogniser '{recogniser}'");
        let comparisons = comparisons.map_err(StudyError::measure(what))?;
        drop(embeddings);
        let identities = benchmark.pair_identities();
        let mut key = Sha256::new();
        key.update(format!("v{VERSION} {} ", comparisons.len()));
        let mut bytes = Vec::new();
        for values in comparisons.values().chunks(1 << 12) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            key.update(&bytes);
        }
        hash_pairs(&mut key, &benchmark.pairs);
        for identity in identities.iter().flatten().flatten() {
            key.update(identity.to_le_bytes());
        }
        let key = key.finalize().into();
        Ok(Self {
            dataset,
            recogniser,
            settings,
            benchmark,
            left_out,
            comparisons,
            identities,
            cache,
            key,
        })
    }

    /// The comparisons, sorted.
    pub(super) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.comparisons)
    }

    pub(super) fn has_identities(&self) -> bool {
        self.identities.is_some()
    }

    fn error(&self) -> impl FnOnce(crate::EvalError) -> StudyError {
        let Self { dataset, recogniser, .. } = self;
        StudyError::measure(format!("dataset '{dataset}', recogniser '{recogniser}'"))
    }

    /// The recogniser's error rates with nothing discarded.
    pub(super) fn baseline(
        &self,
        evaluator: &Evaluator<'_>,
        failures: Vec<String>,
    ) -> Result<Baseline, StudyError> {
        let comparisons = &self.comparisons;
        let targets: Vec<Target> = self.settings.fmr.iter().copied().map(Target::Fmr).collect();
        let points = operating_points(evaluator, &targets).map_err(self.error())?;
        let of_kind = |mated: bool| -> Vec<f64> {
            let indices = (0..comparisons.len()).filter(|&i| comparisons.is_mated(i) == mated);
            indices.map(|index| comparisons.similarity(index)).collect()
        };
        let (mated, non_mated) = (of_kind(true), of_kind(false));
        let mut histograms = Histogram::of(&[&mated, &non_mated])
            .expect("comparisons are finite: this is a bug")
            .into_iter();
        let mut next = || histograms.next().expect("two groups: this is a bug");
        // Templates have no folds, and a set smaller than the number of folds has no accuracy.
        let folds = match (&self.benchmark.templates, &self.benchmark.folds) {
            (Some(_), _) => None,
            (None, Some(folds)) => Some(folds.clone()),
            (None, None) if comparisons.len() < usize::from(FOLDS) => None,
            (None, None) => Some(equal_folds(comparisons.len(), FOLDS)),
        };
        let grid = ThresholdGrid::InsightFace;
        let accuracy = folds.and_then(|folds| verification(comparisons, &folds, grid).ok());
        Ok(Baseline {
            dataset: self.dataset.to_owned(),
            recogniser: self.recogniser.to_owned(),
            mated: comparisons.mated_count(),
            non_mated: comparisons.non_mated_count(),
            left_out: self.left_out,
            accuracy: accuracy.map(|found| [found.accuracy, found.deviation]),
            eer: Some(equal_error_rate(evaluator)),
            targets: points.iter().map(|point| self.target_record(point)).collect(),
            det: det(evaluator),
            mated_scores: next(),
            non_mated_scores: next(),
            failures,
        })
    }

    fn target_record(&self, point: &OperatingPoint) -> TargetRecord {
        let OperatingPoint { target, distance, fmr, fnmr, unresolved, .. } = *point;
        let warning = crate::edc::Warning::FmrUnresolved {
            target: target.value(),
            discard: 0.0,
            non_mated: self.comparisons.non_mated_count() as u64,
            realised: Some(fmr),
        };
        TargetRecord {
            fmr: target.value(),
            realised: Some(fmr),
            threshold: Some(distance),
            fnmr: Some(fnmr),
            warnings: unresolved.then(|| warning.to_string()).into_iter().collect(),
        }
    }
}
