//! A fitted key bias changes the score by its formula and nothing else, and a calibration is stored
//! with its model.

use std::collections::BTreeMap;
use std::path::Path;

use attn_fiqa::causes::{Cause, CauseModel, Curve, FaceRegion, RegionReference};
use attn_fiqa::checkpoint::{
    Calibration, Checkpoint, CheckpointOptions, ConvertOptions, WeightDtype, builtin,
    write_calibrated, write_canonical,
};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request, RequestError};
use attn_fiqa::score::{Anchor, MatchProbability, Method, QualityMap, QualityScale};

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path, &CheckpointOptions::default()).expect("a checkpoint")
}

fn engine(checkpoint: &Checkpoint) -> Engine {
    let options = EngineOptions { embedding: true, ..EngineOptions::default() };
    Engine::new(checkpoint, &options).expect("an engine")
}

/// Images with some structure, 112×112.
fn crops() -> Vec<Crop> {
    let level = |image: usize, i: usize| ((i * (image + 3) / 7) ^ (i / 336)) as u8;
    (0..3)
        .map(|image| {
            let rgb = (0..112 * 112 * 3).map(|i| level(image, i)).collect();
            Crop::from_rgb(112, rgb).expect("a crop")
        })
        .collect()
}

fn assess(engine: &Engine, methods: &[Method]) -> Vec<Assessment> {
    let request = Request {
        methods: methods.to_vec(),
        embedding: true,
        mean_query: true,
        received: true,
        ..Request::new(Method::ATTN)
    };
    let assessed = engine.assess(&crops(), &request).expect("a request");
    assessed.into_iter().map(|outcome| outcome.expect("an assessment")).collect()
}

fn map() -> QualityMap {
    let scores = (0..101).map(|q| -2.0 + 0.031 * q as f32).collect();
    QualityMap::new(Method::ATTN_CALIBRATED, scores).expect("a map")
}

fn record() -> BTreeMap<String, String> {
    BTreeMap::from([("faces".to_owned(), "3 \"made up\"\n".to_owned())])
}

#[test]
fn key_bias_shifts_score_but_not_embedding() {
    let model = builtin().expect("the built-in model");
    let config = *model.config();
    let bias: Vec<f32> =
        (0..config.embed_dim).map(|i| ((i * 37 % 101) as f32 - 50.0) / 80.0).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calibrated.safetensors");
    let calibration = Calibration::new(map(), record(), Some(&bias));
    write_calibrated(&model, &path, Some(bias.clone()), &calibration).expect("written");
    let calibrated = open(&path);

    let before = assess(&engine(&model), &[Method::ATTN]);
    let after_engine = engine(&calibrated);
    let after = assess(&after_engine, &[Method::ATTN_CALIBRATED, Method::ATTN]);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.embedding, after.embedding, "to the bit");
        assert_eq!(before.mean_query, after.mean_query);
        assert_eq!(before.scores[0], after.scores[1], "the published score stays");
        let query = before.mean_query.as_ref().expect("asked for");
        assert_eq!(query.len(), config.num_heads * config.head_dim());
        let product: f64 =
            query.iter().zip(&bias).map(|(&q, &c)| f64::from(q) * f64::from(c)).sum();
        let added = f64::from(config.scale()) / config.num_heads as f64 * product;
        let expected = f64::from(before.scores[0]) + added;
        assert!(added.abs() > 1e-3, "{added} shows nothing");
        assert!((f64::from(after.scores[0]) - expected).abs() < 1e-5);
        // The map keeps its shape: every patch is shifted by the same amount.
        let maps = [before, after].map(|found| found.received.as_ref().expect("asked for"));
        for (one, other) in maps[0].mean.values().iter().zip(maps[1].mean.values()) {
            assert!((f64::from(other - one) - added).abs() < 1e-4);
        }
    }

    let found = calibrated.calibration().expect("a calibration");
    assert_eq!(found, &calibration);
    assert_eq!(after_engine.quality_map(), Some(&map()));
    assert!(found.id().starts_with("attn-fiqa-quality-1:"));
}

