//! From one image to the crops of its faces.

use std::borrow::Cow;
use std::sync::Arc;

use super::{FaceOptions, FaceSource, FindOptions};
use crate::align::landmark_file::{Found, LandmarkFile, ListedFace};
use crate::align::{Landmarks, align};
use crate::components::{ComponentInput, Components, jpeg_quality};
use crate::crop::{Crop, CropOptions, Fit, crop_from};
use crate::decode::{DecodeLimits, Decoded, Note};
use crate::detect::{Detector, Face, FaceBox};
use crate::face::FaceInfo;
use crate::input::ImageData;
use crate::pixels::{ChannelOrder, Image};
use crate::status::{Failure, Status};

/// An image prepared for the network; at least one face if it has any.
pub(super) struct Prepared {
    pub(super) size: Option<(usize, usize)>,
    pub(super) notes: Vec<Note>,
    pub(super) photo: Option<Arc<Image>>,
    pub(super) faces_found: usize,
    pub(super) faces: Result<Vec<PreparedFace>, Failure>,
}

/// All faces of an image, including those left out by the choice.
#[derive(Default)]
struct AllFaces {
    count: usize,
    /// The boxes of those that were detected.
    boxes: Vec<FaceBox>,
}

/// A face prepared for the network.
pub(super) struct PreparedFace {
    pub(super) info: FaceInfo,
    pub(super) crop: Result<Crop, Failure>,
    pub(super) jitter_std: Option<f32>,
    pub(super) components: Option<Components>,
}

/// A decoded image while its faces are prepared.
pub(super) struct Photo<'a> {
    pub(super) image: &'a Image,
    all: &'a AllFaces,
    /// JPEG quality of the file, if it is a JPEG.
    jpeg_quality: Option<u8>,
}

impl Photo<'_> {
    /// The component measures of a face; `None` without landmarks or without a crop.
    pub(super) fn components(&self, face: &PreparedFace) -> Option<Components> {
        let input = ComponentInput {
            photo: self.image,
            landmarks: face.info.landmarks.as_ref()?,
            crop: face.crop.as_ref().ok()?,
            faces: &self.all.boxes,
            jpeg_quality: self.jpeg_quality,
        };
        Components::measure(&input).ok()
    }
}

