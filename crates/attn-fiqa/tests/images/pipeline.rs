//! The library's main interface: one image, crops or a stream in, faces out.

use std::sync::Arc;

use attn_fiqa::align::TEMPLATE_112;
use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::{Crop, Fit};
use attn_fiqa::decode::Note;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions, Request, RequestError};
use attn_fiqa::measure::Measure;
use attn_fiqa::pipeline::{
    CropOrigin, FaceChoice, FaceOptions, FacePipeline, FaceSource, Row, ScoreOptions, ScoredImage,
    Scorer, StreamOptions,
};
use attn_fiqa::pixels::{ChannelOrder, Image};
use attn_fiqa::score::Method;
use attn_fiqa::source::{ImageData, Input, SourceItem, SourceOptions, Sources};
use attn_fiqa::status::Status;

fn example(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/");
    std::fs::read(format!("{folder}{name}")).expect(name)
}

fn engine(embedding: bool) -> Arc<Engine> {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("built-in model");
    let options = EngineOptions { embedding, ..EngineOptions::default() };
    Arc::new(Engine::new(&checkpoint, &options).expect("an engine"))
}

fn detected(engine: &Engine) -> FaceOptions {
    let detector = Detector::builtin(engine.threads()).expect("built-in detector");
    FaceOptions::new(FaceSource::Detected(Arc::new(detector)))
}

/// All results for a face, comparable bit for bit.
fn bits(image: &ScoredImage) -> Vec<(Option<Crop>, Vec<u32>)> {
    let faces = image.faces.as_ref().expect("faces");
    faces
        .iter()
        .map(|face| {
            let assessment = face.outcome.as_ref().expect("a score");
            let numbers = assessment.scores.iter().chain(assessment.embedding.iter().flatten());
            (face.crop.clone(), numbers.map(|number| number.to_bits()).collect())
        })
        .collect()
}

#[test]
fn encoded_rgb_and_bgr_inputs_score_identically() {
    let engine = engine(true);
    let request = Request { embedding: true, ..Request::new(engine.default_method()) };
    let pipeline = FacePipeline::new(Arc::clone(&engine), detected(&engine), request).unwrap();
    let photo = example("astronaut.png");
    let from_bytes = pipeline.score(photo.clone());
    assert_eq!(from_bytes.size, Some((512, 512)));
    let face = &from_bytes.faces.as_ref().unwrap()[0];
    assert_eq!(face.info.crop_origin, CropOrigin::Refined);
    assert_eq!(face.outcome.as_ref().unwrap().embedding.as_ref().unwrap().len(), 128);

    let image = attn_fiqa::decode::decode(&photo, &Default::default()).unwrap().image;
    let (width, height) = (image.width(), image.height());
    let rgb = image.into_rgb();
    let bgr = rgb.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
    for (pixels, order) in [(rgb, ChannelOrder::Rgb), (bgr, ChannelOrder::Bgr)] {
        let image = Image::from_pixels(width, height, pixels, order).unwrap();
        assert_eq!(bits(&pipeline.score(image)), bits(&from_bytes), "{order:?}");
    }
}

#[test]
fn given_landmarks_replace_detection() {
    let engine = engine(false);
    let pipeline =
        FacePipeline::new(Arc::clone(&engine), detected(&engine), engine.default_method()).unwrap();
    let found = pipeline.score(example("astronaut.png"));
    let landmarks = found.faces.as_ref().unwrap()[0].info.landmarks.unwrap();
    let aligned = FaceOptions::new(FaceSource::Aligned(Fit::Exact));
    let without_detector =
        FacePipeline::new(Arc::clone(&engine), aligned, engine.default_method()).unwrap();
    let given = without_detector.score_with_landmarks(example("astronaut.png"), &[landmarks]);
    assert_eq!(bits(&given), bits(&found));
    assert_eq!(given.faces.unwrap()[0].info.crop_origin, CropOrigin::Landmarks);
    let none = without_detector.score_with_landmarks(example("astronaut.png"), &[]);
    assert_eq!(none.faces.unwrap_err().status, Status::NoFace);
    let not_numbers = attn_fiqa::align::Landmarks([[f32::NAN; 2]; 5]);
    let refused = without_detector.score_with_landmarks(example("astronaut.png"), &[not_numbers]);
    let outcome = refused.faces.unwrap().remove(0).outcome;
    assert_eq!(outcome.unwrap_err().status, Status::BadLandmarks);
}

