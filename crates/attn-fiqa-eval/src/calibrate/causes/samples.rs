//! Faces with known degradations, and what the network sees of them.

use attn_fiqa::causes::FaceRegion;
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, Request, RequestError};
use attn_fiqa::map::PatchMap;
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use rayon::prelude::*;

use crate::calibrate::fit::split;
use crate::calibrate::{Face, Sampling};
use crate::degrade::{Degradation, Level, apply_together, cover_region, seed_for};

/// Number of faces whose samples are made and assessed together.
const FACES_AT_ONCE: usize = 16;

/// One degradation of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Applied {
    /// Which one.
    pub kind: Degradation,
    /// How strong, 0 … 1.
    pub level: f64,
    /// The index, among all samples, of the same face without this degradation but with all others.
    pub without: usize,
}

/// One image of a face: clean, or with one degradation, or with two.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseSample {
    /// The face, numbered from 0.
    pub face: usize,
    /// What was done to it; empty for the clean face.
    pub applied: Vec<Applied>,
    /// The published score.
    pub score: f32,
    /// The last block's mean query, `[head, head_dim]`.
    pub mean_query: Vec<f32>,
    /// The last block's mean normalised token, `[dim]`.
    pub mean_token: Vec<f32>,
}

/// Everything that a fit of causes needs.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseSamples {
    /// Grouped by face, the clean one first.
    pub samples: Vec<CauseSample>,
    /// The map of attention received of each clean face.
    pub clean_maps: Vec<PatchMap>,
    /// Maps of held-out faces with one region covered.
    pub covered: Vec<(FaceRegion, PatchMap)>,
    /// For each face, whether it is held out of the fit: the same faces as for
    /// [`fit`](crate::calibrate::fit) with the same seed.
    pub held_out: Vec<bool>,
    /// Side of the network's input in pixels.
    pub side: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
}

/// Makes and assesses the samples of every face: the clean face, the degraded ones that
/// [`measure`](crate::calibrate::measure) makes with the same sampling, and pairs of these
/// degradations; for held-out faces, also one per covered region.
///
/// `done` is called for every face, in order, with its failure if there is one: such a face has no
/// samples and is skipped in the numbering.
///
/// # Errors
///
/// If the model does not provide what is needed.
pub fn cause_samples(
    engine: &Engine,
    faces: &[Face],
    sampling: &Sampling,
    mut done: impl FnMut(&Face, Option<&Failure>),
) -> Result<CauseSamples, RequestError> {
    let request = Request { mean_query: true, mean_token: true, ..Request::new(Method::ATTN) };
    let mut samples: Vec<CauseSample> = Vec::new();
    let mut taken: Vec<&Face> = Vec::new();
    for faces in faces.chunks(FACES_AT_ONCE) {
        let plans: Vec<Vec<Planned>> = faces.iter().map(|face| plan(face, sampling)).collect();
        let wanted: Vec<(&Face, &Planned)> = faces
            .iter()
            .zip(&plans)
            .flat_map(|(face, plans)| plans.iter().map(move |plan| (face, plan)))
            .collect();
        let make = |(face, plan): &(&Face, &Planned)| {
            let applied: Vec<(Degradation, Level)> =
                plan.iter().map(|&(kind, level, _)| (kind, level)).collect();
            apply_together(&face.crop, &applied, seed_for(sampling.seed, &face.name))
        };
        let crops: Vec<Crop> = engine.install(|| wanted.par_iter().map(make).collect());
        let mut assessed = engine.assess(&crops, &request)?.into_iter();
        for (face, plans) in faces.iter().zip(&plans) {
            let own: Result<Vec<Assessment>, Failure> =
                assessed.by_ref().take(plans.len()).collect();
            match own {
                Ok(own) => {
                    let (first, number) = (samples.len(), taken.len());
                    let made = plans.iter().zip(own);
                    samples.extend(made.map(|(plan, found)| sample(number, first, plan, found)));
                    taken.push(face);
                    done(face, None);
                }
                Err(failure) => done(face, Some(&failure)),
            }
        }
    }
    let mut held_out = vec![false; taken.len()];
    split(taken.len(), sampling.seed).0.into_iter().for_each(|face| held_out[face] = true);
    let clean: Vec<Crop> = taken.iter().map(|face| face.crop.clone()).collect();
    let clean_maps = maps(engine, &clean)?;
    let tested = taken.iter().zip(&held_out).filter(|(_, held_out)| **held_out);
    let covers: Vec<(FaceRegion, Crop)> = tested
        .flat_map(|(face, _)| FaceRegion::ALL.map(|region| (region, *face)))
        .map(|(region, face)| {
            let seed = seed_for(sampling.seed, &format!("{} {region}", face.name));
            (region, cover_region(&face.crop, region, seed))
        })
        .collect();
    let (regions, crops): (Vec<FaceRegion>, Vec<Crop>) = covers.into_iter().unzip();
    let covered = regions.into_iter().zip(maps(engine, &crops)?).collect();
    let config = engine.config();
    let (side, patch) = (config.image_size, config.patch_size);
    Ok(CauseSamples { samples, clean_maps, covered, held_out, side, patch })
}

