//! Networks that load and run but are probably not face recognisers.

use std::fmt;

use super::Family;
use crate::vit::config::{EmbeddingHeadConfig, VitConfig};

/// Class counts of the ImageNet sets that public classifiers are trained on.
const IMAGENET_CLASSES: [usize; 5] = [1000, 10450, 11821, 21841, 21843];

/// A reason to doubt a model's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelWarning {
    /// Public networks of this family are trained on general images.
    GeneralImages {
        /// The family.
        family: Family,
    },
    /// The last layer has as many outputs as ImageNet has classes.
    ImageNetClassifier {
        /// Outputs of `head`.
        classes: usize,
    },
}

impl fmt::Display for ModelWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneralImages { family } => write!(
                f,
                "public networks of the family {family} are not face recognisers; the score \
                 predicts recognition only if this one was trained or fine-tuned on faces"
            ),
            Self::ImageNetClassifier { classes } => write!(
                f,
                "its last layer has {classes} outputs, as many as an ImageNet classifier, so it is \
                 probably not a face recogniser and its embedding holds class scores"
            ),
        }
    }
}

/// Signs that the network is not a face recogniser.
pub(in crate::checkpoint) fn warnings(family: Family, config: &VitConfig) -> Vec<ModelWarning> {
    let mut warnings = Vec::new();
    let general = match family {
        Family::InsightFace | Family::TransFace | Family::KpRpe | Family::Timm => false,
        Family::Dinov2 | Family::HuggingFaceVit | Family::HuggingFaceDinov2 => true,
        Family::HuggingFaceClip | Family::OpenAiClip => true,
    };
    if general {
        warnings.push(ModelWarning::GeneralImages { family });
    }
    if let Some(EmbeddingHeadConfig::Pooled(head)) = config.embedding_head
        && head.projection
        && IMAGENET_CLASSES.contains(&head.dim)
    {
        warnings.push(ModelWarning::ImageNetClassifier { classes: head.dim });
    }
    warnings
}
