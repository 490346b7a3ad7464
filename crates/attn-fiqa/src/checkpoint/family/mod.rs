//! Families of Vision Transformers: how their files name tensors, and what their weights do not
//! determine.
//!
//! Whatever the family, tensors get canonical names, which are those of InsightFace and timm; no
//! code outside this module knows another spelling.

mod joined;
mod names;
mod warning;

use std::fmt;

pub(super) use joined::canonical;
pub(super) use names::Naming;
pub use warning::ModelWarning;
pub(super) use warning::warnings;

use super::infer::Shapes;
use crate::vit::config::{Activation, Pooling};

/// Per-channel mean and standard deviation for face recognisers and timm's own ViTs: levels to
/// −1…1.
const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];

/// The values for ImageNet, which DINOv2 is trained with.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// The values for CLIP.
#[expect(clippy::excessive_precision, reason = "as CLIP publishes them")]
const CLIP: [[f32; 3]; 2] =
    [[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]];

/// The input side of every published face ViT with the official layout, in pixels.
pub(super) const OFFICIAL_IMAGE_SIZE: usize = 112;

/// The head width of every published network of the families that fix it.
const USUAL_HEAD_DIM: usize = 64;

/// A family of Vision Transformers with its own names and conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// The official layout: InsightFace, CVLface, LVFace.
    InsightFace,
    /// TransFace (ICCV 2023, arXiv 2308.10133): the official layout and a gate per patch before
    /// the embedding.
    TransFace,
    /// CVLface's KP-RPE (CVPR 2024, arXiv 2403.14852): landmarks add a bias to the attention.
    KpRpe,
    /// timm's `VisionTransformer`.
    Timm,
    /// DINOv2 with the names used in its own repository.
    Dinov2,
    /// The ViT of Hugging Face's transformers.
    HuggingFaceVit,
    /// DINOv2 of Hugging Face's transformers, with and without registers.
    HuggingFaceDinov2,
    /// The image encoder of CLIP in Hugging Face's transformers.
    HuggingFaceClip,
    /// The image encoder of CLIP with OpenAI's names, which OpenCLIP shares.
    OpenAiClip,
}

impl Family {
    /// Every family, the official layout first.
    pub const ALL: [Self; 9] = [
        Self::InsightFace,
        Self::TransFace,
        Self::KpRpe,
        Self::Timm,
        Self::Dinov2,
        Self::HuggingFaceVit,
        Self::HuggingFaceDinov2,
        Self::HuggingFaceClip,
        Self::OpenAiClip,
    ];

    /// The value of `attn_fiqa.family` in file metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::InsightFace => "insightface",
            Self::TransFace => "transface",
            Self::KpRpe => "kp-rpe",
            Self::Timm => "timm",
            Self::Dinov2 => "dinov2",
            Self::HuggingFaceVit => "hf-vit",
            Self::HuggingFaceDinov2 => "hf-dinov2",
            Self::HuggingFaceClip => "hf-clip",
            Self::OpenAiClip => "openai-clip",
        }
    }

    /// The inverse of [`Family::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// The name for people to read.
    pub fn title(self) -> &'static str {
        match self {
            Self::InsightFace => "official layout (InsightFace, CVLface, LVFace)",
            Self::TransFace => "TransFace",
            Self::KpRpe => "KP-RPE (CVLface)",
            Self::Timm => "timm ViT",
            Self::Dinov2 => "DINOv2",
            Self::HuggingFaceVit => "Hugging Face ViT",
            Self::HuggingFaceDinov2 => "Hugging Face DINOv2",
            Self::HuggingFaceClip => "Hugging Face CLIP",
            Self::OpenAiClip => "OpenAI CLIP",
        }
    }

    /// Whether its networks have exactly the parts of the official layout. In other families, the
    /// tensors present determine which parts a network has.
    pub(super) fn is_official(self) -> bool {
        matches!(self, Self::InsightFace | Self::TransFace | Self::KpRpe)
    }

    /// The activation of the MLP unless specified otherwise.
    pub(super) fn activation(self, gated: bool) -> Activation {
        match self {
            _ if gated => Activation::SwiGlu,
            Self::InsightFace | Self::TransFace | Self::KpRpe => Activation::Relu6,
            Self::HuggingFaceClip | Self::OpenAiClip => Activation::QuickGelu,
            Self::Timm | Self::Dinov2 | Self::HuggingFaceVit | Self::HuggingFaceDinov2 => {
                Activation::Gelu
            }
        }
    }

    /// The epsilon of LayerNorm unless specified otherwise.
    pub(super) fn layer_norm_eps(self) -> f32 {
        match self {
            Self::InsightFace | Self::TransFace | Self::KpRpe => 1e-5,
            Self::HuggingFaceClip | Self::OpenAiClip => 1e-5,
            Self::Timm | Self::Dinov2 | Self::HuggingFaceDinov2 => 1e-6,
            Self::HuggingFaceVit => 1e-12,
        }
    }

    /// The per-channel mean and standard deviation of pixels unless specified otherwise.
    pub(super) fn pixel_mean_and_std(self) -> [[f32; 3]; 2] {
        match self {
            Self::InsightFace | Self::TransFace | Self::KpRpe => HALF,
            Self::Timm | Self::HuggingFaceVit => HALF,
            Self::Dinov2 | Self::HuggingFaceDinov2 => IMAGENET,
            Self::HuggingFaceClip | Self::OpenAiClip => CLIP,
        }
    }

    /// The side of an image with as many whole patches as there are positions; `None` if that
    /// number is not a square.
    pub(super) fn image_size(self, shapes: &Shapes) -> Option<usize> {
        let leading = [shapes.prefix_tokens(), usize::from(shapes.class_token), 0];
        let grid = leading.into_iter().find_map(|leading| {
            let patches = shapes.positions.checked_sub(leading)?;
            let grid = patches.isqrt();
            (grid > 0 && grid.checked_mul(grid) == Some(patches)).then_some(grid)
        });
        grid?.checked_mul(shapes.patch_size)
    }

    /// How tokens are pooled unless specified otherwise. timm normalises the pooled vector
    /// (`fc_norm`) only after averaging.
    pub(super) fn pooling(self, shapes: &Shapes) -> Pooling {
        match shapes.class_token && !shapes.pooled_norm {
            true => Pooling::Class,
            false => Pooling::Average,
        }
    }

    /// The number of heads if the family fixes it: 64 dimensions per head in DINOv2 and in OpenAI's
    /// code.
    pub(super) fn heads(self, embed_dim: usize) -> Option<usize> {
        let fixed = matches!(self, Self::Dinov2 | Self::HuggingFaceDinov2 | Self::OpenAiClip);
        (fixed && embed_dim.is_multiple_of(USUAL_HEAD_DIM)).then_some(embed_dim / USUAL_HEAD_DIM)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_names_round_trip() {
        for family in Family::ALL {
            assert_eq!(Family::from_name(family.name()), Some(family));
        }
        assert_eq!(Family::from_name("swin"), None);
    }

    #[test]
    fn dinov2_has_heads_of_64() {
        assert_eq!(Family::Dinov2.heads(1536), Some(24));
        assert_eq!(Family::Dinov2.heads(40), None);
        assert_eq!(Family::Timm.heads(192), None);
    }
}
