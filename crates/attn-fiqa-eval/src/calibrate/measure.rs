//! Samples of faces, their scores, and a recogniser's comparisons of them.

use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, Request, RequestError};
use attn_fiqa::random::Random;
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use rayon::prelude::*;

use super::recognition::{dot, non_mated_cosines};
use super::{CalibrateError, MatedPair, Measurements, Sample};
use crate::degrade::{Degradation, Level, seed_for};

/// Maximum number of samples of one face that are compared with each other; the number of
/// comparisons grows with its square.
const MAX_COMPARED_SAMPLES: usize = 12;

/// Number of faces whose samples are made and assessed together.
const FACES_AT_ONCE: usize = 16;

/// A face recognition network.
pub trait Recogniser: Sync {
    /// One embedding per crop, in order, all of the same length and not normalised.
    fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>>;
}

/// Runs on the caller's threads, several faces at a time.
impl Recogniser for attn_fiqa::recognise::Recogniser {
    fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>> {
        crops.par_iter().map(|crop| self.embed(crop)).collect()
    }
}

/// A clean face.
#[derive(Debug, Clone)]
pub struct Face {
    /// Its name: its degradations depend only on the name and the seed.
    pub name: String,
    /// Aligned, at the network's input size.
    pub crop: Crop,
}

/// The samples made from every face.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Kinds of degradation, all equally likely.
    pub kinds: Vec<Degradation>,
    /// Number of degraded samples per face, in addition to the clean one. Each has its own kind and
    /// level, the level uniform in 0 … 1.
    pub degraded: usize,
    /// Seed of the kinds, the levels and the degradations.
    pub seed: u64,
}

/// One assessed crop.
struct Assessed {
    score: f32,
    mean_query: Vec<f32>,
    mean_token: Vec<f64>,
    /// Of length 1, or all zeros.
    unit_embedding: Vec<f32>,
    norm: f64,
}

/// Assesses crops with the model and embeds them with the recogniser.
struct Assessor<'a> {
    engine: &'a Engine,
    recogniser: Option<&'a dyn Recogniser>,
    request: Request,
}

impl Assessor<'_> {
    fn assess(&self, crops: &[Crop]) -> Result<Vec<Result<Assessed, Failure>>, RequestError> {
        let assessed = self.engine.assess(crops, &self.request)?;
        let embeddings = match self.recogniser {
            Some(recogniser) => {
                let embeddings = self.engine.install(|| recogniser.embed(crops));
                embeddings.into_iter().map(Some).collect()
            }
            None => crops.iter().map(|_| None).collect::<Vec<_>>(),
        };
        let both = assessed.into_iter().zip(embeddings).map(|(assessment, embedding)| {
            let assessment = assessment?;
            let own = assessment.embedding;
            let embedding = match embedding {
                Some(embedding) => embedding?,
                None => own.expect("asked for: this is a bug"),
            };
            let norm = norm(embedding.iter().map(|&value| f64::from(value)));
            let factor = if norm > 0.0 { 1.0 / norm } else { 0.0 };
            Ok(Assessed {
                score: assessment.scores[0],
                mean_query: assessment.mean_query.expect("asked for: this is a bug"),
                mean_token: assessment.mean_token.expect("asked for: this is a bug"),
                unit_embedding: embedding.iter().map(|&v| (f64::from(v) * factor) as f32).collect(),
                norm,
            })
        });
        Ok(both.collect())
    }
}

