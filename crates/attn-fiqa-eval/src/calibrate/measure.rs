//! Pictures of faces, their scores and their utility.

use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, Request, RequestError};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use rayon::prelude::*;

use super::{CalibrateError, Picture};
use crate::degrade::{Degradation, Level, Random, seed_for};

/// Faces whose pictures are made and assessed together.
const FACES_AT_ONCE: usize = 16;

/// A network that tells people apart, whoever made it.
pub trait Recogniser: Sync {
    /// One embedding a crop, in their order, of one length and not normalised.
    fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>>;
}

/// On the threads that it is called from, several faces at a time.
impl Recogniser for attn_fiqa::recognise::Recogniser {
    fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>> {
        crops.par_iter().map(|crop| self.embed(crop)).collect()
    }
}

/// A face as it is.
#[derive(Debug, Clone)]
pub struct Face {
    /// Its name: what happens to it depends on the name and the seed alone.
    pub name: String,
    /// Aligned, of the network's size.
    pub crop: Crop,
}

/// What pictures are made of every face.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Ways of degrading, each as likely as the others.
    pub kinds: Vec<Degradation>,
    /// Degraded pictures of a face, besides the face as it is. Each has a kind and
    /// a level of its own, the level being uniform in 0 … 1.
    pub degraded: usize,
    /// Fixes kinds, levels and what is random in them.
    pub seed: u64,
}

/// One assessed crop.
struct Assessed {
    score: f32,
    mean_query: Vec<f32>,
    embedding: Vec<f32>,
}

/// Assesses crops with the model and embeds them with the recogniser.
struct Eyes<'a> {
    engine: &'a Engine,
    recogniser: Option<&'a dyn Recogniser>,
    request: Request,
}

impl Eyes<'_> {
    fn look(&self, crops: &[Crop]) -> Result<Vec<Result<Assessed, Failure>>, RequestError> {
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
            Ok(Assessed {
                score: assessment.scores[0],
                mean_query: assessment.mean_query.expect("asked for: this is a bug"),
                embedding: match embedding {
                    Some(embedding) => embedding?,
                    None => own.expect("asked for: this is a bug"),
                },
            })
        });
        Ok(both.collect())
    }
}

/// Makes and assesses the pictures of every face: the face as it is, of utility 1,
/// and its degraded versions, of utility the cosine between the recogniser's
/// embeddings of the two, both less the mean embedding of the faces.
///
/// Without a `recogniser` the engine's own embedding is taken; it must have been
/// built with it. `done` hears of every face, in order, and of what was wrong with
/// it: such a face has no pictures. The pictures' faces are numbered in order of
/// `faces`, those without pictures left out.
///
/// # Errors
///
/// When the model cannot give what is needed.
pub fn measure(
    engine: &Engine,
    recogniser: Option<&dyn Recogniser>,
    faces: &[Face],
    sampling: &Sampling,
    mut done: impl FnMut(&Face, Option<&Failure>),
) -> Result<Vec<Picture>, CalibrateError> {
    let request =
        Request { mean_query: true, embedding: recogniser.is_none(), ..Request::new(Method::ATTN) };
    let eyes = Eyes { engine, recogniser, request };

    let mut clean = Vec::with_capacity(faces.len());
    for faces in faces.chunks(FACES_AT_ONCE) {
        let crops: Vec<Crop> = faces.iter().map(|face| face.crop.clone()).collect();
        clean.extend(eyes.look(&crops)?);
    }
    let mean = mean(clean.iter().filter_map(|face| Some(face.as_ref().ok()?.embedding.as_slice())));

    let mut pictures = Vec::new();
    let mut number = 0;
    for (faces, clean) in faces.chunks(FACES_AT_ONCE).zip(clean.chunks(FACES_AT_ONCE)) {
        let wanted: Vec<(&Face, Degradation, Level)> =
            faces.iter().flat_map(|face| sampling.of(face)).collect();
        let crops: Vec<Crop> = engine.install(|| {
            let made = wanted.par_iter().map(|(face, kind, level)| {
                kind.apply(&face.crop, *level, seed_for(sampling.seed, &face.name))
            });
            made.collect()
        });
        let mut degraded = wanted.iter().zip(eyes.look(&crops)?);
        for (face, clean) in faces.iter().zip(clean) {
            let own: Vec<_> = degraded.by_ref().take(sampling.degraded).collect();
            match of_face(number, clean, own, &mean) {
                Ok(of_face) => {
                    pictures.extend(of_face);
                    number += 1;
                    done(face, None);
                }
                Err(failure) => done(face, Some(&failure)),
            }
        }
    }
    Ok(pictures)
}

