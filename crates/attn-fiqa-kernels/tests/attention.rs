//! One head of attention on every instruction set against its definition in f64.

mod numbers;

use attn_fiqa_kernels::{AttentionShape, Isa, Precision, attention};
use numbers::values;

fn naive(qkv: &[f32], shape: &AttentionShape, head: usize) -> Vec<f64> {
    let AttentionShape { heads, head_dim, scale } = *shape;
    let width = 3 * heads * head_dim;
    let tokens = qkv.len() / width;
    let at = |which: usize, token: usize, i: usize| {
        f64::from(qkv[token * width + (which * heads + head) * head_dim + i])
    };
    let mut out = vec![0.0; tokens * head_dim];
    for query in 0..tokens {
        let logits: Vec<f64> = (0..tokens)
            .map(|key| {
                let products = (0..head_dim).map(|i| at(0, query, i) * at(1, key, i));
                (f64::from(scale) * products.sum::<f64>()).exp()
            })
            .collect();
        let sum: f64 = logits.iter().sum();
        for i in 0..head_dim {
            let mixed: f64 = (0..tokens).map(|key| logits[key] * at(2, key, i)).sum();
            out[query * head_dim + i] = mixed / sum;
        }
    }
    out
}

#[test]
fn attention_meets_its_definition_on_awkward_sizes() {
    for tokens in [1, 2, 13, 14, 15, 33, 64, 101] {
        for (heads, head_dim) in [(1, 1), (3, 5), (2, 32), (2, 37), (1, 64)] {
            let shape = AttentionShape { heads, head_dim, scale: 2.0 / (head_dim as f32).sqrt() };
            let qkv = values(tokens * 3 * heads * head_dim, tokens as u32);
            for head in 0..heads {
                let expected = naive(&qkv, &shape, head);
                for isa in Isa::available() {
                    for (precision, allowed) in
                        Precision::ALL.into_iter().zip([1e-5, 1.0 / 64.0, 1.0 / 64.0])
                    {
                        // What was there before must not show through.
                        let mut out = vec![f32::NAN; tokens * head_dim];
                        attention(isa, precision, &qkv, &shape, head, &mut out);
                        for (found, expected) in out.iter().zip(&expected) {
                            assert!(
                                (f64::from(*found) - expected).abs() < allowed,
                                "{} on {}, {tokens} tokens, head {head} of {heads}×{head_dim}: \
                                 {found} is not {expected}",
                                precision.name(),
                                isa.name()
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_head_does_not_remember_the_one_before() {
    let shape = AttentionShape { heads: 2, head_dim: 9, scale: 1.0 };
    let (first, second) = (values(7 * 54, 1), values(7 * 54, 2));
    for isa in Isa::available() {
        for precision in Precision::ALL {
            let run = |qkv: &[f32]| {
                let mut out = vec![0.0; 7 * 9];
                attention(isa, precision, qkv, &shape, 1, &mut out);
                out
            };
            let alone = run(&first);
            run(&second);
            assert_eq!(run(&first), alone);
        }
    }
}
