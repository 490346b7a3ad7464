//! The engine, compared with values computed with the authors' and CVLface's own modules.
//!
//! The tolerance is 1e-5 of the largest expected magnitude: both sides compute in f32, in different
//! orders, through up to five blocks.

use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::score::Method;

use crate::common::{Golden, assert_close};

const RELATIVE_TOLERANCE: f32 = 1e-5;

fn assess(golden: &Golden, extension: &str, request: &Request) -> Vec<Assessment> {
    let options = EngineOptions { embedding: request.embedding, ..Default::default() };
    let engine = Engine::new(&golden.checkpoint(extension), &options).expect("engine");
    let outcomes = engine.assess(&golden.crops(), request).expect("request");
    outcomes.into_iter().map(|outcome| outcome.expect("assessment")).collect()
}

fn methods(names: impl IntoIterator<Item = String>) -> Request {
    let methods = names.into_iter().map(|name| name.parse().expect("method")).collect();
    Request { methods, ..Request::new(Method::ATTN) }
}

fn check(golden: &Golden, what: &str, found: Vec<f32>, expected: &str) {
    let (_, expected) = golden.expected(expected);
    assert_close(&format!("{} {what}", golden.name), &found, &expected, RELATIVE_TOLERANCE);
}

#[test]
fn scores_and_variants_match_the_official_code_in_both_file_formats() {
    for golden in Golden::all() {
        let names = ["attn", "attn-median", "attn-max", "attn-inverse-std"].map(String::from);
        for extension in ["safetensors", "pt"] {
            let found = assess(&golden, extension, &methods(names.clone()));
            for (index, expected) in ["score", "median", "max", "inverse_std"].iter().enumerate() {
                let column = found.iter().map(|assessment| assessment.scores[index]).collect();
                check(&golden, expected, column, expected);
            }
        }
    }
}

#[test]
fn single_heads_and_blocks_match_the_official_code() {
    for golden in Golden::all() {
        let depth = golden.expected("score_per_block").0[1];
        for (names, expected) in [
            (
                (0..golden.heads).map(|h| format!("attn@head={h}")).collect::<Vec<_>>(),
                "score_per_head",
            ),
            ((0..depth).map(|b| format!("attn@block={b}")).collect(), "score_per_block"),
        ] {
            let found = assess(&golden, "safetensors", &methods(names));
            check(&golden, expected, found.into_iter().flat_map(|a| a.scores).collect(), expected);
        }
    }
}

#[test]
fn maps_match_the_means_of_the_official_matrix() {
    for golden in Golden::all() {
        let request =
            Request { received: true, paid: true, per_head: true, ..Request::new(Method::ATTN) };
        let found = assess(&golden, "safetensors", &request);
        let received = |a: &Assessment| a.received.as_ref().expect("a map").clone();
        let paid = |a: &Assessment| a.paid.as_ref().expect("a map").clone();

        let column = found.iter().flat_map(|a| received(a).mean.values().to_vec()).collect();
        check(&golden, "received", column, "received_by_patch");

        let (shape, logits) = golden.expected("last_logits");
        let [_, heads, tokens, _] = shape[..] else { panic!("logits are [B, H, N, N]") };
        for (image, logits) in logits.chunks_exact(heads * tokens * tokens).enumerate() {
            let mut paid_by_all = vec![0.0; tokens];
            for (head, logits) in logits.chunks_exact(tokens * tokens).enumerate() {
                let mut received_by_head = vec![0.0; tokens];
                let mut paid_by_head = vec![0.0; tokens];
                for (i, row) in logits.chunks_exact(tokens).enumerate() {
                    for (j, &value) in row.iter().enumerate() {
                        received_by_head[j] += value / tokens as f32;
                        paid_by_head[i] += value / tokens as f32;
                        paid_by_all[i] += value / (tokens * heads) as f32;
                    }
                }
                let what = format!("{} head {head}", golden.name);
                let map = &received(&found[image]).per_head[head];
                assert_close(&what, map.values(), &received_by_head, RELATIVE_TOLERANCE);
                let map = &paid(&found[image]).per_head[head];
                assert_close(&what, map.values(), &paid_by_head, RELATIVE_TOLERANCE);
            }
            assert_close(
                "paid",
                paid(&found[image]).mean.values(),
                &paid_by_all,
                RELATIVE_TOLERANCE,
            );
        }
    }
}

#[test]
fn embeddings_match_the_official_code() {
    for golden in Golden::all() {
        let request = Request { embedding: true, ..Request::new(Method::ATTN) };
        let found = assess(&golden, "safetensors", &request);
        let embeddings = found.into_iter().flat_map(|a| a.embedding.expect("an embedding"));
        check(&golden, "embedding", embeddings.collect(), "embedding");
    }
}
