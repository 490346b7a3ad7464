//! How images become faces, and faces become rows.

use std::sync::Arc;

use super::FaceChoice;
use super::memory::default_max_memory;
use crate::align::landmark_file::LandmarkFile;
use crate::crop::Fit;
use crate::decode::DecodeLimits;
use crate::detect::Detector;
use crate::engine::Request;
use crate::measure::Measure;
use crate::pixels::ChannelOrder;
use crate::score::Method;

/// How images become crops.
#[derive(Clone)]
#[non_exhaustive]
pub enum FaceSource {
    /// Every image is already an aligned face. `Fit` determines how an image whose size differs
    /// from the network's is treated.
    Aligned(Fit),
    /// Faces are detected and aligned; an image of exactly the network's size is treated as an
    /// aligned face and scored as it is.
    Detected(Arc<Detector>),
    /// Faces are aligned by given landmarks, whatever the image's size. They are looked up by the
    /// path of a [`SourceItem`], so this is for streams; for a single image, pass its landmarks to
    /// [`FacePipeline::score_with_landmarks`].
    ///
    /// [`SourceItem`]: crate::input::SourceItem
    /// [`FacePipeline::score_with_landmarks`]: super::FacePipeline::score_with_landmarks
    Landmarks(Arc<LandmarkFile>),
}

/// How an image becomes the crops of its faces.
#[derive(Clone)]
pub struct FaceOptions {
    /// Limits that are checked before decoding.
    pub limits: DecodeLimits,
    /// Channel order of the files.
    pub channels: ChannelOrder,
    /// How images become crops.
    pub faces: FaceSource,
    /// Which of an image's faces are used.
    pub choice: FaceChoice,
    /// Whether results keep the upright photo.
    pub keep_photo: bool,
}

impl FaceOptions {
    /// Uses all faces from `faces`, of RGB files within the default limits; keeps no photo.
    pub fn new(faces: FaceSource) -> Self {
        Self {
            limits: DecodeLimits::default(),
            channels: ChannelOrder::default(),
            faces,
            choice: FaceChoice::default(),
            keep_photo: false,
        }
    }
}

/// What is computed for each face.
///
/// # Examples
///
/// The network's score, and the sharpness of the crop:
///
/// ```
/// use attn_fiqa::measure::Measure;
/// use attn_fiqa::pipeline::{ScoreOptions, Scorer};
/// use attn_fiqa::score::Method;
///
/// let options = ScoreOptions {
///     scorers: vec![Scorer::Method(Method::ATTN), Scorer::Measure(Measure::Laplacian)],
///     ..Method::ATTN.into()
/// };
/// assert_eq!(options.request.methods, [Method::ATTN]);
/// ```
#[derive(Clone)]
pub struct ScoreOptions {
    /// What the network computes.
    pub request: Request,
    /// Where a face's scores come from, in order; if empty, from the methods of `request`. Every
    /// method here must also be in the request.
    pub scorers: Vec<Scorer>,
    /// How often each face that was aligned here is aligned again with noise on its landmarks, for
    /// [`ScoredFace::jitter_std`](super::ScoredFace::jitter_std); 0 for never, 1 gives no spread.
    /// The first score must then come from the network.
    pub jitter: usize,
    /// Whether to measure the components of each face that was aligned here, for
    /// [`ScoredFace::components`](super::ScoredFace::components).
    pub components: bool,
    /// Whether only the face with the highest first score of each image is returned.
    pub best_only: bool,
}

impl From<Request> for ScoreOptions {
    /// The scores of a request, for every face.
    fn from(request: Request) -> Self {
        Self { request, scorers: Vec::new(), jitter: 0, components: false, best_only: false }
    }
}

impl From<Method> for ScoreOptions {
    /// One score and nothing else, for every face.
    fn from(method: Method) -> Self {
        Request::new(method).into()
    }
}

/// Where one of a face's scores comes from.
#[derive(Clone)]
#[non_exhaustive]
pub enum Scorer {
    /// A method of the request.
    Method(Method),
    /// A measure that needs no Vision Transformer. NaN for a face without a value.
    Measure(Measure),
}

impl Scorer {
    /// Its name in a heading: the method's or the measure's.
    pub fn name(&self) -> String {
        match self {
            Self::Method(method) => method.to_string(),
            Self::Measure(measure) => measure.name().to_owned(),
        }
    }
}

/// How a stream of images is processed.
///
/// # Examples
///
/// ```
/// use attn_fiqa::pipeline::StreamOptions;
///
/// let small = StreamOptions { max_memory: 500 << 20, ..StreamOptions::default() };
/// assert_eq!(small.batch, 32);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// Number of images that are decoded and assessed together; at least one. Scores do not depend
    /// on it.
    pub batch: usize,
    /// Memory limit, in bytes, for encoded images, decoded images and their decoders held at once.
    /// What an image needs is known from its header; one that needs more than half of this is a
    /// [`TooLarge`](crate::status::Status::TooLarge) failure.
    pub max_memory: u64,
}

impl Default for StreamOptions {
    /// 32 images per batch, half of the memory that this process may use.
    fn default() -> Self {
        Self { batch: 32, max_memory: default_max_memory() }
    }
}
