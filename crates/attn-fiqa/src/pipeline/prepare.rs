//! One encoded image to the crops of its faces.

use std::path::PathBuf;
use std::sync::Arc;

use super::row::{CropRow, FacesRow, Row};
use super::{FaceSource, FindOptions, PipelineOptions};
use crate::align::landmark_file::{Found, LandmarkFile, ListedFace};
use crate::align::{Landmarks, align};
use crate::crop::{ChannelOrder, Crop, CropOptions, Fit, crop_from_picture};
use crate::decode::{DecodeLimits, Note};
use crate::detect::Detector;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::picture::Picture;
use crate::source::SourceItem;
use crate::status::{Failure, Status};

/// What all faces of an image share.
#[derive(Clone)]
pub(super) struct Common {
    path: String,
    relative: PathBuf,
    size: Option<(usize, usize)>,
    notes: Vec<Note>,
    pub(super) photo: Option<Arc<Picture>>,
}

/// A decoded image on its way to the network; at least one face if it has any.
pub(super) struct Prepared {
    pub(super) common: Common,
    pub(super) faces: Result<Vec<PreparedFace>, Failure>,
}

/// A face on its way to the network.
pub(super) struct PreparedFace {
    pub(super) info: FaceInfo,
    pub(super) crop: Result<Crop, Failure>,
    pub(super) jitter_std: Option<f32>,
}

impl Common {
    pub(super) fn into_row(
        self,
        is_first: bool,
        face: Option<(FaceInfo, Option<f32>)>,
        crop: Option<Crop>,
        outcome: Result<Assessment, Failure>,
    ) -> Row {
        let Self { path, relative, size, notes, photo } = self;
        let (face, jitter_std) = face.map_or((None, None), |(info, std)| (Some(info), std));
        Row { path, relative, size, notes, is_first, face, photo, crop, outcome, jitter_std }
    }
}

impl Prepared {
    /// One row a face, or one that says why there is none.
    pub(super) fn into_crops(self) -> Vec<CropRow> {
        let Self { common, faces } = self;
        let row = |is_first, face, crop| {
            let Common { path, relative, size, notes, .. } = common.clone();
            CropRow { path, relative, size, notes, is_first, face, crop }
        };
        match faces {
            Err(failure) => vec![row(true, None, Err(failure))],
            Ok(faces) => faces
                .into_iter()
                .enumerate()
                .map(|(place, face)| row(place == 0, Some(face.info), face.crop))
                .collect(),
        }
    }

    pub(super) fn without_photo_unless(mut self, keep: bool) -> Self {
        self.common.photo = self.common.photo.filter(|_| keep);
        self
    }
}

/// Decodes, with red and blue exchanged back where the file has them so.
fn open(
    item: SourceItem,
    limits: &DecodeLimits,
    channels: ChannelOrder,
) -> (Common, Result<Arc<Picture>, Failure>) {
    let SourceItem { path, relative, image } = item;
    let mut common = Common { path, relative, size: None, notes: Vec::new(), photo: None };
    let picture = image.and_then(|image| image.decode(limits)).map(|decoded| {
        common.size = Some((decoded.picture.width(), decoded.picture.height()));
        common.notes = decoded.notes;
        Arc::new(match channels {
            ChannelOrder::Rgb => decoded.picture,
            ChannelOrder::Swapped => {
                common.notes.push(Note::ChannelsSwapped);
                decoded.picture.with_red_and_blue_exchanged()
            }
        })
    });
    (common, picture)
}

/// Decodes an image and cuts out its faces, `side` pixels each.
pub(super) fn prepare(item: SourceItem, side: usize, options: &PipelineOptions) -> Prepared {
    let (mut common, picture) = open(item, &options.limits, options.channels);
    let faces = picture.and_then(|picture| {
        common.photo = Some(Arc::clone(&picture));
        let is_crop = (picture.width(), picture.height()) == (side, side);
        match &options.faces {
            FaceSource::Aligned(fit) => as_it_is(&mut common, &picture, side, *fit),
            FaceSource::Detected(_) if is_crop => as_it_is(&mut common, &picture, side, Fit::Exact),
            FaceSource::Landmarks(file) => {
                let listed = listed_faces(file, &common.path)?;
                let faces = options.choice.choose_listed(listed)?;
                Ok(faces
                    .iter()
                    .enumerate()
                    .map(|(index, face)| {
                        let info = FaceInfo::listed(index, face);
                        aligned(&picture, info, &face.landmarks, side)
                    })
                    .collect())
            }
            FaceSource::Detected(detector) => {
                let found = detector.detect(&picture, options.choice.min_confidence)?;
                common.notes.extend(detector.notes(&picture, &found));
                let faces = options.choice.choose(found)?;
                Ok(faces
                    .into_iter()
                    .enumerate()
                    .map(|(index, face)| {
                        let info = FaceInfo::detected(index, &face);
                        aligned(&picture, info, &face.landmarks, side)
                    })
                    .collect())
            }
        }
    });
    Prepared { common, faces }
}

/// Decodes an image and finds its faces.
pub(super) fn find_in(item: SourceItem, detector: &Detector, options: &FindOptions) -> FacesRow {
    let (mut common, picture) = open(item, &options.limits, options.channels);
    let mut photo = None;
    let faces = picture.and_then(|picture| {
        let faces = detector.detect(&picture, options.choice.min_confidence)?;
        common.notes.extend(detector.notes(&picture, &faces));
        photo = options.keep_photo.then_some(picture);
        match options.choice.choose(faces) {
            Err(failure) if failure.status == Status::NoFace => Ok(Vec::new()),
            chosen => chosen,
        }
    });
    let Common { path, relative, size, notes, .. } = common;
    FacesRow { path, relative, size, notes, photo, faces }
}

/// The faces that a landmark file lists for a picture.
fn listed_faces(file: &LandmarkFile, path: &str) -> Result<Vec<ListedFace>, Failure> {
    let no_landmarks = |message| Err(Failure::new(Status::NoLandmarks, message));
    match file.find(path) {
        Found::Faces { faces, .. } => Ok(faces.to_vec()),
        Found::Missing => {
            no_landmarks("the landmark file says nothing about this picture".to_owned())
        }
        Found::Ambiguous { paths } => no_landmarks(format!(
            "{paths} paths of the landmark file have this picture's name, and none of them its \
             path; write paths as the pictures are named in the run"
        )),
    }
}

/// The whole picture as one face.
fn as_it_is(
    common: &mut Common,
    picture: &Picture,
    side: usize,
    fit: Fit,
) -> Result<Vec<PreparedFace>, Failure> {
    let options = CropOptions { side, fit, channels: ChannelOrder::Rgb };
    let (crop, notes) = crop_from_picture(picture.clone(), &options)?;
    common.notes.extend(notes);
    let info = FaceInfo::aligned();
    Ok(vec![PreparedFace { info, crop: Ok(crop), jitter_std: None }])
}

fn aligned(picture: &Picture, info: FaceInfo, landmarks: &Landmarks, side: usize) -> PreparedFace {
    PreparedFace { info, crop: crop_by(picture, landmarks, side), jitter_std: None }
}

/// The crop that landmarks ask for.
pub(super) fn crop_by(
    picture: &Picture,
    landmarks: &Landmarks,
    side: usize,
) -> Result<Crop, Failure> {
    Ok(align(picture, landmarks, side)?.crop)
}
