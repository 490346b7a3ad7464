//! Probes for operators: is the service alive, is it ready, and what is it doing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::model::ModelInfo;
use crate::service::Shared;

/// The answer of `/healthz`.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    #[schema(example = "alive")]
    status: &'static str,
}

/// The answer of `/readyz`.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    #[schema(example = "ready")]
    status: &'static str,
    /// The model that scores.
    model: ModelInfo,
}

/// Whether the process answers
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operation",
    responses((status = 200, description = "It does", body = Alive)),
)]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// Whether requests should be sent here
///
/// False until the model has scored a probe, and again once the service has been asked to stop.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses(
        (status = 200, description = "They should", body = Ready),
        (status = 503, description = "Not yet, or no longer", body = ErrorBody),
    ),
)]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Result<Json<Ready>, ApiError> {
    if shared.draining.load(Ordering::SeqCst) {
        return Err(ApiError::unavailable("draining", "the service was asked to stop"));
    }
    if !shared.ready.load(Ordering::SeqCst) {
        return Err(ApiError::unavailable("starting", "the model has not scored a probe yet"));
    }
    Ok(Json(Ready { status: "ready", model: shared.model.info.clone() }))
}

/// Metrics of the service, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "OpenMetrics text", body = String,
               content_type = "application/openmetrics-text")),
)]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let Shared { admission, queue, metrics, .. } = &*shared;
    // Images leave the queue before their share is released, so in this order no more images seem
    // to wait than are admitted.
    let (images, bytes) = (admission.images_in_flight(), admission.bytes_in_flight());
    let text = metrics.text(queue.depth(), images, bytes);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
