//! Face detection in images of any size: boxes, five landmarks each, and confidences.
//!
//! The network runs on an image at a few sizes (`pyramid`); `format` decodes its outputs to
//! candidates, with one trait for all families of detectors; `nms` leaves one candidate per face;
//! and `refine` locates each face's landmarks more precisely, with a separate network.

pub(crate) mod confidence;
mod error;
mod face;
mod format;
mod input;
#[cfg(feature = "builtin-model")]
mod landmark_network;
#[cfg(all(test, feature = "builtin-model"))]
mod landmark_tests;
mod network;
mod nms;
mod pyramid;
#[cfg(feature = "builtin-model")]
mod refine;
mod turned;

#[cfg(feature = "onnx")]
use std::path::Path;

#[cfg(feature = "builtin-model")]
use attn_fiqa_kernels::Precision;
#[cfg(feature = "builtin-model")]
use rayon::prelude::*;

use crate::align::Landmarks;
use crate::decode::Note;
use crate::pixels::Image;
use crate::status::{Failure, Status};
use crate::threads::Threads;
#[cfg(feature = "builtin-model")]
use crate::vit::finer_than_int8;

#[cfg(any(feature = "builtin-model", feature = "onnx"))]
use format::YuNet;
use format::{BadOutput, OutputFormat};
#[cfg(feature = "builtin-model")]
use landmark_network::LandmarkNetwork;
use network::Network;
#[cfg(feature = "onnx")]
use network::OnnxNetwork;
use pyramid::LevelCandidate;
use turned::QuarterTurn;

pub use error::DetectorError;
pub use face::{Face, FaceBox};

/// Default minimum confidence of a detection.
///
/// At 0.7 the built-in detector finds 92 to 99 % of the faces above 24 pixels that YuNet detects
/// with at least 0.8, with 2.8 extra boxes per 100 images; at 0.6 there are 8.1
/// (`models/detector.md`).
pub const DEFAULT_MIN_CONFIDENCE: f32 = 0.7;

/// Boxes with a larger overlap (intersection over union) count as one face.
const SAME_FACE: f32 = 0.3;

/// The built-in detector often misses faces below this size, in pixels of the image that it sees
/// (`models/detector.md`, recall by width).
const OFTEN_MISSED: f64 = 16.0;

/// The built-in detector's name in messages.
pub const BUILTIN_DETECTOR: &str = "built-in";

/// A face detection network. `Send + Sync`; share it freely.
///
/// Its results depend neither on the number of threads nor on other images processed at the same
/// time.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// use attn_fiqa::detect::{DEFAULT_MIN_CONFIDENCE, Detector};
/// use attn_fiqa::pixels::Image;
/// use attn_fiqa::threads::Threads;
///
/// let detector = Detector::builtin(&Threads::new(None)?)?;
/// let wall = Image::from_rgb(320, 240, vec![90; 320 * 240 * 3]).ok_or("wrong size")?;
/// assert!(detector.detect(&wall, DEFAULT_MIN_CONFIDENCE)?.is_empty());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Detector {
    name: String,
    network: Network,
    format: Box<dyn OutputFormat>,
    threads: Threads,
    /// Precision of the matrix products of the built-in networks.
    #[cfg(feature = "builtin-model")]
    precision: Precision,
    /// Whether an image without a confident upright face is also searched at the other three
    /// quarter turns.
    turns: bool,
    /// The network that refines landmarks, if they are refined.
    #[cfg(feature = "builtin-model")]
    refiner: Option<Box<LandmarkNetwork>>,
}

impl Detector {
    /// The detector that ships with the library, with refined landmarks.
    ///
    /// # Errors
    ///
    /// If the embedded file cannot be read, which only a damaged program can cause.
    #[cfg(feature = "builtin-model")]
    pub fn builtin(threads: &Threads) -> Result<Self, DetectorError> {
        let network = builtin_network(threads, Precision::F32)?;
        let blank = Image::from_rgb(1, 1, vec![0; 3]).expect("one pixel: this is a bug");
        let outputs = threads.install(|| network.run(&blank, input::input_size(1, 1)));
        let format = YuNet::recognise(&outputs).expect("the built-in detector: this is a bug");
        let (network, format) = (Network::Builtin(Box::new(network)), Box::new(format.builtin()));
        Self::of(BUILTIN_DETECTOR.to_owned(), network, format, threads).with_refined_landmarks()
    }