/// The degradations of one sample, each with the index, among those of the same face, of the sample
/// without it.
type Planned = Vec<(Degradation, Level, usize)>;

/// The samples of a face: clean, each degradation alone, and each together with the next one in a
/// ring, unless both are of the same kind.
fn plan(face: &Face, sampling: &Sampling) -> Vec<Planned> {
    let alone: Vec<(Degradation, Level)> =
        sampling.of(face).into_iter().map(|(_, kind, level)| (kind, level)).collect();
    let mut plans = vec![Vec::new()];
    plans.extend(alone.iter().map(|&(kind, level)| vec![(kind, level, 0)]));
    // A ring of two has one pair only.
    let pairs = if alone.len() > 2 { alone.len() } else { alone.len().saturating_sub(1) };
    for first in 0..pairs {
        let second = (first + 1) % alone.len();
        let ((one, one_level), (other, other_level)) = (alone[first], alone[second]);
        if one != other {
            plans.push(vec![(one, one_level, 1 + second), (other, other_level, 1 + first)]);
        }
    }
    plans
}

fn sample(face: usize, first: usize, plan: &Planned, found: Assessment) -> CauseSample {
    let applied = plan.iter().map(|&(kind, level, without)| Applied {
        kind,
        level: level.get(),
        without: first + without,
    });
    let token = found.mean_token.expect("asked for: this is a bug");
    CauseSample {
        face,
        applied: applied.collect(),
        score: found.scores[0],
        mean_query: found.mean_query.expect("asked for: this is a bug"),
        mean_token: token.into_iter().map(|value| value as f32).collect(),
    }
}

/// The maps of crops that the network can assess.
fn maps(engine: &Engine, crops: &[Crop]) -> Result<Vec<PatchMap>, RequestError> {
    let request = Request { received: true, ..Request::new(Method::ATTN) };
    let mut maps = Vec::with_capacity(crops.len());
    for crops in crops.chunks(8 * FACES_AT_ONCE) {
        let assessed = engine.assess(crops, &request)?.into_iter().flatten();
        maps.extend(assessed.filter_map(|found| Some(found.received?.mean)));
    }
    Ok(maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_reference_the_sample_without_each_degradation() {
        let crop = Crop::from_rgb(8, vec![0; 192]).expect("a crop");
        let kinds = vec![Degradation::Blur, Degradation::Noise, Degradation::Yaw];
        for degraded in [1, 2, 3, 8] {
            let sampling = Sampling { kinds: kinds.clone(), degraded, seed: 5 };
            for name in ["a", "b", "c"] {
                let face = Face { name: name.to_owned(), crop: crop.clone() };
                let plans = plan(&face, &sampling);
                assert!(plans[0].is_empty());
                assert_eq!(plans.iter().filter(|plan| plan.len() == 1).count(), degraded);
                // Each is paired with the next one, and the last with the first.
                let mut pairs: Vec<[usize; 2]> = Vec::new();
                for (first, second) in (0..degraded).map(|first| (first, (first + 1) % degraded)) {
                    let same_kind = plans[1 + first][0].0 == plans[1 + second][0].0;
                    if !same_kind && !pairs.contains(&[second, first]) {
                        pairs.push([first, second]);
                    }
                }
                let expected = pairs.iter().map(|pair| pair.map(|place| plans[1 + place][0].0));
                let found = plans[1 + degraded..].iter().map(|plan| [plan[0].0, plan[1].0]);
                assert!(found.eq(expected), "{degraded} of {name}");
                for plan in &plans {
                    for (index, &(kind, level, without)) in plan.iter().enumerate() {
                        let mut rest = plan.clone();
                        rest.remove(index);
                        let other: Vec<(Degradation, Level)> =
                            plans[without].iter().map(|&(kind, level, _)| (kind, level)).collect();
                        let rest: Vec<_> = rest.iter().map(|&(k, l, _)| (k, l)).collect();
                        assert_eq!(other, rest, "without {kind} {level:?}");
                    }
                    assert!(plan.len() < 2 || plan[0].0 != plan[1].0);
                }
            }
        }
    }
}
