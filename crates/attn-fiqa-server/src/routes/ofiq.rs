//! The requests of the OFIQ 1.2 service: `POST /scalar_quality` and `/vector_quality`. Their JSON
//! is that of `python/service/server/ofiq_server/swagger/swagger.yaml` in BSI-OFIQ/OFIQ-Project;
//! the measures are ours and have our names. As in OFIQ, the largest face counts.

use std::sync::Arc;

use attn_fiqa::pipeline::ScoredFace;
use attn_fiqa::score::FAILURE_TO_COMPUTE;
use attn_fiqa::status::Status;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admission::Share;
use crate::base64::Base64;
use crate::body::receive;
use crate::error::{ApiError, ErrorBody};
use crate::model::{Faces, Wanted};
use crate::progress::Progress;
use crate::reply::json_reply;
use crate::service::Shared;

pub(super) const SCALAR: &str = "/scalar_quality";
pub(super) const VECTOR: &str = "/vector_quality";

/// The value that OFIQ's clients interpret as "not assessed".
const NOT_ASSESSED: i8 = FAILURE_TO_COMPUTE;

/// One image, in the form of the OFIQ service.
#[derive(Deserialize, ToSchema)]
pub(super) struct OfiqRequest {
    image: OfiqImage,
}

#[derive(Deserialize, ToSchema)]
struct OfiqImage {
    /// The image file in base64.
    #[schema(value_type = String, content_encoding = "base64")]
    base64_data: Base64,
}

/// OFIQ's answer to `/scalar_quality`.
#[derive(Serialize, ToSchema)]
pub(super) struct ScalarAnswer {
    /// `ok`.
    #[schema(example = "ok")]
    error: &'static str,
    results: ScalarResults,
}

#[derive(Serialize, ToSchema)]
struct ScalarResults {
    /// The quality of the largest face, 0 to 100; −1 if none could be computed.
    #[schema(example = 90)]
    score: i8,
}

/// OFIQ's answer to `/vector_quality`.
#[derive(Serialize, ToSchema)]
pub(super) struct VectorAnswer {
    /// `ok`.
    #[schema(example = "ok")]
    error: &'static str,
    results: VectorResults,
}

#[derive(Serialize, ToSchema)]
struct VectorResults {
    assessments: Assessments,
}

#[derive(Serialize, ToSchema)]
struct Assessments {
    results: Vec<Measured>,
}

/// One measure.
#[derive(Serialize, ToSchema)]
struct Measured {
    /// Its name: the method of the model's score, `inter-eye-distance`, `detection-score`.
    #[schema(example = "attn-calibrated")]
    measure: String,
    /// Its native value.
    native_score: f32,
    /// Its quality, 0 to 100; −1 for a measure without a map to quality.
    scalar_score: i8,
}

/// OFIQ: the quality of the largest face
#[utoipa::path(
    post,
    path = SCALAR,
    tag = "compatibility",
    request_body = OfiqRequest,
    responses(
        (status = 200, description = "Its quality", body = ScalarAnswer),
        (status = 400, description = "The body is not as described, or is not an image", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 404, description = "There is no face in the image", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 429, description = "The service has no room for more", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn scalar_quality(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (face, share) = largest_face(&shared, request).await?;
    let results = ScalarResults { score: quality_of(&shared, &face) };
    json_reply(share, &ScalarAnswer { error: "ok", results })
}

/// OFIQ: the measures of the largest face
#[utoipa::path(
    post,
    path = VECTOR,
    tag = "compatibility",
    request_body = OfiqRequest,
    responses(
        (status = 200, description = "Its measures", body = VectorAnswer),
        (status = 400, description = "The body is not as described, or is not an image", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 404, description = "There is no face in the image", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 429, description = "The service has no room for more", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn vector_quality(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (face, share) = largest_face(&shared, request).await?;
    let score = face.outcome.as_ref().ok().and_then(|found| found.scores.first().copied());
    let eyes = face.info.landmarks.map(|landmarks| landmarks.inter_eye_distance());
    let measures = [
        (shared.model.method().to_string(), score, quality_of(&shared, &face)),
        ("inter-eye-distance".to_owned(), eyes, NOT_ASSESSED),
        ("detection-score".to_owned(), face.info.confidence, NOT_ASSESSED),
    ];
    let measured = measures.into_iter().filter_map(|(measure, native_score, scalar_score)| {
        Some(Measured { measure, native_score: native_score?, scalar_score })
    });
    let assessments = Assessments { results: measured.collect() };
    json_reply(share, &VectorAnswer { error: "ok", results: VectorResults { assessments } })
}

fn quality_of(shared: &Shared, face: &ScoredFace) -> i8 {
    let score = face.outcome.as_ref().ok().and_then(|found| found.scores.first().copied());
    let map = shared.model.quality_map();
    map.zip(score).map_or(NOT_ASSESSED, |(map, score)| map.quality(score))
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        found => Err(ApiError::unsupported_type("application/json", found.unwrap_or("not given"))),
    }
}

fn parse_image(bytes: &[u8]) -> Result<Vec<u8>, ApiError> {
    let form = "{\"image\": {\"base64_data\": …}}";
    let request: OfiqRequest =
        serde_json::from_slice(bytes).map_err(|error| ApiError::invalid_json(form, &error))?;
    request.image.base64_data.into_bytes("image.base64_data")
}

async fn largest_face(
    shared: &Arc<Shared>,
    request: Request,
) -> Result<(ScoredFace, Share), ApiError> {
    crate::query::Query::parse(request.uri().query())?.finish(&[])?;
    let (parts, body) = request.into_parts();
    require_json(&parts.headers)?;
    let received = receive(shared, &parts, body).await?;
    let (image, share) = received.parse(|bytes| parse_image(&bytes)).await?;
    Progress::of(&parts).set_images(1);
    let wanted = Wanted { faces: Faces::Largest, ..Wanted::default() };
    let (mut scored, share) = shared.score(vec![image.into()], &wanted, share).await?;
    let scored = scored.pop().ok_or_else(ApiError::internal)?;
    let faces = scored.faces.map_err(|failure| {
        let status = match failure.status {
            Status::NoFace => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        ApiError::of_image(&failure).with_status(status)
    })?;
    let face = faces.into_iter().next().ok_or_else(ApiError::internal)?;
    Ok((face, share))
}