/// An image's landmarks, if given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// None were given with the image.
    Nothing,
    /// The path by which to look them up in a landmark file.
    Path(&'a str),
    /// The landmarks of each face.
    Landmarks(&'a [Landmarks]),
}

impl Prepared {
    fn failed(failure: Failure) -> Self {
        Self { size: None, notes: Vec::new(), photo: None, faces_found: 0, faces: Err(failure) }
    }
}

/// Decodes, and swaps red and blue back if the file stores them swapped.
fn open(
    image: Result<ImageData, Failure>,
    limits: &DecodeLimits,
    channels: ChannelOrder,
) -> Result<Decoded, Failure> {
    let Decoded { mut image, mut notes } = image?.decode(limits)?;
    if channels == ChannelOrder::Bgr {
        notes.push(Note::ChannelsSwapped);
        image = image.with_red_and_blue_exchanged();
    }
    Ok(Decoded { image, notes })
}

/// Decodes an image and crops its faces, `side` pixels each. `examine` is called with the faces and
/// the upright image, which is kept only if the options say so.
pub(super) fn prepare(
    image: Result<ImageData, Failure>,
    given: Given<'_>,
    side: usize,
    options: &FaceOptions,
    examine: impl FnOnce(&Photo<'_>, &mut [PreparedFace]),
) -> Prepared {
    let jpeg_quality = match &image {
        Ok(ImageData::Encoded(bytes)) => jpeg_quality(bytes),
        _ => None,
    };
    let Decoded { image, mut notes } = match open(image, &options.limits, options.channels) {
        Ok(decoded) => decoded,
        Err(failure) => return Prepared::failed(failure),
    };
    let mut all = AllFaces::default();
    let mut faces = crops_of(&image, &mut notes, &mut all, given, side, options);
    if let Ok(faces) = &mut faces {
        examine(&Photo { image: &image, all: &all, jpeg_quality }, faces);
    }
    let size = Some((image.width(), image.height()));
    let photo = options.keep_photo.then(|| Arc::new(image));
    Prepared { size, notes, photo, faces_found: all.count, faces }
}

fn crops_of(
    image: &Image,
    notes: &mut Vec<Note>,
    all: &mut AllFaces,
    given: Given<'_>,
    side: usize,
    options: &FaceOptions,
) -> Result<Vec<PreparedFace>, Failure> {
    if let Given::Landmarks(faces) = given {
        let faces =
            faces.iter().map(|&landmarks| ListedFace { line: 0, landmarks, confidence: None });
        return listed(image, faces.collect(), all, side, options);
    }
    let is_crop = (image.width(), image.height()) == (side, side);
    match &options.faces {
        FaceSource::Aligned(fit) => whole_image_crop(image, side, *fit, notes, all),
        FaceSource::Detected(_) if is_crop => whole_image_crop(image, side, Fit::Exact, notes, all),
        FaceSource::Landmarks(file) => {
            let Given::Path(path) = given else {
                return Err(Failure::new(
                    Status::NoLandmarks,
                    "a landmark file lists faces by the path of their image, but this image has \
                     none; give the landmarks with the image",
                ));
            };
            listed(image, listed_faces(file, path)?, all, side, options)
        }
        FaceSource::Detected(detector) => {
            let found = detector.detect(image, options.choice.min_confidence)?;
            let limits = detector.notes(image, &found);
            all.count = found.len();
            all.boxes = found.iter().map(|face| face.bounds).collect();
            let chosen = options.choice.choose(found);
            let chosen = chosen.map_err(|failure| with_limits(failure, &limits));
            notes.extend(limits);
            let faces = chosen?.into_iter().enumerate();
            let aligned = faces.map(|(index, face): (usize, Face)| {
                let info = FaceInfo::detected(index, &face);
                aligned(image, info, &face.landmarks, side)
            });
            Ok(aligned.collect())
        }
    }
}

/// Adds what limited the search to the message for an image without a face.
fn with_limits(failure: Failure, limits: &[Note]) -> Failure {
    let mut message = failure.message;
    for limit in limits {
        message = format!("{message}; {limit}");
    }
    Failure::new(failure.status, message)
}

/// Faces from given landmarks.
fn listed(
    image: &Image,
    faces: Vec<ListedFace>,
    all: &mut AllFaces,
    side: usize,
    options: &FaceOptions,
) -> Result<Vec<PreparedFace>, Failure> {
    all.count = faces.len();
    let faces = options.choice.choose_listed(faces)?;
    let aligned = faces
        .iter()
        .enumerate()
        .map(|(index, face)| aligned(image, FaceInfo::listed(index, face), &face.landmarks, side));
    Ok(aligned.collect())
}

/// The faces of an image, detected but not cropped.
pub(super) struct FoundFaces {
    pub(super) size: Option<(usize, usize)>,
    pub(super) notes: Vec<Note>,
    pub(super) photo: Option<Arc<Image>>,
    pub(super) faces: Result<Vec<Face>, Failure>,
}

/// Decodes an image and detects its faces.
pub(super) fn find_in(
    image: Result<ImageData, Failure>,
    detector: &Detector,
    options: &FindOptions,
) -> FoundFaces {
    let Decoded { image, mut notes } = match open(image, &options.limits, options.channels) {
        Ok(decoded) => decoded,
        Err(failure) => {
            return FoundFaces { size: None, notes: Vec::new(), photo: None, faces: Err(failure) };
        }
    };
    let found = detector.detect(&image, options.choice.min_confidence);
    let found = found.inspect(|found| notes.extend(detector.notes(&image, found)));
    let faces = match found.and_then(|found| options.choice.choose(found)) {
        Err(failure) if failure.status == Status::NoFace => Ok(Vec::new()),
        chosen => chosen,
    };
    let size = Some((image.width(), image.height()));
    let photo = options.keep_photo.then(|| Arc::new(image));
    FoundFaces { size, notes, photo, faces }
}

/// The faces that a landmark file lists for an image.
fn listed_faces(file: &LandmarkFile, path: &str) -> Result<Vec<ListedFace>, Failure> {
    let no_landmarks = |message| Err(Failure::new(Status::NoLandmarks, message));
    match file.find(path) {
        Found::Faces { faces, .. } => Ok(faces.to_vec()),
        Found::Missing => no_landmarks("the landmark file has no entry for this image".to_owned()),
        Found::Ambiguous { paths } => no_landmarks(format!(
            "{paths} paths in the landmark file have this image's name, but none has its path; \
             write paths as the run names the images"
        )),
    }
}

/// The whole image as one face.
fn whole_image_crop(
    image: &Image,
    side: usize,
    fit: Fit,
    notes: &mut Vec<Note>,
    all: &mut AllFaces,
) -> Result<Vec<PreparedFace>, Failure> {
    let options = CropOptions { side, fit, channels: ChannelOrder::Rgb };
    let (crop, made) = crop_from(Cow::Borrowed(image), &options)?;
    notes.extend(made);
    all.count = 1;
    let info = FaceInfo::aligned();
    Ok(vec![PreparedFace { info, crop: Ok(crop), jitter_std: None, components: None }])
}

fn aligned(image: &Image, info: FaceInfo, landmarks: &Landmarks, side: usize) -> PreparedFace {
    PreparedFace { info, crop: crop_by(image, landmarks, side), jitter_std: None, components: None }
}

/// The crop aligned by these landmarks.
pub(super) fn crop_by(image: &Image, landmarks: &Landmarks, side: usize) -> Result<Crop, Failure> {
    Ok(align(image, landmarks, side)?.crop)
}
