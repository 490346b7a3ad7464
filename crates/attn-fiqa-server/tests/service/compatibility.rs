//! The requests of OFIQ and CompreFace.

use serde_json::{Value, json};

use crate::support::{Answer, Running, base64, grey, photo, start};

async fn ofiq(service: &Running, path: &str, image: &[u8]) -> Answer {
    let body = json!({"image": {"base64_data": base64(image)}}).to_string();
    service.post(path, "application/json", body).await
}

#[tokio::test]
async fn ofiq_endpoints_answer_in_ofiq_format() {
    let service = start(|_| ());
    let native = service.post("/v1/score", "image/png", photo()).await.json();
    let face = &native["images"][0]["faces"][0];
    let scalar = ofiq(&service, "/scalar_quality", &photo()).await;
    assert_eq!(scalar.json(), json!({"error": "ok", "results": {"score": face["quality"]}}));
    let vector = ofiq(&service, "/vector_quality", &photo()).await.json();
    let measures = vector["results"]["assessments"]["results"].as_array().expect("measures");
    let expected = [
        ("attn-calibrated", &face["score"], &face["quality"]),
        ("inter-eye-distance", &face["inter_eye_distance"], &json!(-1)),
        ("detection-score", &face["detection_score"], &json!(-1)),
    ];
    assert_eq!(measures.len(), expected.len());
    for (found, (measure, native, scalar)) in measures.iter().zip(expected) {
        assert_eq!(found["measure"], measure);
        assert_eq!((&found["native_score"], &found["scalar_score"]), (native, scalar));
    }
    for path in ["/scalar_quality", "/vector_quality"] {
        let none = ofiq(&service, path, &grey(200)).await;
        assert_eq!((none.status.as_u16(), none.error_code().as_str()), (404, "no-face"));
        let text = ofiq(&service, path, b"text").await;
        assert_eq!((text.status.as_u16(), text.error_code().as_str()), (400, "not-an-image"));
        for wrong in ["", "{}", "{\"image\": {}}", "[1]", "{\"image\": {\"base64_data\": \"*\"}}"] {
            let answer = service.post(path, "application/json", wrong).await;
            assert_eq!(answer.status, 400, "{wrong}");
        }
    }
}

#[tokio::test]
async fn compreface_endpoint_answers_in_compreface_format() {
    let service = start(|_| ());
    let path = "/api/v1/detection/detect";
    let answer = service.upload(path, &[("a.png", &photo())]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let face = &json["result"][0];
    let bounds = ["x_min", "y_min", "x_max", "y_max"].map(|key| face["box"][key].as_i64());
    assert_eq!(bounds, [Some(177), Some(63), Some(267), Some(176)]);
    assert_eq!(face["landmarks"].as_array().map(Vec::len), Some(5));
    assert_eq!(face["quality"], 89);

    let none = service.upload(path, &[("a.png", &grey(200))]).await;
    assert_eq!((none.status.as_u16(), none.error_code().as_str()), (400, "no-face"));
    assert_eq!(none.json()["code"], 28);
    assert!(none.json()["message"].is_string());
    let strict = format!("{path}?det_prob_threshold=0.99");
    assert_eq!(service.upload(&strict, &[("a", &photo())]).await.json()["code"], 28);
    let refused = format!("{path}?face_plugins=age");
    let refused = service.upload(&refused, &[("a", &photo())]).await;
    assert_eq!(refused.status, 400);
    // Only errors with a CompreFace code have one.
    assert_eq!(refused.json().get("code"), None::<&Value>);
}
