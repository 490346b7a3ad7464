//! Exported networks run by `rten`, compared with the engine and with the committed ONNX files.

use std::path::{Path, PathBuf};

use attn_fiqa::checkpoint::{
    Calibration, Checkpoint, CheckpointOptions, ConvertOptions, builtin, write_canonical,
};
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::export::{
    ExportDtype, ExportOptions, ExportProblem, ScoreOutput, export_detector, export_landmarks,
    export_score,
};
use attn_fiqa::onnx::{OnnxModel, Tensor};
use attn_fiqa::score::{Method, QualityMap};
use attn_fiqa::threads::Threads;
use attn_fiqa::vit::config::{Activation, ScoreTokens};

use crate::checkpoint_support::network::{Noise, Spec, TINY, to_safetensors};

/// Score difference in f32, relative to the scale of scores: rounding alone.
const F32: f32 = 1e-5;

/// The same for the built-in model, where the key bias makes the score a small difference of large
/// terms. ONNX Runtime stays within 2e-6 (`benches/export/run`); `rten` rounds more.
const BUILTIN: f32 = 5e-5;

/// The same with weights and products of the blocks in f16. `rten` computes in f32, so this
/// measures the rounding of weights; the built-in model has none.
const F16: f32 = 1e-3;

fn faces() -> Vec<Crop> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/faces");
    ["astronaut.png", "blur-5.png", "dark-4.png", "occlude-5.png"]
        .map(|name| {
            let bytes = std::fs::read(folder.join(name)).expect("a face");
            let image = decode(&bytes, &DecodeLimits::default()).expect("an image").image;
            Crop::from_rgb(112, image.rgb().to_vec()).expect("112 pixels")
        })
        .to_vec()
}

fn noise_crops(side: usize) -> Vec<Crop> {
    let crop = |seed| {
        let mut noise = Noise(seed);
        let rgb = (0..side * side * 3).map(|_| (noise.next() * 63.0 + 128.0) as u8).collect();
        Crop::from_rgb(side, rgb).expect("a crop")
    };
    (0..3).map(crop).collect()
}

