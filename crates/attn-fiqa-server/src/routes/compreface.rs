//! CompreFace's face detection request: `POST /api/v1/detection/detect` with a multipart `file`.
//! Answers have its form; each face has our quality in addition to its box and landmarks.

use std::sync::Arc;

use attn_fiqa::pipeline::ScoredFace;
use attn_fiqa::status::{Failure, Status};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::error::{ApiError, ErrorBody};
use crate::model::Wanted;
use crate::query::Query;
use crate::reply::json_reply;
use crate::service::Shared;
use crate::upload::{ImageForm, uploads};

pub(super) const PATH: &str = "/api/v1/detection/detect";

/// CompreFace's error code for an image without a face.
const NO_FACE: u16 = 28;
/// CompreFace's error code for an image that cannot be decoded.
const BAD_IMAGE: u16 = 21;

/// The parameters of CompreFace that are supported here.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes parameters to clients")]
pub(super) struct DetectParameters {
    /// Maximum number of faces, largest first; 0 means all.
    #[param(required = false)]
    limit: u32,
    /// Minimum detection score of a face, 0 to 1.
    #[param(required = false, minimum = 0, maximum = 1)]
    det_prob_threshold: f32,
}

/// CompreFace's answer.
#[derive(Serialize, ToSchema)]
pub(super) struct DetectAnswer {
    result: Vec<DetectedFace>,
}

/// One face.
#[derive(Serialize, ToSchema)]
struct DetectedFace {
    #[serde(rename = "box")]
    bounds: Bounds,
    /// Five points [x, y]: eyes, nose, corners of the mouth.
    landmarks: Vec<[i64; 2]>,
    /// The raw score; `null` if none could be computed.
    score: Option<f32>,
    /// 0 to 100; `null` without a calibration.
    quality: Option<i8>,
}

/// A box in whole pixels.
#[derive(Serialize, ToSchema)]
struct Bounds {
    /// The detector's confidence.
    probability: f32,
    x_min: i64,
    y_min: i64,
    x_max: i64,
    y_max: i64,
}

/// CompreFace: detect the faces in an image
#[utoipa::path(
    post,
    path = PATH,
    tag = "compatibility",
    params(DetectParameters),
    request_body(content = ImageForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The faces", body = DetectAnswer),
        (status = 400, description = "The request is not as described, or the image has no face \
                                      (code 28) or cannot be decoded (code 21)", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 429, description = "The service has no room for more", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn detect(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let wanted = parse(request.uri().query())?;
    let (parts, body) = request.into_parts();
    let received = uploads(&shared, &parts, body).await?;
    let (image, share) = received.into_one("file")?;
    let (mut scored, share) = shared.score(vec![image], &wanted, share).await?;
    let scored = scored.pop().ok_or_else(ApiError::internal)?;
    let faces = scored.faces.map_err(|failure| compreface_error(&failure))?;
    let result = faces.iter().filter_map(|face| describe(&shared, face)).collect();
    json_reply(share, &DetectAnswer { result })
}

fn parse(query: Option<&str>) -> Result<Wanted, ApiError> {
    let mut query = Query::parse(query)?;
    let limit = query.number("limit", "a whole number, 0 for all", |_: &u32| true)?;
    let unit = |number: &f32| (0.0..=1.0).contains(number);
    let least = query.number("det_prob_threshold", "a number from 0 to 1", unit)?;
    query.finish(&["limit", "det_prob_threshold"])?;
    Ok(Wanted {
        max_faces: limit.filter(|&limit| limit > 0).map(|limit| limit as usize),
        min_detection_score: least,
        ..Wanted::default()
    })
}

fn compreface_error(failure: &Failure) -> ApiError {
    let code = if failure.status == Status::NoFace { NO_FACE } else { BAD_IMAGE };
    ApiError::of_image(failure).with_status(StatusCode::BAD_REQUEST).with_compreface_code(code)
}

/// Describes a face in whole pixels, as CompreFace does. An image that is itself a face has no box
/// and is left out.
fn describe(shared: &Shared, face: &ScoredFace) -> Option<DetectedFace> {
    let (bounds, landmarks) = (face.info.bounds?, face.info.landmarks?);
    let whole = |number: f32| number.round() as i64;
    let score = face.outcome.as_ref().ok().and_then(|found| found.scores.first().copied());
    let quality = shared.model.quality_map().zip(score).map(|(map, score)| map.quality(score));
    Some(DetectedFace {
        bounds: Bounds {
            probability: face.info.confidence?,
            x_min: whole(bounds.x),
            y_min: whole(bounds.y),
            x_max: whole(bounds.x + bounds.width),
            y_max: whole(bounds.y + bounds.height),
        },
        landmarks: landmarks.0.iter().map(|point| point.map(whole)).collect(),
        score,
        quality,
    })
}
