//! Curves, areas and baselines of one data set and one recogniser.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::StudyError;
use super::cache::kept;
use super::config::Settings;
use super::results::{Baseline, CurveRecord, Line, TargetRecord};
use crate::benchmark::Benchmark;
use crate::comparisons::Comparisons;
use crate::edc::{
    Bootstrap, Curve, CurveIntervals, Evaluator, Interval, Protocol, Ranking, Resample, Shape,
    Target,
};
use crate::embeddings::Embeddings;
use crate::figure::Histogram;
use crate::rates::{det, equal_error_rate};
use crate::verification::{FOLDS, ThresholdGrid, equal_folds, verification};

/// Raised when the same comparisons and qualities come to give other figures.
const VERSION: u32 = 1;

/// Points of a curve that are kept of a step function.
const STEP_POINTS: usize = 200;

/// The comparisons of one data set by one recogniser.
pub(super) struct Judge<'a> {
    pub(super) dataset: &'a str,
    pub(super) recogniser: &'a str,
    pub(super) settings: &'a Settings,
    /// Without the comparisons that cannot be made.
    pub(super) benchmark: Benchmark,
    pub(super) left_out: usize,
    comparisons: Comparisons,
    identities: Option<Vec<[u32; 2]>>,
    cache: &'a Path,
    /// Hash of everything but the qualities that a curve depends on.
    key: [u8; 32],
}

