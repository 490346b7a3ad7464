//! The engine against a second implementation, on the parts that no golden
//! network has: class tokens, GELU, patches that leave pixels over.

mod checkpoint_support;
mod naive;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::score::Method;
use attn_fiqa::vit::config::Activation;
use checkpoint_support::network::{Spec, TINY, Tensor, to_safetensors};
use naive::Naive;

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

fn close(what: &str, found: f32, expected: f64, scale: f64) {
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
                ..Request::new(Method::ATTN)
            };
            let outcome = engine.assess(std::slice::from_ref(&crop), &request).expect("a request");
            let found = outcome[0].as_ref().expect("an assessment");

            let answer = Naive::new(spec, gelu, &tensors).run(&rgb);
            let tokens = spec.tokens();
            let all = answer.logits.iter().flatten().flatten();
            let scale = all.clone().fold(0.0f64, |scale, value| scale.max(value.abs()));
            let score = all.sum::<f64>() / (spec.heads * tokens * tokens) as f64;
            close(&what, found.scores[0], score, scale);

            // The class token has no place in a map.
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
                close(&what, received.values()[patch - first], by_all, scale);
                let to_all = mean(&|a, j| a[patch][j]);
                close(&what, paid.values()[patch - first], to_all, scale);
            }

            let embedding = found.embedding.as_ref().expect("an embedding");
            let scale = answer.embedding.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
            for (&found, &expected) in embedding.iter().zip(&answer.embedding) {
                close(&what, found, expected, scale);
            }
        }
    }
}