/// A network that reads landmarks gets those that the face was aligned with. For an aligned image
/// none are known, and its notes say so.
#[test]
fn crop_landmarks_are_passed_to_the_network() {
    let file = attn_fiqa_testing::golden("families").join("kp-rpe/model.safetensors");
    let options = CheckpointOptions { heads: Some(5), ..CheckpointOptions::default() };
    let checkpoint = Checkpoint::open(&file, &options).unwrap();
    let engine = Arc::new(Engine::new(&checkpoint, &EngineOptions::default()).unwrap());
    let pipeline = |faces| FacePipeline::new(Arc::clone(&engine), faces, Method::ATTN).unwrap();
    let found = pipeline(detected(&engine)).score(example("astronaut.png"));
    assert!(!found.notes.contains(&Note::LandmarksAssumed));
    let face = &found.faces.unwrap()[0];
    let crop = face.crop.clone().unwrap();
    let landmarks = crop.landmarks().unwrap();
    for (found, template) in landmarks.as_flattened().iter().zip(TEMPLATE_112.as_flattened()) {
        assert!((f64::from(*found) - template).abs() < 12.0, "{found} is far from {template}");
    }

    let alone = Crop::from_rgb(112, crop.rgb().to_vec()).unwrap();
    let image = Image::from_rgb(112, 112, crop.rgb().to_vec()).unwrap();
    let given = pipeline(FaceOptions::new(FaceSource::Aligned(Fit::Exact))).score(image);
    assert_eq!(given.notes, [Note::LandmarksAssumed]);
    let template = TEMPLATE_112.map(|point| point.map(|value| value as f32));
    let score = |crop: Crop| {
        let outcomes = engine.assess(&[crop], &Request::new(Method::ATTN)).unwrap();
        outcomes.into_iter().next().unwrap().unwrap().scores
    };
    let of_aligned = given.faces.unwrap().remove(0).outcome.unwrap().scores;
    assert_eq!(of_aligned, score(alone.clone().with_landmarks(template)));
    assert_eq!(face.outcome.as_ref().unwrap().scores, score(alone.with_landmarks(landmarks)));
    assert_ne!(of_aligned, face.outcome.as_ref().unwrap().scores);
}

#[test]
fn image_failures_are_reported_in_the_result() {
    let engine = engine(false);
    let aligned = FaceOptions::new(FaceSource::Aligned(Fit::Exact));
    let pipeline = FacePipeline::new(engine, aligned, Method::ATTN).unwrap();
    let status = |image: ImageData| pipeline.score(image).faces.unwrap_err().status;
    assert_eq!(status(b"no image".to_vec().into()), Status::NotAnImage);
    assert_eq!(status(Vec::new().into()), Status::BrokenImage);
    assert_eq!(status(example("astronaut.png").into()), Status::WrongSize);
    let cut = example("astronaut.png")[..5000].to_vec();
    assert_eq!(status(cut.into()), Status::BrokenImage);
}

#[test]
fn many_threads_share_one_pipeline() {
    let engine = engine(false);
    let pipeline =
        FacePipeline::new(Arc::clone(&engine), detected(&engine), engine.default_method()).unwrap();
    let images = ["astronaut.png", "faces/blur-3.png", "faces/astronaut.png", "faces/turn-4.png"];
    let alone: Vec<_> = images.iter().map(|name| bits(&pipeline.score(example(name)))).collect();
    std::thread::scope(|scope| {
        for offset in 0..8 {
            let (pipeline, alone) = (&pipeline, &alone);
            scope.spawn(move || {
                for index in (0..images.len()).map(|index| (index + offset) % images.len()) {
                    let image = pipeline.score(example(images[index]));
                    assert_eq!(bits(&image), alone[index], "{}", images[index]);
                }
            });
        }
    });
}

