//! Compares one head of attention on every instruction set with its definition in f64.

use crate::numbers::{nearest_bf16, values};
use crate::{AttentionShape, CpuFeature, Isa, Precision, attention};

/// One head's output by definition and, in the same shape, the mean magnitude of the values under
/// the same weights: the scale of a relative error in the weights.
struct Expected {
    out: Vec<f64>,
    magnitude: Vec<f64>,
}

fn naive(qkv: &[f32], shape: &AttentionShape, head: usize, bias: Option<&[f32]>) -> Expected {
    let AttentionShape { heads, head_dim, scale } = *shape;
    let width = 3 * heads * head_dim;
    let tokens = qkv.len() / width;
    let at = |which: usize, token: usize, i: usize| {
        f64::from(qkv[token * width + (which * heads + head) * head_dim + i])
    };
    let (mut out, mut magnitude) = (Vec::new(), Vec::new());
    for query in 0..tokens {
        let weights: Vec<f64> = (0..tokens)
            .map(|key| {
                let products = (0..head_dim).map(|i| at(0, query, i) * at(1, key, i));
                let bias = bias.map_or(0.0, |bias| f64::from(bias[query * tokens + key]));
                (f64::from(scale) * products.sum::<f64>() + bias).exp()
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        for i in 0..head_dim {
            let mean = |value: fn(f64) -> f64| {
                let products = (0..tokens).map(|key| weights[key] * value(at(2, key, i)));
                products.sum::<f64>() / sum
            };
            out.push(mean(|value| value));
            magnitude.push(mean(f64::abs));
        }
    }
    Expected { out, magnitude }
}

/// If the machine multiplies in bf16, queries, keys and values are first rounded to bf16, in the
/// reference as well. What remains is the error of rounding the weights to eight significant bits,
/// at most 2⁻⁸ each, and 5·10⁻⁴ for the weights themselves: half for f32 sums of 64 products, half
/// for the power series.
const BF16_WEIGHTS: f64 = 1.0 / 256.0 + 5e-4;

/// Otherwise everything is f32: logits of up to 16 have an error of 10⁻⁶, and so do the weights.
const F32: f64 = 1e-5;

/// In bf16x2, a product is off by at most 2⁻¹⁶ of its magnitude. Logits, of up to 16, are off by
/// 2⁻¹⁶ of the sum of their products' magnitudes, the weights by twice that, and the products of
/// weights and values by another 2⁻¹⁶.
const BF16X2: f64 = 5e-4;

#[test]
fn attention_matches_its_definition_on_awkward_sizes() {
    for tokens in [1, 2, 13, 14, 15, 33, 64, 101] {
        for (heads, head_dim) in [(1, 1), (3, 5), (2, 32), (2, 37), (1, 64)] {
            let shape = AttentionShape { heads, head_dim, scale: 2.0 / (head_dim as f32).sqrt() };
            let qkv = values(tokens * 3 * heads * head_dim, tokens as u32);
            let rounded: Vec<f32> = qkv.iter().map(|&value| nearest_bf16(value)).collect();
            // Larger than the logits, so that the bias decides where attention goes.
            let of_pairs: Vec<f32> =
                values(tokens * tokens, head_dim as u32).iter().map(|value| 5.0 * value).collect();
            for (head, bias) in
                (0..heads).flat_map(|head| [None, Some(&of_pairs[..])].map(|bias| (head, bias)))
            {
                let [exact, coarse] = [&qkv, &rounded].map(|qkv| naive(qkv, &shape, head, bias));
                for (isa, precision) in Isa::available_or_emulated()
                    .into_iter()
                    .flat_map(|isa| Precision::ALL.map(|precision| (isa, precision)))
                {
                    let coarse_products = [Precision::Bf16, Precision::Int8].contains(&precision);
                    let multiplies = [CpuFeature::Avx512Bf16, CpuFeature::AmxBf16];
                    let bf16 = coarse_products && multiplies.into_iter().any(|part| isa.has(part));
                    let expected = if bf16 { &coarse } else { &exact };
                    // The previous contents must not affect the result.
                    let mut out = vec![f32::NAN; tokens * head_dim];
                    attention(isa, precision, &qkv, &shape, head, bias, &mut out);
                    for (at, found) in out.iter().enumerate() {
                        let error = (f64::from(*found) - expected.out[at]).abs();
                        let of_weights = match precision {
                            _ if bf16 => BF16_WEIGHTS,
                            Precision::Bf16x2 => BF16X2,
                            _ => 0.0,
                        };
                        let allowed = F32 + of_weights * expected.magnitude[at];
                        assert!(
                            error <= allowed,
                            "{} on {}, {tokens} tokens, head {head} of {heads}×{head_dim}, with \
                             bias {}: {found} is not {}, off by {error:e}, {allowed:e} allowed",
                            precision.name(),
                            isa.name(),
                            bias.is_some(),
                            expected.out[at]
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn attention_keeps_no_state_between_calls() {
    let shape = AttentionShape { heads: 2, head_dim: 9, scale: 1.0 };
    let (first, second) = (values(7 * 54, 1), values(7 * 54, 2));
    for isa in Isa::available_or_emulated() {
        for precision in Precision::ALL {
            let run = |qkv: &[f32]| {
                let mut out = vec![0.0; 7 * 9];
                attention(isa, precision, qkv, &shape, 1, None, &mut out);
                out
            };
            let alone = run(&first);
            run(&second);
            assert_eq!(run(&first), alone);
        }
    }
}
