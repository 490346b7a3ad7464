//! The engine, compared with a second implementation, on features that no golden network has: class
//! tokens, GELU, image sizes that are not a multiple of the patch size.

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::score::Method;
use attn_fiqa::vit::config::Activation;

use crate::checkpoint_support::network::{Spec, TINY, Tensor, to_safetensors};
use crate::naive::Naive;

fn weights(spec: Spec) -> Vec<Tensor> {
    let mut tensors = spec.tensors(7);
    for tensor in &mut tensors {
        if tensor.name.ends_with("running_var") {
            tensor.values.iter_mut().for_each(|value| *value = value.abs() + 0.1);
        } else if tensor.name.contains("weight") {
            // Small enough that softmax does not collapse onto one token.
            tensor.values.iter_mut().for_each(|value| *value *= 0.2);
        }
    }
    tensors
}

fn assert_within(what: &str, found: f32, expected: f64, scale: f64) {
    // f32 through a few blocks, relative to the largest value of its kind.
    let error = (f64::from(found) - expected).abs();
    assert!(error < 2e-5 * scale.max(1e-3), "{what}: {found} is not {expected}");
}

#[test]
fn every_kind_of_network_matches_a_second_implementation() {
    let specs = [
        TINY,
        Spec { class_token: true, ..TINY },
        Spec { patch: 28, depth: 3, qkv_bias: true, class_token: true, ..TINY },
        Spec { patch: 9, dim: 12, heads: 3, depth: 2, mlp: 17, ..TINY },
        Spec { depth: 1, ..TINY },
    ];
    let rgb: Vec<u8> = (0..112 * 112 * 3).map(|i| ((i * 31 + i / 336 * 7) % 256) as u8).collect();
    let crop = Crop::from_rgb(112, rgb.clone()).expect("a crop");
    for spec in specs {
        for gelu in [false, true] {
            let what = format!("{spec:?}, gelu {gelu}");
            let tensors = weights(spec);
            let options = CheckpointOptions {
                heads: Some(spec.heads),
                activation: gelu.then_some(Activation::Gelu),
                ..CheckpointOptions::default()
            };
            let bytes = to_safetensors(&tensors, &[]);
            let checkpoint = Checkpoint::from_bytes(bytes, "naive", &options).expect("a network");
            let options = EngineOptions { embedding: true, ..EngineOptions::default() };
            let engine = Engine::new(&checkpoint, &options).expect("an engine");
            let request = Request {
                received: true,
                paid: true,
                embedding: true,
                methods: ["attn", "vitnt", "vitnt-weighted", "norm"]
                    .map(|name| name.parse().expect("a method"))
                    .into(),
                ..Request::new(Method::ATTN)
            };
            let outcome = engine.assess(std::slice::from_ref(&crop), &request).expect("a request");
            let found = outcome[0].as_ref().expect("an assessment");

            let answer = Naive::new(spec, gelu, &tensors).run(&rgb);
            let tokens = spec.tokens();
            let all = answer.logits.iter().flatten().flatten();
            let scale = all.clone().fold(0.0f64, |scale, value| scale.max(value.abs()));
            let score = all.sum::<f64>() / (spec.heads * tokens * tokens) as f64;
            assert_within(&what, found.scores[0], score, scale);

            // The class token is not part of a map.
            let first = usize::from(spec.class_token);
            let (received, paid) = (found.received.as_ref(), found.paid.as_ref());
            let (received, paid) = (&received.expect("a map").mean, &paid.expect("a map").mean);
            assert_eq!(received.values().len(), tokens - first);
            for patch in first..tokens {
                let mean = |value: &dyn Fn(&Vec<Vec<f64>>, usize) -> f64| {
                    let heads = answer.logits.iter();
                    let sum: f64 =
                        heads.map(|a| (0..tokens).map(|t| value(a, t)).sum::<f64>()).sum();
                    sum / (spec.heads * tokens) as f64
                };
                let by_all = mean(&|a, i| a[i][patch]);
                assert_within(&what, received.values()[patch - first], by_all, scale);
                let to_all = mean(&|a, j| a[patch][j]);
                assert_within(&what, paid.values()[patch - first], to_all, scale);
            }

            let stability = patch_stability(&answer.stages, first);
            let mean = stability.iter().sum::<f64>() / stability.len() as f64;
            assert_within(&what, found.scores[1], mean, 1.0);
            let weights: Vec<f64> =
                (first..tokens).map(|patch| softmax_received(&answer.logits, patch)).collect();
            let weighted: f64 = stability.iter().zip(&weights).map(|(q, w)| q * w).sum();
            assert_within(&what, found.scores[2], weighted / weights.iter().sum::<f64>(), 1.0);

            let norm = answer.embedding.iter().map(|value| value * value).sum::<f64>().sqrt();
            assert_within(&what, found.scores[3], norm, norm);
            let embedding = found.embedding.as_ref().expect("an embedding");
            let scale = answer.embedding.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
            for (&found, &expected) in embedding.iter().zip(&answer.embedding) {
                assert_within(&what, found, expected, scale);
            }
        }
    }
}

