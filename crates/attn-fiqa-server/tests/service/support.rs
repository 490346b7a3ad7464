//! A service to send requests to.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa_server::{Access, Event, Model, ModelInfo, Service, ServiceOptions};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

type Parts = (Arc<Engine>, Arc<Detector>, ModelInfo);

/// The routes that score images: each accepts `POST`, and requires the API key where one is set.
pub(crate) const SCORING_ROUTES: [&str; 7] = [
    "/v1/score",
    "/v1/map",
    "/v1/best",
    "/v1/gate",
    "/scalar_quality",
    "/vector_quality",
    "/api/v1/detection/detect",
];

/// Loaded once for all tests.
static MODEL: LazyLock<Parts> = LazyLock::new(|| {
    let checkpoint = builtin().expect("the built-in model");
    let options = EngineOptions { embedding: true, ..EngineOptions::default() };
    let engine = Engine::new(&checkpoint, &options).expect("an engine");
    let detector = Detector::builtin(engine.threads()).expect("a detector");
    let info = ModelInfo::new("built-in", None, &checkpoint, &engine);
    (Arc::new(engine), Arc::new(detector), info)
});

pub(crate) fn model() -> Model {
    let (engine, detector, info) = &*MODEL;
    Model::new(Arc::clone(engine), Arc::clone(detector), info.clone())
}

/// A file from the repository's examples.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A photo with one face.
pub(crate) fn photo() -> Vec<u8> {
    example("astronaut.png")
}

/// A uniformly grey PNG, without a face.
pub(crate) fn grey(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_pixel(side, side, image::Rgb([128; 3]));
    let mut file = std::io::Cursor::new(&mut bytes);
    image.write_to(&mut file, image::ImageFormat::Png).expect("an image");
    bytes
}

/// The event log of a service.
pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

pub(crate) struct Running {
    pub(crate) service: Service,
    pub(crate) events: Events,
}

pub(crate) fn start(change: impl FnOnce(&mut ServiceOptions)) -> Running {
    start_with(model(), change)
}

pub(crate) fn start_with(model: Model, change: impl FnOnce(&mut ServiceOptions)) -> Running {
    let mut options = ServiceOptions::default();
    change(&mut options);
    let events = Events::default();
    let log = Arc::clone(&events);
    let report = move |event| log.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    let service = Service::new(model, options, report).expect("a service");
    Running { service, events }
}

/// An answer, read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The code of an error; its body must have the common form.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        assert_eq!(error["status"], self.status.as_u16(), "{json}");
        for key in ["field", "expected", "found"] {
            assert!(error.get(key).is_some_and(|v| v.is_null() || v.is_string()), "{key}: {json}");
        }
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{json}");
        assert_eq!(json["request_id"], self.header("x-request-id"), "{json}");
        assert_eq!(self.header("content-type"), "application/json");
        error["code"].as_str().expect("a code").to_owned()
    }
}

impl Running {
    /// The log of requests.
    pub(crate) fn accesses(&self) -> Vec<Access> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let access = |event: &Event| match event {
            Event::Access(access) => Some(access.clone()),
            _ => None,
        };
        events.iter().filter_map(access).collect()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.service.router().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        String::from_utf8(self.get("/metrics").await.bytes).expect("text")
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        self.send(post(path, kind, body)).await
    }

    /// Sends multipart files.
    pub(crate) async fn upload(&self, path: &str, files: &[(&str, &[u8])]) -> Answer {
        self.send(upload(path, files)).await
    }
}

pub(crate) fn post(path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, kind);
    request.body(body.into()).expect("a request")
}

const BOUNDARY: &str = "------------------------d74496d66958873e";

/// Formatted as by `curl -F`.
pub(crate) fn upload(path: &str, files: &[(&str, &[u8])]) -> Request<Body> {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let length = body.len();
    let mut request = post(path, &format!("multipart/form-data; boundary={BOUNDARY}"), body);
    request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    request
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