/// `[batch, 3, side, side]`, levels of 0 to 255.
fn planes(crops: &[Crop]) -> Tensor {
    let side = crops[0].side();
    let mut values = Vec::new();
    for crop in crops {
        for channel in 0..3 {
            values.extend(crop.rgb().iter().skip(channel).step_by(3).map(|&v| f32::from(v)));
        }
    }
    Tensor::new(&[crops.len(), 3, side, side], values).expect("a batch")
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Exports and runs a score; returns its outputs by name.
fn run(
    checkpoint: &Checkpoint,
    options: &ExportOptions,
    crops: &[Crop],
) -> impl Fn(&str) -> Tensor + use<> {
    let folder = Folder::new();
    let path = folder.path("score.onnx");
    export_score(checkpoint, &path, options).expect("an export");
    let outputs = run_file(&path, &planes(crops));
    move |name| {
        let found = outputs.iter().find(|(output, _)| output == name);
        found.unwrap_or_else(|| panic!("no output {name}")).1.clone()
    }
}

fn run_file(path: &Path, input: &Tensor) -> Vec<(String, Tensor)> {
    let network = OnnxModel::open(path).expect("a network");
    let names: Vec<String> = network.outputs().map(|output| output.name.clone()).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let threads = Threads::new(None).expect("threads");
    let found = network.run(
        &[(&network.inputs().next().expect("an input").name, input)],
        &wanted,
        &threads,
    );
    names.iter().cloned().zip(found.expect("a run")).collect()
}

fn assess(checkpoint: &Checkpoint, crops: &[Crop], causes: bool) -> (Engine, Vec<Assessment>) {
    let embedding = checkpoint.config().embedding_head.is_some();
    let options = EngineOptions { embedding, ..EngineOptions::default() };
    let engine = Engine::new(checkpoint, &options).expect("an engine");
    let request =
        Request { received: true, embedding, causes, ..Request::new(engine.default_method()) };
    let outcomes = engine.assess(crops, &request).expect("a request");
    let assessed = outcomes.into_iter().map(|outcome| outcome.expect("an assessment"));
    (engine, assessed.collect())
}

#[track_caller]
fn assert_within(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= tolerance, "{what}: {found} is not {expected} (off by {off:e})");
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

#[test]
fn exported_builtin_model_matches_engine() {
    let checkpoint = builtin().expect("the model");
    let crops = faces();
    let (engine, expected) = assess(&checkpoint, &crops, true);
    let map = engine.quality_map().expect("a map");
    let range = map.scores()[100] - map.scores()[0];
    let tolerance = BUILTIN;
    // The stored weights are f16, so none is rounded in an f16 file.
    for dtype in [ExportDtype::F32, ExportDtype::F16] {
        let outputs = Some(ScoreOutput::ALL.to_vec());
        let options = ExportOptions { dtype, outputs, ..ExportOptions::default() };
        let found = run(&checkpoint, &options, &crops);
        let scores = found("score");
        assert_eq!(scores.shape(), [crops.len()]);
        let expected_scores: Vec<f32> = expected.iter().map(|one| one.scores[0]).collect();
        assert_within("score", scores.values(), &expected_scores, tolerance * range);

        let qualities: Vec<f32> =
            scores.values().iter().map(|&score| f32::from(map.quality(score))).collect();
        assert_eq!(found("quality").values(), qualities, "by the map of the same score");

        let maps = found("map");
        assert_eq!(maps.shape(), [crops.len(), 14, 14]);
        let expected_maps: Vec<f32> = expected
            .iter()
            .flat_map(|one| one.received.as_ref().expect("a map").mean.values().to_vec())
            .collect();
        assert_within("map", maps.values(), &expected_maps, tolerance * largest(&expected_maps));

        let embeddings: Vec<f32> =
            expected.iter().flat_map(|one| one.embedding.clone().expect("an embedding")).collect();
        assert_within(
            "embedding",
            found("embedding").values(),
            &embeddings,
            10.0 * tolerance * largest(&embeddings),
        );

        let model = checkpoint.calibration().and_then(|c| c.causes.as_ref()).expect("causes");
        let known = model.causes();
        let (strengths, gains) = (found("causes"), found("cause_gains"));
        let none = found("none_probability");
        for (image, one) in expected.iter().enumerate() {
            let causes = one.causes.as_ref().expect("causes");
            assert_within("none", &none.values()[image..=image], &[causes.none_probability], 1e-4);
            for (place, &cause) in known.iter().enumerate() {
                let named = causes.found.iter().find(|found| found.cause == cause);
                let at = image * known.len() + place;
                let expected = named.map_or((0.0, 0.0), |found| (found.strength, found.gain));
                assert_within("strength", &strengths.values()[at..=at], &[expected.0], 1e-4);
                assert_within("gain", &gains.values()[at..=at], &[expected.1], 1e-2);
            }
        }
    }
}

#[test]
fn exported_network_variants_match_engine() {
    let specs = [
        TINY,
        Spec { class_token: true, ..TINY },
        Spec { patch: 28, depth: 3, qkv_bias: true, key_bias: true, ..TINY },
        Spec { patch: 28, qkv_bias: true, class_token: true, key_bias: true, ..TINY },
        Spec { patch: 9, dim: 12, heads: 3, mlp: 17, ..TINY },
        Spec { depth: 1, ..TINY },
    ];
    for spec in specs {
        for gelu in [false, true] {
            let mut tensors = spec.tensors(11);
            for tensor in &mut tensors {
                if tensor.name.ends_with("running_var") {
                    tensor.values.iter_mut().for_each(|value| *value = value.abs() + 0.1);
                } else if tensor.name.contains("weight") {
                    tensor.values.iter_mut().for_each(|value| *value *= 0.2);
                }
            }
            let options = CheckpointOptions {
                heads: Some(spec.heads),
                activation: gelu.then_some(Activation::Gelu),
                ..CheckpointOptions::default()
            };
            let bytes = to_safetensors(&tensors, &[]);
            let checkpoint = Checkpoint::from_bytes(bytes, "tiny", &options).expect("a network");
            let method = if spec.key_bias { Method::ATTN_CALIBRATED } else { Method::ATTN };
            assert_export_matches_engine(&checkpoint, method, &format!("{spec:?}, gelu {gelu}"));
        }
    }
}

/// With the random networks of `golden/families`.
#[test]
fn exported_families_match_engine() {
    let folder = attn_fiqa_testing::golden("families");
    let outputs = Folder::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("golden networks") {
        let file = entry.expect("an entry").path().join("model.safetensors");
        // Networks that read landmarks are refused.
        if !file.is_file() || file.parent().is_some_and(|case| case.ends_with("kp-rpe")) {
            continue;
        }
        for tokens in ScoreTokens::ALL {
            let mut options =
                CheckpointOptions { score_tokens: Some(tokens), ..CheckpointOptions::default() };
            let what = format!("{}, {}", file.display(), tokens.name());
            // Files of the official layout do not state the number of heads.
            options.heads = what.contains("transface").then_some(5);
            let checkpoint = Checkpoint::open(&file, &options).expect("a network");
            assert_export_matches_engine(&checkpoint, Method::ATTN, &what);
            // Writing asserts that some node reads every constant, whichever outputs there are.
            for output in [ScoreOutput::Score, ScoreOutput::Map, ScoreOutput::Embedding] {
                let options =
                    ExportOptions { outputs: Some(vec![output]), ..ExportOptions::default() };
                export_score(&checkpoint, &outputs.path("one.onnx"), &options).expect("an export");
            }
        }
        count += 1;
    }
    assert!(count >= 13, "only {count} families");
}

/// Score, map and embedding, in f32 with both opsets and in f16.
fn assert_export_matches_engine(checkpoint: &Checkpoint, method: Method, name: &str) {
    use ScoreOutput::{Embedding, Map, Score};
    let crops = noise_crops(checkpoint.config().image_size);
    let (engine, expected) = assess(checkpoint, &crops, false);
    assert_eq!(engine.default_method(), method);
    let maps: Vec<f32> = expected
        .iter()
        .flat_map(|one| one.received.as_ref().expect("a map").mean.values().to_vec())
        .collect();
    let scores: Vec<f32> = expected.iter().map(|one| one.scores[0]).collect();
    let embeddings: Vec<f32> =
        expected.iter().flat_map(|one| one.embedding.clone().expect("an embedding")).collect();
    let scale = largest(&maps).max(largest(&scores));
    for (dtype, opset, tolerance) in
        [(ExportDtype::F32, 17, F32), (ExportDtype::F32, 18, F32), (ExportDtype::F16, 17, F16)]
    {
        let outputs = Some(vec![Embedding, Map, Score]);
        let options = ExportOptions { dtype, opset, outputs, licence: None };
        let found = run(checkpoint, &options, &crops);
        let what = |output: &str| format!("{output} of {name}, {dtype:?}");
        assert_within(&what("score"), found("score").values(), &scores, tolerance * scale);
        assert_within(&what("map"), found("map").values(), &maps, tolerance * scale);
        let limit = 10.0 * tolerance * largest(&embeddings);
        assert_within(&what("embedding"), found("embedding").values(), &embeddings, limit);
    }
}

#[test]
fn f16_export_is_smaller_and_exports_are_deterministic() {
    let checkpoint = builtin().expect("the model");
    let folder = Folder::new();
    let write = |name: &str, dtype| {
        let path = folder.path(name);
        let options = ExportOptions { dtype, ..ExportOptions::default() };
        export_score(&checkpoint, &path, &options).expect("an export");
        std::fs::read(path).expect("a file")
    };
    let (full, half) = (write("full.onnx", ExportDtype::F32), write("half.onnx", ExportDtype::F16));
    assert!(half.len() * 10 < full.len() * 6, "{} and {}", half.len(), full.len());
    assert_eq!(write("full.onnx", ExportDtype::F32), full, "replaced by the same bytes");
    for part in ["attn_fiqa.model_sha256", "attn-fiqa-quality-2:", "attn-calibrated", "not stated"]
    {
        assert!(full.windows(part.len()).any(|bytes| bytes == part.as_bytes()), "no {part}");
    }
    let names: Vec<_> = std::fs::read_dir(folder.path("")).expect("a folder").collect();
    assert_eq!(names.len(), 2, "nothing else is left");
}

#[test]
fn quality_only_checkpoint_exports_without_embedding() {
    let folder = Folder::new();
    let file = folder.path("quality.safetensors");
    let options = ConvertOptions { quality_only: true, ..ConvertOptions::default() };
    write_canonical(&builtin().expect("the model"), &file, options).expect("a checkpoint");
    let checkpoint = Checkpoint::open(&file, &CheckpointOptions::default()).expect("a checkpoint");
    let crops = &faces()[..1];
    let (_, expected) = assess(&checkpoint, crops, false);
    let found = run(&checkpoint, &ExportOptions::default(), crops);
    assert_within("score", found("score").values(), &expected[0].scores, 1e-4);

    let problem = |options: &ExportOptions, path: &Path| {
        export_score(&checkpoint, path, options).expect_err("a refusal")
    };
    let outputs = Some(vec![ScoreOutput::Embedding]);
    let options = ExportOptions { outputs, ..ExportOptions::default() };
    let error = problem(&options, &folder.path("x.onnx"));
    assert!(matches!(error.problem(), ExportProblem::NoEmbedding));
    assert_eq!(error.file(), file.display().to_string());
    let error = problem(&ExportOptions::default(), &file);
    assert!(matches!(error.problem(), ExportProblem::OutputIsInput));
    assert!(Checkpoint::open(&file, &CheckpointOptions::default()).is_ok(), "untouched");
}

#[test]
fn a_network_that_reads_landmarks_is_refused() {
    let file = attn_fiqa_testing::golden("families").join("kp-rpe/model.safetensors");
    let options = CheckpointOptions { heads: Some(5), ..CheckpointOptions::default() };
    let checkpoint = Checkpoint::open(&file, &options).expect("a network");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("score.onnx");
    let refused = export_score(&checkpoint, &path, &ExportOptions::default());
    let refused = refused.expect_err("pixels are the only input");
    assert!(matches!(refused.problem(), ExportProblem::LandmarkBias), "{refused}");
    assert!(!path.exists());
}

#[test]
fn unavailable_outputs_and_opsets_are_rejected() {
    let tensors = Spec { key_bias: true, ..TINY }.tensors(3);
    let options = CheckpointOptions { heads: Some(2), ..CheckpointOptions::default() };
    let open = |metadata: &[(&str, &str)]| {
        Checkpoint::from_bytes(to_safetensors(&tensors, metadata), "tiny", &options)
            .expect("a network")
    };
    let folder = Folder::new();
    let path = folder.path("score.onnx");
    let refused = |checkpoint: &Checkpoint, outputs: &[ScoreOutput], opset| {
        let outputs = Some(outputs.to_vec());
        let options = ExportOptions { outputs, opset, ..ExportOptions::default() };
        export_score(checkpoint, &path, &options).expect_err("a refusal").to_string()
    };
    let plain = open(&[]);
    for (outputs, message) in [
        (&[ScoreOutput::Quality][..], "tiny: has no calibration, which the output 'quality' needs"),
        (&[ScoreOutput::Causes], "tiny: has no readout of causes for the output 'causes'"),
        (&[], "tiny: has no outputs; ask for at least one of score, quality, map, embedding"),
    ] {
        let found = refused(&plain, outputs, 17);
        assert!(found.starts_with(message), "{found}");
    }
    for opset in [16, 19, -1] {
        let found = refused(&plain, &[ScoreOutput::Score], opset);
        assert!(found.contains(&format!("opset {opset}; expected 17 or 18")), "{found}");
    }
    // A map of plain scores, together with a key bias that the default method scores with.
    let knots = (0..QualityMap::KNOTS).map(|knot| knot as f32).collect();
    let map = QualityMap::new(Method::ATTN, knots).expect("a map");
    let bias = plain.read_f32("calibration.key_bias").expect("a key bias");
    let calibration = Calibration::new(map, Default::default(), Some(&bias));
    let file = folder.path("mapped.safetensors");
    attn_fiqa::checkpoint::write_calibrated(&plain, &file, Some(bias), &calibration)
        .expect("a checkpoint");
    let mapped = Checkpoint::open(&file, &CheckpointOptions::default()).expect("a checkpoint");
    let found = refused(&mapped, &[ScoreOutput::Quality], 17);
    assert!(found.contains("maps the scores of the method 'attn', but"), "{found}");
    assert_eq!(ScoreOutput::available(&mapped), [ScoreOutput::Score, ScoreOutput::Map]);
    assert!(!path.exists(), "nothing was written");

    let gone = folder.path("gone/score.onnx");
    let error = export_score(&plain, &gone, &ExportOptions::default()).expect_err("a refusal");
    assert!(matches!(error.problem(), ExportProblem::Write(_)), "{error}");
    let error =
        export_score(&plain, &folder.path(""), &ExportOptions::default()).expect_err("a refusal");
    assert!(matches!(error.problem(), ExportProblem::Folder), "{error}");
}

#[test]
fn f16_overflow_error_names_the_tensor() {
    let mut tensors = TINY.tensors(3);
    let tensor = tensors.iter_mut().find(|t| t.name == "blocks.0.mlp.fc1.weight").expect("fc1");
    tensor.values[5] = 1e6;
    let options = CheckpointOptions { heads: Some(2), ..CheckpointOptions::default() };
    let checkpoint = Checkpoint::from_bytes(to_safetensors(&tensors, &[]), "tiny", &options);
    let folder = Folder::new();
    let path = folder.path("score.onnx");
    let options = ExportOptions { dtype: ExportDtype::F16, ..ExportOptions::default() };
    let error = export_score(&checkpoint.expect("a network"), &path, &options);
    let message = error.expect_err("a refusal").to_string();
    assert!(message.contains("1000000 of 'blocks.0.mlp.fc1.weight' does not fit"), "{message}");
    assert!(!path.exists());
}

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name)
}