    /// A detector from an ONNX file with the outputs of YuNet or SCRFD. The format is recognised by
    /// the outputs of a run on a blank image.
    ///
    /// YuNet files take BGR with values of 0 … 255; SCRFD files take RGB as `(x − 127.5) / 128`;
    /// files of these formats are treated alike, regardless of who trained them. The built-in
    /// detector's own file is recognised by its bytes and takes RGB.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or run, or has neither format: the error lists its inputs and
    /// outputs.
    #[cfg(feature = "onnx")]
    pub fn open(path: &Path, threads: &Threads) -> Result<Self, DetectorError> {
        Self::of_onnx(OnnxNetwork::open(path, threads)?, path.display().to_string())
    }

    /// A detector from the bytes of an ONNX file; `name` identifies it in messages.
    ///
    /// # Errors
    ///
    /// As [`Detector::open`].
    #[cfg(feature = "onnx")]
    pub fn from_bytes(
        bytes: Vec<u8>,
        name: &str,
        threads: &Threads,
    ) -> Result<Self, DetectorError> {
        Self::of_onnx(OnnxNetwork::from_bytes(bytes, name, threads)?, name.to_owned())
    }

    #[cfg(feature = "onnx")]
    fn of_onnx(network: OnnxNetwork, name: String) -> Result<Self, DetectorError> {
        let threads = network.threads().clone();
        let (outputs, input) = network.try_out()?;
        let format: Box<dyn OutputFormat> = match YuNet::recognise(&outputs) {
            Some(format) if network.is_builtin() => Box::new(format.builtin()),
            _ => format::recognise(&outputs, input)
                .ok_or_else(|| DetectorError::unknown_format(&name, &outputs, input))?,
        };
        // Trial decoding, so that an unusable file is refused before any image is read.
        if let Err(BadOutput(what)) = format.candidates(&outputs, input, 0.0) {
            return Err(DetectorError::BadOutput { name, what });
        }
        Ok(Self::of(name, Network::Onnx(Box::new(network)), format, &threads))
    }

    fn of(
        name: String,
        network: Network,
        format: Box<dyn OutputFormat>,
        threads: &Threads,
    ) -> Self {
        Self {
            name,
            network,
            format,
            threads: threads.clone(),
            #[cfg(feature = "builtin-model")]
            precision: Precision::F32,
            turns: true,
            #[cfg(feature = "builtin-model")]
            refiner: None,
        }
    }

    /// The same detector with refined landmarks: once a face is upright, the built-in landmark
    /// network locates its five landmarks. If they lie far from the detector's, or cannot be those
    /// of a face, the detector's are kept; [`Face::refined`] says which. Boxes and confidences are
    /// always the detector's.
    ///
    /// # Errors
    ///
    /// If the embedded weights cannot be read, which only a damaged program can cause.
    #[cfg(feature = "builtin-model")]
    pub fn with_refined_landmarks(self) -> Result<Self, DetectorError> {
        let (bytes, isa) = (attn_fiqa_models::LANDMARKS, self.threads.isa());
        let network = LandmarkNetwork::load(bytes, isa, self.precision)?;
        Ok(Self { refiner: Some(Box::new(network)), ..self })
    }

    /// The same detector with the matrix products of the built-in networks in this precision; the
    /// default is f32. int8 is too coarse for coordinates: it selects bf16 where that is faster
    /// than f32, and f32 elsewhere. bf16x2 selects f32, because its scores are meant to match those
    /// of f32: moving a crop by a thousandth of a pixel changes a score more than bf16x2 does. An
    /// ONNX network always uses f32.
    ///
    /// In bf16 most boxes and landmarks move by less than a tenth of a pixel
    /// (`docs/performance.md`).
    ///
    /// # Errors
    ///
    /// If the embedded weights cannot be read, which only a damaged program can cause.
    #[cfg(feature = "builtin-model")]
    pub fn with_precision(self, precision: Precision) -> Result<Self, DetectorError> {
        let precision = match precision {
            Precision::Bf16x2 => Precision::F32,
            other => finer_than_int8(self.threads.isa(), other),
        };
        if precision == self.precision {
            return Ok(self);
        }
        let network = match self.network {
            Network::Builtin(_) => {
                Network::Builtin(Box::new(builtin_network(&self.threads, precision)?))
            }
            #[cfg(feature = "onnx")]
            other @ Network::Onnx(_) => other,
        };
        let refines = self.refiner.is_some();
        let detector = Self { network, precision, ..self };
        if refines { detector.with_refined_landmarks() } else { Ok(detector) }
    }

