//! The baselines: discarding at random and by each comparison's own error.

use sha2::{Digest, Sha256};

use super::RecogniserEvaluation;
use crate::edc::{Curve, Evaluator, Protocol, Series, Target};
use crate::study::StudyError;
use crate::study::cache::{ImageHash, load_stored, store};
use crate::study::config::Settings;
use crate::study::results::CurveRecord;

impl RecogniserEvaluation<'_> {
    /// The baselines of every plot.
    pub(in crate::study) fn baseline_curves(
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

    /// The mean of some curves, and the range of their areas.
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
}
