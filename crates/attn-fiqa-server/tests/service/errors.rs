//! Every error, and the common form of all errors.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use attn_fiqa_server::{ApiKeys, Service, ServiceError, ServiceOptions};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, Request, header};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::support::{SCORING_ROUTES, base64, grey, model, photo, post, start, start_with, upload};

/// A body whose pieces arrive when the test sends them.
struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn slow_body() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Body::new(Pieces(receiver)))
}

#[tokio::test]
async fn invalid_requests_are_400() {
    let service = start(|_| ());
    let png = "image/png";
    let cases: [(&str, &str, Vec<u8>, &str); 14] = [
        ("/v1/score?columns=mask", png, photo(), "columns"),
        ("/v1/score?faces=some", png, photo(), "faces"),
        ("/v1/score?aligned=yes", png, photo(), "aligned"),
        ("/v1/score?method=attn", png, photo(), "query"),
        ("/v1/map?alpha=2", png, photo(), "alpha"),
        ("/v1/map?alpha=nan", png, photo(), "alpha"),
        ("/v1/map?side=0", png, photo(), "side"),
        ("/v1/score", png, Vec::new(), "body"),
        ("/v1/score", "application/json", b"{\"images\": 1}".to_vec(), "body"),
        ("/v1/score", "application/json", b"{\"images\": []}".to_vec(), "body"),
        ("/v1/score", "application/json", b"{\"image\": []}".to_vec(), "body"),
        (
            "/v1/score",
            "application/json",
            b"{\"images\": [{\"base64\": \"!\"}]}".to_vec(),
            "images[0].base64",
        ),
        ("/v1/score", "multipart/form-data", photo(), "content-type"),
        ("/v1/score", "multipart/form-data; boundary=x", photo(), "body"),
    ];
    for (path, kind, body, field) in cases {
        let answer = service.post(path, kind, body).await;
        assert_eq!(answer.status, 400, "{path} {kind}: {answer:?}");
        assert_eq!(answer.error_code(), "invalid-request");
        assert_eq!(answer.json()["error"]["field"], field, "{path} {kind}");
    }
    let name = "n".repeat(1025);
    let list = json!({"images": [{"name": name, "base64": base64(&photo())}]}).to_string();
    let answer = service.post("/v1/score", "application/json", list).await;
    assert_eq!(answer.json()["error"]["field"], "name");
    let two = service.upload("/v1/map", &[("a", &photo()), ("b", &photo())]).await;
    assert_eq!(
        (two.status.as_u16(), two.json()["error"]["found"].as_str()),
        (400, Some("2 images"))
    );
}

#[tokio::test]
async fn unknown_path_is_404_and_wrong_method_405() {
    let service = start(|_| ());
    let nothing = service.get("/v2/score").await;
    assert_eq!((nothing.status.as_u16(), nothing.error_code().as_str()), (404, "unknown-path"));
    for (method, path, allow) in
        [(Method::GET, "/v1/score", "POST"), (Method::POST, "/healthz", "GET,HEAD")]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        let answer = service.send(request.expect("a request")).await;
        assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (405, "wrong-method"));
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn unsupported_content_types_are_415() {
    let service = start(|_| ());
    for kind in ["text/plain", "application/xml", "multipart/mixed; boundary=x"] {
        let answer = service.post("/v1/score", kind, photo()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (415, "unsupported-type")
        );
    }
    let request = Request::post("/v1/score").body(Body::from(photo())).expect("a request");
    assert_eq!(service.send(request).await.status, 415);
    let answer = service.post("/scalar_quality", "image/png", photo()).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn compressed_bodies_are_415() {
    let service = start(|_| ());
    let with = |encoding: &str| {
        let mut request = post("/v1/score", "image/png", grey(64));
        let encoding = encoding.parse().expect("a value");
        request.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        request
    };
    let answer = service.send(with("gzip")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (415, "unsupported-encoding")
    );
    assert_eq!(answer.json()["error"]["field"], "content-encoding");
    assert_eq!(service.send(with("identity")).await.status, 200);
}

#[tokio::test]
async fn configured_api_key_is_required() {
    let folder = std::env::temp_dir().join(format!("attn-fiqa-service-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("keys");
    std::fs::write(&file, "0123456789abcdef\nfedcba9876543210\n").expect("a file");
    let keys = ApiKeys::open(&file).expect("keys");
    std::fs::remove_dir_all(&folder).expect("removed");
    let service = start(|options| options.api_keys = Some(keys));
    for path in SCORING_ROUTES {
        let answer = service.post(path, "image/png", photo()).await;
        assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (401, "unauthorized"));
        let mut wrong = post(path, "image/png", photo());
        wrong.headers_mut().insert("x-api-key", "0123456789abcdee".parse().expect("a value"));
        assert_eq!(service.send(wrong).await.status, 401);
    }
    let mut right = post("/v1/score", "image/png", photo());
    right.headers_mut().insert("x-api-key", "fedcba9876543210".parse().expect("a value"));
    assert_eq!(service.send(right).await.status, 200);
    for open in ["/", "/docs", "/openapi.json", "/healthz", "/metrics"] {
        assert_eq!(service.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn oversized_bodies_are_413() {
    let service = start(|options| options.max_body = 10_000);
    // With a declared length: nothing is read, since this body has no bytes at all.
    let (_sender, body) = slow_body();
    let mut request = post("/v1/score", "image/png", body);
    request.headers_mut().insert(header::CONTENT_LENGTH, "10000000000".parse().expect("a value"));
    let answer = service.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "body-too-large"));
    assert_eq!(answer.json()["error"]["expected"], "at most 10000 bytes");
    // Without a declared length: read up to the limit.
    let (sender, body) = slow_body();
    for _ in 0..3 {
        sender.send(Bytes::from(vec![0; 4000])).await.expect("room");
    }
    let answer = service.send(post("/v1/score", "image/png", body)).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "body-too-large"));
    drop(sender);
}

#[tokio::test]
async fn too_many_images_are_413() {
    let service = start(|options| options.max_images = 2);
    let wall = grey(64);
    let files: [(&str, &[u8]); 3] = [("a", &wall), ("b", &wall), ("c", &wall)];
    let answer = service.upload("/v1/score", &files).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "too-many-images"));
    let image = json!({"base64": base64(&wall)});
    let list = json!({"images": [image, image, image]}).to_string();
    let answer = service.post("/v1/score", "application/json", list).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "too-many-images"));
    // Nothing after the first image too many is parsed.
    let endless = format!("{{\"images\": [{image}, {image}, {image}, ");
    let answer = service.post("/v1/score", "application/json", endless).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "too-many-images"));
    assert_eq!(service.upload("/v1/score", &files[..2]).await.status, 200);
    // More images than the queue has room for are refused and do not wait forever.
    let service = start(|options| options.max_queue = 2);
    let answer = service.upload("/v1/score", &files).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "too-many-images"));
}

