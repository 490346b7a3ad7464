//! The pipeline: images in, scored faces out.
//!
//! A [`FacePipeline`] combines an [`Engine`] with a source of faces. It processes
//! - one image, encoded or as decoded pixels: [`FacePipeline::score`];
//! - one image whose landmarks are known: [`FacePipeline::score_with_landmarks`];
//! - aligned crops: [`FacePipeline::score_crops`];
//! - a stream of images of any length, in order and in bounded memory:
//!   [`FacePipeline::run`].
//!
//! It is built once and shared by many threads; every call runs on the engine's threads and starts
//! none of its own, except that a stream has one thread that waits for bytes.
//!
//! [`find_faces`], [`crop_faces`] and [`embed_faces`] run streams through the same loop without
//! scoring.

mod choice;
mod control_group;
mod crop;
mod driver;
mod embed;
mod find;
mod image;
mod jitter;
mod memory;
mod options;
mod prepare;
mod read_ahead;
mod row;
mod score;

use std::sync::Arc;

use crate::align::Landmarks;
use crate::crop::Crop;
use crate::engine::{Assessment, Engine, RequestError};
use crate::input::{ImageData, SourceItem};
use crate::status::Failure;

pub use crate::face::{CropOrigin, FaceInfo};
pub use choice::{FaceChoice, main_face};
pub use crop::crop_faces;
pub use embed::embed_faces;
pub use find::{FindOptions, find_faces};
pub use image::{ScoredFace, ScoredImage};
pub use memory::default_max_memory;
pub use options::{FaceOptions, FaceSource, ScoreOptions, Scorer, StreamOptions};
pub use row::{CropRow, FacesRow, Row};

use driver::drive;
use memory::Budget;
use prepare::{Given, Prepared, prepare};
use score::ScoreSource;

/// An image prepared for the network: decoded, with its faces found and cropped, or the failure
/// that prevented this. Made by [`FacePipeline::prepare_image`].
pub struct PreparedImage(Prepared);

/// An engine, a source of faces, and what to compute for them. `Send + Sync`; build it once and
/// share it between threads.
///
/// # Examples
///
/// The faces of a photo:
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// use std::sync::Arc;
///
/// use attn_fiqa::detect::Detector;
/// use attn_fiqa::engine::{Engine, EngineOptions};
/// use attn_fiqa::pixels::{ChannelOrder, Image};
/// use attn_fiqa::pipeline::{FaceOptions, FacePipeline, FaceSource};
/// use attn_fiqa::status::Status;
///
/// let checkpoint = attn_fiqa::checkpoint::builtin()?;
/// let engine = Arc::new(Engine::new(&checkpoint, &EngineOptions::default())?);
/// let detector = Arc::new(Detector::builtin(engine.threads())?);
/// let method = engine.default_method();
/// let faces = FaceOptions::new(FaceSource::Detected(detector));
/// let pipeline = FacePipeline::new(engine, faces, method)?;
///
/// // A file's bytes …
/// # let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/astronaut.png");
/// let image = pipeline.score(std::fs::read(photo)?);
/// for face in image.faces? {
///     println!("{:?}: {}", face.info.bounds, face.outcome?.scores[0]);
/// }
///
/// // … or decoded pixels, here those of a grey wall from a camera that gives blue first.
/// let wall = Image::from_pixels(320, 240, vec![90; 320 * 240 * 3], ChannelOrder::Bgr)
///     .ok_or("wrong size")?;
/// let failure = pipeline.score(wall).faces.err().ok_or("a face in a wall")?;
/// assert_eq!(failure.status, Status::NoFace);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FacePipeline {
    engine: Arc<Engine>,
    faces: FaceOptions,
    options: ScoreOptions,
    /// From [`ScoreOptions::scorers`]; empty if only the methods are requested.
    sources: Vec<ScoreSource>,
}

impl FacePipeline {
    /// Builds a pipeline and checks that the model supports what the options request.
    ///
    /// # Errors
    ///
    /// The first request that cannot be met.
    pub fn new(
        engine: Arc<Engine>,
        faces: FaceOptions,
        options: impl Into<ScoreOptions>,
    ) -> Result<Self, RequestError> {
        let options = options.into();
        let request = &options.request;
        // Measures alone do not use the network.
        if !request.is_empty() || options.scorers.is_empty() {
            engine.check(request)?;
        }
        let source = |scorer: &Scorer| match scorer {
            Scorer::Measure(measure) => Ok(ScoreSource::Measure(measure.clone())),
            Scorer::Method(method) => {
                let place = request.methods.iter().position(|asked| asked == method);
                let place = place.ok_or(RequestError::NotAsked { method: *method })?;
                Ok(ScoreSource::Network(place))
            }
        };
        let sources = options.scorers.iter().map(source).collect::<Result<Vec<_>, _>>()?;
        if options.jitter > 0 && matches!(sources.first(), Some(ScoreSource::Measure(_))) {
            return Err(RequestError::JitterOfMeasure);
        }
        Ok(Self { engine, faces, options, sources })
    }

