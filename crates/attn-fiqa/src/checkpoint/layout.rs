//! The tensors of a face ViT with a given configuration in the official layout: names, shapes, and
//! which of them a score needs.

use super::names::{CAUSES, KEY_BIAS, qk};
use crate::vit::config::{
    EmbeddingHeadConfig, EmbeddingTokens, FlattenedHead, LANDMARK_BUCKETS, LANDMARK_INPUTS,
    PooledHead, VitConfig,
};

/// How much of a network a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Every tensor: scores and embeddings.
    Full,
    /// Only what a score needs: no embedding head, no final norm, and in the last block only
    /// `norm1` and the query and key rows.
    QualityOnly,
}

impl Content {
    /// The value of `attn_fiqa.content` in file metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::QualityOnly => "quality-only",
        }
    }

    /// The inverse of [`Content::name`].
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::QualityOnly].into_iter().find(|content| content.name() == name)
    }
}

/// What calibration adds to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extras {
    pub(super) key_bias: bool,
    /// Rows of the readout of causes.
    pub(super) cause_rows: Option<usize>,
}

/// How much of a tensor a score needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Whole,
    /// The query and key rows, the first two thirds.
    QueryAndKeyRows,
    /// Nothing: only embeddings need it.
    Nothing,
}

/// A required tensor.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) need: Need,
    /// Whether it is learned by gradient descent; BatchNorm's running statistics and the readout
    /// of causes are not counted as parameters.
    pub(super) parameter: bool,
}

impl Expected {
    fn elements(&self) -> u64 {
        self.shape.iter().map(|&size| size as u64).product()
    }
}

/// Parameter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) total: u64,
    pub(super) needed_for_quality: u64,
}

pub(super) fn count(tensors: &[Expected]) -> Parameters {
    let parameters = || tensors.iter().filter(|tensor| tensor.parameter);
    Parameters {
        total: parameters().map(Expected::elements).sum(),
        needed_for_quality: parameters()
            .map(|tensor| match tensor.need {
                Need::Whole => tensor.elements(),
                Need::QueryAndKeyRows => tensor.elements() / 3 * 2,
                Need::Nothing => 0,
            })
            .sum(),
    }
}

/// The tensors in the network's order.
pub(super) fn tensors(config: &VitConfig, content: Content, extras: Extras) -> Vec<Expected> {
    let VitConfig { patch_size, embed_dim, depth, num_heads, mlp_dim, .. } = *config;
    let mut list = List(Vec::new());
    list.add("patch_embed.proj.weight", &[embed_dim, 3, patch_size, patch_size], Need::Whole);
    if config.patch_bias {
        list.add("patch_embed.proj.bias", &[embed_dim], Need::Whole);
    }
    list.add("pos_embed", &[1, config.positions, embed_dim], Need::Whole);
    if config.class_token {
        list.add("cls_token", &[1, 1, embed_dim], Need::Whole);
    }
    if config.register_tokens > 0 {
        list.add("reg_token", &[1, config.register_tokens, embed_dim], Need::Whole);
    }
    if config.norm_pre {
        list.scale_and_shift("norm_pre", embed_dim, Need::Whole);
    }
    if config.landmark_bias.is_some() {
        // Blocks before the last need their rows for softmax; the last needs them at most for a
        // score.
        let rows = LANDMARK_BUCKETS * num_heads * depth;
        list.linear("keypoint_linear", rows, LANDMARK_INPUTS, Need::Whole);
    }
    for block in 0..depth {
        let is_last = block + 1 == depth;
        list.scale_and_shift(&format!("blocks.{block}.norm1"), embed_dim, Need::Whole);
        if config.qk_norm {
            for norm in ["q_norm", "k_norm"] {
                let name = format!("blocks.{block}.attn.{norm}");
                list.scale_and_shift(&name, config.head_dim(), Need::Whole);
            }
        }
        if is_last && content == Content::QualityOnly {
            list.add(&qk(block, "weight"), &[2 * embed_dim, embed_dim], Need::Whole);
            if config.qkv_bias {
                list.add(&qk(block, "bias"), &[2 * embed_dim], Need::Whole);
            }
            continue;
        }
        let (qkv, rest) = match is_last {
            true => (Need::QueryAndKeyRows, Need::Nothing),
            false => (Need::Whole, Need::Whole),
        };
        let name = |part: &str| format!("blocks.{block}.{part}");
        list.add(&name("attn.qkv.weight"), &[3 * embed_dim, embed_dim], qkv);
        if config.qkv_bias {
            list.add(&name("attn.qkv.bias"), &[3 * embed_dim], qkv);
        }
        list.linear(&name("attn.proj"), embed_dim, embed_dim, rest);
        if config.layer_scale {
            list.add(&name("ls1.gamma"), &[embed_dim], rest);
        }
        list.scale_and_shift(&name("norm2"), embed_dim, rest);
        list.linear(&name("mlp.fc1"), config.mlp_outputs(), embed_dim, rest);
        list.linear(&name("mlp.fc2"), embed_dim, mlp_dim, rest);
        if config.layer_scale {
            list.add(&name("ls2.gamma"), &[embed_dim], rest);
        }
    }
    match config.embedding_head.filter(|_| content == Content::Full) {
        Some(EmbeddingHeadConfig::Flattened(head)) => list.flattened_head(config, head),
        Some(EmbeddingHeadConfig::Pooled(head)) => list.pooled_head(config, head),
        None => {}
    }
    if extras.key_bias {
        list.add(KEY_BIAS, &[num_heads, config.head_dim()], Need::Whole);
    }
    if let Some(rows) = extras.cause_rows {
        list.add_fitted(CAUSES, &[rows, embed_dim + 1]);
    }
    list.0
}

