//! The same network in candle, written from the definitions.

use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::{LayerNorm, Linear, VarBuilder, layer_norm, linear, linear_no_bias, ops::softmax};

use crate::{CROP, SIDE, Score};

const EPS: f64 = 1e-5;

struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
}

impl Block {
    fn load(vb: &VarBuilder, dim: usize, hidden: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            norm1: layer_norm(dim, EPS, vb.pp("norm1"))?,
            qkv: linear_no_bias(dim, 3 * dim, vb.pp("attn.qkv"))?,
            proj: linear(dim, dim, vb.pp("attn.proj"))?,
            norm2: layer_norm(dim, EPS, vb.pp("norm2"))?,
            fc1: linear(dim, hidden, vb.pp("mlp.fc1"))?,
            fc2: linear(hidden, dim, vb.pp("mlp.fc2"))?,
            heads,
        })
    }

    fn logits_and_value(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, tokens, dim) = x.dims3()?;
        let width = dim / self.heads;
        let qkv = self.qkv.forward(&self.norm1.forward(x)?)?;
        let qkv = qkv.reshape((batch, tokens, 3, self.heads, width))?;
        let part = |i| qkv.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let logits = query.matmul(&key.t()?)?.affine((width as f64).powf(-0.5), 0.0)?;
        Ok((logits, value))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (logits, value) = self.logits_and_value(x)?;
        let mixed = softmax(&logits, D::Minus1)?.matmul(&value)?;
        let mixed = mixed.transpose(1, 2)?.flatten_from(2)?;
        let x = (x + self.proj.forward(&mixed)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?.clamp(0.0, 6.0)?;
        &x + self.fc2.forward(&hidden)?
    }
}

pub fn open(path: &str, threads: usize, heads: usize) -> anyhow::Result<Score> {
    // candle takes its threads from the environment and from rayon's pool.
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
    let kernel = tensors["patch_embed.proj.weight"].dims4()?;
    let (dim, patch) = (kernel.0, kernel.2);
    let hidden = tensors["blocks.0.mlp.fc1.weight"].dims2()?.0;
    let depth =
        (0..).take_while(|i| tensors.contains_key(&format!("blocks.{i}.norm1.bias"))).count();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let (kernel, bias) = (
        vb.get((dim, 3, patch, patch), "patch_embed.proj.weight")?,
        vb.get(dim, "patch_embed.proj.bias")?.reshape((1, dim, 1, 1))?,
    );
    let position = vb.get((1, (SIDE / patch).pow(2), dim), "pos_embed")?;
    let blocks = (0..depth)
        .map(|i| Block::load(&vb.pp(format!("blocks.{i}")), dim, hidden, heads))
        .collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |crops| {
        let images = Tensor::from_slice(crops, (crops.len() / CROP, SIDE, SIDE, 3), &Device::Cpu)?;
        let x = images.permute((0, 3, 1, 2))?.to_dtype(DType::F32)?;
        let x = x.affine(2.0 / 255.0, -1.0)?.contiguous()?;
        let x = x.conv2d(&kernel, 0, patch, 1, 1)?.broadcast_add(&bias)?;
        let mut x = x.flatten_from(2)?.transpose(1, 2)?.broadcast_add(&position)?.contiguous()?;
        let (last, before) = blocks.split_last().expect("no block");
        for block in before {
            x = block.forward(&x)?;
        }
        let (logits, _) = last.logits_and_value(&x)?;
        Ok(f64::from(logits.mean((1, 2, 3))?.sum_all()?.to_scalar::<f32>()?))
    }))
}
