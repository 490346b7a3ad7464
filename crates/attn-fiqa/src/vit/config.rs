//! The shape of a face-recognition Vision Transformer.

/// The non-linearity between the two linear layers of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `min(max(x, 0), 6)`, as in every published face ViT of the official layout.
    Relu6,
    /// The exact (erf) GELU.
    Gelu,
    /// `x·σ(1.702·x)`, as in CLIP.
    QuickGelu,
    /// The gated MLP of the larger DINOv2 (SwiGLU): the first linear layer has twice `mlp_dim`
    /// outputs `[a | b]`, and the second reads `a·σ(a)·b`.
    SwiGlu,
}

impl Activation {
    /// The name used in file metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu6 => "relu6",
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick-gelu",
            Self::SwiGlu => "swiglu",
        }
    }

    /// Every activation, that of the official layout first.
    pub const ALL: [Self; 4] = [Self::Relu6, Self::Gelu, Self::QuickGelu, Self::SwiGlu];

    /// Whether the first linear layer of the MLP also computes the gate.
    pub fn is_gated(self) -> bool {
        self == Self::SwiGlu
    }

    /// The inverse of [`Activation::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activation| activation.name() == name)
    }
}

/// The tokens over whose queries and keys a score is averaged.
///
/// The choices differ only for a network with prefix tokens: a class token or registers before the
/// patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ScoreTokens {
    /// Every token. This is the published formula, the mean of the whole matrix, and the default.
    #[default]
    All,
    /// Only the patch tokens, so that the score is the mean of the map.
    Patches,
}

impl ScoreTokens {
    /// Every choice, the default first.
    pub const ALL: [Self; 2] = [Self::All, Self::Patches];

    /// The name used in file metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Patches => "patches",
        }
    }

    /// The inverse of [`ScoreTokens::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tokens| tokens.name() == name)
    }
}

/// Where the bias that landmarks add to the attention of every block (KP-RPE) is used.
///
/// The forward pass always includes it: it is part of the network, and embeddings need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LandmarkBias {
    /// Only in the softmax of every block. A score is the mean of `scale·q·kᵀ`, the published
    /// formula: what queries and keys say about the image. This is the default. The mean of the
    /// bias is a linear function of the landmarks alone, whatever the pixels.
    #[default]
    Softmax,
    /// In scores and maps as well: they are those of `scale·q·kᵀ + bias`, the input of the softmax.
    Score,
}

impl LandmarkBias {
    /// Every choice, the default first.
    pub const ALL: [Self; 2] = [Self::Softmax, Self::Score];

    /// The name used in file metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Score => "score",
        }
    }

    /// The inverse of [`LandmarkBias::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bias| bias.name() == name)
    }
}

/// Rows per block and head of the linear layer that computes a landmark bias: the buckets of the
/// offset between two patches, 7 along each axis.
pub(crate) const LANDMARK_BUCKETS: usize = 49;

/// Inputs of that layer: x and y of five landmarks.
pub(crate) const LANDMARK_INPUTS: usize = 10;

/// Which final tokens the embedding head flattens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbeddingTokens {
    /// Every token, including the class token if there is one: the official layout.
    All,
    /// The patch tokens only.
    Patches,
    /// The class token only.
    Class,
}

/// The layers from the last block's output to the embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbeddingHeadConfig {
    /// The head of the official layout.
    Flattened(FlattenedHead),
    /// The head of timm, Hugging Face and CLIP.
    Pooled(PooledHead),
}

impl EmbeddingHeadConfig {
    /// Length of the embedding.
    pub fn dim(&self) -> usize {
        match self {
            Self::Flattened(head) => head.dim,
            Self::Pooled(head) => head.dim,
        }
    }
}

/// The head of the official layout: `norm → flatten → linear → batch norm → linear → batch norm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlattenedHead {
    /// Which tokens are flattened.
    pub tokens: EmbeddingTokens,
    /// Whether each token is multiplied by a gate before flattening (TransFace): the sigmoid of two
    /// linear layers over all normalised tokens, `senet.0` and `senet.2`, with ReLU in between.
    pub gated: bool,
    /// Outputs of the first linear layer (`feature.0`).
    pub hidden_dim: usize,
    /// Length of the embedding (outputs of `feature.2`).
    pub dim: usize,
}

/// The head of other families: `[norm] → pool → [fc_norm] → [head]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PooledHead {
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// Whether tokens are normalised before they are pooled (`norm`).
    pub norm: bool,
    /// Whether the pooled vector is normalised (`fc_norm`).
    pub pooled_norm: bool,
    /// Whether a linear layer follows (`head`).
    pub projection: bool,
    /// Whether that layer has a bias.
    pub projection_bias: bool,
    /// Length of the embedding.
    pub dim: usize,
}

/// How final tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The class token.
    Class,
    /// The mean of the patch tokens.
    Average,
}

impl Pooling {
    /// The name used in file metadata and in timm's `global_pool`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "token",
            Self::Average => "avg",
        }
    }

    /// The inverse of [`Pooling::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Class, Self::Average].into_iter().find(|pooling| pooling.name() == name)
    }
}