/// Makes and assesses the samples of every face: the clean face and its degraded
/// versions, compared with it and with each other by the recogniser.
///
/// Without a `recogniser`, the engine's own embedding is used; the engine must have been built with
/// it. `fmr` is the false match rate between clean faces that defines the recogniser's threshold.
/// `done` is called for every face, in order, with its failure if there is one: such a face has no
/// samples. The samples' faces are numbered in the order of `faces`, skipping those without
/// samples.
///
/// # Errors
///
/// If the model does not provide what is needed, or normalises its queries and keys.
pub fn measure(
    engine: &Engine,
    recogniser: Option<&dyn Recogniser>,
    faces: &[Face],
    sampling: &Sampling,
    fmr: f64,
    mut done: impl FnMut(&Face, Option<&Failure>),
) -> Result<Measurements, CalibrateError> {
    let request = Request {
        mean_query: true,
        mean_token: true,
        embedding: recogniser.is_none(),
        ..Request::new(Method::ATTN)
    };
    if engine.config().qk_norm {
        return Err(CalibrateError::NormalisedQueries);
    }
    let assessor = Assessor { engine, recogniser, request };

    let mut clean = Vec::with_capacity(faces.len());
    for faces in faces.chunks(FACES_AT_ONCE) {
        let crops: Vec<Crop> = faces.iter().map(|face| face.crop.clone()).collect();
        clean.extend(assessor.assess(&crops)?);
    }
    let mut collector = SampleCollector {
        mean: mean(
            clean.iter().filter_map(|face| Some(face.as_ref().ok()?.unit_embedding.as_slice())),
        ),
        tokens: TokenVariance::new(engine.config().embed_dim),
        samples: Vec::new(),
        pairs: Vec::new(),
        faces: 0,
    };
    for (faces, clean) in faces.chunks(FACES_AT_ONCE).zip(clean.chunks(FACES_AT_ONCE)) {
        let wanted: Vec<(&Face, Degradation, Level)> =
            faces.iter().flat_map(|face| sampling.of(face)).collect();
        let crops: Vec<Crop> = engine.install(|| {
            let made = wanted.par_iter().map(|(face, kind, level)| {
                kind.apply(&face.crop, *level, seed_for(sampling.seed, &face.name))
            });
            made.collect()
        });
        let mut degraded = wanted.iter().zip(assessor.assess(&crops)?);
        for (face, clean) in faces.iter().zip(clean) {
            let own: Vec<_> = degraded.by_ref().take(sampling.degraded).collect();
            match collector.add(clean, own) {
                Ok(()) => done(face, None),
                Err(failure) => done(face, Some(&failure)),
            }
        }
    }
    let embeddings: Vec<Vec<f32>> =
        clean.into_iter().filter_map(|face| face.ok().map(|face| face.unit_embedding)).collect();
    let (non_mated, highest_non_mated) = engine.install(|| non_mated_cosines(&embeddings, fmr));
    let penalty = collector.tokens.penalty(engine.query_weight());
    let SampleCollector { samples, pairs, .. } = collector;
    Ok(Measurements { samples, pairs, fmr, non_mated, highest_non_mated, penalty })
}

impl Sampling {
    /// Kind and level of each degraded sample of a face.
    pub(super) fn of<'a>(&self, face: &'a Face) -> Vec<(&'a Face, Degradation, Level)> {
        let mut random = Random::new(seed_for(self.seed, &face.name), "calibrate");
        let mut sample = |_| {
            let kind = self.kinds[random.below(self.kinds.len())];
            let level = Level::new(1.0 - random.uniform()).expect("in 0 … 1: this is a bug");
            (face, kind, level)
        };
        (0..self.degraded).map(&mut sample).collect()
    }
}

