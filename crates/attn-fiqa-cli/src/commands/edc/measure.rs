//! Curves of qualities and their baselines, with areas, ranges and intervals.

use attn_fiqa_eval::edc::{Bootstrap, Curve, CurveIntervals, Evaluator, Protocol, Ranking, Target};

/// One curve and its figures.
pub(super) struct Measured {
    pub(super) method: String,
    pub(super) curve: Curve,
    /// Lowest and highest pAUC: for a quality over orders of ties, for the row `random` over its
    /// orders.
    pub(super) range: Option<[f64; 2]>,
    pub(super) pauc: Option<f64>,
    /// The part of the pAUC above the ideal curve.
    pub(super) above_ideal: Option<f64>,
    pub(super) auc: Option<f64>,
    pub(super) intervals: Option<CurveIntervals>,
}

/// How curves are measured.
pub(super) struct Measurement<'a> {
    pub(super) evaluator: &'a Evaluator<'a>,
    pub(super) targets: &'a [Target],
    pub(super) max_discard: f64,
    /// Number of random orders, of ties and for the row `random`.
    pub(super) orders: usize,
    pub(super) seed: u64,
    pub(super) bootstrap: Option<Bootstrap<'a>>,
}

impl Measurement<'_> {
    /// The curves of a quality under one protocol, one per target.
    pub(super) fn quality(
        &self,
        method: &str,
        ranking: &Ranking,
        protocol: Protocol,
    ) -> anyhow::Result<Vec<Measured>> {
        let Self { evaluator, targets, max_discard, orders, seed, .. } = *self;
        let curves = evaluator.curves(ranking, protocol, targets)?;
        let ties =
            evaluator.tie_sensitivity(ranking, protocol, targets, max_discard, orders, seed)?;
        let mut intervals = match &self.bootstrap {
            Some(bootstrap) => evaluator.bootstrap(ranking, protocol, targets, bootstrap)?,
            None => Vec::new(),
        }
        .into_iter();
        let measured = curves.into_iter().zip(ties.ranges).map(|(curve, ties)| Measured {
            method: method.to_owned(),
            pauc: curve.pauc(max_discard),
            above_ideal: curve.above_ideal(max_discard),
            auc: curve.auc(),
            range: ties.pauc,
            intervals: intervals.next(),
            curve,
        });
        Ok(measured.collect())
    }

    /// The rows `random`, which is the mean over its orders, and `theoretical-best`.
    pub(super) fn baselines(&self, protocol: Protocol) -> anyhow::Result<Vec<Measured>> {
        let Self { evaluator, targets, max_discard, orders, seed, .. } = *self;
        let random = evaluator.random_curves(protocol, targets, orders, seed)?;
        let mut measured: Vec<Measured> =
            random.into_iter().filter_map(|curves| self.mean_of_orders(curves)).collect();
        for &target in targets {
            let curve = evaluator.theoretical_best_curve(protocol, target)?;
            measured.push(Measured {
                method: "theoretical-best".to_owned(),
                pauc: curve.pauc(max_discard),
                above_ideal: curve.above_ideal(max_discard),
                auc: curve.auc(),
                range: None,
                intervals: None,
                curve,
            });
        }
        Ok(measured)
    }

    /// The row `random` at one target.
    fn mean_of_orders(&self, curves: Vec<Curve>) -> Option<Measured> {
        let (orders, max_discard) = (self.orders, self.max_discard);
        let mean = |values: Vec<f64>| {
            (values.len() == orders).then(|| values.iter().sum::<f64>() / orders as f64)
        };
        let paucs: Vec<f64> = curves.iter().filter_map(|curve| curve.pauc(max_discard)).collect();
        let above = curves.iter().filter_map(|curve| curve.above_ideal(max_discard)).collect();
        let aucs = curves.iter().filter_map(Curve::auc).collect();
        let low = paucs.iter().copied().reduce(f64::min);
        let range = low.zip(paucs.iter().copied().reduce(f64::max)).map(|(low, high)| [low, high]);
        Some(Measured {
            method: "random".to_owned(),
            pauc: mean(paucs),
            above_ideal: mean(above),
            auc: mean(aucs),
            range,
            intervals: None,
            curve: mean_curve(&curves)?,
        })
    }
}

/// The mean FNMR and FMR at each point; random orders have no ties, so the points of all curves are
/// at the same discard fractions.
fn mean_curve(curves: &[Curve]) -> Option<Curve> {
    let mut mean = curves.first()?.clone();
    for (index, point) in mean.points.iter_mut().enumerate() {
        let average = |value: &dyn Fn(&Curve) -> Option<f64>| {
            let values: Option<Vec<f64>> = curves.iter().map(value).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        point.fnmr = average(&|curve| curve.points.get(index)?.fnmr);
        point.fmr = average(&|curve| curve.points.get(index)?.fmr);
        point.threshold = average(&|curve| curve.points.get(index)?.threshold);
    }
    Some(mean)
}
