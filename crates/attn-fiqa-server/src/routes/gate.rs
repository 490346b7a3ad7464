//! `POST /v1/gate`: accept, retake or reject, with reasons and advice.

use std::sync::Arc;

use attn_fiqa::gate::{Decision, Evidence, Policy, Subject, Verdict};
use attn_fiqa::pipeline::{ScoredFace, ScoredImage};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::score::{ReceivedImages, receive_and_score};
use crate::error::{ApiError, ErrorBody};
use crate::image_list::ImageList;
use crate::model::{Faces, Model, ModelInfo, Wanted};
use crate::query::{FacesParameter, Query, take_faces};
use crate::reply::json_reply;
use crate::service::Shared;
use crate::upload::ImageForm;

pub(super) const PATH: &str = "/v1/gate";

/// Parameters of `/v1/gate`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes parameters to clients")]
pub(super) struct GateParameters {
    /// A built-in policy: `enrol`, `probe` or `gallery`. The default is the policy of the service.
    #[param(required = false)]
    policy: String,
    /// Which faces of each image are judged.
    #[param(inline, required = false)]
    faces: FacesParameter,
    /// Whether any decision other than `accept` is answered with the HTTP status 422.
    #[param(required = false)]
    strict: bool,
    /// Every image is an aligned face of the network's size.
    #[param(required = false)]
    aligned: bool,
}

/// The answer of `/v1/gate`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GateAnswer {
    /// The model that scored.
    model: ModelInfo,
    /// The worst decision over all faces and images.
    #[schema(example = "retake")]
    decision: &'static str,
    /// One entry per face, and one for an image without a face, in the order of the request.
    verdicts: Vec<FaceVerdict>,
}

/// The decision about one face, or about an image without any.
#[derive(Debug, Serialize, ToSchema)]
struct FaceVerdict {
    /// The position of the image in the request, from 0.
    image: usize,
    /// The image's name.
    name: String,
    /// The number of the face in its image; `null` for an image without one.
    face: Option<usize>,
    /// Its quality, 0 to 100.
    quality: Option<i8>,
    #[serde(flatten)]
    #[schema(value_type = VerdictObject)]
    verdict: Verdict,
}

/// A decision and its reasons.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes an answer to clients")]
struct VerdictObject {
    /// `accept`, `retake` or `reject`.
    #[schema(example = "retake")]
    decision: String,
    /// The rules that are not met, most costly first.
    reasons: Vec<ReasonObject>,
    /// What to do, in the same order.
    advice: Vec<String>,
    /// Rules that could not be checked because the face has no such value.
    unchecked: Vec<String>,
}

/// A rule that is not met; for an image that failed, its status.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes an answer to clients")]
struct ReasonObject {
    #[schema(example = "quality")]
    rule: String,
    found: Option<f64>,
    /// The lowest accepted value.
    min: Option<f64>,
    /// The highest accepted value.
    max: Option<f64>,
    /// What this rule alone would decide.
    decision: String,
    /// The causes of a low quality, most costly first.
    causes: Vec<String>,
    /// The whole reason in words.
    text: String,
}

/// Accept, retake or reject faces under a policy
///
/// Reasons are ordered from most to least costly, with advice for the person at the camera.
#[utoipa::path(
    post,
    path = PATH,
    tag = "score",
    params(GateParameters),
    request_body(content(
        (ImageForm = "multipart/form-data"),
        (ImageList = "application/json"),
        (String = "image/*"),
        (String = "application/octet-stream"),
    ), description = "Images: as multipart files, as JSON with base64, or one image file as it is"),
    responses(
        (status = 200, description = "Every face has a verdict", body = GateAnswer),
        (status = 400, description = "A parameter or the body is not as described", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes or images", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 422, description = "With `strict`: not everything was accepted", body = GateAnswer),
        (status = 429, description = "The service has no room for more", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn gate(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut query = Query::parse(request.uri().query())?;
    let policy = match query.take("policy") {
        None => shared.options.policy.clone(),
        Some(name) => Policy::builtin(&name).ok_or_else(|| {
            let known = Policy::builtin_names().collect::<Vec<_>>().join(", ");
            ApiError::invalid("policy", known, format!("'{}'", shortened(&name)))
        })?,
    };
    let faces = take_faces(&mut query)?;
    let (strict, aligned) = (query.switch("strict")?, query.switch("aligned")?);
    query.finish(&["policy", "faces", "strict", "aligned"])?;
    let model = &shared.model;
    let wanted = wanted(&policy, model, faces, aligned)?;
    let ReceivedImages { names, images, share } =
        receive_and_score(&shared, request, &wanted).await?;
    let verdicts: Vec<FaceVerdict> = names
        .into_iter()
        .zip(images)
        .enumerate()
        .flat_map(|(index, (name, image))| verdicts(&policy, model, index, &name, image))
        .collect();
    let worst = verdicts.iter().map(|verdict| verdict.verdict.decision).max();
    let worst = worst.unwrap_or(Decision::Accept);
    let answer = GateAnswer { model: model.info.clone(), decision: worst.name(), verdicts };
    let status = match strict && worst != Decision::Accept {
        true => StatusCode::UNPROCESSABLE_ENTITY,
        false => StatusCode::OK,
    };
    Ok((status, json_reply(share, &answer)?).into_response())
}

/// What the rules need for each image; refuses rules that this model cannot check.
fn wanted(policy: &Policy, model: &Model, faces: Faces, aligned: bool) -> Result<Wanted, ApiError> {
    let causes = model.engine.cause_model().is_some();
    let about_quality = policy.rule(Subject::Quality).filter(|_| model.quality_map().is_none());
    let about_cause = policy.rule_about_cause().filter(|_| !causes);
    if let Some(rule) = about_quality.or(about_cause) {
        let expected = "rules about what the model's calibration has";
        return Err(ApiError::invalid("policy", expected, format!("'{}'", rule.subject)));
    }
    let components = policy.needs_components();
    Ok(Wanted { faces, aligned, causes, components, ..Wanted::default() })
}

fn verdicts(
    policy: &Policy,
    model: &Model,
    image: usize,
    name: &str,
    scored: ScoredImage,
) -> Vec<FaceVerdict> {
    let entry = |face, quality, verdict| FaceVerdict {
        image,
        name: name.to_owned(),
        face,
        quality,
        verdict,
    };
    let ScoredImage { faces, faces_found, .. } = scored;
    let of_face = |face: ScoredFace| {
        let ScoredFace { info, outcome, components, .. } = face;
        let index = Some(info.index);
        match outcome {
            Err(failure) => entry(index, None, policy.judge_failure(failure)),
            Ok(assessment) => {
                let map = model.quality_map();
                let evidence = Evidence::new(&assessment, map, Some(info), components, faces_found);
                entry(index, evidence.quality, policy.judge(&evidence))
            }
        }
    };
    match faces {
        Err(failure) => vec![entry(None, None, policy.judge_failure(failure))],
        Ok(faces) => faces.into_iter().map(of_face).collect(),
    }
}

/// At most this much of a name made up by a client is repeated.
fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}