#[tokio::test]
async fn slow_body_is_408_and_releases_its_permit() {
    let service = start(|options| {
        options.body_timeout = Duration::from_millis(50);
        options.max_queue = 1;
    });
    let (sender, body) = slow_body();
    sender.send(Bytes::from_static(b"half")).await.expect("room");
    let answer = service.send(post("/v1/score", "image/png", body)).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (408, "slow-body"));
    assert_eq!(service.post("/v1/score", "image/png", grey(64)).await.status, 200);
}

#[tokio::test]
async fn a_full_queue_is_429_before_the_body_is_read() {
    let service = std::sync::Arc::new(start(|options| options.max_queue = 2));
    // Two requests whose bodies have not arrived take both places.
    let mut held = Vec::new();
    for _ in 0..2 {
        let (sender, body) = slow_body();
        let service = std::sync::Arc::clone(&service);
        let task =
            tokio::spawn(async move { service.send(post("/v1/score", "image/png", body)).await });
        held.push((sender, task));
    }
    while !service
        .get("/metrics")
        .await
        .bytes
        .windows(30)
        .any(|w| w == b"attn_fiqa_images_in_flight 2\n#")
    {
        tokio::task::yield_now().await;
    }
    let (_unread, body) = slow_body();
    let answer = service.send(post("/v1/score", "image/png", body)).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (429, "queue-full"));
    let after: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&after));
    for (sender, task) in held {
        sender.send(Bytes::from(grey(64))).await.expect("room");
        drop(sender);
        assert_eq!(task.await.expect("an answer").status, 200);
    }
    assert_eq!(service.post("/v1/score", "image/png", grey(64)).await.status, 200);
    // Several images count as several.
    let service = start(|options| options.max_queue = 2);
    let wall = grey(64);
    let files: [(&str, &[u8]); 2] = [("a", &wall), ("b", &wall)];
    assert_eq!(service.upload("/v1/score", &files).await.status, 200);
}