    /// The same detector without the search at other quarter turns.
    #[must_use]
    pub fn upright_only(self) -> Self {
        Self { turns: false, ..self }
    }

    /// The same detector with its own, unrefined landmarks.
    #[cfg(feature = "builtin-model")]
    #[must_use]
    pub fn with_own_landmarks(self) -> Self {
        Self { refiner: None, ..self }
    }

    /// Whether landmarks are refined.
    pub fn refines_landmarks(&self) -> bool {
        #[cfg(feature = "builtin-model")]
        return self.refiner.is_some();
        #[cfg(not(feature = "builtin-model"))]
        return false;
    }

    /// The landmarks of a face near `rough`, located by the network of
    /// [`Self::with_refined_landmarks`]; `None` if it finds none there, or if this detector does
    /// not refine landmarks.
    ///
    /// # Examples
    ///
    /// Checking whether a crop is aligned:
    ///
    /// ```
    /// # #[cfg(feature = "builtin-model")] {
    /// use attn_fiqa::align::{Landmarks, TEMPLATE_112};
    /// use attn_fiqa::decode::{DecodeLimits, decode};
    /// use attn_fiqa::detect::Detector;
    /// use attn_fiqa::threads::Threads;
    ///
    /// # let crop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/faces/astronaut.png");
    /// let crop = decode(&std::fs::read(crop)?, &DecodeLimits::default())?.image;
    /// let template = Landmarks(TEMPLATE_112.map(|point| point.map(|value| value as f32)));
    /// let detector = Detector::builtin(&Threads::new(None)?)?;
    /// let found = detector.refine_landmarks(&crop, &template).ok_or("no face")?;
    /// let [x, y] = found.0[2];
    /// assert!((x - template.0[2][0]).hypot(y - template.0[2][1]) < 10.0, "the nose: {x}, {y}");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refine_landmarks(&self, image: &Image, rough: &Landmarks) -> Option<Landmarks> {
        #[cfg(feature = "builtin-model")]
        if let Some(network) = &self.refiner {
            return self.threads.install(|| refine::refined(network, image, rough));
        }
        let _ = (image, rough);
        None
    }

    /// The file's name, or [`BUILTIN_DETECTOR`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The family of its output format: `YuNet` or `SCRFD`.
    pub fn format_name(&self) -> &'static str {
        self.format.name()
    }

    /// Every face with a confidence of at least `min_confidence`, the largest box first, in pixels
    /// of the image.
    ///
    /// The network runs on the image with its longer side at most 1920 pixels, and for large faces
    /// at a third of that, and so on down to at most 320 pixels, so that faces from about 12 pixels
    /// at the first size to all of the image are found. A face that is large at one of these sizes
    /// must also be found at the next smaller one, if there is one, with a score of at least half
    /// the minimum: this rejects textures that resemble a face only in close-up. Networks with a
    /// fixed input size run once, at that size.
    ///
    /// If no face is found, or none with a high score, the image is also searched at the three
    /// other quarter turns, unless the detector is [`upright_only`](Self::upright_only). The faces
    /// of the turn with the highest score are returned, in the coordinates of the original image.
    /// The minimum confidence is higher there: a third of the distance to 1 is added, and the
    /// highest score must exceed it.
    ///
    /// # Errors
    ///
    /// [`Status::DetectorFailed`] if the network cannot be run on this image or its outputs are not
    /// finite.
    pub fn detect(&self, image: &Image, min_confidence: f32) -> Result<Vec<Face>, Failure> {
        self.threads.install(|| self.detect_here(image, min_confidence))
    }

    /// As [`Self::detect`], on the threads of the current pool.
    fn detect_here(&self, image: &Image, min_confidence: f32) -> Result<Vec<Face>, Failure> {
        let mut found = self.upright_faces(image, min_confidence)?;
        // A face on its side can pass for an upright face with a low score.
        let certain = confidence_in_turned(min_confidence);
        if self.turns && highest_score(&found) < certain {
            let turned = self.turned_faces(image, min_confidence)?;
            if highest_score(&turned) > highest_score(&found).max(certain) {
                found = turned;
            }
        }
        let reported = |seen: LevelCandidate| Face { confidence: seen.confidence, ..seen.face };
        let faces: Vec<Face> = found.into_iter().map(reported).collect();
        #[cfg(feature = "builtin-model")]
        let faces = self.refined(image, faces);
        let mut faces = nms::without_shared_landmarks(faces);
        faces.sort_by(|a, b| b.bounds.area().total_cmp(&a.bounds.area()));
        Ok(faces)
    }

    /// Refines the landmarks of the faces if there is a network for it.
    #[cfg(feature = "builtin-model")]
    fn refined(&self, image: &Image, mut faces: Vec<Face>) -> Vec<Face> {
        if let Some(network) = &self.refiner {
            faces.par_iter_mut().for_each(|face| refine_face(network, image, face));
        }
        faces
    }

    /// The faces at the quarter turn with the highest score.
    fn turned_faces(
        &self,
        image: &Image,
        min_confidence: f32,
    ) -> Result<Vec<LevelCandidate>, Failure> {
        // A large image is reduced once for all turns. A small one is enlarged by each search.
        let finest = self.levels(image)[0];
        let finest = (finest.0.min(image.width()), finest.1.min(image.height()));
        let level = pyramid::at_size(self.threads.isa(), image, finest);
        let scale = (
            image.width() as f32 / level.width() as f32,
            image.height() as f32 / level.height() as f32,
        );
        let mut best = Vec::new();
        for turn in QuarterTurn::ALL {
            let found =
                self.upright_faces(&turn.apply(&level), confidence_in_turned(min_confidence))?;
            if highest_score(&found) > highest_score(&best) {
                let back = |seen: &LevelCandidate| {
                    let face = turn.undo(&seen.face, level.width(), level.height());
                    LevelCandidate { face: face.enlarged(scale), ..seen.clone() }
                };
                best = found.iter().map(back).collect();
            }
        }
        Ok(best)
    }

    /// Faces of an image as it is, with the detector's own landmarks.
    fn upright_faces(
        &self,
        image: &Image,
        min_confidence: f32,
    ) -> Result<Vec<LevelCandidate>, Failure> {
        let mut levels = Vec::new();
        let mut finer: Option<Image> = None;
        for (index, size) in self.levels(image).into_iter().enumerate() {
            // Each level is made from the previous one: the large image is read once.
            let level = pyramid::at_size(self.threads.isa(), finer.as_ref().unwrap_or(image), size);
            let scale = (
                image.width() as f32 / level.width() as f32,
                image.height() as f32 / level.height() as f32,
            );
            let least = self.min_score(min_confidence);
            // Lower scores of a coarser level confirm candidates of the finer one.
            let floor = if index > 0 {
                least.min(pyramid::CONFIRMING_SCORE_FACTOR * min_confidence)
            } else {
                least
            };
            let found = self.candidates(&level, floor)?;
            let seen = |face: &Face| {
                let side = face.bounds.area().sqrt();
                let confidence = self.confidence(face.confidence, side);
                LevelCandidate { side, face: face.enlarged(scale), confidence }
            };
            levels.push(found.iter().map(seen).collect());
            if let std::borrow::Cow::Owned(level) = level {
                finer = Some(level);
            }
        }
        let candidates = pyramid::joined(&levels, min_confidence, SAME_FACE);
        // Among the boxes of one face, the network's score decides.
        Ok(nms::nms(candidates, SAME_FACE, |seen| &seen.face))
    }

    /// Notes for the row of an image in which [`Detector::detect`] found these faces: that it was
    /// searched at a reduced size, so that small faces may be missing, that the maximum number of
    /// faces was reached, and that the faces are rotated by a quarter or half turn.
    pub fn notes(&self, image: &Image, faces: &[Face]) -> Vec<Note> {
        let mut notes = Vec::new();
        let to = self.levels(image)[0];
        if to.0 < image.width() || to.1 < image.height() {
            let scale = image.width().max(image.height()) as f64 / to.0.max(to.1) as f64;
            let weak = (OFTEN_MISSED * scale).round() as usize;
            let often_missed_below = self.network.is_builtin().then_some(weak);
            notes.push(Note::FacesLookedForReduced { to, often_missed_below });
        }
        if faces.len() >= nms::MAX_FACES {
            notes.push(Note::MostFaces(nms::MAX_FACES));
        }
        notes.extend(quarter_turn_of(faces).map(Note::FacesTurned));
        notes
    }

    fn levels(&self, image: &Image) -> Vec<(usize, usize)> {
        let (width, height) = (image.width(), image.height());
        let Some(fixed) = self.network.fixed_size() else {
            return pyramid::levels(width, height, pyramid::WORKING_SIDE);
        };
        let fraction = (fixed.width as f64 / width as f64).min(fixed.height as f64 / height as f64);
        let fraction = fraction.min(1.0);
        let scaled = |length: usize| ((length as f64 * fraction) as usize).max(1);
        vec![(scaled(width), scaled(height))]
    }

    /// The confidence of a box with this score and side, in pixels of the image that the network
    /// sees. For networks other than the built-in one, it is their score.
    fn confidence(&self, score: f32, side: f32) -> f32 {
        if self.network.is_builtin() { confidence::confidence(score, side) } else { score }
    }

    /// The lowest score that can give this confidence.
    fn min_score(&self, min_confidence: f32) -> f32 {
        if self.network.is_builtin() {
            confidence::min_score(min_confidence)
        } else {
            min_confidence
        }
    }

    fn candidates(&self, level: &Image, min_confidence: f32) -> Result<Vec<Face>, Failure> {
        let size = self
            .network
            .fixed_size()
            .unwrap_or_else(|| input::input_size(level.width(), level.height()));
        let outputs = self.network.run(level, size, self.format.pixels());
        let outputs = outputs.map_err(|what| self.failed(&what))?;
        let found = self.format.candidates(&outputs, size, min_confidence);
        found.map_err(|BadOutput(what)| self.failed(&what))
    }

    fn failed(&self, what: &dyn std::fmt::Display) -> Failure {
        Failure::new(
            Status::DetectorFailed,
            format!("the detector '{}' failed on this image: {what}", self.name),
        )
    }
}

