//! A second implementation of the network: f64, element by element, straight from the definitions,
//! sharing no code with the library.

use std::collections::HashMap;

use crate::checkpoint_support::network::{Spec, Tensor};

pub(crate) struct Naive<'a> {
    spec: Spec,
    gelu: bool,
    tensors: HashMap<&'a str, &'a [f32]>,
}

/// The results for one image.
pub(crate) struct NaiveOutput {
    /// `A[head][i][j]` of the last block, before softmax.
    pub(crate) logits: Vec<Vec<Vec<f64>>>,
    pub(crate) embedding: Vec<f64>,
    /// Every token after each block, normalised like the last one, `[block][token][dim]`.
    pub(crate) stages: Vec<Vec<Vec<f64>>>,
}

type Rows = Vec<Vec<f64>>;

impl<'a> Naive<'a> {
    pub(crate) fn new(spec: Spec, gelu: bool, tensors: &'a [Tensor]) -> Self {
        let tensors = tensors.iter().map(|t| (t.name.as_str(), t.values.as_slice())).collect();
        Self { spec, gelu, tensors }
    }

    fn at(&self, name: &str, index: usize) -> f64 {
        f64::from(self.tensors[name][index])
    }

    fn linear(&self, x: &[f64], name: &str, outputs: usize) -> Vec<f64> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let biased = self.tensors.contains_key(bias.as_str());
        (0..outputs)
            .map(|o| {
                let start = if biased { self.at(&bias, o) } else { 0.0 };
                start + (0..x.len()).map(|i| self.at(&weight, o * x.len() + i) * x[i]).sum::<f64>()
            })
            .collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        (0..x.len())
            .map(|i| {
                (x[i] - mean) / (variance + 1e-5).sqrt() * self.at(&weight, i) + self.at(&bias, i)
            })
            .collect()
    }

    fn tokens(&self, rgb: &[u8]) -> Rows {
        let Spec { patch, dim, .. } = self.spec;
        let grid = 112 / patch;
        let mut rows = Rows::new();
        if self.spec.class_token {
            rows.push((0..dim).map(|d| self.at("cls_token", d)).collect());
        }
        for (top, left) in (0..grid * grid).map(|p| (p / grid * patch, p % grid * patch)) {
            let mut pixels = Vec::new();
            for channel in 0..3 {
                for y in top..top + patch {
                    for x in left..left + patch {
                        let level = f64::from(rgb[(y * 112 + x) * 3 + channel]);
                        pixels.push((level / 255.0 - 0.5) / 0.5);
                    }
                }
            }
            rows.push(self.linear(&pixels, "patch_embed.proj", dim));
        }
        for (token, row) in rows.iter_mut().enumerate() {
            for (d, value) in row.iter_mut().enumerate() {
                *value += self.at("pos_embed", token * dim + d);
            }
        }
        rows
    }

    /// The logits of a block, and the attention output.
    fn attention(&self, rows: &Rows, block: usize) -> (Vec<Rows>, Rows) {
        let Spec { dim, heads, .. } = self.spec;
        let width = dim / heads;
        let qkv: Rows = rows
            .iter()
            .map(|row| {
                let normed = self.norm(row, &format!("blocks.{block}.norm1"));
                self.linear(&normed, &format!("blocks.{block}.attn.qkv"), 3 * dim)
            })
            .collect();
        let mut logits = Vec::new();
        let mut mixed = vec![vec![0.0; dim]; rows.len()];
        for head in 0..heads {
            let part = |which: usize, d: usize| which * dim + head * width + d;
            let matrix: Rows = qkv
                .iter()
                .map(|q| {
                    let product = |k: &Vec<f64>| {
                        (0..width).map(|d| q[part(0, d)] * k[part(1, d)]).sum::<f64>()
                    };
                    qkv.iter().map(|k| product(k) / (width as f64).sqrt()).collect()
                })
                .collect();
            for (i, row) in matrix.iter().enumerate() {
                let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
                for (j, value) in row.iter().enumerate() {
                    for d in 0..width {
                        mixed[i][head * width + d] +=
                            (value - max).exp() / sum * qkv[j][part(2, d)];
                    }
                }
            }
            logits.push(matrix);
        }
        (logits, mixed)
    }

    pub(crate) fn run(&self, rgb: &[u8]) -> NaiveOutput {
        let Spec { dim, depth, mlp, hidden, embedding, .. } = self.spec;
        let mut rows = self.tokens(rgb);
        let mut last_logits = Vec::new();
        let mut stages = Vec::new();
        for block in 0..depth {
            let (logits, mixed) = self.attention(&rows, block);
            last_logits = logits;
            for (row, mixed) in rows.iter_mut().zip(&mixed) {
                let added = self.linear(mixed, &format!("blocks.{block}.attn.proj"), dim);
                row.iter_mut().zip(added).for_each(|(x, y)| *x += y);
                let normed = self.norm(row, &format!("blocks.{block}.norm2"));
                let inner = self.linear(&normed, &format!("blocks.{block}.mlp.fc1"), mlp);
                let inner: Vec<f64> = inner.into_iter().map(|x| self.activate(x)).collect();
                let added = self.linear(&inner, &format!("blocks.{block}.mlp.fc2"), dim);
                row.iter_mut().zip(added).for_each(|(x, y)| *x += y);
            }
            stages.push(rows.iter().map(|row| self.norm(row, "norm")).collect());
        }
        let flat: Vec<f64> = rows.iter().flat_map(|row| self.norm(row, "norm")).collect();
        let first = self.batch_norm(self.linear(&flat, "feature.0", hidden), "feature.1");
        let second = self.batch_norm(self.linear(&first, "feature.2", embedding), "feature.3");
        NaiveOutput { logits: last_logits, embedding: second, stages }
    }

    fn activate(&self, x: f64) -> f64 {
        if self.gelu { x * normal_distribution(x) } else { x.clamp(0.0, 6.0) }
    }

    fn batch_norm(&self, x: Vec<f64>, name: &str) -> Vec<f64> {
        let part = |part: &str, i: usize| self.at(&format!("{name}.{part}"), i);
        let norm = |(i, x): (usize, f64)| {
            let centred = x - part("running_mean", i);
            centred / (part("running_var", i) + 2e-5).sqrt() * part("weight", i) + part("bias", i)
        };
        x.into_iter().enumerate().map(norm).collect()
    }
}

/// Φ(x), with the density integrated from 0 by Simpson's rule.
fn normal_distribution(x: f64) -> f64 {
    const STEPS: usize = 400;
    let x = x.clamp(-12.0, 12.0);
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let step = x / STEPS as f64;
    let inner: f64 =
        (1..STEPS).map(|i| density(step * i as f64) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + step / 3.0 * (density(0.0) + inner + density(x))
}
