//! Methods in addition to the published score: from the same pass, and without the network.

use crate::support::{self, TestDir, onnx};

#[test]
fn additional_methods_become_columns() {
    let here = TestDir::with_faces(&["astronaut.png", "blur-4.png"]);
    let all = "attn,vitnt,vitnt-weighted,norm,dropout";
    let ran = here.run(&["score", "astronaut.png", "blur-4.png", "--method", all]).ended_with(0);
    let table = ran.table();
    assert_eq!(
        table.heading[3..9],
        ["score", "quality", "vitnt", "vitnt-weighted", "norm", "dropout"]
    );
    for method in ["vitnt", "vitnt-weighted", "dropout"] {
        let scores = table.numbers(method);
        assert!(scores.iter().all(|score| *score > 0.0 && *score < 1.0), "{method}: {scores:?}");
        assert!(scores[0] != scores[1], "{method}: {scores:?}");
    }
    // The norm is that of the embedding, and the score the same as alone.
    let args = ["score", "astronaut.png", "--method", "attn", "--columns", "embedding"];
    let alone = here.run(&args).ended_with(0).table();
    let squares: f32 = alone.lists("embedding")[0].iter().map(|value| value * value).sum();
    support::assert_near(table.numbers("norm")[0], squares.sqrt(), 1e-4);
    assert_eq!(alone.numbers("score")[0], table.numbers("score")[0]);
}

#[test]
fn pixel_measures_and_onnx_methods_are_scored() {
    let here = TestDir::with_faces(&["astronaut.png", "blur-4.png"]);
    here.write("two.onnx", onnx::of_crops(&[0.1, 0.2]));
    here.write("quality.onnx", onnx::of_crops(&[0.25]));
    let args = ["score", "astronaut.png", "blur-4.png", "--method"];
    let with = |methods| here.run(&[&args[..], &[methods]].concat());
    let table =
        with("laplacian,onnx:quality.onnx@input=sface,attn,inter-eye-distance,detection-score");
    let table = table.ended_with(0).table();
    let sharp = table.numbers("score");
    assert!(sharp[0] > 4.0 * sharp[1] && sharp[1] > 0.0, "{sharp:?}");
    assert_eq!(table.column("onnx:quality.onnx"), ["0.25", "0.25"]);
    assert_eq!(table.column("quality"), ["", ""], "the calibration is of another method");
    // For crops there are neither detected eyes nor a detection score.
    assert_eq!(table.column("inter-eye-distance"), ["", ""]);
    assert_eq!(table.column("detection-score"), ["", ""]);
    let alone = with("laplacian").ended_with(0).table();
    assert_eq!(alone.numbers("score"), sharp);
    let attn = with("attn").ended_with(0).table();
    assert_eq!(table.numbers("attn"), attn.numbers("score"));

    with("onnx:quality.onnx@input=sface,onnx:quality.onnx").refused_with("was named twice");
    with("onnx:two.onnx").refused_with("gives one number per face");
    with("onnx:gone.onnx").refused_with("gone.onnx");
    with("laplace").refused_with("laplacian, inter-eye-distance, detection-score, onnx:FILE");
    with("vitnt@block=1").refused_with("full forward pass");
}

#[test]
fn detection_measures_match_face_columns() {
    let here = TestDir::new();
    let photo = support::examples().join("astronaut.png");
    let photo = photo.to_str().unwrap();
    let args = ["score", photo, "--method", "detection-score,inter-eye-distance", "--largest"];
    let table = here.run(&args).ended_with(0).table();
    let score = table.numbers("score")[0];
    assert!((0.7..=1.0).contains(&score), "{score}");
    assert_eq!(table.column("score"), table.column("detection_score"));
    assert_eq!(table.column("inter-eye-distance"), table.column("inter_eye_distance"));
    assert!(table.numbers("inter-eye-distance")[0] > 20.0);
    let jitter = [&args[..], &["--jitter", "3"]].concat();
    here.run(&jitter).refused_with("--jitter measures the spread of the model's score");
}