/// Leaves out the comparisons of images without an embedding.
pub(super) fn without_missing(benchmark: &Benchmark, present: &[bool]) -> (Benchmark, usize) {
    let mut kept = benchmark.clone();
    if present.iter().all(|&present| present) {
        return (kept, 0);
    }
    let usable: Vec<bool> = match &mut kept.templates {
        None => present.to_vec(),
        Some(templates) => {
            for template in templates.iter_mut() {
                template.images.retain(|&(image, _)| present[image as usize]);
            }
            templates.iter().map(|template| !template.images.is_empty()).collect()
        }
    };
    let keep: Vec<bool> = benchmark
        .pairs
        .iter()
        .map(|pair| usable[pair.a as usize] && usable[pair.b as usize])
        .collect();
    let mut at = keep.iter();
    kept.pairs.retain(|_| at.next() == Some(&true));
    if let Some(folds) = &mut kept.folds {
        let mut at = keep.iter();
        folds.retain(|_| at.next() == Some(&true));
    }
    let left_out = benchmark.pairs.len() - kept.pairs.len();
    (kept, left_out)
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        (dataset, recogniser): (&'a str, &'a str),
        settings: &'a Settings,
        benchmark: &Benchmark,
        rows: &[Option<&[f32]>],
        cache: &'a Path,
    ) -> Result<Self, StudyError> {
        let what =
            || StudyError::measure(format!("dataset '{dataset}', recogniser '{recogniser}'"));
        let present: Vec<bool> = rows.iter().map(Option::is_some).collect();
        let (benchmark, left_out) = without_missing(benchmark, &present);
        // Images that no comparison refers to any more stand for each other.
        let filler = rows.iter().flatten().next().copied().unwrap_or_default();
        let values: Vec<f32> = rows.iter().flat_map(|row| row.unwrap_or(filler)).copied().collect();
        let embeddings = Embeddings::new(filler.len(), values).map_err(what())?;
        let comparisons = match &benchmark.templates {
            Some(templates) if templates.iter().any(|template| template.images.is_empty()) => {
                let mut filled = benchmark.clone();
                let fill = filled.templates.iter_mut().flatten();
                for template in fill.filter(|template| template.images.is_empty()) {
                    template.images.push((0, 0));
                }
                filled.comparisons(&embeddings)
            }
            _ => benchmark.comparisons(&embeddings),
        };
        let comparisons = comparisons.map_err(what())?;
        let identities = benchmark.pair_identities();
        let mut key = Sha256::new();
        key.update(format!("v{VERSION} {dataset}\0{recogniser}\0"));
        key.update(serde_json::to_vec(settings).unwrap_or_default());
        for (index, value) in comparisons.values().iter().enumerate() {
            key.update(value.to_le_bytes());
            key.update([u8::from(comparisons.is_mated(index))]);
        }
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

    pub(super) fn has_identities(&self) -> bool {
        self.identities.is_some()
    }

    fn error(&self) -> impl FnOnce(crate::EvalError) -> StudyError {
        let Self { dataset, recogniser, .. } = self;
        StudyError::measure(format!("dataset '{dataset}', recogniser '{recogniser}'"))
    }

    fn targets(&self) -> Vec<Target> {
        self.settings.fmr.iter().map(|&fmr| Target::Fmr(fmr)).collect()
    }

    /// What the recogniser does with nothing discarded.
    pub(super) fn baseline(&self, failures: Vec<String>) -> Result<Baseline, StudyError> {
        let comparisons = &self.comparisons;
        let level = Ranking::new(&vec![0.0; comparisons.len()]).map_err(self.error())?;
        let evaluator = Evaluator::new(comparisons);
        let curves = evaluator.curves(&level, Protocol::Nist, &self.targets());
        let curves = curves.map_err(self.error())?;
        let of_kind = |mated: bool| -> Vec<f64> {
            let indices = (0..comparisons.len()).filter(|&i| comparisons.is_mated(i) == mated);
            indices.map(|index| comparisons.similarity(index)).collect()
        };
        let (mated, non_mated) = (of_kind(true), of_kind(false));
        let mut histograms = Histogram::of(&[&mated, &non_mated])
            .expect("comparisons are finite: this is a bug")
            .into_iter();
        let mut next = || histograms.next().expect("two groups: this is a bug");
        let folds = match &self.benchmark.folds {
            Some(folds) => folds.clone(),
            None => equal_folds(comparisons.len(), FOLDS),
        };
        // Templates have no folds, and a set smaller than its folds no accuracy.
        let accuracy = match self.benchmark.templates {
            None => verification(comparisons, &folds, ThresholdGrid::InsightFace).ok(),
            Some(_) => None,
        };
        Ok(Baseline {
            dataset: self.dataset.to_owned(),
            recogniser: self.recogniser.to_owned(),
            mated: comparisons.mated_count(),
            non_mated: comparisons.non_mated_count(),
            left_out: self.left_out,
            accuracy: accuracy.map(|found| [found.accuracy, found.deviation]),
            eer: Some(equal_error_rate(comparisons)),
            targets: self.settings.fmr.iter().zip(&curves).map(target_record).collect(),
            det: det(comparisons),
            mated_scores: next(),
            non_mated_scores: next(),
            failures,
        })
    }

    /// The curves of one method: every protocol at every target.
    pub(super) fn method(
        &self,
        method: &str,
        qualities: &[f64],
    ) -> Result<Vec<CurveRecord>, StudyError> {
        let what = || format!("dataset '{}', method '{method}'", self.dataset);
        let pairs = self.benchmark.pair_qualities(qualities);
        let pairs = pairs.map_err(StudyError::measure(what()))?;
        let mut key = self.key.to_vec();
        key.extend_from_slice(method.as_bytes());
        key.extend(pairs.iter().flat_map(|quality| quality.to_le_bytes()));
        kept(self.cache, &key, || {
            let ranking = Ranking::new(&pairs).map_err(StudyError::measure(what()))?;
            let evaluator = Evaluator::new(&self.comparisons);
            let mut records = Vec::new();
            for &protocol in &self.settings.protocols {
                self.measure(&evaluator, method, &ranking, protocol, &mut records)?;
            }
            Ok(records)
        })
    }

    fn measure(
        &self,
        evaluator: &Evaluator<'_>,
        method: &str,
        ranking: &Ranking,
        protocol: Protocol,
        records: &mut Vec<CurveRecord>,
    ) -> Result<(), StudyError> {
        let Settings { limit, replicates, level, seed, tie_orders, .. } = *self.settings;
        let targets = self.targets();
        let curves = evaluator.curves(ranking, protocol, &targets).map_err(self.error())?;
        let ties = evaluator
            .tie_sensitivity(ranking, protocol, &targets, limit, tie_orders, seed)
            .map_err(self.error())?;
        let intervals = if replicates > 0 {
            let resample = match &self.identities {
                Some(identities) => Resample::Identities(identities),
                None => Resample::Pairs,
            };
            let bootstrap = Bootstrap { resample, replicates, seed, level, limit };
            evaluator.bootstrap(ranking, protocol, &targets, &bootstrap).map_err(self.error())?
        } else {
            Vec::new()
        };
        for (index, curve) in curves.iter().enumerate() {
            let mut record = self.record(method, Line::Method, curve);
            record.tied = ties.tied;
            record.pauc_ties = if ties.orders > 0 { ties.ranges[index].pauc } else { None };
            if let Some(CurveIntervals { discard, fnmr, pauc, .. }) = intervals.get(index) {
                let ends = |interval: &Interval| [interval.low, interval.high];
                record.pauc_interval = pauc.as_ref().map(ends);
                let fnmr = fnmr.iter().map(|interval| interval.as_ref().map(ends));
                record.band = discard.iter().copied().zip(fnmr).collect();
            }
            records.push(record);
        }
        Ok(())
    }

    /// The two ends of every plot.
    pub(super) fn ends(&self) -> Result<Vec<CurveRecord>, StudyError> {
        let mut key = self.key.to_vec();
        key.extend_from_slice(b"\0ends");
        kept(self.cache, &key, || {
            let evaluator = Evaluator::new(&self.comparisons);
            let Settings { random_orders, seed, .. } = *self.settings;
            let mut records = Vec::new();
            for &protocol in &self.settings.protocols {
                let targets = self.targets();
                let random = evaluator.random_curves(protocol, &targets, random_orders, seed);
                for (target, curves) in targets.iter().zip(random.map_err(self.error())?) {
                    records.extend(self.mean(&curves));
                    let oracle = evaluator.oracle_curve(protocol, *target).map_err(self.error())?;
                    records.push(self.record("oracle", Line::Oracle, &oracle));
                }
            }
            Ok(records)
        })
    }

    /// The mean line of some curves, and the range of their areas.
    fn mean(&self, curves: &[Curve]) -> Option<CurveRecord> {
        let records: Vec<CurveRecord> =
            curves.iter().map(|curve| self.record("random", Line::Random, curve)).collect();
        let mut mean = records.first()?.clone();
        let average = |values: &dyn Fn(&CurveRecord) -> Option<f64>| {
            let all: Option<Vec<f64>> = records.iter().map(values).collect();
            all.map(|all| all.iter().sum::<f64>() / all.len() as f64)
        };
        for index in 0..mean.points.len() {
            mean.points[index].1 = average(&|record| record.points.get(index)?.1);
            mean.realised[index] = average(&|record| *record.realised.get(index)?);
        }
        mean.pauc = average(&|record| record.pauc);
        mean.auc = average(&|record| record.auc);
        let areas = || records.iter().filter_map(|record| record.pauc);
        mean.pauc_interval =
            mean.pauc.map(|_| [areas().fold(f64::INFINITY, f64::min), areas().fold(0.0, f64::max)]);
        Some(mean)
    }

    fn record(&self, method: &str, line: Line, curve: &Curve) -> CurveRecord {
        let steps = curve.shape == Shape::Steps;
        let (points, realised) = if curve.points.len() > STEP_POINTS {
            let share = |index: usize| index as f64 / STEP_POINTS as f64;
            let points = (0..=STEP_POINTS).map(|n| (share(n), curve.fnmr_at(share(n)))).collect();
            let first = curve.points.first().and_then(|point| point.fmr);
            // A step function's threshold is fixed, and so is its FMR.
            (points, vec![first; STEP_POINTS + 1])
        } else {
            let points = curve.points.iter().map(|point| (point.discard, point.fnmr)).collect();
            (points, curve.points.iter().map(|point| point.fmr).collect())
        };
        CurveRecord {
            dataset: self.dataset.to_owned(),
            recogniser: self.recogniser.to_owned(),
            method: method.to_owned(),
            line,
            protocol: curve.protocol,
            fmr: curve.target.rate(),
            steps,
            points,
            realised,
            pauc: curve.pauc(self.settings.limit),
            pauc_interval: None,
            auc: curve.auc(),
            band: Vec::new(),
            tied: 0,
            pauc_ties: None,
            warnings: curve.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

fn target_record((fmr, curve): (&f64, &Curve)) -> TargetRecord {
    let start = curve.points.first();
    let at_start = |warning: &&crate::edc::Warning| match warning {
        crate::edc::Warning::FmrUnresolved { discard, .. } => *discard == 0.0,
        _ => false,
    };
    TargetRecord {
        fmr: *fmr,
        realised: start.and_then(|point| point.fmr),
        threshold: start.and_then(|point| point.threshold),
        fnmr: curve.start(),
        warnings: curve.warnings.iter().filter(at_start).map(ToString::to_string).collect(),
    }
}
