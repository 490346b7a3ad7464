//! `/v1/gate`, and the columns that explain a quality.

use attn_fiqa::gate::Policy;
use serde_json::{Value, json};

use crate::support::{example, grey, photo, start};

#[tokio::test]
async fn gate_returns_verdicts_with_reasons() {
    let service = start(|_| ());
    let bad = example("faces/blur-5.png");
    let files: [(&str, &[u8]); 4] = [
        ("good.png", &photo()),
        ("bad.png", &bad),
        ("wall.png", &grey(200)),
        ("notes.txt", b"not an image"),
    ];
    let answer = service.upload("/v1/gate", &files).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["decision"], "reject");
    let verdicts = json["verdicts"].as_array().expect("verdicts");
    let decisions: Vec<&str> =
        verdicts.iter().filter_map(|verdict| verdict["decision"].as_str()).collect();
    assert_eq!(decisions, ["accept", "retake", "retake", "reject"]);
    assert_eq!(verdicts[0]["reasons"], json!([]));
    let reason = &verdicts[1]["reasons"][0];
    assert_eq!((&reason["rule"], &reason["min"]), (&json!("quality"), &json!(60.0)));
    assert!(reason["causes"].as_array().is_some_and(|causes| causes.contains(&json!("blur"))));
    assert!(verdicts[1]["advice"].as_array().is_some_and(|advice| !advice.is_empty()));
    assert_eq!(verdicts[2]["reasons"][0]["rule"], "no-face");
    assert_eq!(verdicts[3]["face"], Value::Null);
}

#[tokio::test]
async fn strict_gate_returns_422_unless_accepted() {
    let service = start(|_| ());
    let bad = example("faces/blur-5.png");
    let path = "/v1/gate?strict=true";
    assert_eq!(service.post(path, "image/png", photo()).await.status, 200);
    let refused = service.post(path, "image/png", bad.clone()).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["decision"]), (422, &json!("retake")));
    assert_eq!(service.post("/v1/gate", "image/png", bad).await.status, 200);
}

#[tokio::test]
async fn request_policy_overrides_service_default() {
    let own = Policy::from_toml("own", "[rules]\nquality = { reject_below = 100 }").expect("rules");
    let service = start(|options| options.policy = own);
    let decision = async |path: &str| {
        let answer = service.post(path, "image/png", photo()).await;
        answer.json()["decision"].clone()
    };
    assert_eq!(decision("/v1/gate").await, "reject");
    assert_eq!(decision("/v1/gate?policy=enrol").await, "accept");
    for path in ["/v1/gate?policy=other", "/v1/gate?polcy=enrol", "/v1/gate?strict=yes"] {
        let refused = service.post(path, "image/png", photo()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.error_code().as_str()),
            (400, "invalid-request")
        );
    }
}

#[tokio::test]
async fn cause_and_component_columns_are_returned() {
    let service = start(|_| ());
    let path = "/v1/score?columns=main_cause,causes,weak_regions,components";
    let json = service.post(path, "image/png", example("faces/blur-4.png")).await.json();
    let face = &json["images"][0]["faces"][0];
    assert_eq!(face["main_cause"], "blur", "{face}");
    let cause = &face["causes"][0];
    assert!(cause["strength"].as_f64().is_some_and(|strength| strength > 0.1), "{cause}");
    assert!(cause["gain"].as_f64().is_some_and(|gain| gain > 1.0), "{cause}");
    assert!(face["weak_regions"].is_array());
    // A crop has no photo around it.
    assert_eq!(face["InterEyeDistance"], Value::Null);
    let json = service.post(path, "image/png", photo()).await.json();
    let face = &json["images"][0]["faces"][0];
    assert_eq!((&face["main_cause"], &face["causes"]), (&Value::Null, &json!([])));
    assert_eq!(face["SingleFacePresent.scalar"], 100);
    assert!(face["InterEyeDistance"].as_f64().is_some_and(|distance| distance > 40.0));
}