/// Everything that determines the network's arithmetic apart from the weights.
///
/// Names follow the papers: `N` tokens, width `D`, `L` blocks, `H` heads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VitConfig {
    /// Side of the square RGB input, in pixels.
    pub image_size: usize,
    /// Kernel and stride of the patch convolution, in pixels.
    pub patch_size: usize,
    /// Width `D` of a token.
    pub embed_dim: usize,
    /// Number of blocks `L`.
    pub depth: usize,
    /// Number of attention heads `H`; divides `embed_dim`.
    pub num_heads: usize,
    /// Width of the hidden layer of the MLP: the inputs of its second linear layer.
    pub mlp_dim: usize,
    /// Whether the joint query/key/value layer has a bias.
    pub qkv_bias: bool,
    /// The MLP's non-linearity.
    pub activation: Activation,
    /// Whether a class token precedes the patch tokens.
    pub class_token: bool,
    /// Number of register tokens (`reg_token`), between the class token and the patches.
    pub register_tokens: usize,
    /// Rows of `pos_embed`: one per patch, preceded by those of the class token, or of the class
    /// token and the registers, if these have positions.
    pub positions: usize,
    /// Whether the patch convolution has a bias.
    pub patch_bias: bool,
    /// Whether tokens are normalised before the first block (`norm_pre`).
    pub norm_pre: bool,
    /// Whether the outputs of attention and MLP are scaled per dimension (`ls1.gamma`,
    /// `ls2.gamma`).
    pub layer_scale: bool,
    /// Whether the queries and keys of each head are normalised per token (`attn.q_norm`,
    /// `attn.k_norm`), so that the mean query is not a function of the mean token.
    pub qk_norm: bool,
    /// Whether landmarks add a bias to the attention of every block (`keypoint_linear`), and
    /// whether scores include it; `None` if the network has no such bias.
    pub landmark_bias: Option<LandmarkBias>,
    /// Subtracted from pixel levels of 0 to 1, per channel.
    pub pixel_mean: [f32; 3],
    /// Divisor of the difference, per channel.
    pub pixel_std: [f32; 3],
    /// Epsilon of every LayerNorm.
    pub layer_norm_eps: f32,
    /// The tokens over whose queries and keys a score is averaged.
    pub score_tokens: ScoreTokens,
    /// The embedding head; `None` for a file that holds only what scores need.
    pub embedding_head: Option<EmbeddingHeadConfig>,
}

impl VitConfig {
    /// The official layout: RGB levels mapped to −1…1, no bias of queries and keys, no class token,
    /// an MLP of four times the width, ReLU6, and no embedding head.
    pub fn official(
        image_size: usize,
        patch_size: usize,
        embed_dim: usize,
        depth: usize,
        num_heads: usize,
    ) -> Self {
        let grid = image_size / patch_size;
        Self {
            image_size,
            patch_size,
            embed_dim,
            depth,
            num_heads,
            mlp_dim: 4 * embed_dim,
            qkv_bias: false,
            activation: Activation::Relu6,
            class_token: false,
            register_tokens: 0,
            positions: grid * grid,
            patch_bias: true,
            norm_pre: false,
            layer_scale: false,
            qk_norm: false,
            landmark_bias: None,
            pixel_mean: [0.5; 3],
            pixel_std: [0.5; 3],
            layer_norm_eps: 1e-5,
            score_tokens: ScoreTokens::All,
            embedding_head: None,
        }
    }

    /// Patches along one side. Pixels beyond `grid · patch_size` are not used.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Number of patch tokens.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Number of tokens before the patches: class token and registers.
    pub fn prefix_tokens(&self) -> usize {
        usize::from(self.class_token) + self.register_tokens
    }

    /// Number of tokens `N`, including class token and registers.
    pub fn tokens(&self) -> usize {
        self.patches().saturating_add(self.prefix_tokens())
    }

    /// Number of tokens flattened by an embedding head that uses `tokens`.
    pub fn flattened_tokens(&self, tokens: EmbeddingTokens) -> usize {
        match tokens {
            EmbeddingTokens::All => self.tokens(),
            EmbeddingTokens::Patches => self.patches(),
            EmbeddingTokens::Class => 1,
        }
    }

    /// Number of leading tokens excluded from the score.
    pub fn tokens_before_score(&self) -> usize {
        match self.score_tokens {
            ScoreTokens::All => 0,
            ScoreTokens::Patches => self.prefix_tokens(),
        }
    }

    /// Outputs of the first linear layer of the MLP: `mlp_dim`, or twice that with a gate.
    pub fn mlp_outputs(&self) -> usize {
        if self.activation.is_gated() { 2 * self.mlp_dim } else { self.mlp_dim }
    }

    /// Width of one head, `D/H`.
    pub fn head_dim(&self) -> usize {
        self.embed_dim / self.num_heads
    }

    /// The factor before the dot product of a query and a key, `(D/H)^-1/2`.
    pub fn scale(&self) -> f32 {
        1.0 / (self.head_dim() as f32).sqrt()
    }
}
