//! Which linears an int8 network does not round to bytes, so that its scores stay within the
//! bounds of `docs/performance.md`, chosen by what is measured there. They are bf16 where that
//! is faster than f32.

use attn_fiqa_kernels::{Isa, Precision};

use super::weights::Weights;

/// Blocks, besides the last one, whose queries, keys and values are not rounded to bytes.
const QKV_BLOCKS: usize = 2;

/// The widest network in which no block's `attn.proj` and `mlp.fc1` are rounded to bytes. One
/// of 192 needs it to keep pAUC-EDC within a hundredth of f32's and gives a tenth of its speed
/// for it; one of 512 keeps that without, and 43 % of its products are there.
const NARROW: usize = 256;

/// What `attn.qkv` of `block` multiplies in, in a network of `depth` blocks.
pub(super) fn of_qkv(weights: &Weights<'_>, block: usize, depth: usize) -> Precision {
    qkv(weights.isa(), weights.precision(), block, depth)
}

/// What every block's `attn.proj` and `mlp.fc1` multiply in, in a network of width
/// `embed_dim`.
pub(super) fn of_proj_and_fc1(weights: &Weights<'_>, embed_dim: usize) -> Precision {
    proj_and_fc1(weights.isa(), weights.precision(), embed_dim)
}

fn qkv(isa: Isa, precision: Precision, block: usize, depth: usize) -> Precision {
    finer_than_bytes(isa, precision, block + 1 + QKV_BLOCKS >= depth)
}

fn proj_and_fc1(isa: Isa, precision: Precision, embed_dim: usize) -> Precision {
    finer_than_bytes(isa, precision, embed_dim <= NARROW)
}

/// `precision`, but where bytes do not do the fastest one of more than eight bits.
fn finer_than_bytes(isa: Isa, precision: Precision, sensitive: bool) -> Precision {
    match precision {
        Precision::Int8 if sensitive => {
            let fast = isa.faster_than_f32();
            if fast.contains(&Precision::Bf16) { Precision::Bf16 } else { Precision::F32 }
        }
        precision => precision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_from_the_last_queries_and_from_a_narrow_network() {
        let isa = Isa::widest();
        let bytes = |block: &usize| qkv(isa, Precision::Int8, *block, 8) == Precision::Int8;
        assert_eq!((0..8).filter(bytes).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_ne!(proj_and_fc1(isa, Precision::Int8, 192), Precision::Int8);
        assert_eq!(proj_and_fc1(isa, Precision::Int8, 512), Precision::Int8);
    }

    #[test]
    fn other_precisions_are_the_same_throughout() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(qkv(Isa::widest(), precision, 7, 8), precision);
            assert_eq!(proj_and_fc1(Isa::widest(), precision, 192), precision);
        }
    }
}
