//! Quality scores: definitions and types.
//!
//! ATTN-FIQA is [arXiv 2604.22841](https://arxiv.org/abs/2604.22841). The golden values that these
//! formulas are tested against are described in `golden/README.md` in the repository.
//!
//! # The network
//!
//! A pre-norm Vision Transformer trained for face recognition, as published by CVLface and
//! InsightFace. With `N` tokens, width `D`, `L` blocks and `H` heads:
//!
//! - An aligned RGB crop of 112×112, with each level `x` mapped to `(x/255 − 0.5)/0.5`. Patches of
//!   `P×P` pixels in row-major order become tokens by a linear layer (a convolution with kernel and
//!   stride `P`), plus a learned position: `[N, D]`. If `P` does not divide 112, the last rows and
//!   columns of pixels are left out. ViT-S and ViT-B of CVLface have `P = 8` and `N = 196`;
//!   InsightFace's have `P = 9` and `N = 144`.
//! - `L` blocks: `x += proj(attn(norm1(x)))`, then `x += fc2(act(fc1(norm2(x))))`. Norms are
//!   LayerNorm, the activation is ReLU6 or GELU. One linear layer `qkv` gives queries, keys and
//!   values, `[3, H, D/H]`; `attn` is `softmax(scale · Q·Kᵀ)·V` with `scale = (D/H)^(−1/2)`.
//! - The embedding: `norm`, all tokens flattened to `[N·D]`, linear, batch norm, linear, batch
//!   norm. Attention scores do not use it.
//!
//! The shapes of a checkpoint's tensors determine all of this except `H`, which comes from the
//! file's metadata or from the caller. A `mask_token`, used only in training, is ignored.
//!
//! Networks of other families ([`Family`](crate::checkpoint::Family)) may also have:
//!
//! - tokens before the patches: a class token and registers, with or without positions;
//! - a norm of the tokens before the first block, and a different mean and deviation of pixels;
//! - `x += γ₁∘proj(…)` and `x += γ₂∘fc2(…)` (LayerScale), and a gated MLP (SwiGLU);
//! - a norm of every query and key of every head before they are multiplied;
//! - an embedding that is a linear function of the class token or of the mean patch.
//!
//! # The score
//!
//! Let `A[h] = scale · Q[h]·K[h]ᵀ`, `[N, N]`, be the last block's attention **before**
//! softmax. The score is its mean:
//!
//! `Q = mean over h, i, j of A[h, i, j]`
//!
//! Higher is more useful for recognition. Values of published models lie in a narrow range
//! (about −1.7 to −0.6), differ from model to model and must not be compared across models.
//!
//! # Closed form
//!
//! The mean of a product over all pairs is the product of the means. So with
//! `m = mean over tokens of norm1(x)` of the last block, `[D]`, and the rows of the query and key
//! weights that belong to head `h`,
//!
//! `q̄[h] = W_q[h]·m + b_q[h]`, `k̄[h] = W_k[h]·m + b_k[h]`,
//! `Q = (scale/H) · Σ_h q̄[h]·k̄[h]`.
//!
//! No `N×N` matrix, value, softmax, MLP of the last block or embedding is needed: the last block
//! costs two products of a `D×D` matrix with a vector. These sums are f64, and the weights are
//! those of the checkpoint, whatever the precision of the preceding blocks.
//!
//! If a network normalises every query and key, `q̄` and `k̄` are the means over tokens of the
//! normalised ones. They are not functions of `m`, so the queries and keys of every token are
//! computed, but still no `N×N` matrix.
//!
//! # Prefix tokens
//!
//! For a network with a class token or registers, the means are over all `N` tokens, as in the
//! formula: the average of its whole attention. The networks of the paper have only patches, so the
//! formula does not say whether it means tokens or patches. With
//! [`ScoreTokens::Patches`](crate::vit::config::ScoreTokens::Patches), every mean on this page, and
//! the matrix of the variants, is over patches only. A map shows patches in either case; what a
//! patch receives comes from all tokens or only from patches, like the score.
//!
//! # Landmarks
//!
//! If landmarks add a bias `B[h, i, j]` to the logits (KP-RPE), softmax is applied to `A + B`. The
//! score is still the mean of `A`: `B` depends on the positions of the landmarks and not on any
//! pixel, so its mean says nothing about the image that the landmarks do not. With
//! [`LandmarkBias::Score`](crate::vit::config::LandmarkBias::Score), every mean and map on this
//! page, and the matrix of the variants, is of `A + B` of the block instead; the closed forms hold
//! for the part from `A`.
//!
//! # Maps
//!
//! What patch `j` receives is
//! `r[j] = mean over h, i of A[h, i, j] = (scale/H) · Σ_h q̄[h]·k[h, j]`, and the mean of `r` over
//! all tokens `j` of the score is `Q`: the map shows where the score comes from. What patch `i`
//! pays is the same with queries and keys exchanged. A map of one head is the same without the sum.
//!
//! # Variants
//!
//! [`Aggregation`] has the paper's ablations, which need the whole matrix: the median (for an even
//! count, the lower of the two middle values, as in PyTorch), the maximum, and one over the sample
//! standard deviation, over all `H·N²` values. [`Method`] selects one head instead of all, and any
//! block instead of the last.
//!
//! # Key bias
//!
//! Adding a vector `c[h]` to every key of head `h` adds `q[h, i]·c[h]` to a whole row of logits.
//! Softmax is invariant to that, so the embedding is unchanged, while the score becomes
//!
//! `Q_c = Q + (scale/H) · Σ_h q̄[h]·c[h]`,
//!
//! and every value of a map of received attention is shifted by the same amount. The published
//! score thus contains `D` numbers that recognition never determined. A checkpoint may have fitted
//! ones as `calibration.key_bias` (`attn-calibrated`, [`Aggregation::CalibratedMean`]); `attn` is
//! the score without them. They are fitted to utility by ridge regression on `q̄`, since `Q_c` is
//! linear in `c`.
//!
//! # 0 to 100
//!
//! A [`QualityMap`] maps the raw scores of one method of one model to the integers of ISO/IEC
//! 29794-1, with −1 for an image without a score. With a [`QualityScale`], the qualities state how
//! often a recogniser matches the face.

mod agreement;
mod band;
mod method;
mod quality_map;
mod quality_scale;
mod stability;
mod statistics;

pub(crate) use agreement::agreement;
pub use band::Band;
pub use method::{Aggregation, Method, MethodError};
pub use quality_map::{FAILURE_TO_COMPUTE, QualityMap, QualityMapError};
pub use quality_scale::{Anchor, MatchProbability, Meaning, QualityScale};
pub(crate) use stability::stability_of_patches;
pub(crate) use statistics::{inverse_std, lower_median, maximum};
