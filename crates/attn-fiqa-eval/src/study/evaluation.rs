//! Curves, areas and baselines of one data set and one recogniser.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::StudyError;
use super::cache::{ImageHash, load_stored, store};
use super::config::Settings;
use super::inputs::hash_pairs;
use super::results::{Baseline, CurveRecord, Series, TargetRecord};
use crate::benchmark::Benchmark;
use crate::comparisons::{Comparisons, pair_qualities};
use crate::edc::{
    Bootstrap, Curve, CurveIntervals, Evaluator, Interpolation, Interval, Protocol, Ranking,
    Resample, Target,
};
use crate::embeddings::Embeddings;
use crate::figure::Histogram;
use crate::rates::{OperatingPoint, det, equal_error_rate, operating_points};
use crate::verification::{FOLDS, ThresholdGrid, equal_folds, verification};

/// Raised when the same comparisons and qualities come to give other figures.
const VERSION: u32 = 3;

/// Points of a curve that are kept of a step function.
const STEP_POINTS: usize = 200;

/// Bytes of rankings of several methods that are in memory together, so that they share
/// the sets that are drawn.
const RANKING_BYTES: usize = 1 << 29;

/// What a recogniser made of a data set: embeddings of what is compared.
pub(super) struct TemplateEmbeddings {
    /// Which images have an embedding.
    present: Vec<bool>,
    embeddings: Embeddings,
}

impl TemplateEmbeddings {
    /// Reads embeddings of `dim` numbers one by one; `read` copies that of an image and
    /// says whether it has one, as `present` does.
    pub(super) fn gather(
        benchmark: &Benchmark,
        present: Vec<bool>,
        dim: usize,
        what: String,
        mut read: impl FnMut(u32, &mut [f32]) -> Result<bool, StudyError>,
    ) -> Result<Self, StudyError> {
        let (benchmark, _) = without_missing(benchmark, &present);
        let read = |image: u32, row: &mut [f32]| read(image, row).map_err(GatherError::Study);
        match benchmark.gather_embeddings(dim, read) {
            Ok(embeddings) => Ok(Self { present, embeddings }),
            Err(GatherError::Study(error)) => Err(error),
            Err(GatherError::Eval(error)) => Err(StudyError::measure(what)(error)),
        }
    }

    /// Which images have no embedding, by position.
    pub(super) fn missing(&self) -> Vec<usize> {
        (0..self.present.len()).filter(|&image| !self.present[image]).collect()
    }
}

/// What can go wrong while embeddings are read and added up.
enum GatherError {
    Study(StudyError),
    Eval(crate::EvalError),
}

impl From<crate::EvalError> for GatherError {
    fn from(error: crate::EvalError) -> Self {
        Self::Eval(error)
    }
}

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