#[test]
fn the_mean_query_is_a_linear_function_of_the_mean_token() {
    let model = builtin().expect("the built-in model");
    let engine = engine(&model);
    let dim = engine.config().embed_dim;
    assert_eq!(engine.query_weight().len(), dim * dim);
    let request = Request { mean_query: true, mean_token: true, ..Request::new(Method::ATTN) };
    let short: Vec<Assessment> = engine
        .assess(&crops(), &request)
        .expect("a request")
        .into_iter()
        .map(|outcome| outcome.expect("an assessment"))
        .collect();
    // The same if computed from whole token matrices.
    let whole = Request { received: true, ..request };
    for (short, long) in short.iter().zip(engine.assess(&crops(), &whole).expect("a request")) {
        let long = long.expect("an assessment").mean_token.expect("asked for");
        let pairs = short.mean_token.as_ref().expect("asked for").iter().zip(&long);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-4));
    }
    let difference = |of: &dyn Fn(&Assessment) -> Vec<f64>| -> Vec<f64> {
        of(&short[0]).iter().zip(of(&short[1])).map(|(a, b)| a - b).collect()
    };
    let token = difference(&|found| found.mean_token.clone().expect("asked for"));
    let query = difference(&|found| {
        found.mean_query.iter().flatten().map(|&query| f64::from(query)).collect()
    });
    for (row, query) in engine.query_weight().chunks_exact(dim).zip(query) {
        let expected: f64 = row.iter().zip(&token).map(|(&w, t)| f64::from(w) * t).sum();
        assert!((expected - query).abs() < 1e-4, "{expected} ≠ {query}");
    }
}

fn scale() -> QualityScale {
    let scores = [-13.4, -7.4, -5.3, -2.9, -2.0, -0.57];
    let anchor = |((quality, meaning), score)| Anchor { quality, score, meaning };
    QualityScale {
        recogniser: "sface.onnx".to_owned(),
        fmr: 1e-3,
        anchors: QualityScale::MEANINGS.into_iter().zip(scores).map(anchor).collect(),
        match_probability: MatchProbability { slope: 0.653, intercept: 4.853 },
    }
}

#[test]
fn quality_scale_round_trips_and_tampering_is_rejected() {
    let model = builtin().expect("the built-in model");
    let bias = vec![0.25; model.config().embed_dim];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calibrated.safetensors");
    let method = Method::ATTN_CALIBRATED;
    let calibration =
        Calibration::with_scale(scale(), method, record(), Some(&bias)).expect("rises");
    assert!(calibration.id().starts_with("attn-fiqa-quality-2:"));
    write_calibrated(&model, &path, Some(bias.clone()), &calibration).expect("written");
    let opened = open(&path);
    assert_eq!(opened.calibration(), Some(&calibration));
    assert_eq!(engine(&opened).match_probability(), Some(scale().match_probability));
    assert_eq!(engine(&opened).quality_map().expect("a map").quality(-5.3), 40);
    // Different meanings make a different calibration, even with the same map.
    let other = QualityScale { recogniser: "other.onnx".to_owned(), ..scale() };
    let other = Calibration::with_scale(other, method, record(), Some(&bias)).expect("rises");
    assert_ne!(other.id(), calibration.id());
    assert_eq!(other.quality, calibration.quality);

    let bytes = std::fs::read(&path).expect("read");
    let refusal = |from: &str, to: &str| {
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
        let at = at.expect("the text is in the header");
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        Checkpoint::from_bytes(bytes, "changed", &CheckpointOptions::default())
            .expect_err("refused")
            .to_string()
    };
    assert!(refusal("sface.onnx", "qface.onnx").contains("calibrate again"));
    assert!(refusal("matched 0.95", "matched 0.94").contains("calibrate again"));
    assert!(refusal("60 -2.9 matched", "60 -2.8 matched").contains("that `calibration.quality_s"));
    assert!(refusal("matched 0.95", "watched 0.95").contains("quality score matched|clean"));
    assert!(refusal("0.653 4.853", "-.653 4.853").contains("a positive slope"));
    assert!(refusal("\"0.001\"", "\"1.001\"").contains("between 0 and 1"));
}

