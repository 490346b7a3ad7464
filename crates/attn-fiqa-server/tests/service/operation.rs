//! Metrics, the OpenAPI document, and what is reported.

use std::time::{Duration, Instant};

use serde_json::Value;
use tower::ServiceExt;

use crate::support::{SCORING_ROUTES, grey, photo, post, start};

#[tokio::test]
async fn metrics_count_requests_images_and_faces() {
    let service = start(|_| ());
    service.post("/v1/score", "image/png", photo()).await;
    service.upload("/v1/score", &[("a", &grey(64)), ("b", &photo())]).await;
    service.get("/made/up").await;
    let answer = service.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.bytes).expect("text");
    for line in [
        "attn_fiqa_requests_total{route=\"/v1/score\",status=\"200\"} 2",
        "attn_fiqa_requests_total{route=\"-\",status=\"404\"} 1",
        "attn_fiqa_images_total 3",
        "attn_fiqa_faces_total 2",
        "attn_fiqa_queue_depth 0",
        "attn_fiqa_images_in_flight 0",
        "attn_fiqa_in_flight_bytes 0",
        "attn_fiqa_queue_seconds_count 3",
        "attn_fiqa_batch_images_sum 3.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn openapi_document_describes_paths_and_face_keys() {
    let service = start(|_| ());
    let document = service.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths: Vec<&str> =
        document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    for path in SCORING_ROUTES.into_iter().chain(["/healthz", "/readyz", "/metrics"]) {
        assert!(paths.contains(&path), "{path}");
    }
    // Every reference resolves.
    let mut open = vec![&document];
    while let Some(node) = open.pop() {
        match node {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let place = reference.strip_prefix('#').expect("a local reference");
                    assert!(document.pointer(place).is_some(), "{reference}");
                }
                open.extend(map.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    // The keys of a face are those of its answer.
    let described = document["components"]["schemas"]["FaceAnswer"].to_string();
    let path = "/v1/score?columns=band,landmarks,size,map,match_probability,embedding";
    let answer = service.post(path, "image/png", photo()).await.json();
    let face = answer["images"][0]["faces"][0].as_object().expect("a face");
    let landmarks = document["components"]["schemas"]["LandmarkColumns"].to_string();
    for key in face.keys() {
        let key = format!("\"{key}\":");
        assert!(described.contains(&key) || landmarks.contains(&key), "{key} {described}");
    }
}

#[tokio::test]
async fn access_log_omits_client_text() {
    let service = start(|_| ());
    service.upload("/v1/score?columns=band", &[("secret-name.png", &photo())]).await;
    service.get("/secret-path?secret=1").await;
    service.post("/v1/score?secret=1", "image/png", photo()).await;
    let access = service.accesses();
    assert_eq!(access.len(), 3);
    assert_eq!((access[0].route, access[0].status, access[0].images), ("/v1/score", 200, 1));
    assert!(access[0].bytes > 700_000 && access[0].code.is_none());
    assert_eq!(
        (access[1].route, access[1].status, access[1].code),
        ("-", 404, Some("unknown-path"))
    );
    assert!(!format!("{access:?}").contains("secret"));
}

#[tokio::test]
async fn refused_requests_are_logged_with_what_was_read() {
    let service = start(|_| ());
    let wall = grey(64);
    service.upload("/v1/map", &[("a", &wall), ("b", &wall)]).await;
    let access = service.accesses();
    assert_eq!((access[0].status, access[0].images), (400, 2));
    assert!(access[0].bytes > 2 * wall.len() as u64, "{access:?}");
}

#[tokio::test]
async fn requests_of_departed_clients_are_logged_and_counted() {
    let service = start(|_| ());
    let request = post("/v1/score", "image/png", grey(64));
    let answer = service.service.router().oneshot(request);
    tokio::select! {
        biased;
        _ = answer => panic!("answered at once"),
        () = std::future::ready(()) => {}
    }
    let access = service.accesses();
    assert_eq!(access.len(), 1);
    assert_eq!((access[0].status, access[0].code), (499, Some("client-closed-request")));
    assert_eq!((access[0].bytes, access[0].images), (grey(64).len() as u64, 1));
    let counted = "attn_fiqa_requests_total{route=\"/v1/score\",status=\"499\"} 1";
    let began = Instant::now();
    loop {
        let text = service.metrics().await;
        assert!(text.lines().any(|line| line == counted), "{text}");
        let images = ["attn_fiqa_images_total 1", "attn_fiqa_abandoned_images_total 1"];
        if text.lines().any(|line| images.contains(&line)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{text}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn images_refused_by_memory_are_counted() {
    let service = start(|options| options.max_memory = 8 << 20);
    let large = grey(2000);
    assert_eq!(service.post("/v1/score", "image/png", large.clone()).await.status, 200);
    assert_eq!(service.post("/v1/map", "image/png", large).await.status, 422);
    let text = service.metrics().await;
    assert!(text.lines().any(|line| line == "attn_fiqa_images_total 2"), "{text}");
}
