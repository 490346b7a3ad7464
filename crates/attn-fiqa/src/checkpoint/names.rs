//! Tensor names as written by training code, and canonical names.

use std::collections::BTreeSet;

use super::error::CheckpointProblem;
use super::family::Naming;
use crate::sanitize::sanitized_name;

/// Components that may precede a canonical name, repeatedly: the attributes under which training
/// code, `DataParallel` and `torch.compile` store the network.
const COMPONENTS: [&str; 7] =
    ["module.", "backbone.", "model.", "net.", "_orig_mod.", "state_dict.", "online_model."];

/// Components under which training code stores a moving average of the weights next to them.
const EMA_COMPONENTS: [&str; 6] =
    ["ema.", "ema_model.", "ema_net.", "model_ema.", "module_ema.", "net_ema."];

/// What training code stores with a moving average: whether it has started, and its number of
/// steps.
const EMA_BOOKKEEPING: [&str; 2] = ["initted", "step"];

/// Substrings of the names of optimizer state.
const OPTIMIZER: [&str; 4] = ["exp_avg", "momentum_buffer", "optimizer.", "optimizer_state."];

/// First components of the classifiers that margin losses train on top of a face network.
const CLASSIFIERS: [&str; 8] =
    ["head", "classifier", "fc", "margin", "arcface", "adaface", "cosface", "kernel"];

/// BatchNorm's counters of training batches.
pub(super) const BOOKKEEPING: [&str; 2] =
    ["feature.1.num_batches_tracked", "feature.3.num_batches_tracked"];

/// The token that replaces masked patches in training, `[1, 1, D]`.
pub(super) const MASK_TOKEN: &str = "mask_token";

/// Where the network is among the names of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) naming: Naming,
    /// The part before every name.
    pub(super) prefix: String,
    /// The part after the prefix, before the names of the image encoder of a larger model.
    pub(super) tower: String,
    /// Prefixes of moving averages (EMA) of the same weights.
    pub(super) copies: Vec<String>,
}

impl Network {
    /// What kind of tensor outside the network this is, if it may be left out.
    pub(super) fn exclusion(&self, name: &str) -> Option<ExcludedTensor> {
        // A copy may be under the network's prefix, or the network under a copy's.
        let of_copy = |copy: &&String| {
            let within = self.prefix.starts_with(copy.as_str()) && name.starts_with(&self.prefix);
            name.starts_with(copy.as_str()) && !within
        };
        if let Some(copy) = self.copies.iter().find(of_copy) {
            return Some(ExcludedTensor::Copy(copy.clone()));
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if let Some(copy) = self.copies.first()
            && EMA_BOOKKEEPING.contains(&last)
        {
            return Some(ExcludedTensor::Copy(copy.clone()));
        }
        OPTIMIZER.iter().any(|part| name.contains(part)).then_some(ExcludedTensor::Optimizer)
    }
}

/// A tensor that is not part of the network and is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ExcludedTensor {
    /// Part of the moving average under this prefix.
    Copy(String),
    /// Part of an optimizer's state.
    Optimizer,
}

/// Finds the network by the names that every network of its kind has; `None` if no tensor has one.
///
/// If there are both weights and moving averages of them, the weights are used.
pub(super) fn find_network<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<Option<Network>, CheckpointProblem> {
    for naming in [Naming::Canonical, Naming::HuggingFace, Naming::OpenAi] {
        for anchor in naming.anchors() {
            let prefixes: BTreeSet<&str> = names
                .clone()
                .filter_map(|name| name.strip_suffix(anchor))
                .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
                .filter(|prefix| !OPTIMIZER.iter().any(|part| prefix.contains(part)))
                .collect();
            let (copies, weights): (Vec<&str>, Vec<&str>) =
                prefixes.iter().copied().partition(|prefix| is_ema(prefix));
            let (full, copies) = match (&weights[..], &copies[..]) {
                ([], []) => continue,
                ([one], copies) => (*one, copies),
                ([], [one]) => (*one, &[][..]),
                _ => {
                    return Err(CheckpointProblem::SeveralNetworks {
                        under: prefixes.into_iter().map(sanitized_name).collect(),
                    });
                }
            };
            let tower = naming.towers().iter().find(|tower| full.ends_with(*tower));
            let tower = tower.copied().unwrap_or_default();
            let prefix = full.strip_suffix(tower).unwrap_or(full);
            if !without_components(prefix).is_empty() {
                return Err(CheckpointProblem::UnknownPrefix {
                    prefix: sanitized_name(prefix),
                    tensor: sanitized_name(&format!("{full}{anchor}")),
                });
            }
            let of_copy = |copy: &&str| copy.strip_suffix(tower).unwrap_or(copy).to_owned();
            return Ok(Some(Network {
                naming,
                prefix: prefix.to_owned(),
                tower: tower.to_owned(),
                copies: copies.iter().map(of_copy).collect(),
            }));
        }
    }
    Ok(None)
}