/// Blocks of random levels, large enough that their edges survive the first layers.
fn picture(width: usize, height: usize) -> Tensor {
    let mut values = Vec::new();
    for plane in 0..3u64 {
        let mut noise = Noise(plane);
        let blocks: Vec<f32> = (0..400).map(|_| (noise.next() + 2.0) * 60.0).collect();
        values.extend((0..width * height).map(|at| {
            let (x, y) = (at % width, at / width);
            blocks[y / 12 % 20 * 20 + x / 12 % 20]
        }));
    }
    Tensor::new(&[1, 3, height, width], values).expect("an image")
}

/// According to the table in `models/detector.md`: the score that counts as 0.7 at each side,
/// linear in the logarithm of the side.
fn confidence(score: f32, side: f32) -> f32 {
    let table =
        [(20.0f32, 0.76f32), (32.0, 0.68), (48.0, 0.53), (72.0, 0.47), (120.0, 0.47), (180.0, 0.7)];
    let side = side.clamp(20.0, 180.0);
    let pair = table.windows(2).find(|pair| side <= pair[1].0).expect("a pair");
    let part = (side / pair[0].0).ln() / (pair[1].0 / pair[0].0).ln();
    let anchor = pair[0].1 + (pair[1].1 - pair[0].1) * part;
    score.powf(0.7f32.ln() / anchor.ln())
}

