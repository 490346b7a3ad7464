//! The embeddings of the compared units.

use std::borrow::Cow;

use crate::benchmark::Benchmark;
use crate::embeddings::Embeddings;
use crate::study::StudyError;

/// A recogniser's results for a data set: embeddings of the compared units.
pub(in crate::study) struct TemplateEmbeddings {
    /// Which images have an embedding.
    pub(super) present: Vec<bool>,
    pub(super) embeddings: Embeddings,
}

impl TemplateEmbeddings {
    /// Reads embeddings of `dim` values one by one; `read` copies that of an image and returns
    /// whether it has one, like `present`.
    pub(in crate::study) fn gather(
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

    /// Positions of the images without an embedding.
    pub(in crate::study) fn missing(&self) -> Vec<usize> {
        (0..self.present.len()).filter(|&image| !self.present[image]).collect()
    }
}

/// An error while embeddings are read and summed.
enum GatherError {
    Study(StudyError),
    Eval(crate::EvalError),
}

impl From<crate::EvalError> for GatherError {
    fn from(error: crate::EvalError) -> Self {
        Self::Eval(error)
    }
}

/// Leaves out the comparisons of images without an embedding.
pub(super) fn without_missing<'b>(
    benchmark: &'b Benchmark,
    present: &[bool],
) -> (Cow<'b, Benchmark>, usize) {
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
