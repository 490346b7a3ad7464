//! `/v1/score`, `/v1/best` and `/v1/map`.

use attn_fiqa::pipeline::{FaceOptions, FacePipeline, FaceSource};
use serde_json::{Value, json};

use crate::support::{base64, example, grey, model, photo, start};

/// The scores that the library gives for a photo.
fn library_scores(photo: Vec<u8>) -> Vec<f32> {
    let model = model();
    let method = model.engine.default_method();
    let faces = FaceOptions::new(FaceSource::Detected(model.detector));
    let pipeline = FacePipeline::new(model.engine, faces, method).expect("a pipeline");
    let faces = pipeline.score(photo).faces.expect("faces");
    faces.iter().map(|face| face.outcome.as_ref().expect("a score").scores[0]).collect()
}

fn scores(image: &Value) -> Vec<f32> {
    let faces = image["faces"].as_array().expect("faces");
    faces.iter().map(|face| face["score"].as_f64().expect("a score") as f32).collect()
}

#[tokio::test]
async fn all_upload_formats_give_library_scores() {
    let service = start(|_| ());
    let expected = library_scores(photo());
    assert_eq!(expected.len(), 1);
    let raw = service.post("/v1/score", "image/png", photo()).await;
    let octets = service.post("/v1/score", "application/octet-stream", photo()).await;
    let multipart = service.upload("/v1/score", &[("a.png", &photo())]).await;
    let list = json!({"images": [{"name": "a.png", "base64": base64(&photo())}]}).to_string();
    let list = service.post("/v1/score", "application/json; charset=utf-8", list).await;
    for (answer, name) in [(raw, "image"), (octets, "image"), (multipart, "a.png"), (list, "a.png")]
    {
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        let image = &json["images"][0];
        assert_eq!(scores(image), expected, "{json}");
        assert_eq!(image["name"], name);
        assert_eq!((&image["width"], &image["height"]), (&json!(512), &json!(512)));
        assert_eq!(json["model"]["precision"], "f32");
        assert!(json["model"]["calibration"].is_string());
        assert!(image["faces"][0].get("map").is_none());
    }
}

#[tokio::test]
async fn unusable_images_are_reported_per_image() {
    let service = start(|_| ());
    let photo = photo();
    let files: [(&str, &[u8]); 5] = [
        ("a.png", &photo),
        ("wall.png", &grey(200)),
        ("notes.txt", b"not an image"),
        ("cut.png", &photo[..2000]),
        ("b.png", &photo),
    ];
    let answer = service.upload("/v1/score", &files).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    let images = json["images"].as_array().expect("images");
    let statuses: Vec<&str> = images.iter().filter_map(|image| image["status"].as_str()).collect();
    assert_eq!(statuses, ["ok", "no-face", "not-an-image", "broken-image", "ok"]);
    let names: Vec<&str> = images.iter().filter_map(|image| image["name"].as_str()).collect();
    assert_eq!(names, files.map(|(name, _)| name));
    assert_eq!(images[1]["faces"], json!([]));
    assert_eq!(images[1]["width"], 200);
    assert!(images[2]["message"].as_str().is_some_and(|text| text.contains("not an image")));
    assert_eq!(images[2]["width"], Value::Null);
    assert_eq!(scores(&images[0]), scores(&images[4]));
    // A single bad image is no exception to the rule.
    let alone = service.upload("/v1/score", &files[2..3]).await;
    assert_eq!((alone.status.as_u16(), &alone.json()["images"][0]), (200, &images[2]));
}

#[tokio::test]
async fn empty_files_are_reported_per_image() {
    let service = start(|_| ());
    let photo = photo();
    let multipart = service.upload("/v1/score", &[("a.png", &photo), ("empty.png", b"")]).await;
    let list = json!({"images": [{"base64": base64(&photo)}, {"base64": ""}]}).to_string();
    let list = service.post("/v1/score", "application/json", list).await;
    for answer in [multipart, list] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        assert_eq!(json["images"][0]["status"], "ok", "{json}");
        assert_eq!(json["images"][1]["status"], "broken-image", "{json}");
    }
}