type AssessedSample<'a> = (&'a (&'a Face, Degradation, Level), Result<Assessed, Failure>);

/// Collects samples.
struct SampleCollector {
    /// The mean of the clean faces' embeddings of length 1.
    mean: Vec<f64>,
    tokens: TokenVariance,
    samples: Vec<Sample>,
    pairs: Vec<MatedPair>,
    faces: usize,
}

impl SampleCollector {
    /// Adds the samples of one face, all of them or none.
    fn add(
        &mut self,
        clean: &Result<Assessed, Failure>,
        degraded: Vec<AssessedSample<'_>>,
    ) -> Result<(), Failure> {
        let clean = clean.as_ref().map_err(Clone::clone)?;
        let degraded = degraded
            .into_iter()
            .map(|((_, kind, level), assessed)| Ok((*kind, *level, assessed?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let first = self.samples.len();
        let number = self.faces;
        self.faces += 1;
        self.samples.push(sample(number, None, clean, clean, &self.mean));
        self.tokens.add(&clean.mean_token);
        for (kind, level, assessed) in &degraded {
            let kind = Some((*kind, *level));
            self.samples.push(sample(number, kind, assessed, clean, &self.mean));
            self.tokens.add(&assessed.mean_token);
        }
        let embeddings: Vec<&[f32]> = std::iter::once(clean)
            .chain(degraded.iter().map(|(_, _, assessed)| assessed))
            .take(MAX_COMPARED_SAMPLES)
            .map(|assessed| assessed.unit_embedding.as_slice())
            .collect();
        for (b, unit) in embeddings.iter().enumerate() {
            self.pairs.extend(embeddings[..b].iter().enumerate().map(|(a, other)| MatedPair {
                a: (first + a) as u32,
                b: (first + b) as u32,
                cosine: dot(other, unit),
            }));
        }
        Ok(())
    }
}

fn sample(
    face: usize,
    kind: Option<(Degradation, Level)>,
    assessed: &Assessed,
    clean: &Assessed,
    mean: &[f64],
) -> Sample {
    let is_clean = kind.is_none();
    Sample {
        face,
        kind: kind.map(|(kind, _)| kind),
        level: kind.map_or(0.0, |(_, level)| level.get()),
        score: assessed.score,
        mean_query: assessed.mean_query.clone(),
        utility: if is_clean {
            1.0
        } else {
            centred_cosine(&assessed.unit_embedding, &clean.unit_embedding, mean)
        },
        cosine: if is_clean {
            1.0
        } else {
            f64::from(dot(&assessed.unit_embedding, &clean.unit_embedding))
        },
        norm: assessed.norm,
    }
}

/// Running variances of the elements of mean tokens (Welford 1962).
struct TokenVariance {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl TokenVariance {
    fn new(dim: usize) -> Self {
        Self { count: 0.0, mean: vec![0.0; dim], squares: vec![0.0; dim] }
    }

    fn add(&mut self, token: &[f64]) {
        self.count += 1.0;
        for ((mean, squares), &value) in self.mean.iter_mut().zip(&mut self.squares).zip(token) {
            let before = value - *mean;
            *mean += before / self.count;
            *squares += before * (value - *mean);
        }
    }

    /// [`Measurements::penalty`] for the weights `[out, in]` of the query.
    fn penalty(&self, weight: &[f32]) -> Vec<f64> {
        let dim = self.mean.len();
        let rows: Vec<Vec<f64>> = weight
            .chunks_exact(dim)
            .map(|row| {
                let deviations = self.squares.iter().map(|s| (s / self.count.max(1.0)).sqrt());
                row.iter().zip(deviations).map(|(&w, sd)| f64::from(w) * sd).collect()
            })
            .collect();
        let outputs = rows.len();
        let mut penalty = vec![0.0; outputs * outputs];
        penalty.par_chunks_exact_mut(outputs.max(1)).enumerate().for_each(|(a, out)| {
            for (b, out) in out.iter_mut().enumerate().take(a + 1) {
                *out = rows[a].iter().zip(&rows[b]).map(|(x, y)| x * y).sum();
            }
        });
        penalty
    }
}

fn mean<'a>(embeddings: impl Iterator<Item = &'a [f32]>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0.0);
    for unit in embeddings {
        sum.resize(unit.len(), 0.0);
        sum.iter_mut().zip(unit).for_each(|(sum, &value)| *sum += f64::from(value));
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    sum
}

/// The cosine between two embeddings of length 1, each minus `mean`; 0 if one of them is then all
/// zeros.
fn centred_cosine(a: &[f32], b: &[f32], mean: &[f64]) -> f64 {
    let centred = |embedding: &[f32]| -> Vec<f64> {
        embedding.iter().zip(mean).map(|(&value, mean)| f64::from(value) - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let product: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
    let cosine = product / (norm(a.into_iter()) * norm(b.into_iter()));
    if cosine.is_finite() { cosine } else { 0.0 }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centred_cosine_subtracts_the_mean() {
        let mean = [0.5, 0.0];
        // (1, 0) − mean = (0.5, 0); (0, 1) − mean = (−0.5, 1).
        let expected = -0.25 / (0.5 * 1.25f64.sqrt());
        let found = centred_cosine(&[1.0, 0.0], &[0.0, 1.0], &mean);
        assert!((found - expected).abs() < 1e-7, "{found} ≠ {expected}");
        assert!((centred_cosine(&[0.6, 0.8], &[0.6, 0.8], &mean) - 1.0).abs() < 1e-7);
        assert_eq!(centred_cosine(&[0.5, 0.0], &[1.0, 0.0], &mean), 0.0);
        let found = super::mean([&[1.0f32, 0.0][..], &[0.0, 1.0]].into_iter());
        assert_eq!(found, [0.5, 0.5]);
    }

    #[test]
    fn the_penalty_is_the_covariance_of_independent_elements() {
        let mut spread = TokenVariance::new(2);
        [[1.0, 10.0], [3.0, 10.0], [5.0, 16.0], [7.0, 16.0]].iter().for_each(|t| spread.add(t));
        // Variances 5 and 9.
        let found = spread.penalty(&[1.0, 2.0, 0.0, -1.0]);
        let expected = [5.0 + 4.0 * 9.0, 0.0, -2.0 * 9.0, 9.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} ≠ {expected}");
        }
    }
}
