//! Mixed precision: the linear layers that stay in bf16 or f32 in an int8 network to keep its
//! scores within the bounds of `docs/performance.md`, chosen by the measurements there. They are
//! bf16 if that is faster than f32.

use attn_fiqa_kernels::{Isa, Precision};

use super::weights::Weights;

/// Number of blocks just before the last one whose queries, keys and values are not quantized.
const QKV_BLOCKS: usize = 2;

/// The maximum width of a network in which `attn.proj` and `mlp.fc1` are not quantized. A width of
/// 192 needs this to keep pAUC-EDC within a hundredth of f32's, at the cost of a tenth of its
/// speed; a width of 512 does not need it, and has 43 % of its multiplications there.
const NARROW: usize = 256;

/// The precision of `attn.qkv` of `block` in a network of `depth` blocks.
pub(super) fn of_qkv(weights: &Weights<'_>, block: usize, depth: usize) -> Precision {
    qkv(weights.isa(), weights.precision(), block, depth)
}

/// The precision of `attn.proj` and `mlp.fc1` in a network of width `embed_dim`.
pub(super) fn of_proj_and_fc1(weights: &Weights<'_>, embed_dim: usize) -> Precision {
    proj_and_fc1(weights.isa(), weights.precision(), embed_dim)
}

fn qkv(isa: Isa, precision: Precision, block: usize, depth: usize) -> Precision {
    if block + 1 + QKV_BLOCKS >= depth { finer_than_int8(isa, precision) } else { precision }
}

fn proj_and_fc1(isa: Isa, precision: Precision, embed_dim: usize) -> Precision {
    if embed_dim <= NARROW { finer_than_int8(isa, precision) } else { precision }
}

/// The precision of a sensitive layer: for int8, the fastest finer one.
pub(crate) fn finer_than_int8(isa: Isa, precision: Precision) -> Precision {
    match precision {
        Precision::Int8 if isa.faster_than_f32().contains(&Precision::Bf16) => Precision::Bf16,
        Precision::Int8 => Precision::F32,
        precision => precision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int8_excludes_last_qkv_blocks_and_narrow_networks() {
        let isa = Isa::widest();
        let bytes = |block: &usize| qkv(isa, Precision::Int8, *block, 8) == Precision::Int8;
        assert_eq!((0..8).filter(bytes).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_ne!(proj_and_fc1(isa, Precision::Int8, 192), Precision::Int8);
        assert_eq!(proj_and_fc1(isa, Precision::Int8, 512), Precision::Int8);
    }

    #[test]
    fn f32_and_bf16_are_not_mixed() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(qkv(Isa::widest(), precision, 7, 8), precision);
            assert_eq!(proj_and_fc1(Isa::widest(), precision, 192), precision);
        }
    }
}