/// Whether any component of a prefix is that of a moving average.
fn is_ema(prefix: &str) -> bool {
    prefix.split_inclusive('.').any(|component| EMA_COMPONENTS.contains(&component))
}

/// Whether a name belongs to a classifier used in training, at any depth.
pub(super) fn is_classifier(name: &str) -> bool {
    let first = without_components(name).split('.').next().unwrap_or_default();
    CLASSIFIERS.contains(&first)
}

fn without_components(name: &str) -> &str {
    let mut rest = name;
    let components = || COMPONENTS.iter().chain(&EMA_COMPONENTS);
    while let Some(shorter) = components().find_map(|component| rest.strip_prefix(component)) {
        rest = shorter;
    }
    rest
}

/// The `i` of `blocks.{i}.…`.
pub(super) fn block_index(name: &str) -> Option<usize> {
    let (digits, _) = name.strip_prefix("blocks.")?.split_once('.')?;
    let index: usize = digits.parse().ok()?;
    // A number has only one valid spelling: not `+1`, not `01`.
    (index.to_string() == digits).then_some(index)
}

/// The combined query and key linear layer of a quality-only file's last block.
pub(super) fn qk(block: usize, what: &str) -> String {
    format!("blocks.{block}.attn.qk.{what}")
}

/// Name of the calibration vector added to every key, `[H, D/H]`.
pub const KEY_BIAS: &str = "calibration.key_bias";

/// Name of the readout of causes, `[causes + 1, D + 1]`.
pub(super) const CAUSES: &str = "calibration.causes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_prefixes_are_accepted() {
        for prefix in ["", "net.", "module.", "model.net.", "backbone.", "module._orig_mod."] {
            let name = format!("{prefix}patch_embed.proj.weight");
            let found = find_network([name.as_str(), "head.weight"].into_iter()).unwrap();
            assert_eq!(found.map(|network| network.prefix).as_deref(), Some(prefix));
        }
        let unknown = find_network(["encoder.pos_embed"].into_iter()).unwrap_err();
        assert!(unknown.to_string().contains("`encoder.`"), "{unknown}");
        let two = find_network(["net.pos_embed", "pos_embed"].into_iter()).unwrap_err();
        assert!(two.to_string().contains("several networks"), "{two}");
        assert_eq!(find_network(["decoder_pos_embed"].into_iter()).unwrap(), None);
    }

    #[test]
    fn ema_weights_are_used_only_if_alone() {
        let both = ["ema.pos_embed", "pos_embed", "ema.step", "optimizer.exp_avg.0"];
        let network = find_network(both.into_iter()).unwrap().unwrap();
        assert_eq!((network.prefix.as_str(), &*network.copies), ("", &["ema.".to_owned()][..]));
        let copy = Some(ExcludedTensor::Copy("ema.".to_owned()));
        let excluded = both.map(|name| network.exclusion(name));
        assert_eq!(excluded, [copy.clone(), None, copy, Some(ExcludedTensor::Optimizer)]);
        // On its own, the average is the network.
        let alone = find_network(["ema_model.module.pos_embed"].into_iter()).unwrap().unwrap();
        assert_eq!((alone.prefix.as_str(), alone.copies.len()), ("ema_model.module.", 0));
        assert_eq!(alone.exclusion("ema_model.module.pos_embed"), None);
    }

    #[test]
    fn an_image_encoder_is_found_in_a_larger_model() {
        let clip = ["visual.class_embedding", "positional_embedding"];
        let network = find_network(clip.into_iter()).unwrap().unwrap();
        assert_eq!((network.prefix.as_str(), network.tower.as_str()), ("", "visual."));
        let name = "model.vit.embeddings.patch_embeddings.projection.weight";
        let network = find_network([name].into_iter()).unwrap().unwrap();
        assert_eq!((network.prefix.as_str(), network.tower.as_str()), ("model.", "vit."));
    }

    #[test]
    fn non_canonical_block_indices_are_rejected() {
        assert_eq!(block_index("blocks.10.norm1.weight"), Some(10));
        for name in ["blocks.01.a", "blocks.+1.a", "blocks.", "blocks.x.a", "norm.weight"] {
            assert_eq!(block_index(name), None, "{name}");
        }
    }

    #[test]
    fn classifiers_are_distinguished_from_other_names() {
        for name in ["head.weight", "module.head.kernel", "kernel", "net.fc.bias"] {
            assert!(is_classifier(name), "{name}");
        }
        for name in ["header.weight", "blocks.0.head.weight", "fc_norm.weight"] {
            assert!(!is_classifier(name), "{name}");
        }
    }
}