/// Leaves out the comparisons of images without an embedding.
fn without_missing<'b>(benchmark: &'b Benchmark, present: &[bool]) -> (Cow<'b, Benchmark>, usize) {
    if present.iter().all(|&present| present) {
        return (Cow::Borrowed(benchmark), 0);
    }
    let mut usable_benchmark = benchmark.clone();
    let usable: Vec<bool> = match &mut usable_benchmark.templates {
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
    usable_benchmark.pairs.retain(|_| at.next() == Some(&true));
    if let Some(folds) = &mut usable_benchmark.folds {
        let mut at = keep.iter();
        folds.retain(|_| at.next() == Some(&true));
    }
    let left_out = benchmark.pairs.len() - usable_benchmark.pairs.len();
    (Cow::Owned(usable_benchmark), left_out)
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

    /// What the recogniser does with nothing discarded.
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

    /// The curves of methods, by their names and the qualities of all images: every
    /// protocol at every target. `advance` is called with how many methods are done.
    pub(super) fn methods(
        &self,
        evaluator: &Evaluator<'_>,
        methods: &[(&str, &[f64])],
        mut advance: impl FnMut(usize),
    ) -> Result<Vec<CurveRecord>, StudyError> {
        let Settings { protocols, fmr, .. } = self.settings;
        let mut qualities = Vec::with_capacity(methods.len());
        for &(method, images) in methods {
            let of_templates = self.benchmark.template_qualities(images);
            qualities.push(of_templates.map_err(self.method_error(method))?);
        }
        // By method, protocol and target; and the methods by what they lack.
        let mut found: Vec<Vec<Vec<Option<CurveRecord>>>> = Vec::new();
        let mut lacking: BTreeMap<Vec<Vec<usize>>, Vec<usize>> = BTreeMap::new();
        for (method, qualities) in qualities.iter().enumerate() {
            let of_qualities = hash_of(qualities.iter().copied());
            let known = |&protocol: &Protocol| {
                let known = |&fmr: &f64| self.stored(protocol, fmr, &of_qualities);
                fmr.iter().map(known).collect::<Vec<Option<CurveRecord>>>()
            };
            let known: Vec<_> = protocols.iter().map(known).collect();
            let absent = |of_protocol: &Vec<Option<CurveRecord>>| {
                (0..fmr.len()).filter(|&target| of_protocol[target].is_none()).collect()
            };
            let lacks: Vec<Vec<usize>> = known.iter().map(absent).collect();
            if lacks.iter().any(|targets| !targets.is_empty()) {
                lacking.entry(lacks).or_default().push(method);
            }
            found.push(known);
        }
        let mut done = methods.len() - lacking.values().map(Vec::len).sum::<usize>();
        let together =
            (RANKING_BYTES / (9 * self.comparisons.len())).clamp(1, methods.len().max(1));
        for (lacks, of_methods) in &lacking {
            for group in of_methods.chunks(together) {
                advance(done);
                let mut rankings = Vec::with_capacity(group.len());
                for &method in group {
                    let pairs = pair_qualities(&qualities[method], &self.benchmark.pairs);
                    let ranking = pairs.and_then(|pairs| Ranking::new(&pairs));
                    rankings.push(ranking.map_err(self.method_error(methods[method].0))?);
                }
                for (protocol, targets) in lacks.iter().enumerate() {
                    let rates: Vec<f64> = targets.iter().map(|&target| fmr[target]).collect();
                    let measured =
                        self.measure(evaluator, &rankings, protocols[protocol], &rates)?;
                    for (&method, records) in group.iter().zip(measured) {
                        let of_qualities = hash_of(qualities[method].iter().copied());
                        for (&target, record) in targets.iter().zip(records) {
                            let key =
                                self.curve_key(protocols[protocol], fmr[target], &of_qualities);
                            found[method][protocol][target] =
                                Some(store(self.cache, &key, &record)?);
                        }
                    }
                }
                done += group.len();
            }
        }
        advance(done);
        let labelled = |(found, &(method, _)): (Vec<_>, &(&str, &[f64]))| {
            let records = found.into_iter().flatten().flatten();
            records.map(|record| self.labelled(record, method)).collect::<Vec<CurveRecord>>()
        };
        Ok(found.into_iter().zip(methods).flat_map(labelled).collect())
    }

    fn method_error(&self, method: &str) -> impl FnOnce(crate::EvalError) -> StudyError {
        StudyError::measure(format!("dataset '{}', method '{method}'", self.dataset))
    }

    fn stored(&self, protocol: Protocol, fmr: f64, qualities: &ImageHash) -> Option<CurveRecord> {
        load_stored(self.cache, &self.curve_key(protocol, fmr, qualities))
    }

    /// By what a method's curve is kept: all that it depends on, and nothing that is
    /// only printed.
    fn curve_key(&self, protocol: Protocol, fmr: f64, qualities: &ImageHash) -> ImageHash {
        let Settings { max_discard, bootstrap, confidence_level, seed, orders, .. } =
            *self.settings;
        let how = format!(
            "curve {protocol} fmr={fmr} max_discard={max_discard} bootstrap={bootstrap} \
             confidence_level={confidence_level} seed={seed} orders={orders}"
        );
        let key = Sha256::new_with_prefix(self.key).chain_update(how).chain_update(qualities);
        key.finalize().into()
    }

    /// The curves of some rankings, which share the sets that are drawn, at some false
    /// match rates.
    fn measure(
        &self,
        evaluator: &Evaluator<'_>,
        rankings: &[Ranking],
        protocol: Protocol,
        fmr: &[f64],
    ) -> Result<Vec<Vec<CurveRecord>>, StudyError> {
        if fmr.is_empty() {
            return Ok(vec![Vec::new(); rankings.len()]);
        }
        let Settings { max_discard, bootstrap, confidence_level, seed, orders, .. } =
            *self.settings;
        let targets: Vec<Target> = fmr.iter().copied().map(Target::Fmr).collect();
        let intervals = if bootstrap > 0 {
            let resample = match &self.identities {
                Some(identities) => Resample::Identities(identities),
                None => Resample::Pairs,
            };
            let bootstrap =
                Bootstrap { resample, replicates: bootstrap, seed, confidence_level, max_discard };
            let rankings: Vec<&Ranking> = rankings.iter().collect();
            evaluator
                .bootstrap_each(&rankings, protocol, &targets, &bootstrap)
                .map_err(self.error())?
        } else {
            vec![Vec::new(); rankings.len()]
        };
        let mut all = Vec::with_capacity(rankings.len());
        for (ranking, intervals) in rankings.iter().zip(intervals) {
            let curves = evaluator.curves(ranking, protocol, &targets).map_err(self.error())?;
            let ties = evaluator
                .tie_sensitivity(ranking, protocol, &targets, max_discard, orders, seed)
                .map_err(self.error())?;
            let mut records = Vec::with_capacity(curves.len());
            for (index, curve) in curves.iter().enumerate() {
                let mut record = self.record(Series::Method, curve);
                record.tied = ties.tied;
                record.pauc_ties = if ties.orders > 0 { ties.ranges[index].pauc } else { None };
                if let Some(CurveIntervals { discard, fnmr, pauc, replicates, .. }) =
                    intervals.get(index)
                {
                    record.replicates.clone_from(replicates);
                    let bounds = |interval: &Interval| [interval.low, interval.high];
                    record.pauc_interval = pauc.as_ref().map(bounds);
                    let fnmr = fnmr.iter().map(|interval| interval.as_ref().map(bounds));
                    record.band = discard.iter().copied().zip(fnmr).collect();
                }
                records.push(record);
            }
            all.push(records);
        }
        Ok(all)
    }

    /// The baselines of every plot.
    pub(super) fn baseline_curves(
        &self,
        evaluator: &Evaluator<'_>,
    ) -> Result<Vec<CurveRecord>, StudyError> {
        let Settings { orders, seed, max_discard, .. } = *self.settings;
        let key = |protocol: Protocol, fmr: f64| -> ImageHash {
            let how = format!(
                "baselines {protocol} fmr={fmr} max_discard={max_discard} seed={seed} orders={orders}"
            );
            Sha256::new_with_prefix(self.key).chain_update(how).finalize().into()
        };
        let mut all = Vec::new();
        for &protocol in &self.settings.protocols {
            let known =
                |&fmr: &f64| load_stored::<Vec<CurveRecord>>(self.cache, &key(protocol, fmr));
            let mut found: Vec<Option<Vec<CurveRecord>>> =
                self.settings.fmr.iter().map(known).collect();
            let lacking: Vec<usize> =
                (0..found.len()).filter(|&target| found[target].is_none()).collect();
            let target = |&target: &usize| Target::Fmr(self.settings.fmr[target]);
            let targets: Vec<Target> = lacking.iter().map(target).collect();
            let orders = if targets.is_empty() { 0 } else { orders };
            let random = evaluator.random_curves(protocol, &targets, orders, seed);
            let random = random.map_err(self.error())?;
            for ((index, &target), curves) in lacking.into_iter().zip(&targets).zip(random) {
                let best =
                    evaluator.theoretical_best_curve(protocol, target).map_err(self.error())?;
                let mut records: Vec<CurveRecord> = self.mean(&curves).into_iter().collect();
                records.push(self.record(Series::TheoreticalBest, &best));
                let key = key(protocol, target.value());
                found[index] = Some(store(self.cache, &key, &records)?);
            }
            all.extend(found.into_iter().flatten().flatten().map(|record| {
                let name = if record.series == Series::TheoreticalBest {
                    "theoretical-best"
                } else {
                    "random"
                };
                self.labelled(record, name)
            }));
        }
        Ok(all)
    }

    /// A kept record under the names of this study.
    fn labelled(&self, record: CurveRecord, method: &str) -> CurveRecord {
        CurveRecord {
            dataset: self.dataset.to_owned(),
            recogniser: self.recogniser.to_owned(),
            method: method.to_owned(),
            ..record
        }
    }

    /// The mean line of some curves, and the range of their areas.
    fn mean(&self, curves: &[Curve]) -> Option<CurveRecord> {
        let records: Vec<CurveRecord> =
            curves.iter().map(|curve| self.record(Series::Random, curve)).collect();
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
        mean.above_ideal = average(&|record| record.above_ideal);
        let areas = || records.iter().filter_map(|record| record.pauc);
        mean.pauc_interval =
            mean.pauc.map(|_| [areas().fold(f64::INFINITY, f64::min), areas().fold(0.0, f64::max)]);
        Some(mean)
    }

    /// A curve without the names, which are not kept.
    fn record(&self, series: Series, curve: &Curve) -> CurveRecord {
        let steps = curve.interpolation == Interpolation::Step;
        let (points, realised) = if curve.points.len() > STEP_POINTS {
            let discard = |index: usize| index as f64 / STEP_POINTS as f64;
            let points =
                (0..=STEP_POINTS).map(|n| (discard(n), curve.fnmr_at(discard(n)))).collect();
            let first = curve.points.first().and_then(|point| point.fmr);
            // A step function's threshold is fixed, and so is its FMR.
            (points, vec![first; STEP_POINTS + 1])
        } else {
            let points = curve.points.iter().map(|point| (point.discard, point.fnmr)).collect();
            (points, curve.points.iter().map(|point| point.fmr).collect())
        };
        CurveRecord {
            dataset: String::new(),
            recogniser: String::new(),
            method: String::new(),
            series,
            protocol: curve.protocol,
            fmr: curve.target.value(),
            steps,
            points,
            realised,
            pauc: curve.pauc(self.settings.max_discard),
            pauc_interval: None,
            above_ideal: curve.above_ideal(self.settings.max_discard),
            auc: curve.auc(),
            band: Vec::new(),
            replicates: Vec::new(),
            tied: 0,
            pauc_ties: None,
            warnings: curve.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A hash of numbers.
fn hash_of(numbers: impl Iterator<Item = f64>) -> ImageHash {
    let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
    Sha256::digest(bytes).into()
}
