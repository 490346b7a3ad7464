//! Published face ViTs, for which the name determines the number of heads.

/// A published network with the official layout, that of InsightFace and CVLface.
///
/// A preset supplies the one number that tensor shapes cannot: the heads. All other values are
/// compared with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// CVLface ViT-S, the network of the ATTN-FIQA paper.
    CvlfaceVitS,
    /// CVLface ViT-B.
    CvlfaceVitB,
    /// InsightFace ViT-T.
    InsightfaceVitT,
    /// InsightFace ViT-S.
    InsightfaceVitS,
    /// InsightFace ViT-B.
    InsightfaceVitB,
    /// InsightFace ViT-L.
    InsightfaceVitL,
}

/// The dimensions of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PresetShape {
    pub(super) patch_size: usize,
    pub(super) embed_dim: usize,
    pub(super) depth: usize,
    pub(super) num_heads: usize,
    pub(super) mlp_ratio: usize,
}

impl Preset {
    /// Every preset, smallest first within a family.
    pub const ALL: &[Self] = &[
        Self::CvlfaceVitS,
        Self::CvlfaceVitB,
        Self::InsightfaceVitT,
        Self::InsightfaceVitS,
        Self::InsightfaceVitB,
        Self::InsightfaceVitL,
    ];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CvlfaceVitS => "cvlface-vit-s",
            Self::CvlfaceVitB => "cvlface-vit-b",
            Self::InsightfaceVitT => "insightface-vit-t",
            Self::InsightfaceVitS => "insightface-vit-s",
            Self::InsightfaceVitB => "insightface-vit-b",
            Self::InsightfaceVitL => "insightface-vit-l",
        }
    }

    /// The inverse of [`Preset::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|preset| preset.name() == name)
    }

    pub(super) fn shape(self) -> PresetShape {
        let (patch_size, embed_dim, depth, num_heads, mlp_ratio) = match self {
            Self::CvlfaceVitS => (8, 512, 12, 8, 5),
            Self::CvlfaceVitB => (8, 512, 24, 16, 3),
            Self::InsightfaceVitT => (9, 256, 12, 8, 4),
            Self::InsightfaceVitS => (9, 512, 12, 8, 4),
            Self::InsightfaceVitB => (9, 512, 24, 8, 4),
            Self::InsightfaceVitL => (9, 768, 24, 8, 4),
        };
        PresetShape { patch_size, embed_dim, depth, num_heads, mlp_ratio }
    }

    /// The presets whose tensors have these shapes, regardless of the heads.
    pub(super) fn matching(
        patch_size: usize,
        embed_dim: usize,
        depth: usize,
        mlp_dim: usize,
    ) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |preset| {
            let shape = preset.shape();
            (shape.patch_size, shape.embed_dim, shape.depth) == (patch_size, embed_dim, depth)
                && shape.embed_dim * shape.mlp_ratio == mlp_dim
        })
    }
}
