//! The shape of a face-recognition Vision Transformer.

/// The non-linearity between the two linears of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `min(max(x, 0), 6)`, as in every published face ViT of the official layout.
    Relu6,
    /// The exact (erf) GELU.
    Gelu,
}

impl Activation {
    /// The name used in file metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu6 => "relu6",
            Self::Gelu => "gelu",
        }
    }

    /// The inverse of [`Activation::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Relu6, Self::Gelu].into_iter().find(|activation| activation.name() == name)
    }
}

/// Which final tokens the embedding head flattens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbeddingTokens {
    /// Every token, class token included where there is one: the official layout.
    All,
    /// The patch tokens only.
    Patches,
    /// The class token only.
    Class,
}

/// The embedding head: `norm → flatten → linear → batch norm → linear → batch norm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingHeadConfig {
    /// Which tokens are flattened.
    pub tokens: EmbeddingTokens,
    /// Outputs of the first linear (`feature.0`).
    pub hidden_dim: usize,
    /// Length of the embedding (outputs of `feature.2`).
    pub dim: usize,
}

/// Everything that fixes the network's arithmetic apart from the weights.
///
/// Names follow the papers: `N` tokens, width `D`,
/// `L` blocks, `H` heads.
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
    /// Width of the hidden layer of the MLP.
    pub mlp_dim: usize,
    /// Whether the joint query/key/value linear has a bias.
    pub qkv_bias: bool,
    /// The MLP's non-linearity.
    pub activation: Activation,
    /// Whether a class token stands before the patch tokens.
    pub class_token: bool,
    /// Epsilon of every LayerNorm.
    pub layer_norm_eps: f32,
    /// The embedding head; `None` in a file that holds only what a score needs.
    pub embedding_head: Option<EmbeddingHeadConfig>,
}

impl VitConfig {
    /// Patches along one side. Pixels beyond `grid · patch_size` are never seen.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Number of patch tokens.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Number of tokens `N`, class token included.
    pub fn tokens(&self) -> usize {
        self.patches() + usize::from(self.class_token)
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