    /// The engine that computes scores.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How images become faces.
    pub fn faces(&self) -> &FaceOptions {
        &self.faces
    }

    /// What is computed for each face.
    pub fn options(&self) -> &ScoreOptions {
        &self.options
    }

    /// Scores the faces of one image: an encoded file's bytes, or decoded pixels as an
    /// [`Image`](crate::pixels::Image). Problems with the image are part of the result.
    ///
    /// [`memory_needed`](crate::decode::memory_needed) estimates beforehand how much memory
    /// decoding will take.
    pub fn score(&self, image: impl Into<ImageData>) -> ScoredImage {
        self.score_one(image.into(), Given::Nothing)
    }

    /// Scores one image whose faces are aligned by these landmarks, in pixels of the upright image,
    /// instead of being detected. In the result, the face with the largest inter-eye distance comes
    /// first.
    pub fn score_with_landmarks(
        &self,
        image: impl Into<ImageData>,
        landmarks: &[Landmarks],
    ) -> ScoredImage {
        self.score_one(image.into(), Given::Landmarks(landmarks))
    }

    fn score_one(&self, image: ImageData, given: Given<'_>) -> ScoredImage {
        let mut images = self.engine.install(|| {
            let prepared = self.prepare(Ok(image), given);
            self.score_prepared(vec![prepared])
        });
        images.pop().expect("one answer per image: this is a bug")
    }

    /// The first half of [`FacePipeline::score`]: decodes one image, finds its faces and crops
    /// them, for [`FacePipeline::score_prepared_images`]. With these two, a program that has a
    /// queue can prepare images while others are scored, and batch the crops of several images.
    pub fn prepare_image(&self, image: impl Into<ImageData>) -> PreparedImage {
        let image = image.into();
        self.engine.install(|| PreparedImage(self.prepare(Ok(image), Given::Nothing)))
    }

    /// The second half of [`FacePipeline::score`] for any number of images, in their order: the
    /// crops of all of them go through the network together. The images may come from other
    /// pipelines of the same engine; this pipeline's options determine what is computed.
    pub fn score_prepared_images(&self, images: Vec<PreparedImage>) -> Vec<ScoredImage> {
        let images = images.into_iter().map(|PreparedImage(prepared)| prepared).collect();
        self.engine.install(|| self.score_prepared(images))
    }

    /// Scores aligned crops and returns the results in the same order. Scores of
    /// [`Scorer::Measure`] that need a photo are NaN.
    pub fn score_crops(&self, crops: &[Crop]) -> Vec<Result<Assessment, Failure>> {
        let infos = vec![FaceInfo::aligned(); crops.len()];
        self.engine.install(|| self.assess(&infos, crops))
    }

    /// Scores every item and passes the rows to `sink`, in the order of the items: one row per
    /// face, the largest face first, and one row for an image without any.
    ///
    /// # Errors
    ///
    /// Errors of `sink`: reading then stops and the remaining images are dropped.
    pub fn run<E>(
        &self,
        items: impl Iterator<Item = SourceItem> + Send,
        stream: &StreamOptions,
        mut sink: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let budget = Budget::new(stream, self.faces.limits, self.faces.keep_photo);
        let budget = budget.with_detection(&self.faces.faces);
        drive(
            items,
            self.engine.threads(),
            stream,
            &budget,
            |SourceItem { path, relative, image }| {
                let prepared = self.prepare(image, Given::Path(&path));
                ((path, relative), prepared)
            },
            |batch| {
                let (names, prepared): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                names.into_iter().zip(self.score_prepared(prepared)).collect()
            },
            |((path, relative), image)| {
                Row::of_image(&path, &relative, image).into_iter().try_for_each(&mut sink)
            },
        )
    }

    fn prepare(&self, image: Result<ImageData, Failure>, given: Given<'_>) -> Prepared {
        let side = self.engine.config().image_size;
        prepare(image, given, side, &self.faces, |photo, faces| {
            let first = match self.sources.first() {
                Some(ScoreSource::Network(place)) => *place,
                Some(ScoreSource::Measure(_)) | None => 0,
            };
            if let (1.., Some(&method)) =
                (self.options.jitter, self.options.request.methods.get(first))
            {
                jitter::measure(photo.image, faces, &self.engine, method, self.options.jitter);
            }
            if self.options.components {
                for face in faces {
                    face.components = photo.components(face);
                }
            }
        })
    }
}
