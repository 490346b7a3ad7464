//! Answers about images and faces. The keys of a face are the column names of the command line, in
//! the same order (`docs/columns.md`); a test of the command line compares them.

use attn_fiqa::align::similarity_to_template;
use attn_fiqa::causes::{FaceRegion, FoundCause};
use attn_fiqa::components::{Component, ComponentValue, Components};
use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::{FaceInfo, ScoredFace, ScoredImage};
use attn_fiqa::score::{Band, FAILURE_TO_COMPUTE};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::model::{Model, ModelInfo};
use crate::query::Columns;

/// The answer of `/v1/score`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoreAnswer {
    /// The model that scored.
    pub(crate) model: ModelInfo,
    /// One entry per image, in the order of the request.
    pub(crate) images: Vec<ImageAnswer>,
}

/// One image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageAnswer {
    /// The name sent with the image.
    #[schema(example = "a.jpg")]
    pub(crate) name: String,
    /// `ok`, or why there are no faces: `no-face`, `too-large`, `not-an-image`, `broken-image`,
    /// `unsupported-image`, `wrong-size`, `detector-failed`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Why there are no faces, or what was ignored or changed.
    message: Option<String>,
    /// Width of the upright image in pixels; `null` if it was not decoded.
    width: Option<usize>,
    /// Height of the upright image in pixels; `null` if it was not decoded.
    height: Option<usize>,
    /// Its faces, largest first.
    pub(crate) faces: Vec<FaceAnswer>,
}

/// One face. Coordinates are pixels of the upright image; the centre of its top-left pixel is (0,
/// 0).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaceAnswer {
    /// Its number in the image; 0 is the largest.
    pub(crate) face: usize,
    /// `ok`, or why it has no score: `bad-landmarks`, `network-failed`, `non-finite`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The raw score; higher is better. Not comparable between models.
    pub(crate) score: Option<f32>,
    /// The score mapped to 0–100; −1 if none could be computed, `null` without a calibration.
    pub(crate) quality: Option<i8>,
    /// On request: the quality as a word, from `unusable` to `excellent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    band: Option<Option<&'static str>>,
    /// On request: the probability that a recogniser matches the face with a clean image of the
    /// same person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f32>)]
    match_probability: Option<Option<f32>>,
    /// On request: the cause whose removal would gain the most quality; `null` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "blur")]
    main_cause: Option<Option<&'static str>>,
    /// On request: the causes of lost quality, strongest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<CauseAnswer>>)]
    causes: Option<Option<Vec<CauseAnswer>>>,
    /// On request: regions of the face with far less attention than in good faces, weakest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    weak_regions: Option<Option<Vec<&'static str>>>,
    /// The origin of its crop: `aligned`, `detected` or `refined`.
    #[schema(example = "refined")]
    crop_origin: &'static str,
    /// Left edge of the detector's box.
    box_x: Option<f32>,
    /// Upper edge of the box.
    box_y: Option<f32>,
    /// Width of the box.
    box_width: Option<f32>,
    /// Height of the box.
    box_height: Option<f32>,
    /// The detector's confidence, 0 to 1.
    detection_score: Option<f32>,
    /// Distance between the eye centres, in pixels.
    pub(crate) inter_eye_distance: Option<f32>,
    /// Rotation in the image plane, in degrees.
    roll: Option<f32>,
    /// Rotation to the side, in degrees; approximate.
    yaw: Option<f32>,
    /// On request: the five landmarks.
    #[serde(flatten)]
    #[schema(value_type = LandmarkColumns)]
    landmarks: Option<LandmarkColumns>,
    /// On request: width of the upright image.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    /// On request: height of the upright image.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<usize>,
    /// On request: component measures, each under its name, and with the suffix `.scalar` on 0–100.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    components: Option<ComponentColumns>,
    /// On request: attention received by each patch, row by row; the mean is the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f32>>)]
    map: Option<Option<Vec<f32>>>,
    /// With the map: number of patches per side.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<usize>)]
    map_side: Option<Option<usize>>,
    /// With the map: a, b, c, d, e, f of `crop x = a·x + b·y + c`, `crop y = d·x + e·y + f`, which
    /// map pixels of the upright image to pixels of the crop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f64>>, min_items = 6, max_items = 6)]
    crop_transform: Option<Option<[f64; 6]>>,
    /// On request: the recognition embedding as output by the network, not normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f32>>)]
    embedding: Option<Option<Vec<f32>>>,
    /// Why it has no score; empty otherwise.
    message: String,
}

/// A cause of low quality.
#[derive(Debug, Serialize, ToSchema)]
struct CauseAnswer {
    /// Its name.
    #[schema(example = "blur")]
    cause: &'static str,
    /// Its strength, 0 to 1.
    strength: f32,
    /// The quality that would be gained without it, 0 to 100.
    gain: f32,
}

/// Component measures, keyed by the column names of the command line.
#[derive(Debug)]
struct ComponentColumns(Vec<(Component, Option<ComponentValue>)>);

/// Landmarks, keyed by the column names of the command line; left and right as seen in the image.
#[derive(Debug, Serialize, ToSchema)]
struct LandmarkColumns {
    left_eye_x: Option<f32>,
    left_eye_y: Option<f32>,
    right_eye_x: Option<f32>,
    right_eye_y: Option<f32>,
    nose_x: Option<f32>,
    nose_y: Option<f32>,
    left_mouth_x: Option<f32>,
    left_mouth_y: Option<f32>,
    right_mouth_x: Option<f32>,
    right_mouth_y: Option<f32>,
}

