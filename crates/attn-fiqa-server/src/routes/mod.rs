//! All routes.

mod best;
mod compreface;
mod gate;
mod map;
mod ofiq;
mod openapi;
mod page;
mod probes;
mod score;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;
use crate::observe;
use crate::service::Shared;

/// Every route that is not a file of the page, for logs and metrics.
const ROUTES: [&str; 12] = [
    score::PATH,
    map::PATH,
    best::PATH,
    gate::PATH,
    ofiq::SCALAR,
    ofiq::VECTOR,
    compreface::PATH,
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
];

/// The name of a path in logs and metrics: `-` for a path made up by a client.
pub(crate) fn name_of(path: &str) -> &'static str {
    let files = page::FILES.iter().map(|file| file.path);
    ROUTES.into_iter().chain(files).find(|known| *known == path).unwrap_or("-")
}

/// All routes, with the layers that every request passes.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let scoring = Router::new()
        .route(score::PATH, post(score::score))
        .route(map::PATH, post(map::map))
        .route(best::PATH, post(best::best))
        .route(gate::PATH, post(gate::gate))
        .route(ofiq::SCALAR, post(ofiq::scalar_quality))
        .route(ofiq::VECTOR, post(ofiq::vector_quality))
        .route(compreface::PATH, post(compreface::detect))
        .route_layer(from_fn_with_state(Arc::clone(shared), observe::authorize));
    let mut router = scoring
        .route("/healthz", get(probes::alive))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .route("/openapi.json", get(openapi::document));
    for file in page::FILES {
        router = router.route(file.path, get(move |headers| async move { file.serve(&headers) }));
    }
    let router = router
        .fallback(async || ApiError::unknown_path())
        .method_not_allowed_fallback(wrong_method);
    with_layers(router, shared)
}

/// Adds what applies to every request, whatever its route.
fn with_layers(router: Router<Arc<Shared>>, shared: &Arc<Shared>) -> Router {
    let router = router
        .layer(CatchPanicLayer::custom(|_| -> Response { ApiError::internal().into_response() }));
    // Already checked when the service was built.
    let router = match observe::cors(&shared.options.cors_origins) {
        Ok(Some(cors)) => router.layer(cors),
        Ok(None) | Err(_) => router,
    };
    router
        .layer(from_fn_with_state(Arc::clone(shared), observe::observe))
        .with_state(Arc::clone(shared))
}

async fn wrong_method(method: Method) -> ApiError {
    ApiError::wrong_method(method.as_str())
}

#[cfg(test)]
mod tests {
    use attn_fiqa::checkpoint::builtin;
    use attn_fiqa::detect::Detector;
    use attn_fiqa::engine::{Engine, EngineOptions};
    use axum::body::Body;
    use axum::extract::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::{Model, ModelInfo, Service, ServiceOptions};

    #[tokio::test]
    async fn handler_panic_is_a_500_json_error() {
        let checkpoint = builtin().expect("the built-in model");
        let engine = Engine::new(&checkpoint, &EngineOptions::default()).expect("an engine");
        let detector = Arc::new(Detector::builtin(engine.threads()).expect("a detector"));
        let info = ModelInfo::new("built-in", None, &checkpoint, &engine);
        let model = Model::new(Arc::new(engine), detector, info);
        let options = ServiceOptions::default();
        let service = Service::new(model, options, |_| ()).expect("a service");
        let broken = async || -> Response { panic!("a defect") };
        let router = with_layers(Router::new().route("/panic", get(broken)), &service.shared);
        let request = Request::get("/panic").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), 500);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let error: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(error["error"]["code"], "internal");
        assert!(error["request_id"].is_string());
    }
}