#[test]
fn write_calibrated_leaves_other_tensors_unchanged() {
    let model = builtin().expect("the built-in model");
    let folder = tempfile::tempdir().expect("a folder");
    for dtype in [WeightDtype::F32, WeightDtype::F16, WeightDtype::Bf16] {
        let from = folder.path().join("from.safetensors");
        let to = folder.path().join("to.safetensors");
        write_canonical(&model, &from, ConvertOptions { dtype, quality_only: false })
            .expect("written");
        let source = open(&from);
        let scores = (0..101).map(|q| q as f32).collect();
        let map = QualityMap::new(Method::ATTN, scores).expect("a map");
        let calibration = Calibration::new(map, record(), None);
        write_calibrated(&source, &to, None, &calibration).expect("written");
        let (before, after) =
            (std::fs::read(&from).expect("read"), std::fs::read(&to).expect("read"));
        let tensors = |bytes: &[u8]| -> BTreeMap<String, (String, Vec<u8>)> {
            let file = safetensors::SafeTensors::deserialize(bytes).expect("safetensors");
            let tensors = file.iter().map(|(name, tensor)| {
                (name.to_owned(), (format!("{:?}", tensor.dtype()), tensor.data().to_vec()))
            });
            tensors.collect()
        };
        let mut expected = tensors(&before);
        for name in ["calibration.key_bias", "calibration.causes"] {
            expected.remove(name).expect("the built-in model has it");
        }
        assert!(expected == tensors(&after), "{dtype:?}");
    }
}

#[test]
fn conversion_keeps_calibration_and_tampering_is_rejected() {
    let model = builtin().expect("the built-in model");
    let bias = vec![0.25; model.config().embed_dim];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calibrated.safetensors");
    let small = folder.path().join("small.safetensors");
    let calibration = Calibration::new(map(), record(), Some(&bias));
    write_calibrated(&model, &path, Some(bias), &calibration).expect("written");
    let options = ConvertOptions { dtype: WeightDtype::F16, quality_only: true };
    write_canonical(&open(&path), &small, options).expect("written");
    assert_eq!(open(&small).calibration(), Some(&calibration));

    let bytes = std::fs::read(&path).expect("read");
    let refusal = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
        let at = at.expect("the text is in the header");
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let options = CheckpointOptions::default();
        Checkpoint::from_bytes(bytes, "changed", &options).expect_err("refused").to_string()
    };
    assert!(refusal("-1.969", "-1.968").contains("calibrate again"));
    assert!(refusal("-1.969", "9.9999").contains("101 ascending numbers"));
    assert!(refusal("\"attn-calibrated\"", "\"attn-calibrates\"").contains("name of a method"));
    assert!(refusal("calibration.id", "calibration.xx").contains("calibrate again"));
}

/// Reads every cause from the mean token's first elements.
fn causes(dim: usize) -> CauseModel {
    let mut weights = vec![0.0; 3 * (dim + 1)];
    weights[0] = 0.5;
    weights[dim] = 0.4;
    weights[dim + 2] = -0.25;
    weights[2 * dim + 1] = 0.3;
    weights[2 * (dim + 1) + dim] = -3.0;
    let rises = |to: f32| Curve(std::array::from_fn(|knot| to * knot as f32 / 10.0));
    let regions = RegionReference {
        mean: [0.1, -0.2, 0.3, 0.0, 0.01, -0.5],
        deviation: [0.01, 0.02, 0.01, 0.3, 0.5, 0.125],
    };
    let names = vec![Cause::Pose, Cause::TooDark];
    let (strengths, gains) = (vec![rises(1.0), rises(0.9)], vec![rises(50.0), rises(80.0)]);
    CauseModel::new(names, &weights, strengths, gains, regions).expect("a model")
}