/// `2/(1+e^{8·d̄})` of every patch, by its definition.
fn patch_stability(stages: &[Vec<Vec<f64>>], first: usize) -> Vec<f64> {
    let unit = |row: &Vec<f64>| {
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter().map(|v| v / length).collect::<Vec<f64>>()
    };
    let score = |patch: usize| {
        let mut distances = Vec::new();
        for step in 1..stages.len() {
            let (a, b) = (unit(&stages[step - 1][patch]), unit(&stages[step][patch]));
            distances.push(a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt());
        }
        let mean = distances.iter().sum::<f64>() / distances.len().max(1) as f64;
        2.0 / (1.0 + (8.0 * mean).exp())
    };
    (first..stages[0].len()).map(score).collect()
}

/// The attention that a token receives after softmax, averaged over heads and queries.
fn softmax_received(logits: &[Vec<Vec<f64>>], token: usize) -> f64 {
    let rows: Vec<&Vec<f64>> = logits.iter().flatten().collect();
    let fraction = |row: &&Vec<f64>| row[token].exp() / row.iter().map(|v| v.exp()).sum::<f64>();
    rows.iter().map(fraction).sum::<f64>() / rows.len() as f64
}

#[test]
fn dropout_score_is_batch_invariant_and_in_range() {
    let tensors = weights(TINY);
    let options = CheckpointOptions { heads: Some(TINY.heads), ..CheckpointOptions::default() };
    let bytes = to_safetensors(&tensors, &[]);
    let checkpoint = Checkpoint::from_bytes(bytes, "naive", &options).expect("a network");
    let engine = |threads: usize| {
        let threads = std::num::NonZeroUsize::new(threads);
        let options = EngineOptions { embedding: true, threads, ..EngineOptions::default() };
        Engine::new(&checkpoint, &options).expect("an engine")
    };
    let crops: Vec<Crop> = (1..4usize)
        .map(|k| {
            let rgb = (0..112 * 112 * 3).map(|i| ((i * 37 * k + i / 336 * 11) % 256) as u8);
            Crop::from_rgb(112, rgb.collect()).expect("a crop")
        })
        .collect();
    let request = Request::new("dropout".parse().expect("a method"));
    let scores = |engine: &Engine, crops: &[Crop]| -> Vec<f32> {
        let outcomes = engine.assess(crops, &request).expect("a request");
        outcomes.into_iter().map(|outcome| outcome.expect("a score").scores[0]).collect()
    };
    let together = scores(&engine(1), &crops);
    let alone: Vec<f32> =
        crops.iter().map(|crop| scores(&engine(2), std::slice::from_ref(crop))[0]).collect();
    assert_eq!(together, alone);
    assert!(together.iter().all(|score| (0.0..1.0).contains(score)), "{together:?}");
    assert!(together[0] != together[1], "{together:?}");

    let without_head = Engine::new(&checkpoint, &EngineOptions::default()).expect("an engine");
    let error = without_head.assess(&crops, &request).expect_err("no last block");
    assert!(error.to_string().contains("full forward pass"), "{error}");
}