#[tokio::test]
async fn exceeding_the_byte_budget_is_429() {
    // A quarter of the memory, a mebibyte, is for bodies.
    let service = std::sync::Arc::new(start(|options| options.max_memory = 4 << 20));
    let (sender, body) = slow_body();
    let mut request = post("/v1/score", "image/png", body);
    request.headers_mut().insert(header::CONTENT_LENGTH, "900000".parse().expect("a value"));
    let task = {
        let service = std::sync::Arc::clone(&service);
        tokio::spawn(async move { service.send(request).await })
    };
    while !service
        .get("/metrics")
        .await
        .bytes
        .windows(29)
        .any(|w| w == b"attn_fiqa_images_in_flight 1\n")
    {
        tokio::task::yield_now().await;
    }
    let answer = service.send(upload("/v1/score", &[("a", &[0; 300_000])])).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (429, "memory-full"));
    // A body of undeclared length takes up room as it grows.
    let answer = service.post("/v1/score", "image/png", vec![0; 300_000]).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (429, "memory-full"));
    drop(sender);
    let _ = task.await.expect("an answer");
    let answer = service.post("/v1/score", "image/png", vec![0; 300_000]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn unread_answers_count_against_the_byte_budget() {
    let service = start(|options| options.max_memory = 32 << 20);
    let map = || service.service.router().oneshot(post("/v1/map", "image/png", photo()));
    let mut unread = Vec::new();
    let refused = loop {
        let response = map().await.expect("infallible");
        if response.status() != 200 {
            break response;
        }
        unread.push(response);
        assert!(unread.len() < 40, "nothing bounds unread answers");
    };
    assert_eq!(refused.status(), 429);
    let text = service.metrics().await;
    assert!(text.contains("attn_fiqa_images_in_flight 0\n"), "{text}");
    unread.clear();
    assert_eq!(map().await.expect("infallible").status(), 200);
    let text = service.metrics().await;
    assert!(text.contains("attn_fiqa_in_flight_bytes 0\n"), "{text}");
}

#[tokio::test]
async fn oversized_images_are_rejected_before_decoding() {
    // A PNG of 30,000 × 30,000 pixels in a few kilobytes.
    let mut bomb = grey(64);
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let checksum = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    let service = start(|_| ());
    let json = service.post("/v1/score", "image/png", bomb.clone()).await.json();
    assert_eq!(json["images"][0]["status"], "too-large", "{json}");
    let answer = service.post("/v1/map", "image/png", bomb).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (422, "too-large"));

    // Within the pixel limit, but more than the memory for decoding.
    let large = grey(2000);
    let service = start(|options| options.max_memory = 8 << 20);
    let json = service.post("/v1/score", "image/png", large.clone()).await.json();
    assert_eq!(json["images"][0]["status"], "too-large", "{json}");
    // It can be decoded, but not kept to be drawn on.
    let service = start(|options| options.max_memory = 64 << 20);
    let answer = service.post("/v1/map", "image/png", grey(2400)).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (413, "request-too-large"));
}

/// CRC-32 of a PNG chunk, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let add = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc));
    !bytes.iter().fold(u32::MAX, add)
}

#[tokio::test]
async fn interrupted_body_is_400() {
    let service = start(|_| ());
    struct Broken;
    impl HttpBody for Broken {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(Some(Err(std::io::Error::other("reset"))))
        }
    }
    let answer = service.send(post("/v1/score", "image/png", Body::new(Broken))).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (400, "broken-body"));
}

#[tokio::test]
async fn readyz_is_503_until_warm_up() {
    let service = start(|_| ());
    let answer = service.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (503, "starting"));
    assert_eq!(answer.header("retry-after"), "1");
    service.service.warm_up();
    let answer = service.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("ready")));
}

#[tokio::test]
async fn client_request_id_is_echoed() {
    let service = start(|_| ());
    let mut request = post("/v1/score?x", "image/png", photo());
    request.headers_mut().insert("x-request-id", "abc-123".parse().expect("a value"));
    let answer = service.send(request).await;
    assert_eq!(answer.json()["request_id"], "abc-123");
}

#[tokio::test]
async fn cors_headers_are_sent_for_allowed_origins() {
    let preflight = || {
        Request::options("/v1/score")
            .header("origin", "https://example.org")
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .expect("a request")
    };
    let off = start(|_| ()).send(preflight()).await;
    assert!(off.headers.get("access-control-allow-origin").is_none());
    let on = start(|options| options.cors_origins = vec!["https://example.org".to_owned()]);
    let answer = on.send(preflight()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://example.org");
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(on.accesses().len(), 1);
    assert!(answer.header("access-control-allow-headers").contains("x-api-key"));
    // Errors have the header too; otherwise the page could not read them.
    let mut request = post("/v1/score?x", "image/png", photo());
    request.headers_mut().insert("origin", "https://example.org".parse().expect("a value"));
    let answer = on.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (400, "https://example.org")
    );
}

#[test]
fn invalid_service_options_are_rejected() {
    let build = |change: fn(&mut ServiceOptions)| {
        let mut options = ServiceOptions::default();
        change(&mut options);
        Service::new(model(), options, |_| ()).err()
    };
    assert!(matches!(build(|options| options.max_queue = 0), Some(ServiceError::Zero(_))));
    let origin = |options: &mut ServiceOptions| options.cors_origins = vec!["a.b".to_owned()];
    assert!(matches!(build(origin), Some(ServiceError::CorsOrigin(_))));
    assert!(build(|_| ()).is_none());
}

#[tokio::test]
async fn columns_missing_from_the_model_are_400() {
    use attn_fiqa::engine::{Engine, EngineOptions};
    use std::sync::Arc;
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("the built-in model");
    let engine = Engine::new(&checkpoint, &EngineOptions::default()).expect("an engine");
    let mut model = model();
    model.engine = Arc::new(engine);
    let service = start_with(model, |_| ());
    let answer = service.post("/v1/score?columns=embedding", "image/png", photo()).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (400, "not-in-model"));
}