#[test]
fn exported_detector_matches_decoded_committed_model() {
    let folder = Folder::new();
    let path = folder.path("detector.onnx");
    for opset in [17, 18] {
        export_detector(&path, opset).expect("an export");
        let (width, height) = (96, 64);
        let input = picture(width, height);
        let found = run_file(&path, &input);
        let raw = run_file(&committed("detector.onnx"), &input);
        let raw = |name: &str| {
            raw.iter().find(|(output, _)| output == name).expect(name).1.values().to_vec()
        };
        let (mut scores, mut boxes, mut landmarks) = (Vec::new(), Vec::new(), Vec::new());
        for stride in [8usize, 16, 32] {
            let of = |kind: &str| raw(&format!("{kind}_{stride}"));
            let (columns, side) = (width / stride, stride as f32);
            for (score, numbers) in of("cls").iter().zip(of("bbox").chunks_exact(4)) {
                let area = side * numbers[2].exp() * side * numbers[3].exp();
                scores.push(confidence(*score, area.sqrt()));
            }
            for (cell, numbers) in of("bbox").chunks_exact(4).enumerate() {
                let x = ((cell % columns) as f32 + numbers[0]) * side - 0.5;
                let y = ((cell / columns) as f32 + numbers[1]) * side - 0.5;
                let (w, h) = (side * numbers[2].exp() / 2.0, side * numbers[3].exp() / 2.0);
                boxes.extend([x - w, y - h, x + w, y + h]);
            }
            for (cell, numbers) in of("kps").chunks_exact(10).enumerate() {
                for point in numbers.chunks_exact(2) {
                    landmarks.push(((cell % columns) as f32 + point[0]) * side - 0.5);
                    landmarks.push(((cell / columns) as f32 + point[1]) * side - 0.5);
                }
            }
        }
        let cells = scores.len();
        let expected = [
            ("confidences", vec![1, cells], scores),
            ("boxes", vec![1, cells, 4], boxes),
            ("landmarks", vec![1, cells, 5, 2], landmarks),
        ];
        for ((name, tensor), (expected_name, shape, values)) in found.iter().zip(&expected) {
            assert_eq!((name.as_str(), tensor.shape()), (*expected_name, &shape[..]));
            assert_within(name, tensor.values(), values, 1e-5 * largest(values).max(1.0));
        }
    }
    assert!(export_detector(&folder.path("x.onnx"), 12).is_err());
}

#[test]
fn exported_landmark_network_matches_committed_model() {
    let folder = Folder::new();
    let path = folder.path("landmarks.onnx");
    export_landmarks(&path, 17).expect("an export");
    let input = picture(80, 80);
    let (found, expected) =
        (run_file(&path, &input), run_file(&committed("landmarks.onnx"), &input));
    assert_eq!((found[0].0.as_str(), found[0].1.shape()), ("landmarks", &[1, 5, 2][..]));
    assert_within("landmarks", found[0].1.values(), expected[0].1.values(), 1e-3);
}
