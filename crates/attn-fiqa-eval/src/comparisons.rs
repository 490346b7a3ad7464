//! Comparisons of two images (or templates) by a recognition network.

use rayon::prelude::*;

use crate::embeddings::Embeddings;
use crate::error::{EvalError, check_count};

/// A value beyond ±1 by no more than this is a cosine with rounding error.
const COSINE_SLACK: f64 = 1e-5;

/// Number of comparisons per parallel task.
const CHUNK: usize = 1 << 12;

/// Two images, or two templates, to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Index of the first.
    pub a: u32,
    /// Index of the second.
    pub b: u32,
    /// Whether both show the same person.
    pub mated: bool,
}

/// What a comparison score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreScale {
    /// The cosine between two embeddings, −1 to 1. Its distance is `arccos(s)/π`.
    Cosine,
    /// Higher means more similar, in any range. Its distance is `−s`.
    Similarity,
    /// Lower means more similar, in any range. Its similarity is `−d`.
    Distance,
}

impl ScoreScale {
    /// The distance corresponding to a similarity.
    pub(crate) fn distance_of_similarity(self, similarity: f64) -> f64 {
        // Adding 0 turns −0 into 0.
        0.0 + match self {
            Self::Cosine => similarity.clamp(-1.0, 1.0).acos() / std::f64::consts::PI,
            Self::Similarity | Self::Distance => -similarity,
        }
    }
}

/// The scores of mated and non-mated comparisons: at least one of each, all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparisons {
    values: Vec<f64>,
    mated: Vec<bool>,
    mated_count: usize,
    scale: ScoreScale,
}

impl Comparisons {
    /// Maximum number of comparisons.
    pub const MAX: usize = u32::MAX as usize;

    /// Checks and stores one score and one label per comparison.
    ///
    /// # Errors
    ///
    /// If the two lists differ in length, are empty, contain only one kind of comparison, or if a
    /// score is not finite or not on its scale.
    pub fn new(values: Vec<f64>, mated: Vec<bool>, scale: ScoreScale) -> Result<Self, EvalError> {
        check_count(("scores", values.len()), ("labels", mated.len()))?;
        if values.is_empty() {
            return Err(EvalError::Empty { what: "comparison" });
        }
        if values.len() > Self::MAX {
            return Err(EvalError::TooMany { count: values.len(), limit: Self::MAX });
        }
        for (index, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(EvalError::NotFinite { what: "score", index, value });
            }
            if scale == ScoreScale::Cosine && value.abs() > 1.0 + COSINE_SLACK {
                return Err(EvalError::NoCosine { index, value });
            }
        }
        let mated_count = mated.iter().filter(|&&mated| mated).count();
        if mated_count == 0 || mated_count == mated.len() {
            let kind = if mated_count == 0 { "non-mated" } else { "mated" };
            return Err(EvalError::OneClass { kind, count: mated.len() });
        }
        Ok(Self { values, mated, mated_count, scale })
    }

    /// The cosines of pairs of embeddings, computed in double precision.
    ///
    /// # Errors
    ///
    /// As [`Self::new`], or if a pair refers to an image without an embedding.
    pub fn from_embeddings(embeddings: &Embeddings, pairs: &[Pair]) -> Result<Self, EvalError> {
        for (index, pair) in pairs.iter().enumerate() {
            image_indices(index, pair, embeddings.len())?;
        }
        let norms: Vec<f64> = (0..embeddings.len()).map(|index| embeddings.norm(index)).collect();
        let mut values = vec![0.0; pairs.len()];
        let chunks = values.par_chunks_mut(CHUNK).zip(pairs.par_chunks(CHUNK));
        chunks.for_each(|(values, pairs)| embeddings.cosines(&norms, pairs, values));
        Self::new(values, pairs.iter().map(|pair| pair.mated).collect(), ScoreScale::Cosine)
    }

    /// Number of comparisons.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Always false: there are at least two comparisons.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of mated comparisons.
    pub fn mated_count(&self) -> usize {
        self.mated_count
    }

    /// Number of non-mated comparisons.
    pub fn non_mated_count(&self) -> usize {
        self.len() - self.mated_count
    }

    /// What the scores mean.
    pub fn scale(&self) -> ScoreScale {
        self.scale
    }

    /// The scores as given.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Which comparisons are mated.
    pub fn mated(&self) -> &[bool] {
        &self.mated
    }

    /// Whether comparison `index` is mated.
    ///
    /// # Panics
    ///
    /// If there is no such comparison.
    pub fn is_mated(&self, index: usize) -> bool {
        self.mated[index]
    }

    /// The score as a distance: for a cosine `arccos(s)/π`, 0 to 1, as in the CR-FIQA code; for
    /// another similarity `−s`.
    ///
    /// # Panics
    ///
    /// If there is no such comparison.
    pub fn distance(&self, index: usize) -> f64 {
        let value = self.values[index];
        match self.scale {
            ScoreScale::Distance => 0.0 + value,
            scale => scale.distance_of_similarity(value),
        }
    }

    /// The score as a similarity, where higher means more similar; for a distance `−d`.
    ///
    /// # Panics
    ///
    /// If there is no such comparison.
    pub fn similarity(&self, index: usize) -> f64 {
        let value = self.values[index];
        0.0 + match self.scale {
            ScoreScale::Cosine | ScoreScale::Similarity => value,
            ScoreScale::Distance => -value,
        }
    }
}

/// The quality of each pair: the lower of its two images' qualities.
///
/// # Errors
///
/// If a pair refers to an image without a quality, or if a required quality is NaN; infinite ones
/// are permitted.
pub fn pair_qualities(qualities: &[f64], pairs: &[Pair]) -> Result<Vec<f64>, EvalError> {
    let quality = |index: usize| match qualities[index] {
        quality if quality.is_nan() => Err(EvalError::NoQuality { what: "image", index }),
        quality => Ok(quality),
    };
    let lower = |(index, pair)| {
        let [a, b] = image_indices(index, pair, qualities.len())?;
        Ok(quality(a)?.min(quality(b)?))
    };
    pairs.iter().enumerate().map(lower).collect()
}

fn image_indices(index: usize, pair: &Pair, images: usize) -> Result<[usize; 2], EvalError> {
    for image in [pair.a, pair.b] {
        if image as usize >= images {
            return Err(EvalError::NoSuchImage { index, image, images });
        }
    }
    Ok([pair.a as usize, pair.b as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_convert_between_similarity_and_distance() {
        let of = |value: f64, scale| {
            let set = Comparisons::new(vec![value, 0.0], vec![true, false], scale);
            let set = set.expect("comparisons");
            [set.similarity(0), set.distance(0)]
        };
        assert_eq!(of(0.25, ScoreScale::Similarity), [0.25, -0.25]);
        assert_eq!(of(0.25, ScoreScale::Distance), [-0.25, 0.25]);
        let [similarity, distance] = of(0.5, ScoreScale::Cosine);
        assert!(similarity == 0.5 && (distance - 1.0 / 3.0).abs() < 1e-15, "{distance}");
        // Of cosines beyond ±1 by rounding error.
        assert_eq!(of(1.0 + 1e-7, ScoreScale::Cosine)[1], 0.0);
        assert_eq!(of(-1.0 - 1e-7, ScoreScale::Cosine)[1], 1.0);
    }
}
