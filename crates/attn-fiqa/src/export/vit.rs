//! The network up to the last block's normalised input, and on to the embedding.
//!
//! Linear layers keep the checkpoint's weights; only the matrices are transposed, since ONNX
//! multiplies rows by `[in, out]`.

use super::error::ExportProblem;
use super::graph::{Attribute, Axis, Element, Graph, Value};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::vit::config::{
    Activation, EmbeddingHeadConfig, EmbeddingTokens, FlattenedHead, PooledHead, Pooling, VitConfig,
};
use crate::vit::{BATCH_NORM_EPS, start_tokens, weights_of_pixels};

/// The graph's input.
pub(super) const INPUT: &str = "image";

pub(super) struct VitGraph<'a, 'g> {
    pub(super) graph: &'g mut Graph<'a>,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) config: VitConfig,
    /// The type of the blocks' weights and products.
    pub(super) element: Element,
}

impl<'a> VitGraph<'a, '_> {
    /// Adds the input, and returns the tokens `[batch, token, dim]` that enter the last block.
    pub(super) fn last_input(&mut self) -> Result<Value, ExportProblem> {
        let mut tokens = self.patch_embed()?;
        if self.config.norm_pre {
            tokens = self.layer_norm(&tokens, "norm_pre");
        }
        for block in 0..self.config.depth - 1 {
            let normed = self.layer_norm(&tokens, &format!("blocks.{block}.norm1"));
            let normed = self.cast_for_blocks(&normed);
            let dim = self.config.embed_dim;
            let qkv = self.linear(&normed, &format!("blocks.{block}.attn.qkv"), dim, 3 * dim);
            self.graph.enter(&format!("blocks.{block}.attn"));
            let [q, k, v] = self.graph.split(&qkv, 2, dim);
            let [q, k] = [(&q, "q_norm"), (&k, "k_norm")].map(|(part, norm)| {
                if !self.config.qk_norm {
                    return part.clone();
                }
                let part = self.cast_to_f32(part);
                let part = self.per_head_norm(&part, &format!("blocks.{block}.attn.{norm}"));
                self.cast_for_blocks(&part)
            });
            tokens = self.rest_of_block(&tokens, [&q, &k, &v], block);
        }
        Ok(tokens)
    }

    /// LayerNorm over each head's part of queries or keys `[batch, token, dim]`, in f32.
    pub(super) fn per_head_norm(&mut self, x: &str, name: &str) -> Value {
        let VitConfig { embed_dim, num_heads, .. } = self.config;
        let width = self.config.head_dim();
        self.graph.enter(name);
        let heads = self.graph.reshape(x, &[0, -1, num_heads as i64, width as i64]);
        let normed = self.layer_norm_of(&heads, name, width);
        self.graph.reshape(&normed, &[0, -1, embed_dim as i64])
    }

    /// The full last block and the embedding head. `normed` is the block's standardised input, and
    /// `query` and `key` are its queries and keys, all f32.
    pub(super) fn embedding(
        &mut self,
        tokens: &str,
        normed: &str,
        query: &str,
        key: &str,
    ) -> Value {
        let last = self.config.depth - 1;
        let dim = self.config.embed_dim;
        let checkpoint = self.checkpoint;
        let norm = format!("blocks.{last}.norm1");
        self.graph.enter(&norm);
        let [gamma, beta] =
            ["weight", "bias"].map(|part| self.vector(&format!("{norm}.{part}"), dim));
        let scaled = self.graph.op("Mul", &[normed, &gamma]);
        let affine = self.graph.op("Add", &[&scaled, &beta]);
        let affine = self.cast_for_blocks(&affine);
        self.graph.enter(&format!("blocks.{last}.attn"));
        let qkv = format!("blocks.{last}.attn.qkv");
        let source = format!("{qkv}.weight");
        let weight = self.graph.weights(
            &format!("blocks.{last}.attn.v.weight"),
            &[dim, dim],
            self.element,
            move || Ok(transposed(&checkpoint.read_f32(&source)?[2 * dim * dim..], dim)),
        );
        let mut value = self.graph.op("MatMul", &[&affine, &weight]);
        if self.config.qkv_bias {
            let source = format!("{qkv}.bias");
            let bias = self.graph.weights(
                &format!("blocks.{last}.attn.v.bias"),
                &[dim],
                self.element,
                move || Ok(checkpoint.read_f32(&source)?[2 * dim..].to_vec()),
            );
            value = self.graph.op("Add", &[&value, &bias]);
        }
        let [query, key] = [query, key].map(|value| self.cast_for_blocks(value));
        let tokens = self.rest_of_block(tokens, [&query, &key, &value], last);
        self.embedding_head(&tokens)
    }

    /// The pixel normalisation is folded into the convolution, which stays f32: its weights would
    /// be subnormal in f16.
    fn patch_embed(&mut self) -> Result<Value, ExportProblem> {
        let VitConfig { image_size, patch_size, embed_dim, .. } = self.config;
        let side = Axis::Fixed(image_size);
        let image = self.graph.input(INPUT, &[Axis::Named("batch"), Axis::Fixed(3), side, side]);
        self.graph.enter("patch_embed");
        let (weight, bias) = weights_of_pixels(self.checkpoint)?;
        let weight = self.graph.floats(&[embed_dim, 3, patch_size, patch_size], weight);
        let bias = self.graph.floats(&[embed_dim], bias);
        let kernel = [patch_size as i64; 2];
        let attributes =
            [Attribute::Integers("kernel_shape", &kernel), Attribute::Integers("strides", &kernel)];
        let patches = self.graph.op_with("Conv", &[&image, &weight, &bias], &attributes);
        let rows = self.graph.reshape(&patches, &[0, embed_dim as i64, -1]);
        let mut tokens = self.graph.transpose(&rows, &[0, 2, 1]);
        let prefix = self.config.prefix_tokens() as i64;
        if prefix > 0 {
            let zero = self.graph.scalar(Element::F32, 0.0);
            let before = self.graph.integers(&[0, prefix, 0, 0, 0, 0]);
            tokens = self.graph.op("Pad", &[&tokens, &before, &zero]);
        }
        let start = start_tokens(self.checkpoint)?;
        let start = self.graph.floats(&[1, self.config.tokens(), embed_dim], start);
        Ok(self.graph.op("Add", &[&tokens, &start]))
    }

    /// LayerNorm over tokens, in f32, with the checkpoint's weights.
    fn layer_norm(&mut self, x: &str, name: &str) -> Value {
        self.graph.enter(name);
        self.layer_norm_of(x, name, self.config.embed_dim)
    }

    fn layer_norm_of(&mut self, x: &str, name: &str, dim: usize) -> Value {
        let [weight, bias] =
            ["weight", "bias"].map(|part| self.vector(&format!("{name}.{part}"), dim));
        self.normalised(x, &weight, &bias)
    }

    /// A one-dimensional tensor, in f32.
    fn vector(&mut self, name: &str, dim: usize) -> Value {
        let (checkpoint, source) = (self.checkpoint, name.to_owned());
        self.graph.weights(name, &[dim], Element::F32, move || checkpoint.read_f32(&source))
    }

    /// Normalises to zero mean and unit variance, without weights.
    pub(super) fn standardised(&mut self, x: &str) -> Value {
        let dim = self.config.embed_dim;
        let [one, zero] = [1.0, 0.0].map(|value| self.graph.floats(&[dim], vec![value; dim]));
        self.normalised(x, &one, &zero)
    }

    fn normalised(&mut self, x: &str, weight: &str, bias: &str) -> Value {
        let eps = Attribute::Float("epsilon", self.config.layer_norm_eps);
        let axis = Attribute::Integer("axis", -1);
        self.graph.op_with("LayerNormalization", &[x, weight, bias], &[axis, eps])
    }

    /// `x·Wᵀ + b` in the type of the blocks.
    fn linear(&mut self, x: &str, name: &str, inputs: usize, outputs: usize) -> Value {
        let checkpoint = self.checkpoint;
        self.graph.enter(name);
        let weight_name = format!("{name}.weight");
        let source = weight_name.clone();
        let weight =
            self.graph.weights(&weight_name, &[inputs, outputs], self.element, move || {
                Ok(transposed(&checkpoint.read_f32(&source)?, inputs))
            });
        let product = self.graph.op("MatMul", &[x, &weight]);
        let bias_name = format!("{name}.bias");
        if !checkpoint.contains(&bias_name) {
            return product;
        }
        let source = bias_name.clone();
        let bias = self
            .graph
            .weights(&bias_name, &[outputs], self.element, move || checkpoint.read_f32(&source));
        self.graph.op("Add", &[&product, &bias])
    }

    /// The attention of queries, keys and values `[batch, token, dim]`, and the rest of the block.
    fn rest_of_block(&mut self, tokens: &str, qkv: [&str; 3], block: usize) -> Value {
        let VitConfig { embed_dim: dim, mlp_dim, .. } = self.config;
        let block = format!("blocks.{block}");
        let mixed = self.attention(qkv, &block);
        let added = self.linear(&mixed, &format!("{block}.attn.proj"), dim, dim);
        let tokens = self.add_scaled(tokens, &added, &format!("{block}.ls1"));
        let normed = self.layer_norm(&tokens, &format!("{block}.norm2"));
        let normed = self.cast_for_blocks(&normed);
        let outputs = self.config.mlp_outputs();
        let hidden = self.linear(&normed, &format!("{block}.mlp.fc1"), dim, outputs);
        let hidden = self.activation(&hidden);
        let added = self.linear(&hidden, &format!("{block}.mlp.fc2"), mlp_dim, dim);
        self.add_scaled(&tokens, &added, &format!("{block}.ls2"))
    }

    /// Adds to the residual stream, in f32, after LayerScale if the network has it.
    fn add_scaled(&mut self, tokens: &str, added: &str, scale: &str) -> Value {
        let mut added = self.cast_to_f32(added);
        if self.config.layer_scale {
            self.graph.enter(scale);
            let gamma = self.vector(&format!("{scale}.gamma"), self.config.embed_dim);
            added = self.graph.op("Mul", &[&added, &gamma]);
        }
        self.graph.op("Add", &[tokens, &added])
    }

    fn attention(&mut self, qkv: [&str; 3], block: &str) -> Value {
        let VitConfig { embed_dim, num_heads, .. } = self.config;
        let (heads, width) = (num_heads as i64, self.config.head_dim() as i64);
        self.graph.enter(&format!("{block}.attn"));
        let [q, k, v] = qkv.map(|part| self.graph.reshape(part, &[0, -1, heads, width]));
        let q = self.graph.transpose(&q, &[0, 2, 1, 3]);
        let k = self.graph.transpose(&k, &[0, 2, 3, 1]);
        let v = self.graph.transpose(&v, &[0, 2, 1, 3]);
        // Scaled before the product, to keep the logits small in f16.
        let scale = self.graph.scalar(self.element, self.config.scale());
        let q = self.graph.op("Mul", &[&q, &scale]);
        let logits = self.graph.op("MatMul", &[&q, &k]);
        let weights = self.graph.op_with("Softmax", &[&logits], &[Attribute::Integer("axis", -1)]);
        let mixed = self.graph.op("MatMul", &[&weights, &v]);
        let mixed = self.graph.transpose(&mixed, &[0, 2, 1, 3]);
        self.graph.reshape(&mixed, &[0, -1, embed_dim as i64])
    }

    fn activation(&mut self, x: &str) -> Value {
        match self.config.activation {
            Activation::Relu6 => self.graph.clip(x, self.element, 0.0, 6.0),
            // The operator Gelu was added in opset 20.
            Activation::Gelu => {
                let root = self.graph.scalar(self.element, std::f32::consts::FRAC_1_SQRT_2);
                let scaled = self.graph.op("Mul", &[x, &root]);
                let erf = self.graph.op("Erf", &[&scaled]);
                let one = self.graph.scalar(self.element, 1.0);
                let half = self.graph.scalar(self.element, 0.5);
                let sum = self.graph.op("Add", &[&erf, &one]);
                let product = self.graph.op("Mul", &[x, &sum]);
                self.graph.op("Mul", &[&product, &half])
            }
            Activation::QuickGelu => {
                let factor = self.graph.scalar(self.element, 1.702);
                let scaled = self.graph.op("Mul", &[x, &factor]);
                let gate = self.graph.op("Sigmoid", &[&scaled]);
                self.graph.op("Mul", &[x, &gate])
            }
            Activation::SwiGlu => {
                let [a, b] = self.graph.split(x, 2, self.config.mlp_dim);
                let gate = self.graph.op("Sigmoid", &[&a]);
                let gated = self.graph.op("Mul", &[&a, &gate]);
                self.graph.op("Mul", &[&gated, &b])
            }
        }
    }

    fn embedding_head(&mut self, tokens: &str) -> Value {
        match self.config.embedding_head.expect("no embedding head: this is a bug") {
            EmbeddingHeadConfig::Flattened(head) => self.flattened_head(tokens, head),
            EmbeddingHeadConfig::Pooled(head) => self.pooled_head(tokens, head),
        }
    }

    fn flattened_head(&mut self, tokens: &str, head: FlattenedHead) -> Value {
        let normed = self.layer_norm(tokens, "norm");
        let kept = match head.tokens {
            EmbeddingTokens::All => normed,
            EmbeddingTokens::Patches => self.patches(&normed),
            EmbeddingTokens::Class => self.graph.slice(&normed, 1, 0, 1),
        };
        let count = self.config.flattened_tokens(head.tokens);
        let inputs = count * self.config.embed_dim;
        let kept = match head.gated {
            true => self.gated(&kept, count, inputs),
            false => kept,
        };
        let flat = self.flattened(&kept);
        let hidden = self.projection(&flat, 0, inputs, head.hidden_dim);
        let hidden = self.cast_for_blocks(&hidden);
        self.projection(&hidden, 2, head.hidden_dim, head.dim)
    }

    /// Flattens `[batch, token, dim]` to rows, in the type of the blocks.
    fn flattened(&mut self, x: &str) -> Value {
        let flat = self.graph.op_with("Flatten", &[x], &[Attribute::Integer("axis", 1)]);
        self.cast_for_blocks(&flat)
    }

    /// Multiplies every token by its gate (TransFace), in f32.
    fn gated(&mut self, tokens: &str, count: usize, inputs: usize) -> Value {
        self.graph.enter("senet");
        let flat = self.flattened(tokens);
        let hidden = self.rows_times(&flat, "senet.0.weight", inputs, count);
        let hidden = self.graph.op("Relu", &[&hidden]);
        let gates = self.rows_times(&hidden, "senet.2.weight", count, count);
        let gates = self.cast_to_f32(&gates);
        let gates = self.graph.op("Sigmoid", &[&gates]);
        let gates = self.graph.unsqueeze(&gates, 2);
        self.graph.op("Mul", &[tokens, &gates])
    }

    fn pooled_head(&mut self, tokens: &str, head: PooledHead) -> Value {
        let dim = self.config.embed_dim;
        let normed = if head.norm { self.layer_norm(tokens, "norm") } else { tokens.to_owned() };
        self.graph.enter("pool");
        let mut pooled = match head.pooling {
            Pooling::Class => {
                let token = self.graph.slice(&normed, 1, 0, 1);
                self.graph.squeeze(&token, 1)
            }
            Pooling::Average => {
                let patches = self.patches(&normed);
                self.graph.reduce_mean(&patches, 1)
            }
        };
        if head.pooled_norm {
            pooled = self.layer_norm(&pooled, "fc_norm");
        }
        if !head.projection {
            return pooled;
        }
        self.graph.enter("head");
        let pooled = self.cast_for_blocks(&pooled);
        let product = self.rows_times(&pooled, "head.weight", dim, head.dim);
        let product = self.cast_to_f32(&product);
        if !head.projection_bias {
            return product;
        }
        let bias = self.vector("head.bias", head.dim);
        self.graph.op("Add", &[&product, &bias])
    }

    /// Drops the prefix tokens.
    fn patches(&mut self, tokens: &str) -> Value {
        let [first, all] = [self.config.prefix_tokens(), self.config.tokens()];
        self.graph.slice(tokens, 1, first as i64, all as i64)
    }

    /// `x·Wᵀ` of rows, with `W` `[outputs, inputs]` as stored, because these weights are the
    /// largest.
    fn rows_times(&mut self, x: &str, name: &str, inputs: usize, outputs: usize) -> Value {
        let (checkpoint, source) = (self.checkpoint, name.to_owned());
        let weight = self
            .graph
            .weights(name, &[outputs, inputs], self.element, move || checkpoint.read_f32(&source));
        self.graph.op_with("Gemm", &[x, &weight], &[Attribute::Integer("transB", 1)])
    }

    /// `feature.{index}`, without bias, followed by batch norm in f32.
    fn projection(&mut self, x: &str, index: usize, inputs: usize, outputs: usize) -> Value {
        self.graph.enter(&format!("feature.{index}"));
        let product = self.rows_times(x, &format!("feature.{index}.weight"), inputs, outputs);
        let product = self.cast_to_f32(&product);
        let norm = format!("feature.{}", index + 1);
        self.graph.enter(&norm);
        let parts = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| self.vector(&format!("{norm}.{part}"), outputs));
        let [gamma, beta, mean, variance] = &parts;
        let eps = Attribute::Float("epsilon", BATCH_NORM_EPS as f32);
        self.graph.op_with("BatchNormalization", &[&product, gamma, beta, mean, variance], &[eps])
    }

    /// Casts to the type of the blocks' products.
    fn cast_for_blocks(&mut self, x: &str) -> Value {
        match self.element {
            Element::F32 => x.to_owned(),
            element => self.graph.cast(x, element),
        }
    }

    fn cast_to_f32(&mut self, x: &str) -> Value {
        match self.element {
            Element::F32 => x.to_owned(),
            _ => self.graph.cast(x, Element::F32),
        }
    }
}

/// Transposes `[rows, columns]` to `[columns, rows]`.
pub(super) fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut out = vec![0.0; matrix.len()];
    for (row, values) in matrix.chunks_exact(columns).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            out[column * rows + row] = value;
        }
    }
    out
}

/// The last block's query and key weights, each `[in, out]`, with the affine part of its norm
/// folded in, and their biases.
pub(super) struct QueryKeyWeights {
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) query_bias: Vec<f32>,
    pub(super) key_bias: Vec<f32>,
}

impl QueryKeyWeights {
    pub(super) fn read(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        // The baseline instruction set, so that the file has the same bytes on every machine.
        let isa = attn_fiqa_kernels::Isa::available()[0];
        let of = crate::vit::QueryKey::of_last_block(checkpoint, isa)?;
        let dim = checkpoint.config().embed_dim;
        let (query, key) = of.weight().split_at(dim * dim);
        let bias: Vec<f32> = of.bias().iter().map(|&bias| bias as f32).collect();
        Ok(Self {
            query: transposed(query, dim),
            key: transposed(key, dim),
            query_bias: bias[..dim].to_vec(),
            key_bias: bias[dim..].to_vec(),
        })
    }
}
