//! The OpenAPI document, generated from the types and routes.

use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{best, compreface, gate, map, ofiq, probes, score};
use crate::keys;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "attn-fiqa",
        description = "Face image quality for face recognition: how much an image contributes to \
                       recognising the person correctly. It is not about beauty, not about \
                       whether a document would be accepted, and not about who is shown.",
    ),
    paths(
        score::score,
        map::map,
        best::best,
        gate::gate,
        ofiq::scalar_quality,
        ofiq::vector_quality,
        compreface::detect,
        probes::alive,
        probes::ready,
        probes::metrics,
    ),
    tags(
        (name = "score", description = "Quality of faces"),
        (name = "compatibility", description = "Requests that clients of OFIQ and CompreFace send"),
        (name = "operation", description = "For those who run the service"),
    ),
    modifiers(&KeyScheme),
)]
struct Document;

/// The key scheme, for services that require a key.
struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let key = ApiKey::Header(ApiKeyValue::new(keys::HEADER));
        components.add_security_scheme("key", SecurityScheme::ApiKey(key));
    }
}

/// The document as JSON.
fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| Document::openapi().to_pretty_json().unwrap_or_default())
}

pub(super) async fn document() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text()).into_response()
}
