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
    use crate::calibrate::causes::samples::{Applied, CauseSample};
    use crate::degrade::Degradation;
    use attn_fiqa::causes::{Curve, RegionReference};
    use attn_fiqa::map::PatchMap;

    #[test]
    fn hits_are_counted() {
        let mut hits = Hits::default();
        [true, false, true, true].into_iter().for_each(|hit| hits.count(hit));
        assert_eq!((hits, hits.fraction()), (Hits { hits: 3, of: 4 }, 0.75));
        assert!(Hits::default().fraction().is_nan());
    }
    /// Reads the strengths of noise, pose, blur and low contrast from the elements of the token; the
    /// last element is positive where nothing lowers the quality.
    fn model() -> CauseModel {
        let causes = vec![Cause::Noise, Cause::Pose, Cause::Blur, Cause::LowContrast];
        // Five rows of five weights and an intercept of 0.
        let mut weights = vec![0.0; 5 * 6];
        (0..5).for_each(|row| weights[row * 6 + row] = 1.0);
        let straight = |highest| Curve(std::array::from_fn(|knot| highest * knot as f32 / 10.0));
        let regions = RegionReference { mean: [0.0; 6], deviation: [0.1; 6] };
        let (strengths, gains) = (vec![straight(1.0); 4], vec![straight(50.0); 4]);
        CauseModel::new(causes, &weights, strengths, gains, regions).expect("a model")
    }

    /// A map in which the nose gets little attention, or a flat one.
    fn map(weak_nose: bool) -> PatchMap {
        let [left, top, right, bottom] = FaceRegion::Nose.bounds();
        let value = |place: usize| {
            let (x, y) = ((place % 14) as f64 * 8.0 + 4.0, (place / 14) as f64 * 8.0 + 4.0);
            let inside = x > left && x < right && y > top && y < bottom;
            if weak_nose && inside { -1.0 } else { 1.0 }
        };
        PatchMap::of(14, (0..196).map(value).collect()).expect("a square")
    }

    /// Samples with their qualities; the first of them is the clean face.
    fn measured() -> (CauseSamples, Vec<f64>) {
        use Degradation::{Blur, Darkness, Noise, Yaw};
        let (mut samples, mut qualities) = (Vec::new(), Vec::new());
        let mut add = |face, applied: &[(Degradation, f64)], token: [f32; 5], quality| {
            let applied = applied.iter().map(|&(kind, level)| Applied { kind, level, without: 0 });
            samples.push(CauseSample {
                face,
                applied: applied.collect(),
                score: 0.0,
                mean_query: Vec::new(),
                mean_token: token.to_vec(),
            });
            qualities.push(quality);
        };
        add(0, &[], [0.0, 0.0, 0.0, 0.0, 1.0], 90.0);
        add(1, &[], [0.6, 0.0, 0.0, 0.0, -1.0], 90.0);
        // Named rightly, with a loss of 5 and of 4 points; at a level too low to be judged; named
        // as noise; and with a cause that the model does not know.
        add(0, &[(Noise, 0.3)], [0.6, 0.0, 0.0, 0.0, -1.0], 85.0);
        add(0, &[(Yaw, 0.8)], [0.0, 0.7, 0.0, 0.0, -1.0], 86.0);
        add(0, &[(Noise, 0.2)], [0.1, 0.7, 0.0, 0.0, -1.0], 20.0);
        add(0, &[(Yaw, 0.7)], [0.9, 0.6, 0.0, 0.0, -1.0], 30.0);
        add(0, &[(Darkness, 0.9)], [0.9, 0.6, 0.0, 0.0, -1.0], 30.0);
        // Noise is the third cause, and then the fourth.
        add(0, &[(Noise, 0.3), (Yaw, 0.9)], [0.4, 0.9, 0.8, 0.2, -1.0], 10.0);
        add(0, &[(Noise, 0.5), (Yaw, 0.5)], [0.4, 0.9, 0.8, 0.7, -1.0], 10.0);
        // One degradation is too weak to be judged, and one face is not chosen.
        add(0, &[(Noise, 0.9), (Blur, 0.1)], [0.9, 0.0, 0.5, 0.0, -1.0], 10.0);
        add(2, &[(Noise, 0.9)], [0.9, 0.0, 0.0, 0.0, -1.0], 10.0);
        add(2, &[], [0.0, 0.0, 0.0, 0.0, 1.0], 90.0);
        let covered = vec![
            (FaceRegion::Nose, map(true)),
            (FaceRegion::Mouth, map(true)),
            (FaceRegion::Mouth, map(false)),
        ];
        let clean_maps = vec![map(false), map(true), map(true)];
        let held_out = vec![true, true, false];
        let (side, patch) = (112, 8);
        (CauseSamples { samples, clean_maps, covered, held_out, side, patch }, qualities)
    }

    #[test]
    fn evaluation_counts_named_causes_and_regions() {
        let (measured, qualities) = measured();
        let found = evaluate_causes(&model(), &measured, |face| face < 2, &qualities);
        let hits = |hits, of| Hits { hits, of };
        assert_eq!(found.single, hits(2, 3));
        assert_eq!(found.single_with_loss, hits(1, 2));
        assert_eq!(found.pairs, hits(1, 2));
        assert_eq!(found.clean, hits(1, 2));
        let of_cause: Vec<_> =
            found.causes.iter().map(|row| (row.cause, row.main, row.spearman)).collect();
        let none = Hits::default();
        let expected = [
            ("noise", hits(1, 1), Some(1.0)),
            ("pose", hits(1, 2), Some(1.0)),
            ("blur", none, None),
            ("low_contrast", none, None),
        ];
        assert_eq!(of_cause, expected);
        assert_eq!(found.regions, [none, none, hits(1, 1), hits(0, 2), none, none]);
        assert_eq!(found.covered(), hits(1, 3));
        assert_eq!(found.clean_regions, hits(1, 2));
    }
}