#[tokio::test]
async fn multipart_file_names_are_kept() {
    let service = start(|_| ());
    let parameters: [(&[u8], &str); 8] = [
        (b"filename=\"a b.png\"", "a b.png"),
        (b"filename=a.png", "a.png"),
        (b"filename=\"a\\\"b;c.png\"", "a\"b;c.png"),
        ("filename=\"été.png\"".as_bytes(), "été.png"),
        (b"filename=\"\xe9.png\"", "\u{fffd}.png"),
        (b"filename*=utf-8''%C3%A9t%C3%A9.png", "été.png"),
        (b"filename=\"fallback.png\"; filename*=UTF-8'de'%E6%97%A5.png", "日.png"),
        (b"x=y", "field"),
    ];
    let mut body = Vec::new();
    for (parameter, _) in parameters {
        body.extend_from_slice(b"--B\r\ncontent-disposition: form-data; name=\"field\"; ");
        body.extend_from_slice(parameter);
        body.extend_from_slice(b"\r\n\r\nnot an image\r\n");
    }
    body.extend_from_slice(b"--B--\r\n");
    let json = service.post("/v1/score", "multipart/form-data; boundary=B", body).await.json();
    let images = json["images"].as_array().expect("images");
    let names: Vec<&str> = images.iter().filter_map(|image| image["name"].as_str()).collect();
    assert_eq!(names, parameters.map(|(_, name)| name));
}

#[tokio::test]
async fn optional_columns_are_returned_on_request() {
    let service = start(|_| ());
    let path = "/v1/score?columns=band,landmarks,size,components,map,match_probability,embedding\
                &faces=best";
    let json = service.post(path, "image/png", photo()).await.json();
    let face = &json["images"][0]["faces"][0];
    let side = face["map_side"].as_u64().expect("a side") as usize;
    let map: Vec<f64> =
        face["map"].as_array().expect("a map").iter().filter_map(Value::as_f64).collect();
    assert_eq!(map.len(), side * side);
    let mean = map.iter().sum::<f64>() / map.len() as f64;
    let score = face["score"].as_f64().expect("a score");
    assert!((mean - score).abs() < 1e-4, "{mean} {score}");
    assert!(face["embedding"].as_array().is_some_and(|numbers| numbers.len() >= 128));
    assert_eq!(face["band"], "excellent");
    assert!(face["match_probability"].as_f64().is_some_and(|p| (0.5..=1.0).contains(&p)));

    // Measures are written with the digits of their precision.
    let number = |name: &str| face[name].as_f64().expect(name);
    let distance = number("InterEyeDistance");
    assert_eq!(distance.to_string(), (distance as f32).to_string());

    // The transform maps the landmarks to the eyes of the template.
    let transform = face["crop_transform"].as_array().expect("a transform");
    let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|i| transform[i].as_f64().expect("a number"));
    let (x, y) = (number("left_eye_x"), number("left_eye_y"));
    let (x, y) = (a * x + b * y + c, d * x + e * y + f);
    assert!((x - 38.3).abs() < 4.0 && (y - 51.7).abs() < 4.0, "{x} {y}");
}

#[tokio::test]
async fn aligned_crop_is_scored_without_detection() {
    let service = start(|_| ());
    let crop = example("faces/astronaut.png");
    let json = service.post("/v1/score?aligned=true&columns=map", "image/png", crop).await.json();
    let face = &json["images"][0]["faces"][0];
    assert_eq!(face["crop_origin"], "aligned");
    assert_eq!(face["crop_transform"], json!([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]));
    let json = service.post("/v1/score?aligned=true", "image/png", photo()).await.json();
    assert_eq!(json["images"][0]["status"], "wrong-size");
}