/// The first score may be any of the network's.
#[test]
fn jitter_is_measured_for_the_first_score() {
    let engine = engine(false);
    let calibrated = engine.default_method();
    let jitter = |methods: &[Method], first: Method| {
        let options = ScoreOptions {
            jitter: 3,
            scorers: vec![Scorer::Method(first)],
            request: Request { methods: methods.to_vec(), ..Request::new(first) },
            ..first.into()
        };
        let pipeline = FacePipeline::new(Arc::clone(&engine), detected(&engine), options).unwrap();
        pipeline.score(example("astronaut.png")).faces.unwrap()[0].jitter_std.unwrap()
    };
    let both = [Method::ATTN, calibrated];
    assert_eq!(jitter(&both, calibrated), jitter(&[calibrated], calibrated));
    assert_eq!(jitter(&both, Method::ATTN), jitter(&[Method::ATTN], Method::ATTN));
    assert_ne!(jitter(&both, calibrated), jitter(&both, Method::ATTN));
}

#[test]
fn eyes_at_one_position_have_no_jitter() {
    let engine = engine(false);
    let options = ScoreOptions { jitter: 3, ..Method::ATTN.into() };
    let pipeline = FacePipeline::new(Arc::clone(&engine), detected(&engine), options).unwrap();
    let jitter = |apart: f32| {
        let eyes = [[220.0, 110.0], [220.0 + apart, 110.0]];
        let [left, right] = eyes;
        let profile = attn_fiqa::align::Landmarks([
            left,
            right,
            [200.0, 140.0],
            [215.0, 160.0],
            [216.0, 160.0],
        ]);
        let image = pipeline.score_with_landmarks(example("astronaut.png"), &[profile]);
        let face = image.faces.unwrap().remove(0);
        assert!(face.outcome.is_ok());
        face.jitter_std
    };
    assert_eq!(jitter(0.0), None);
    assert!(jitter(1.0) > Some(0.0));
}

#[test]
fn streaming_matches_scoring_images_individually() {
    let engine = engine(false);
    let options = ScoreOptions {
        jitter: 3,
        scorers: vec![Scorer::Measure(Measure::Laplacian), Scorer::Method(Method::ATTN)],
        ..Method::ATTN.into()
    };
    let refused = FacePipeline::new(Arc::clone(&engine), detected(&engine), options.clone());
    assert_eq!(refused.err(), Some(RequestError::JitterOfMeasure));
    let options = ScoreOptions { scorers: options.scorers.into_iter().rev().collect(), ..options };
    let faces = FaceOptions { keep_photo: true, ..detected(&engine) };
    let pipeline = FacePipeline::new(Arc::clone(&engine), faces, options).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let inputs = ["astronaut.png", "faces/blur-1.png", "README.md", "faces/turn-5.png"];
    let inputs = inputs.map(|name| Input::Path(format!("{folder}/{name}").into()));
    for stream in [
        StreamOptions::default(),
        StreamOptions { batch: 1, ..StreamOptions::default() },
        StreamOptions { batch: 2, max_memory: 64 << 20 },
    ] {
        let sources = Sources::open(&inputs, &SourceOptions::default()).unwrap();
        let mut rows: Vec<Row> = Vec::new();
        let sink = |row| {
            rows.push(row);
            Ok::<(), ()>(())
        };
        pipeline.run(sources, &stream, sink).unwrap();
        assert_eq!(rows.len(), 4);
        for row in rows {
            let image = pipeline.score(std::fs::read(&row.path).unwrap());
            assert_eq!(row.size, image.size);
            assert_eq!(row.photo.is_some(), image.photo.is_some());
            match image.faces {
                Err(failure) => assert_eq!(row.outcome.unwrap_err(), failure),
                Ok(faces) => {
                    let [face] = &faces[..] else { panic!("{} faces", faces.len()) };
                    assert_eq!(row.outcome.as_ref(), face.outcome.as_ref());
                    assert_eq!(row.jitter_std, face.jitter_std);
                    assert_eq!(
                        row.jitter_std.is_some(),
                        face.info.crop_origin != CropOrigin::Aligned
                    );
                    assert_eq!(row.outcome.unwrap().scores.len(), 2);
                }
            }
        }
    }
}

