//! Quality scores: definitions and types.
//!
//! ATTN-FIQA is [arXiv 2604.22841](https://arxiv.org/abs/2604.22841). The golden values
//! that these formulas are tested against are described in `golden/README.md` of the
//! repository.
//!
//! # The network
//!
//! A pre-norm Vision Transformer trained for face recognition, as published by CVLface and
//! InsightFace. With `N` tokens, width `D`, `L` blocks and `H` heads:
//!
//! - An aligned RGB crop of 112×112, each level `x` as `(x/255 − 0.5)/0.5`. Patches of
//!   `P×P` pixels in row-major order become tokens by one linear (a convolution whose
//!   kernel and stride are `P`), plus a learned position: `[N, D]`. Where `P` does not
//!   divide 112, the last rows and columns of pixels are left out. ViT-S and ViT-B of
//!   CVLface have `P = 8` and `N = 196`; InsightFace's have `P = 9` and `N = 144`.
//! - `L` blocks: `x += proj(attn(norm1(x)))`, then `x += fc2(act(fc1(norm2(x))))`. Norms are
//!   LayerNorm, the activation is ReLU6 or GELU. One linear `qkv` gives queries, keys and
//!   values, `[3, H, D/H]`; `attn` is `softmax(scale · Q·Kᵀ)·V` with
//!   `scale = (D/H)^(−1/2)`.
//! - The embedding: `norm`, all tokens flattened to `[N·D]`, linear, batch norm, linear,
//!   batch norm. No attention score reads it.
//!
//! The shapes of a checkpoint's tensors give all of that but `H`, which comes from the
//! file's metadata or from the caller. A `mask_token`, used in training alone, is ignored.
//!
//! Networks of other families ([`Family`](crate::checkpoint::Family)) may have, besides:
//!
//! - tokens before the patches: a class token and registers, with or without positions;
//! - a norm of the tokens before the first block, and another mean and deviation of pixels;
//! - `x += γ₁∘proj(…)` and `x += γ₂∘fc2(…)` (LayerScale), and a gated MLP (SwiGLU);
//! - a norm of every query and key of every head, before they are multiplied;
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
//! `m = mean over tokens of norm1(x)` of the last block, `[D]`, and head `h`'s rows of the
//! query and key weights,
//!
//! `q̄[h] = W_q[h]·m + b_q[h]`, `k̄[h] = W_k[h]·m + b_k[h]`,
//! `Q = (scale/H) · Σ_h q̄[h]·k̄[h]`.
//!
//! No `N×N` matrix, no value, no softmax, no MLP of the last block and no embedding is
//! needed: the last block costs two products of a `D×D` matrix with a vector. These sums
//! are f64, and the weights are those of the checkpoint whatever the precision of the
//! blocks before.
//!
//! Where a network normalises every query and key, `q̄` and `k̄` are the means over tokens of the
//! normalised ones. They are no functions of `m`, so queries and keys of every token are computed;
//! still no `N×N` matrix.
//!
//! # Prefix tokens
//!
//! Of a network with class token or registers, the means are over all `N` tokens, as in the
//! formula: its attention, averaged as a whole. The networks of the paper have patches only, so
//! that the formula does not say whether it means tokens or patches. With
//! [`ScoreTokens::Patches`](crate::vit::config::ScoreTokens::Patches) every mean of this page,
//! the matrix of the variants included, is over patches only. A map shows patches in either case;
//! what a patch receives comes from all tokens, or from patches, as the score does.
//!
//! # Landmarks
//!
//! Softmax is given `A + B` where landmarks add a bias `B[h, i, j]` to the logits (KP-RPE). The score
//! stays the mean of `A`: `B` depends on where the landmarks are and not on any pixel, so that its
//! mean says nothing of the image that the landmarks do not. With
//! [`LandmarkBias::Score`](crate::vit::config::LandmarkBias::Score) every mean and map of this page,
//! and the matrix of the variants, is of `A + B` of the block instead; the closed forms hold for the
//! part of `A`.
//!
//! # Maps
//!
//! What patch `j` receives is `r[j] = mean over h, i of A[h, i, j]
//! = (scale/H) · Σ_h q̄[h]·k[h, j]`, and the mean of `r` over all tokens `j` of the score
//! is `Q`: the map shows where the score comes from. What patch `i` pays is the same with queries and keys exchanged.
//! A map of one head is the same without the sum.
//!
//! # Variants
//!
//! [`Aggregation`] has the paper's ablations, which need the whole matrix: the median (of
//! an even count the lower of the two middle values, as PyTorch's), the maximum, and one
//! over the sample standard deviation, over all `H·N²` values. [`Method`] takes one head
//! instead of all, and any block instead of the last.
//!
//! # Key bias
//!
//! Adding a vector `c[h]` to every key of head `h` adds `q[h, i]·c[h]` to a whole row of
//! logits. Softmax ignores that, so the embedding stays as it is, while the score becomes
//!
//! `Q_c = Q + (scale/H) · Σ_h q̄[h]·c[h]`,
//!
//! and every value of a map of what patches receive moves by the same amount. The published
//! score thus holds `D` numbers that recognition never determined. A checkpoint may carry
//! fitted ones as `calibration.key_bias` (`attn-calibrated`,
//! [`Aggregation::CalibratedMean`]); `attn` is the score without them. They are fitted to
//! utility by ridge regression on `q̄`, since `Q_c` is linear in `c`.
//!
//! # 0 to 100
//!
//! A [`QualityMap`] brings the raw scores of one method of one model to the whole numbers
//! of ISO/IEC 29794-1, with −1 for an image without a score. With a [`QualityScale`]
//! its numbers state how often a recogniser matches the face.

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