impl Sampling {
    /// Kind and level of each degraded picture of a face.
    fn of<'a>(&self, face: &'a Face) -> Vec<(&'a Face, Degradation, Level)> {
        let mut random = Random::new(seed_for(self.seed, &face.name), "calibrate");
        let mut picture = |_| {
            let kind = self.kinds[random.below(self.kinds.len())];
            let level = Level::new(1.0 - random.uniform()).expect("in 0 … 1: this is a bug");
            (face, kind, level)
        };
        (0..self.degraded).map(&mut picture).collect()
    }
}

type Made<'a> = (&'a (&'a Face, Degradation, Level), Result<Assessed, Failure>);

fn of_face(
    number: usize,
    clean: &Result<Assessed, Failure>,
    degraded: Vec<Made<'_>>,
    mean: &[f64],
) -> Result<Vec<Picture>, Failure> {
    let clean = clean.as_ref().map_err(Clone::clone)?;
    let mut pictures = vec![Picture {
        face: number,
        kind: None,
        score: clean.score,
        mean_query: clean.mean_query.clone(),
        utility: 1.0,
    }];
    for ((_, kind, _), assessed) in degraded {
        let assessed = assessed?;
        pictures.push(Picture {
            face: number,
            kind: Some(*kind),
            score: assessed.score,
            utility: centred_cosine(&assessed.embedding, &clean.embedding, mean),
            mean_query: assessed.mean_query,
        });
    }
    Ok(pictures)
}

fn mean<'a>(embeddings: impl Iterator<Item = &'a [f32]>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0.0);
    for embedding in embeddings {
        sum.resize(embedding.len(), 0.0);
        let unit = norm(embedding.iter().map(|&value| f64::from(value)));
        sum.iter_mut().zip(embedding).for_each(|(sum, &v)| *sum += f64::from(v) / unit);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    sum
}

/// The cosine between two embeddings, each brought to length 1 and less `mean`.
/// An embedding that is all zeros has none with anything: 0.
fn centred_cosine(a: &[f32], b: &[f32], mean: &[f64]) -> f64 {
    let centred = |embedding: &[f32]| -> Vec<f64> {
        let unit = norm(embedding.iter().map(|&value| f64::from(value)));
        embedding.iter().zip(mean).map(|(&value, mean)| f64::from(value) / unit - mean).collect()
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
    fn utility_is_the_cosine_after_length_and_mean_are_taken_away() {
        let mean = [0.5, 0.0];
        // (1, 0) − mean = (0.5, 0); (0, 1) − mean = (−0.5, 1).
        let expected = -0.25 / (0.5 * 1.25f64.sqrt());
        let found = centred_cosine(&[3.0, 0.0], &[0.0, 0.2], &mean);
        assert!((found - expected).abs() < 1e-7, "{found} ≠ {expected}");
        assert!((centred_cosine(&[0.6, 0.8], &[6.0, 8.0], &mean) - 1.0).abs() < 1e-7);
        assert_eq!(centred_cosine(&[0.0, 0.0], &[1.0, 0.0], &mean), 0.0);
        let found = super::mean([&[2.0f32, 0.0][..], &[0.0, 1.0]].into_iter());
        assert_eq!(found, [0.5, 0.5]);
    }
}