/// Notes joined into one line.
fn join_notes(notes: &[Note]) -> Option<String> {
    let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

impl ImageAnswer {
    pub(crate) fn new(name: String, image: ScoredImage, model: &Model, columns: Columns) -> Self {
        let ScoredImage { size, notes, faces, .. } = image;
        let (width, height) = size.unzip();
        let notes = join_notes(&notes);
        let (status, message, faces) = match faces {
            Ok(faces) => ("ok", notes, faces),
            Err(failure) => (failure.status.name(), Some(failure.message), Vec::new()),
        };
        let face = |face| FaceAnswer::new(face, size, model, columns);
        Self { name, status, message, width, height, faces: faces.into_iter().map(face).collect() }
    }
}

impl FaceAnswer {
    fn new(
        face: ScoredFace,
        size: Option<(usize, usize)>,
        model: &Model,
        columns: Columns,
    ) -> Self {
        let ScoredFace { info, crop, outcome, components, .. } = face;
        let (assessment, status, message) = match outcome {
            Ok(assessment) => (Some(assessment), "ok", String::new()),
            Err(failure) => (None, failure.status.name(), failure.message),
        };
        let score = assessment.as_ref().and_then(|found| found.scores.first().copied());
        let quality = model
            .quality_map()
            .map(|map| score.map_or(FAILURE_TO_COMPUTE, |score| map.quality(score)));
        let law = model.quality_map().and_then(|_| model.engine.match_probability());
        let probability = law.zip(score).map(|(law, score)| law.of(score));
        let side = crop.map_or(model.engine.config().image_size, |crop| crop.side());
        let map = assessment.as_ref().and_then(|found| found.received.as_ref());
        let patches = map.map(|map| map.mean.grid());
        let values = map.map(|map| map.mean.values().to_vec());
        let FaceInfo { index, bounds, landmarks, confidence, .. } = info;
        let [width, height] = [size.map(|(width, _)| width), size.map(|(_, height)| height)]
            .map(|length| length.filter(|_| columns.size));
        Self {
            face: index,
            status,
            score,
            quality,
            band: columns.band.then(|| quality.and_then(Band::of).map(Band::name)),
            match_probability: columns.match_probability.then_some(probability),
            main_cause: columns.main_cause.then(|| {
                let causes = assessment.as_ref()?.causes.as_ref()?;
                Some(causes.main()?.cause.name())
            }),
            causes: columns.causes.then(|| {
                let causes = assessment.as_ref()?.causes.as_ref()?;
                Some(causes.found.iter().map(CauseAnswer::new).collect())
            }),
            weak_regions: columns.weak_regions.then(|| {
                let regions = assessment.as_ref()?.weak_regions.as_ref()?;
                Some(regions.iter().map(|region: &FaceRegion| region.name()).collect())
            }),
            crop_origin: info.crop_origin.name(),
            box_x: bounds.map(|bounds| bounds.x),
            box_y: bounds.map(|bounds| bounds.y),
            box_width: bounds.map(|bounds| bounds.width),
            box_height: bounds.map(|bounds| bounds.height),
            detection_score: confidence,
            inter_eye_distance: landmarks.map(|landmarks| landmarks.inter_eye_distance()),
            roll: landmarks.map(|landmarks| landmarks.pose().roll),
            yaw: landmarks.map(|landmarks| landmarks.pose().yaw),
            landmarks: columns.landmarks.then(|| LandmarkColumns::new(&info)),
            width,
            height,
            components: columns.components.then(|| ComponentColumns::new(components.as_ref())),
            map: columns.map.then_some(values),
            map_side: columns.map.then_some(patches),
            crop_transform: columns.map.then(|| crop_transform(&info, side)),
            embedding: columns.embedding.then(|| assessment.and_then(|found| found.embedding)),
            message,
        }
    }
}

impl CauseAnswer {
    fn new(found: &FoundCause) -> Self {
        Self { cause: found.cause.name(), strength: found.strength, gain: found.gain }
    }
}

impl ComponentColumns {
    fn new(components: Option<&Components>) -> Self {
        let value = |component| components.and_then(|components| components.get(component));
        Self(Component::ALL.into_iter().map(|component| (component, value(component))).collect())
    }
}

impl Serialize for ComponentColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut columns = serializer.serialize_map(Some(2 * self.0.len()))?;
        for (component, value) in &self.0 {
            let name = component.name();
            columns.serialize_entry(name, &value.map(|value| value.native))?;
            let scalar = value.and_then(|value| value.scalar);
            columns.serialize_entry(&format!("{name}.scalar"), &scalar)?;
        }
        columns.end()
    }
}

/// Maps pixels of the upright image to pixels of the crop; the identity if the image is the crop.
fn crop_transform(info: &FaceInfo, side: usize) -> Option<[f64; 6]> {
    let Some(landmarks) = &info.landmarks else { return Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]) };
    let found = similarity_to_template(landmarks, side).ok()?;
    let [x, y] = found.shift;
    Some([found.a, -found.b, x, found.b, found.a, y])
}

impl LandmarkColumns {
    fn new(info: &FaceInfo) -> Self {
        let at = |point: usize, axis: usize| info.landmarks.map(|found| found.0[point][axis]);
        Self {
            left_eye_x: at(0, 0),
            left_eye_y: at(0, 1),
            right_eye_x: at(1, 0),
            right_eye_y: at(1, 1),
            nose_x: at(2, 0),
            nose_y: at(2, 1),
            left_mouth_x: at(3, 0),
            left_mouth_y: at(3, 1),
            right_mouth_x: at(4, 0),
            right_mouth_y: at(4, 1),
        }
    }
}
