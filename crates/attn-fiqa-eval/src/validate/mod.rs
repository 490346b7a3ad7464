//! Checks whether a score falls when a face is degraded (the paper's Figure 1, on any faces).
//!
//! Every face is degraded in memory, by each kind at each level, and scored again. Only the scores
//! are kept, four bytes per image.

mod figure;
mod summary;

use attn_fiqa::crop::Crop;
use attn_fiqa::status::Failure;
use rayon::prelude::*;

use crate::degrade::{Degradation, Level};

pub use summary::{KindSummary, LevelSummary};

/// The degradations applied to every face.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kinds of degradation.
    pub kinds: Vec<Degradation>,
    /// Levels, ascending; the first is [`Level::NONE`].
    pub levels: Vec<Level>,
}

/// One face's scores, `[method, kind, level]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    methods: usize,
    scores: Vec<f32>,
}

impl Plan {
    /// Scores one face at every kind and level. `score` returns the scores of crops, in their
    /// order, one per method; `clean` are those of the unchanged face, if known. Degradations are
    /// computed on the current thread pool.
    ///
    /// # Errors
    ///
    /// If one of the images fails; the whole face then fails.
    pub fn respond(
        &self,
        crop: &Crop,
        clean: Option<&[f32]>,
        seed: u64,
        score: impl Fn(&[Crop]) -> Vec<Result<Vec<f32>, Failure>>,
    ) -> Result<Response, Failure> {
        let clean = match clean {
            Some(clean) => clean.to_vec(),
            None => score(std::slice::from_ref(crop)).remove(0)?,
        };
        let degraded = |kind| self.levels.iter().skip(1).map(move |&level| (kind, level));
        let wanted: Vec<_> = self.kinds.iter().copied().flat_map(degraded).collect();
        let images: Vec<Crop> =
            wanted.par_iter().map(|(kind, level)| kind.apply(crop, *level, seed)).collect();
        let scores: Vec<Vec<f32>> = score(&images).into_iter().collect::<Result<_, _>>()?;
        let methods = clean.len();
        let steps = self.levels.len() - 1;
        let mut response = Vec::with_capacity(methods * self.kinds.len() * self.levels.len());
        for method in 0..methods {
            for kind in 0..self.kinds.len() {
                response.push(clean[method]);
                response.extend(scores[kind * steps..][..steps].iter().map(|all| all[method]));
            }
        }
        Ok(Response { methods, scores: response })
    }
}

/// The responses of a set of faces to a plan.
#[derive(Debug, Clone)]
pub struct DegradationStudy {
    plan: Plan,
    methods: Vec<String>,
    /// Face after face, each `[method, kind, level]`.
    scores: Vec<f32>,
}

impl DegradationStudy {
    /// Without any face yet; `methods` are the names of the request's methods, in order.
    pub fn new(plan: Plan, methods: Vec<String>) -> Self {
        Self { plan, methods, scores: Vec::new() }
    }

    /// Adds one face.
    ///
    /// # Panics
    ///
    /// If the response does not belong to this plan and these methods.
    pub fn add(&mut self, response: &Response) {
        assert!(
            response.methods == self.methods.len() && response.scores.len() == self.stride(),
            "a response to another plan: this is a bug"
        );
        self.scores.extend(&response.scores);
    }

    /// Number of faces added.
    pub fn faces(&self) -> usize {
        self.scores.len() / self.stride()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The names of the methods.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    fn stride(&self) -> usize {
        self.methods.len() * self.plan.kinds.len() * self.plan.levels.len()
    }

    /// The scores of one face at every level, `[level]`.
    pub fn series(&self, face: usize, method: usize, kind: usize) -> &[f32] {
        let levels = self.plan.levels.len();
        let start = face * self.stride() + (method * self.plan.kinds.len() + kind) * levels;
        &self.scores[start..start + levels]
    }
}

/// How monotonically a series of scores falls with the level: the negated rank correlation, 1 if
/// the score falls with every step, −1 if it rises with every one. `None` if the score does not
/// change.
pub fn monotonicity(series: &[f32]) -> Option<f64> {
    let steps: Vec<f64> = (0..series.len()).map(|step| -(step as f64)).collect();
    let scores: Vec<f64> = series.iter().map(|&score| f64::from(score)).collect();
    crate::statistics::spearman(&steps, &scores)
}

/// Whether every score is lower than the one before it.
pub fn is_strictly_decreasing(series: &[f32]) -> bool {
    series.windows(2).all(|pair| pair[1] < pair[0])
}