/// The built-in detector's network.
#[cfg(feature = "builtin-model")]
fn builtin_network(
    threads: &Threads,
    precision: Precision,
) -> Result<network::BuiltinNetwork, DetectorError> {
    network::BuiltinNetwork::load(attn_fiqa_models::DETECTOR, threads.isa(), precision).map_err(
        |what| DetectorError::BadWeights {
            name: format!("{BUILTIN_DETECTOR} detector"),
            what: what.to_string(),
        },
    )
}

/// Minimum confidence in a rotated image. The allowed distance to 1 is only two thirds of the usual
/// one, since three more searches are three more chances of a false detection.
fn confidence_in_turned(min_confidence: f32) -> f32 {
    1.0 - (1.0 - min_confidence) * 2.0 / 3.0
}

/// The highest network score; 0 without faces.
fn highest_score(faces: &[LevelCandidate]) -> f32 {
    faces.iter().map(|seen| seen.face.confidence).fold(0.0, f32::max)
}

/// The clockwise turn in degrees, 90, 180 or 270, shared by all these faces; `None` without faces,
/// or if one is closer to upright.
fn quarter_turn_of(faces: &[Face]) -> Option<u16> {
    let quarters = |face: &Face| (face.landmarks.pose().roll / 90.0).round() as i32;
    let turn = quarters(faces.first()?).rem_euclid(4);
    let same = faces.iter().all(|face| quarters(face).rem_euclid(4) == turn);
    (turn != 0 && same).then_some(90 * turn as u16)
}

/// Refines one face's landmarks; each face separately, so that they do not depend on other faces.
#[cfg(feature = "builtin-model")]
fn refine_face(network: &LandmarkNetwork, image: &Image, face: &mut Face) {
    if let Some(landmarks) = refine::refined(network, image, &face.landmarks) {
        face.landmarks = landmarks;
        face.refined = true;
    }
}