#[test]
fn image_over_memory_limit_yields_a_failed_row() {
    let engine = engine(false);
    let pipeline =
        FacePipeline::new(Arc::clone(&engine), detected(&engine), engine.default_method()).unwrap();
    let item = |name: &str| SourceItem {
        path: name.to_owned(),
        relative: name.into(),
        image: Ok(ImageData::Encoded(example(name))),
    };
    let items = ["astronaut.png", "faces/astronaut.png"].map(item);
    let stream = StreamOptions { batch: 8, max_memory: 3 << 20 };
    let mut statuses = Vec::new();
    let sink = |row: Row| {
        statuses.push(row.outcome.map_or_else(|failure| failure.status, |_| Status::Ok));
        Ok::<(), ()>(())
    };
    pipeline.run(items.into_iter(), &stream, sink).unwrap();
    assert_eq!(statuses, [Status::TooLarge, Status::Ok]);
}

#[test]
fn run_stops_when_the_sink_fails() {
    let engine = engine(false);
    let aligned = FaceOptions::new(FaceSource::Aligned(Fit::Exact));
    let pipeline = FacePipeline::new(engine, aligned, Method::ATTN).unwrap();
    let items = (0..).map(|index| SourceItem {
        path: format!("{index}.png"),
        relative: "face.png".into(),
        image: Ok(example("faces/astronaut.png").into()),
    });
    let mut rows = 0;
    let outcome = pipeline.run(items, &StreamOptions { batch: 4, max_memory: 1 << 30 }, |_| {
        rows += 1;
        if rows == 10 { Err("enough") } else { Ok(()) }
    });
    assert_eq!((outcome, rows), (Err("enough"), 10));
}

#[test]
fn invalid_requests_are_rejected_on_construction() {
    let engine = engine(false);
    let faces = FaceOptions::new(FaceSource::Aligned(Fit::Exact));
    let refusal = |options: ScoreOptions| {
        FacePipeline::new(Arc::clone(&engine), faces.clone(), options).err()
    };
    let max: Method = "attn-max".parse().unwrap();
    let scorers = vec![Scorer::Method(max)];
    let not_asked = ScoreOptions { scorers, ..Method::ATTN.into() };
    assert_eq!(refusal(not_asked), Some(RequestError::NotAsked { method: max }));
    let block = Method::ATTN.at_block(99).unwrap();
    assert!(matches!(refusal(block.into()), Some(RequestError::NoSuchBlock { .. })));
    let nothing = Request { methods: Vec::new(), ..Request::new(Method::ATTN) };
    assert_eq!(refusal(nothing.clone().into()), Some(RequestError::NoMethod));
    let embedding = Request { embedding: true, ..nothing.clone() };
    let scorers = vec![Scorer::Measure(Measure::Laplacian)];
    let options = ScoreOptions { scorers: scorers.clone(), ..embedding.into() };
    assert_eq!(refusal(options), Some(RequestError::NoMethod));
    let measures = ScoreOptions { scorers, ..nothing.into() };
    let pipeline = FacePipeline::new(Arc::clone(&engine), faces, measures).unwrap();
    let crop = Crop::from_rgb(112, vec![7; 112 * 112 * 3]).unwrap();
    assert_eq!(pipeline.score_crops(&[crop])[0].as_ref().unwrap().scores, [0.0]);
}

#[test]
fn small_faces_are_left_out_on_request() {
    let engine = engine(false);
    let choice = FaceChoice { min_inter_eye_distance: 500.0, ..FaceChoice::default() };
    let faces = FaceOptions { choice, ..detected(&engine) };
    let pipeline = FacePipeline::new(Arc::clone(&engine), faces, engine.default_method()).unwrap();
    let failure = pipeline.score(example("astronaut.png")).faces.unwrap_err();
    assert_eq!(failure.status, Status::NoFace);
    assert!(failure.message.contains("at least 500"), "{failure}");
}

#[test]
fn no_face_message_mentions_downscaled_search() {
    let engine = engine(false);
    let pipeline =
        FacePipeline::new(Arc::clone(&engine), detected(&engine), engine.default_method()).unwrap();
    let wall = Image::from_rgb(3000, 500, vec![90; 3000 * 500 * 3]).unwrap();
    let failure = pipeline.score(wall).faces.unwrap_err();
    assert_eq!(failure.status, Status::NoFace);
    assert!(failure.message.starts_with("no face was found in the image; "), "{failure}");
    assert!(failure.message.contains("1920×320"), "{failure}");
}
