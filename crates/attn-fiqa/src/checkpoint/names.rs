//! Tensor names as training code writes them, and canonical names.

use std::collections::BTreeSet;

use super::error::CheckpointProblem;
use crate::sanitize::sanitized_name;

/// Components that may precede a canonical name, repeatedly: the attributes under which training
/// code, `DataParallel` and `torch.compile` store the network.
const COMPONENTS: [&str; 5] = ["module.", "backbone.", "model.", "net.", "_orig_mod."];

/// Names that every network of the layout has, the most distinctive first.
const ANCHORS: [&str; 4] =
    ["patch_embed.proj.weight", "pos_embed", "blocks.0.norm1.weight", "blocks.0.attn.qkv.weight"];

/// First components of the classifiers that margin losses train on top of a face network.
const CLASSIFIERS: [&str; 8] =
    ["head", "classifier", "fc", "margin", "arcface", "adaface", "cosface", "kernel"];

/// BatchNorm's counters of training batches.
pub(super) const BOOKKEEPING: [&str; 2] =
    ["feature.1.num_batches_tracked", "feature.3.num_batches_tracked"];

/// The token that replaces masked patches in training, `[1, 1, D]`.
pub(super) const MASK_TOKEN: &str = "mask_token";

/// The prefix of all names of the network; `None` if no tensor has a name of the layout.
pub(super) fn find_prefix<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<Option<String>, CheckpointProblem> {
    for anchor in ANCHORS {
        let prefixes: BTreeSet<&str> = names
            .clone()
            .filter_map(|name| name.strip_suffix(anchor))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .collect();
        let mut prefixes = prefixes.into_iter();
        match (prefixes.next(), prefixes.next()) {
            (None, _) => {}
            (Some(prefix), None) if without_components(prefix).is_empty() => {
                return Ok(Some(prefix.to_owned()));
            }
            (Some(prefix), None) => {
                return Err(CheckpointProblem::UnknownPrefix {
                    prefix: sanitized_name(prefix),
                    tensor: sanitized_name(&format!("{prefix}{anchor}")),
                });
            }
            (Some(one), Some(other)) => {
                return Err(CheckpointProblem::SeveralNetworks {
                    under: [one, other].into_iter().chain(prefixes).map(sanitized_name).collect(),
                });
            }
        }
    }
    Ok(None)
}

/// Whether a name belongs to a classifier used in training, at any depth.
pub(super) fn is_classifier(name: &str) -> bool {
    let first = without_components(name).split('.').next().unwrap_or_default();
    CLASSIFIERS.contains(&first)
}

fn without_components(name: &str) -> &str {
    let mut rest = name;
    while let Some(shorter) = COMPONENTS.iter().find_map(|component| rest.strip_prefix(component)) {
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
    fn prefixes_are_found_and_only_known_ones() {
        for prefix in ["", "net.", "module.", "model.net.", "backbone.", "module._orig_mod."] {
            let name = format!("{prefix}patch_embed.proj.weight");
            let found = find_prefix([name.as_str(), "head.weight"].into_iter()).unwrap();
            assert_eq!(found.as_deref(), Some(prefix));
        }
        let unknown = find_prefix(["encoder.pos_embed"].into_iter()).unwrap_err();
        assert!(unknown.to_string().contains("`encoder.`"), "{unknown}");
        let two = find_prefix(["net.pos_embed", "pos_embed"].into_iter()).unwrap_err();
        assert!(two.to_string().contains("several networks"), "{two}");
        assert_eq!(find_prefix(["decoder_pos_embed"].into_iter()).unwrap(), None);
    }

    #[test]
    fn block_indices_have_one_spelling() {
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