#[test]
fn causes_round_trip_and_tampering_is_rejected() {
    let model = builtin().expect("the built-in model");
    let dim = model.config().embed_dim;
    let bias = vec![0.25; dim];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("causes.safetensors");
    let small = folder.path().join("small.safetensors");
    let without = Calibration::new(map(), record(), Some(&bias));
    let calibration = without.clone().with_causes(causes(dim), Some(&bias));
    assert_ne!(without.id(), calibration.id());
    write_calibrated(&model, &path, Some(bias), &calibration).expect("written");
    assert_eq!(open(&path).calibration(), Some(&calibration));
    for dtype in [WeightDtype::F32, WeightDtype::Bf16] {
        let options = ConvertOptions { dtype, quality_only: true };
        write_canonical(&open(&path), &small, options).expect("written");
        assert_eq!(open(&small).calibration(), Some(&calibration));
    }

    let bytes = std::fs::read(&path).expect("read");
    let opened =
        |bytes: Vec<u8>| Checkpoint::from_bytes(bytes, "changed", &CheckpointOptions::default());
    let refusal = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
        let at = at.expect("the text is in the header");
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        opened(bytes).expect_err("refused").to_string()
    };
    assert!(refusal("pose,too_dark", "pose,too_blue").contains("unknown cause 'too_blue'"));
    assert!(refusal("pose,too_dark", "pose,pose;pos").contains("unknown cause"));
    assert!(refusal("0,5,10,15", "0,5,10;15").contains("a curve of 11 numbers"));
    assert!(refusal("0,5,10,15", "0,5,10,11").contains("calibrate again"));
    assert!(refusal("0,5,10,15", "0,5,10,05").contains("non-decreasing curves"));
    assert!(refusal("nose 0.3 0.01", "nose 0.3 -.01").contains("deviations above 0"));
    assert!(refusal("nose 0.3 0.01", "knee 0.3 0.01").contains("name mean deviation"));
    assert!(refusal("calibration.causes.names", "calibration.causes.xxxxx").contains("unknown"));
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = file.tensor("calibration.causes").expect("there");
    assert_eq!((tensor.dtype(), tensor.shape()), (safetensors::Dtype::F16, &[3, dim + 1][..]));
    let start = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
    let mut changed = bytes.clone();
    changed[start] ^= 1;
    assert!(opened(changed).expect_err("refused").to_string().contains("calibrate again"));
}

#[test]
fn causes_match_mean_token_readout_on_both_paths() {
    let model = builtin().expect("the built-in model");
    let dim = model.config().embed_dim;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("causes.safetensors");
    let calibration = Calibration::new(map(), record(), None).with_causes(causes(dim), None);
    write_calibrated(&model, &path, None, &calibration).expect("written");
    let engine = engine(&open(&path));
    let readout = engine.cause_model().expect("stored");
    let short = Request { causes: true, mean_token: true, ..Request::new(Method::ATTN) };
    let long = Request { weak_regions: true, received: true, ..short.clone() };
    let assess = |request: &Request| -> Vec<Assessment> {
        let assessed = engine.assess(&crops(), request).expect("a request");
        assessed.into_iter().map(|outcome| outcome.expect("an assessment")).collect()
    };
    let mut named = 0;
    for (short, long) in assess(&short).iter().zip(assess(&long)) {
        let token = short.mean_token.as_ref().expect("asked for");
        let found = short.causes.as_ref().expect("asked for");
        assert_eq!(found, &readout.read(token));
        assert_eq!(short.weak_regions, None);
        named += found.found.len();
        let other = long.causes.expect("asked for");
        assert_eq!(found.found.len(), other.found.len());
        for (one, other) in found.found.iter().zip(&other.found) {
            assert_eq!(one.cause, other.cause);
            assert!((one.strength - other.strength).abs() < 1e-3);
        }
        let map = long.received.expect("asked for").mean;
        let weak = long.weak_regions.expect("asked for");
        assert_eq!(weak, readout.regions().weak_regions(&map, 112, 8));
        assert!(weak.iter().all(|region| FaceRegion::ALL.contains(region)));
    }
    assert!(named > 0, "the test shows nothing");
}

#[test]
fn cause_requests_without_a_cause_model_are_rejected() {
    let model = builtin().expect("the built-in model");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.safetensors");
    let calibration = Calibration::new(map(), record(), None);
    write_calibrated(&model, &path, None, &calibration).expect("written");
    let opened = open(&path);
    assert_eq!(opened.calibration().expect("calibrated").causes, None);
    let engine = engine(&opened);
    assert!(engine.cause_model().is_none());
    let plain = Request::new(Method::ATTN);
    for request in
        [Request { causes: true, ..plain.clone() }, Request { weak_regions: true, ..plain.clone() }]
    {
        assert_eq!(engine.check(&request), Err(RequestError::NoCauses));
    }
    assert_eq!(engine.check(&plain), Ok(()));
}