#[tokio::test]
async fn best_ranks_faces_by_score() {
    let service = start(|_| ());
    let [sharp, blurred, worse] =
        ["astronaut", "blur-2", "blur-5"].map(|name| example(&format!("faces/{name}.png")));
    let files: [(&str, &[u8]); 4] = [
        ("worse.png", &worse),
        ("wall.png", &grey(200)),
        ("sharp.png", &sharp),
        ("blurred.png", &blurred),
    ];
    let answer = service.upload("/v1/best", &files).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let order: Vec<&str> = json["order"]
        .as_array()
        .expect("an order")
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();
    assert_eq!(order, ["sharp.png", "blurred.png", "worse.png"]);
    assert_eq!(json["best"], json["order"][0]);
    assert_eq!((&json["best"]["rank"], &json["best"]["image"]), (&json!(1), &json!(2)));
    assert_eq!(json["images"].as_array().map(Vec::len), Some(4));
    let none = service.upload("/v1/best", &files[1..2]).await.json();
    assert_eq!((&none["best"], &none["order"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn map_is_drawn_over_the_face() {
    let service = start(|_| ());
    let answer = service.post("/v1/map?side=256", "image/png", photo()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "image/png"));
    let drawn = image::load_from_memory(&answer.bytes).expect("a PNG").to_rgb8();
    assert_eq!(drawn.dimensions(), (256, 256));
    let plain = image::load_from_memory(&photo()).expect("a PNG").to_rgb8();
    let plain = image::imageops::thumbnail(&plain, 256, 256);
    let differs = |x: u32, y: u32| {
        let (a, b) = (drawn.get_pixel(x, y), plain.get_pixel(x, y));
        a.0.iter().zip(b.0).map(|(&a, b)| u32::from(a.abs_diff(b))).sum::<u32>()
    };
    // The nose, and a corner far from the face.
    assert!(differs(111, 62) > 60, "{}", differs(111, 62));
    assert!(differs(250, 250) < 40, "{}", differs(250, 250));

    let jet = service.post("/v1/map?colormap=jet&alpha=0.9", "image/png", photo()).await;
    assert_eq!(jet.status, 200);
    assert_ne!(jet.bytes, service.post("/v1/map", "image/png", photo()).await.bytes);
    let none = service.post("/v1/map", "image/png", grey(200)).await;
    assert_eq!((none.status.as_u16(), none.error_code().as_str()), (422, "no-face"));
    let text = service.post("/v1/map", "image/png", "not an image").await;
    assert_eq!((text.status.as_u16(), text.error_code().as_str()), (422, "not-an-image"));
    let crop = example("faces/astronaut.png");
    let aligned = service.post("/v1/map?aligned=true", "image/png", crop).await;
    let drawn = image::load_from_memory(&aligned.bytes).expect("a PNG");
    assert_eq!((drawn.width(), drawn.height()), (112, 112));
}

#[tokio::test]
async fn concurrent_requests_get_their_own_scores() {
    let service = std::sync::Arc::new(start(|_| ()));
    let names = ["astronaut", "blur-1", "blur-3", "blur-5", "dark-1", "dark-3"];
    let mut expected = Vec::new();
    for name in names {
        let crop = example(&format!("faces/{name}.png"));
        let json = service.post("/v1/score", "image/png", crop).await.json();
        expected.push(scores(&json["images"][0])[0]);
    }
    let mut tasks = Vec::new();
    for round in 0..4 {
        for (index, name) in names.into_iter().enumerate() {
            let service = std::sync::Arc::clone(&service);
            let path =
                ["/v1/score", "/v1/score?columns=map", "/v1/score?columns=embedding"][round % 3];
            tasks.push(tokio::spawn(async move {
                let crop = example(&format!("faces/{name}.png"));
                let json = service.post(path, "image/png", crop).await.json();
                (index, scores(&json["images"][0])[0])
            }));
        }
    }
    for task in tasks {
        let (index, score) = task.await.expect("an answer");
        assert_eq!(score, expected[index], "{}", names[index]);
    }
}
