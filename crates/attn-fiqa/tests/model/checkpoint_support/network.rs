//! Small face ViTs of the official layout with random weights.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use super::pickle::state_dict;
use super::zip::torch_zip;

/// The shape of a network. Images are 112 pixels wide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) patch: usize,
    pub(crate) dim: usize,
    pub(crate) depth: usize,
    pub(crate) heads: usize,
    pub(crate) mlp: usize,
    pub(crate) qkv_bias: bool,
    pub(crate) class_token: bool,
    pub(crate) key_bias: bool,
    pub(crate) hidden: usize,
    pub(crate) embedding: usize,
}

/// Two by two patches, width 8, two blocks.
pub(crate) const TINY: Spec = Spec {
    patch: 56,
    dim: 8,
    depth: 2,
    heads: 2,
    mlp: 12,
    qkv_bias: false,
    class_token: false,
    key_bias: false,
    hidden: 6,
    embedding: 5,
};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Tensor {
    pub(crate) fn new(name: &str, shape: &[usize], values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        Self { name: name.to_owned(), shape: shape.to_vec(), values }
    }

    pub(crate) fn zeros(name: &str, shape: &[usize]) -> Self {
        Self::new(name, shape, vec![0.0; shape.iter().product()])
    }
}

/// Numbers between -2 and 2 from a linear congruential generator.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 40) as f32 / (1_u32 << 22) as f32) - 2.0
    }
}

impl Spec {
    pub(crate) fn tokens(&self) -> usize {
        (112 / self.patch).pow(2) + usize::from(self.class_token)
    }

    /// Every tensor of the network with random weights from `seed`.
    pub(crate) fn tensors(&self, seed: u64) -> Vec<Tensor> {
        let Spec { patch, dim, mlp, hidden, embedding, .. } = *self;
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        let mut add = |name: &str, shape: &[usize]| shapes.push((name.to_owned(), shape.to_vec()));
        add("patch_embed.proj.weight", &[dim, 3, patch, patch]);
        add("patch_embed.proj.bias", &[dim]);
        add("pos_embed", &[1, self.tokens(), dim]);
        if self.class_token {
            add("cls_token", &[1, 1, dim]);
        }
        for block in 0..self.depth {
            let mut add =
                |name: &str, shape: &[usize]| add(&format!("blocks.{block}.{name}"), shape);
            add("norm1.weight", &[dim]);
            add("norm1.bias", &[dim]);
            add("attn.qkv.weight", &[3 * dim, dim]);
            if self.qkv_bias {
                add("attn.qkv.bias", &[3 * dim]);
            }
            add("attn.proj.weight", &[dim, dim]);
            add("attn.proj.bias", &[dim]);
            add("norm2.weight", &[dim]);
            add("norm2.bias", &[dim]);
            add("mlp.fc1.weight", &[mlp, dim]);
            add("mlp.fc1.bias", &[mlp]);
            add("mlp.fc2.weight", &[dim, mlp]);
            add("mlp.fc2.bias", &[dim]);
        }
        add("norm.weight", &[dim]);
        add("norm.bias", &[dim]);
        add("feature.0.weight", &[hidden, self.tokens() * dim]);
        add("feature.2.weight", &[embedding, hidden]);
        for (layer, dim) in [(1, hidden), (3, embedding)] {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                add(&format!("feature.{layer}.{part}"), &[dim]);
            }
        }
        if self.key_bias {
            add("calibration.key_bias", &[self.heads, dim / self.heads]);
        }
        let mut noise = Noise(seed);
        shapes
            .into_iter()
            .map(|(name, shape)| {
                let count = shape.iter().product();
                let values = (0..count).map(|_| noise.next()).collect();
                Tensor::new(&name, &shape, values)
            })
            .collect()
    }
}

/// A safetensors file of `float32` tensors.
pub(crate) fn to_safetensors(tensors: &[Tensor], metadata: &[(&str, &str)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        (tensor.name.clone(), view.expect("the bytes fit the shape"))
    });
    let metadata: HashMap<String, String> =
        metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    serialize(views, Some(metadata)).expect("valid tensors serialise")
}

/// A safetensors file with this header, verbatim, followed by `data`.
pub(crate) fn raw_safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// A PyTorch zip file of `float32` tensors, each with its own storage.
pub(crate) fn to_torch(tensors: &[Tensor], wrappers: &[&str]) -> Vec<u8> {
    let storages: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    torch_zip(&state_dict(tensors, wrappers), &storages)
}

/// Puts `prefix` before every name.
pub(crate) fn prefixed(tensors: &[Tensor], prefix: &str) -> Vec<Tensor> {
    tensors
        .iter()
        .map(|tensor| Tensor { name: format!("{prefix}{}", tensor.name), ..tensor.clone() })
        .collect()
}
