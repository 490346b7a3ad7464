//! The curves of quality methods, with intervals and the range of ties.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::RecogniserEvaluation;
use crate::comparisons::pair_qualities;
use crate::edc::{
    Bootstrap, Curve, CurveIntervals, Evaluator, Interval, Protocol, Ranking, Resample, Series,
    Target, TieSensitivity,
};
use crate::study::StudyError;
use crate::study::cache::{ImageHash, load_stored, store};
use crate::study::config::Settings;
use crate::study::results::CurveRecord;

/// Size of the rankings of several methods that are in memory together, in bytes, so that they
/// share the bootstrap samples.
const RANKING_BYTES: usize = 1 << 29;

/// One method while its curves are collected.
struct MethodCurves {
    /// The quality of each image or template.
    qualities: Vec<f64>,
    /// Hash of the qualities.
    hash: ImageHash,
    /// By protocol and target, as far as available.
    curves: Vec<Vec<Option<CurveRecord>>>,
}

impl MethodCurves {
    /// The targets that have no curve yet, by protocol.
    fn lacking(&self) -> Vec<Vec<usize>> {
        let absent = |curves: &Vec<Option<CurveRecord>>| {
            (0..curves.len()).filter(|&target| curves[target].is_none()).collect()
        };
        self.curves.iter().map(absent).collect()
    }
}

impl RecogniserEvaluation<'_> {
    /// The curves of methods, by their names and the qualities of all images: every protocol at
    /// every target. `advance` is called with the number of finished methods.
    pub(in crate::study) fn methods(
        &self,
        evaluator: &Evaluator<'_>,
        methods: &[(&str, &[f64])],
        mut advance: impl FnMut(usize),
    ) -> Result<Vec<CurveRecord>, StudyError> {
        let mut all = Vec::with_capacity(methods.len());
        for &(method, images) in methods {
            all.push(self.stored_curves(images).map_err(self.method_error(method))?);
        }
        // Methods that lack the same curves are measured together.
        let mut groups: BTreeMap<Vec<Vec<usize>>, Vec<usize>> = BTreeMap::new();
        for (method, curves) in all.iter().enumerate() {
            let lacking = curves.lacking();
            if lacking.iter().any(|targets| !targets.is_empty()) {
                groups.entry(lacking).or_default().push(method);
            }
        }
        let mut done = methods.len() - groups.values().map(Vec::len).sum::<usize>();
        let together =
            (RANKING_BYTES / (9 * self.comparisons.len())).clamp(1, methods.len().max(1));
        for (lacking, members) in &groups {
            for group in members.chunks(together) {
                advance(done);
                let mut rankings = Vec::with_capacity(group.len());
                for &method in group {
                    let pairs = pair_qualities(&all[method].qualities, &self.benchmark.pairs);
                    let ranking = pairs.and_then(|pairs| Ranking::new(&pairs));
                    rankings.push(ranking.map_err(self.method_error(methods[method].0))?);
                }
                self.measure_group(evaluator, &rankings, lacking, group, &mut all)?;
                done += group.len();
            }
        }
        advance(done);
        let labelled = |(curves, &(method, _)): (MethodCurves, &(&str, &[f64]))| {
            let records = curves.curves.into_iter().flatten().flatten();
            records.map(|record| self.labelled(record, method)).collect::<Vec<CurveRecord>>()
        };
        Ok(all.into_iter().zip(methods).flat_map(labelled).collect())
    }

    /// Results of a method stored by earlier runs.
    fn stored_curves(&self, images: &[f64]) -> Result<MethodCurves, crate::EvalError> {
        let qualities = self.benchmark.template_qualities(images)?;
        let bytes: Vec<u8> = qualities.iter().flat_map(|quality| quality.to_le_bytes()).collect();
        let hash: ImageHash = Sha256::digest(bytes).into();
        let stored = |protocol: Protocol, fmr: f64| {
            load_stored(self.cache, &self.curve_key(protocol, fmr, &hash))
        };
        let of_protocol = |&protocol: &Protocol| {
            self.settings.fmr.iter().map(|&fmr| stored(protocol, fmr)).collect()
        };
        let curves = self.settings.protocols.iter().map(of_protocol).collect();
        Ok(MethodCurves { qualities, hash, curves })
    }

    /// Measures and stores the missing curves of a group of methods.
    fn measure_group(
        &self,
        evaluator: &Evaluator<'_>,
        rankings: &[Ranking],
        lacking: &[Vec<usize>],
        group: &[usize],
        all: &mut [MethodCurves],
    ) -> Result<(), StudyError> {
        for (index, targets) in lacking.iter().enumerate() {
            let protocol = self.settings.protocols[index];
            let rates: Vec<f64> = targets.iter().map(|&target| self.settings.fmr[target]).collect();
            let measured = self.measure(evaluator, rankings, protocol, &rates)?;
            for (&method, records) in group.iter().zip(measured) {
                let MethodCurves { hash, curves, .. } = &mut all[method];
                for ((&target, &fmr), record) in targets.iter().zip(&rates).zip(records) {
                    let key = self.curve_key(protocol, fmr, hash);
                    curves[index][target] = Some(store(self.cache, &key, &record)?);
                }
            }
        }
        Ok(())
    }

    fn method_error(&self, method: &str) -> impl FnOnce(crate::EvalError) -> StudyError {
        StudyError::measure(format!("dataset '{}', method '{method}'", self.dataset))
    }

    /// The cache key of a method's curve: everything that affects it, and nothing that is only
    /// displayed.
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

    /// The curves of some rankings, which share the bootstrap samples, at some false match rates.
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
            let record = |(index, curve): (usize, &Curve)| {
                self.method_record(curve, intervals.get(index), (&ties, index))
            };
            all.push(curves.iter().enumerate().map(record).collect());
        }
        Ok(all)
    }

    fn method_record(
        &self,
        curve: &Curve,
        intervals: Option<&CurveIntervals>,
        (ties, target): (&TieSensitivity, usize),
    ) -> CurveRecord {
        let mut record = self.record(Series::Method, curve);
        record.tied = ties.tied;
        record.pauc_ties = if ties.orders > 0 { ties.ranges[target].pauc } else { None };
        if let Some(CurveIntervals { discard, fnmr, pauc, replicates, .. }) = intervals {
            record.replicates.clone_from(replicates);
            let bounds = |interval: &Interval| [interval.low, interval.high];
            record.pauc_interval = pauc.as_ref().map(bounds);
            let fnmr = fnmr.iter().map(|interval| interval.as_ref().map(bounds));
            record.band = discard.iter().copied().zip(fnmr).collect();
        }
        record
    }
}
