//! How often the causes named by a readout are those of the sample.

use attn_fiqa::causes::{Cause, CauseModel, FaceRegion};
use serde::Serialize;

use super::samples::CauseSamples;
use crate::statistics::spearman;

/// The lowest level at which a degradation must be named.
const LEAST_LEVEL: f64 = 0.3;

/// Minimum loss of quality for an image to count as having lost quality.
const MIN_LOSS: f64 = 5.0;

/// Both degradations of an image with two must be among this many causes named first.
const FIRST: usize = 3;

/// Successes among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Hits {
    /// Successes.
    pub hits: usize,
    /// Trials.
    pub of: usize,
}

impl Hits {
    /// The fraction, NaN without a trial.
    pub fn fraction(self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    fn count(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.of += 1;
    }
}

/// The evaluation of one cause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CauseAgreement {
    /// Name of the cause.
    pub cause: &'static str,
    /// Images with this degradation alone, at a level of 0.3 or more, whose main cause is this
    /// one.
    pub main: Hits,
    /// Rank correlation of strength and level over the images with this degradation alone, at every
    /// level; `None` if one of the two does not vary.
    pub spearman: Option<f64>,
}

/// The evaluation of a readout of causes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CauseEvaluation {
    /// Each cause, in the order of the model.
    pub causes: Vec<CauseAgreement>,
    /// Images with one degradation at a level of 0.3 or more whose main cause is that one.
    pub single: Hits,
    /// Those among them that lost at least 5 points of quality to it.
    pub single_with_loss: Hits,
    /// Images with two degradations, both at a level of 0.3 or more, both of which are among the
    /// first three causes named.
    pub pairs: Hits,
    /// Clean faces without a cause.
    pub clean: Hits,
    /// For each region, in the order of [`FaceRegion::ALL`]: faces with this region covered in
    /// which it is the weakest region and weak enough to be named.
    pub regions: [Hits; 6],
    /// Clean faces without a weak region.
    pub clean_regions: Hits,
}

impl CauseEvaluation {
    /// Over all regions.
    pub fn covered(&self) -> Hits {
        self.regions.iter().fold(Hits::default(), |sum, region| Hits {
            hits: sum.hits + region.hits,
            of: sum.of + region.of,
        })
    }
}

/// Evaluates the causes read from the samples of the faces selected by `chosen`, and from the
/// covered faces. `qualities` holds the quality of every sample, 0 … 100.
///
/// # Panics
///
/// Unless there is one quality per sample.
pub fn evaluate_causes(
    model: &CauseModel,
    measured: &CauseSamples,
    chosen: impl Fn(usize) -> bool,
    qualities: &[f64],
) -> CauseEvaluation {
    assert_eq!(measured.samples.len(), qualities.len(), "one quality per sample");
    let mut found = CauseEvaluation {
        causes: Vec::new(),
        single: Hits::default(),
        single_with_loss: Hits::default(),
        pairs: Hits::default(),
        clean: Hits::default(),
        regions: [Hits::default(); 6],
        clean_regions: Hits::default(),
    };
    let mut of_cause = vec![(Hits::default(), Vec::new(), Vec::new()); model.causes().len()];
    for (sample, quality) in measured.samples.iter().zip(qualities) {
        if !chosen(sample.face) {
            continue;
        }
        let token: Vec<f64> = sample.mean_token.iter().map(|&value| f64::from(value)).collect();
        let causes = model.read(&token);
        match sample.applied.as_slice() {
            [] => found.clean.count(causes.found.is_empty()),
            [own] => {
                let cause = own.kind.cause();
                let Some(row) = model.causes().iter().position(|known| *known == cause) else {
                    continue;
                };
                let (main, strengths, levels) = &mut of_cause[row];
                strengths.push(f64::from(model.all(&token).0[row].strength));
                levels.push(own.level);
                if own.level >= LEAST_LEVEL {
                    let right = causes.main().is_some_and(|found| found.cause == cause);
                    main.count(right);
                    found.single.count(right);
                    if qualities[own.without] - quality >= MIN_LOSS {
                        found.single_with_loss.count(right);
                    }
                }
            }
            several if several.iter().all(|own| own.level >= LEAST_LEVEL) => {
                let first = &causes.found[..causes.found.len().min(FIRST)];
                let named = |cause: Cause| first.iter().any(|found| found.cause == cause);
                found.pairs.count(several.iter().all(|own| named(own.kind.cause())));
            }
            _ => {}
        }
    }
    found.causes = model
        .causes()
        .iter()
        .zip(of_cause)
        .map(|(cause, (main, strengths, levels))| CauseAgreement {
            cause: cause.name(),
            main,
            spearman: spearman(&strengths, &levels),
        })
        .collect();
    regions(model, measured, chosen, &mut found);
    found
}

fn regions(
    model: &CauseModel,
    measured: &CauseSamples,
    chosen: impl Fn(usize) -> bool,
    found: &mut CauseEvaluation,
) {
    let weak = |map| model.regions().weak_regions(map, measured.side, measured.patch);
    for (region, map) in &measured.covered {
        let place = FaceRegion::ALL.iter().position(|known| known == region);
        let place = place.expect("ALL has every region: this is a bug");
        found.regions[place].count(weak(map).first() == Some(region));
    }
    let clean = measured.clean_maps.iter().enumerate().filter(|(face, _)| chosen(*face));
    clean.for_each(|(_, map)| found.clean_regions.count(weak(map).is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_counted() {
        let mut hits = Hits::default();
        [true, false, true, true].into_iter().for_each(|hit| hits.count(hit));
        assert_eq!((hits, hits.fraction()), (Hits { hits: 3, of: 4 }, 0.75));
        assert!(Hits::default().fraction().is_nan());
    }
}