/// Length of the flattened tokens that the embedding head reads.
pub(super) fn head_input(config: &VitConfig, tokens: EmbeddingTokens) -> usize {
    config.flattened_tokens(tokens).saturating_mul(config.embed_dim)
}

struct List(Vec<Expected>);

impl List {
    fn add(&mut self, name: &str, shape: &[usize], need: Need) {
        self.0.push(Expected {
            name: name.to_owned(),
            shape: shape.to_vec(),
            need,
            parameter: true,
        });
    }

    fn flattened_head(&mut self, config: &VitConfig, head: FlattenedHead) {
        let input = head_input(config, head.tokens);
        self.scale_and_shift("norm", config.embed_dim, Need::Nothing);
        if head.gated {
            let gates = config.flattened_tokens(head.tokens);
            self.add("senet.0.weight", &[gates, input], Need::Nothing);
            self.add("senet.2.weight", &[gates, gates], Need::Nothing);
        }
        self.add("feature.0.weight", &[head.hidden_dim, input], Need::Nothing);
        self.batch_norm("feature.1", head.hidden_dim);
        self.add("feature.2.weight", &[head.dim, head.hidden_dim], Need::Nothing);
        self.batch_norm("feature.3", head.dim);
    }

    fn pooled_head(&mut self, config: &VitConfig, head: PooledHead) {
        if head.norm {
            self.scale_and_shift("norm", config.embed_dim, Need::Nothing);
        }
        if head.pooled_norm {
            self.scale_and_shift("fc_norm", config.embed_dim, Need::Nothing);
        }
        if head.projection {
            self.add("head.weight", &[head.dim, config.embed_dim], Need::Nothing);
        }
        if head.projection_bias {
            self.add("head.bias", &[head.dim], Need::Nothing);
        }
    }

    fn scale_and_shift(&mut self, name: &str, dim: usize, need: Need) {
        self.add(&format!("{name}.weight"), &[dim], need);
        self.add(&format!("{name}.bias"), &[dim], need);
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, need: Need) {
        self.add(&format!("{name}.weight"), &[outputs, inputs], need);
        self.add(&format!("{name}.bias"), &[outputs], need);
    }

    fn batch_norm(&mut self, name: &str, dim: usize) {
        self.scale_and_shift(name, dim, Need::Nothing);
        for statistic in ["running_mean", "running_var"] {
            self.add_fitted(&format!("{name}.{statistic}"), &[dim]);
        }
    }

    /// Adds a tensor that is not a parameter and that no score needs.
    fn add_fitted(&mut self, name: &str, shape: &[usize]) {
        self.0.push(Expected {
            name: name.to_owned(),
            shape: shape.to_vec(),
            need: Need::Nothing,
            parameter: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vit::config::LandmarkBias;

    fn vit_s() -> VitConfig {
        VitConfig {
            mlp_dim: 2560,
            embedding_head: Some(EmbeddingHeadConfig::Flattened(FlattenedHead {
                tokens: EmbeddingTokens::All,
                gated: false,
                hidden_dim: 512,
                dim: 512,
            })),
            ..VitConfig::official(112, 8, 512, 12, 8)
        }
    }

    /// The sum is written out part by part, as an independent computation.
    #[test]
    fn vit_s_has_95_9_million_parameters() {
        let patches = 512 * 3 * 8 * 8 + 512 + 196 * 512;
        let attention = 3 * 512 * 512 + 512 * 512 + 512;
        let mlp = 512 * 2560 + 2560 + 2560 * 512 + 512;
        let block = 4 * 512 + attention + mlp;
        let head = 2 * 512 + 512 * 196 * 512 + 2 * 512 + 512 * 512 + 2 * 512;
        let full = count(&tensors(&vit_s(), Content::Full, Extras::default()));
        assert_eq!(full.total, patches + 12 * block + head);
        assert_eq!(full.total, 95_952_384);
        let needed = patches + 11 * block + 2 * 512 + 2 * 512 * 512;
        assert_eq!(full.needed_for_quality, needed);
        assert_eq!(needed, 41_156_608);
    }

    /// The parameter count reported elsewhere for CVLface's
    /// `cvlface_adaface_vit_base_kprpe_webface12m`.
    #[test]
    fn kp_rpe_vit_b_has_115_1_million_parameters() {
        let config = VitConfig {
            mlp_dim: 1536,
            embedding_head: vit_s().embedding_head,
            landmark_bias: Some(LandmarkBias::Softmax),
            ..VitConfig::official(112, 8, 512, 24, 16)
        };
        let full = count(&tensors(&config, Content::Full, Extras::default()));
        assert_eq!(full.total, 115_076_736);
    }

    #[test]
    fn a_quality_only_file_has_exactly_what_a_score_needs() {
        for (qkv_bias, class_token, key_bias) in
            [(false, false, false), (true, true, true), (true, false, true)]
        {
            let positions = vit_s().positions + usize::from(class_token);
            let landmark_bias = key_bias.then_some(LandmarkBias::Score);
            let config = VitConfig { qkv_bias, class_token, positions, landmark_bias, ..vit_s() };
            let extras = Extras { key_bias, cause_rows: Some(13) };
            let full = count(&tensors(&config, Content::Full, extras));
            let part = count(&tensors(&config, Content::QualityOnly, extras));
            assert_eq!(part.total, part.needed_for_quality);
            assert_eq!(part.total, full.needed_for_quality);
        }
    }
}
