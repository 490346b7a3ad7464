//! Methods by name: the one list used by every program.

use std::fmt;
use std::str::FromStr;

/// How a forward pass becomes a single number: from the pre-softmax attention (ATTN-FIQA §3 and its
/// ablation) or from other outputs of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Aggregation {
    /// The mean over heads and token pairs: the published score.
    Mean,
    /// The mean after adding the checkpoint's fitted key bias to every key (definitions §2).
    CalibratedMean,
    /// The median; the lower of the two middle values, as in PyTorch.
    Median,
    /// The largest value.
    Max,
    /// One over the sample standard deviation.
    InverseStd,
    /// How little the patches change from block to block: with `d̄` the mean distance between the
    /// L2-normalised, final-normed embeddings of a patch after consecutive blocks, the mean over
    /// patches of `2/(1+e^{8·d̄})`, 0 to 1 (ViTNT-FIQA, arXiv 2601.05741).
    Stability,
    /// The same, with patches weighted by the attention (after softmax) that they receive in the
    /// last block.
    WeightedStability,
    /// The norm of the unnormalised embedding.
    EmbeddingNorm,
    /// The agreement of the embeddings that the last block produces with random dropout, 0 to 1
    /// (similar to SER-FIQ, CVPR 2020).
    Dropout,
}

impl Aggregation {
    /// Every aggregation, the published one first.
    pub const ALL: [Self; 9] = [
        Self::Mean,
        Self::CalibratedMean,
        Self::Median,
        Self::Max,
        Self::InverseStd,
        Self::Stability,
        Self::WeightedStability,
        Self::EmbeddingNorm,
        Self::Dropout,
    ];

    /// The name on the command line and in column headings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "attn",
            Self::CalibratedMean => "attn-calibrated",
            Self::Median => "attn-median",
            Self::Max => "attn-max",
            Self::InverseStd => "attn-inverse-std",
            Self::Stability => "vitnt",
            Self::WeightedStability => "vitnt-weighted",
            Self::EmbeddingNorm => "norm",
            Self::Dropout => "dropout",
        }
    }

    /// Whether the score is a mean over patches and therefore has a map.
    pub fn has_map(self) -> bool {
        matches!(self, Self::Mean | Self::CalibratedMean)
    }

    /// Whether the score tracks the patches through all blocks.
    pub(crate) fn reads_block_outputs(self) -> bool {
        matches!(self, Self::Stability | Self::WeightedStability)
    }

    /// Whether the score needs more than the attention of one block: the last block in full and
    /// what comes after it. Such a score has no block or head to choose, and the engine must be
    /// built with [`EngineOptions::embedding`](crate::engine::EngineOptions::embedding).
    pub fn needs_full_forward(self) -> bool {
        matches!(
            self,
            Self::Stability | Self::WeightedStability | Self::EmbeddingNorm | Self::Dropout
        )
    }
}

/// A quality method: an aggregation over all heads or one, in the last block or another.
///
/// Written `attn`, `attn-max@block=3`, `attn@head=0`, `attn-median@block=2@head=5`; blocks and
/// heads are counted from 0, as in checkpoint names. For the published mean, a higher score means a
/// more useful image; the others are the paper's ablations.
///
/// Invalid combinations cannot be built: the key bias belongs to the last block, and an aggregation
/// that needs a full forward pass has neither block nor head.
///
/// # Examples
///
/// ```
/// use attn_fiqa::score::{Aggregation, Method};
///
/// let method = Method::new(Aggregation::Max).at_block(3)?.of_head(0)?;
/// assert_eq!(method, "attn-max@block=3@head=0".parse()?);
/// assert!(Method::ATTN_CALIBRATED.at_block(3).is_err());
/// assert!(Method::new(Aggregation::Dropout).of_head(1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    aggregation: Aggregation,
    block: Option<usize>,
    head: Option<usize>,
}

impl Method {
    /// The published score: the mean over all heads and token pairs of the last block.
    pub const ATTN: Self = Self::new(Aggregation::Mean);
    /// The published score after adding the checkpoint's fitted key bias to every key.
    pub const ATTN_CALIBRATED: Self = Self::new(Aggregation::CalibratedMean);

    /// An aggregation over all heads of the last block, or of the whole network.
    pub const fn new(aggregation: Aggregation) -> Self {
        Self { aggregation, block: None, head: None }
    }

    /// The same aggregation in block `block`, counted from 0.
    ///
    /// # Errors
    ///
    /// If the aggregation needs a full forward pass, or uses the key bias, which belongs to the
    /// last block.
    pub fn at_block(self, block: usize) -> Result<Self, MethodError> {
        Self { block: Some(block), ..self }.checked()
    }

    /// The same aggregation for head `head` alone, counted from 0.
    ///
    /// # Errors
    ///
    /// If the aggregation needs a full forward pass.
    pub fn of_head(self, head: usize) -> Result<Self, MethodError> {
        Self { head: Some(head), ..self }.checked()
    }

    fn checked(self) -> Result<Self, MethodError> {
        let error = |reason| Err(MethodError { name: self.to_string(), reason });
        if self.aggregation.needs_full_forward() && (self.block.is_some() || self.head.is_some()) {
            return error("a block or head, although the score needs a full forward pass,");
        }
        if self.aggregation == Aggregation::CalibratedMean && self.block.is_some() {
            return error("a block, although the key bias belongs to the last one,");
        }
        Ok(self)
    }

    /// The aggregation.
    pub fn aggregation(self) -> Aggregation {
        self.aggregation
    }

    /// The block whose attention is used; `None` means the last.
    pub fn block(self) -> Option<usize> {
        self.block
    }

    /// The head that is used; `None` means all.
    pub fn head(self) -> Option<usize> {
        self.head
    }

    /// Whether the score needs the full last block, so that the engine must be built with
    /// [`EngineOptions::embedding`](crate::engine::EngineOptions::embedding).
    pub fn needs_full_forward(self) -> bool {
        self.aggregation.needs_full_forward()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.aggregation.name())?;
        if let Some(block) = self.block {
            write!(f, "@block={block}")?;
        }
        if let Some(head) = self.head {
            write!(f, "@head={head}")?;
        }
        Ok(())
    }
}

/// A method name that could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason} in method '{name}'; expected one of {}, those of attn optionally with @block=N \
     and @head=N",
    names()
)]
pub struct MethodError {
    name: String,
    reason: &'static str,
}

fn names() -> String {
    Aggregation::ALL.map(Aggregation::name).join(", ")
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(name: &str) -> Result<Self, MethodError> {
        let error = |reason| MethodError { name: name.to_owned(), reason };
        let mut parts = name.split('@');
        let aggregation = parts.next().unwrap_or_default();
        let aggregation = Aggregation::ALL
            .into_iter()
            .find(|candidate| candidate.name() == aggregation)
            .ok_or_else(|| error("unknown name"))?;
        let mut method = Self::new(aggregation);
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| error("no '=' after '@'"))?;
            let slot = match key {
                "block" => &mut method.block,
                "head" => &mut method.head,
                _ => return Err(error("neither block nor head after '@'")),
            };
            let value = value.parse().map_err(|_| error("no whole number after '='"))?;
            if slot.replace(value).is_some() {
                return Err(error("block or head given twice"));
            }
        }
        let Self { block, head, .. } = method;
        let checked = Self { aggregation, block, head }.checked();
        checked.map_err(|problem| error(problem.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_names_round_trip() {
        for aggregation in Aggregation::ALL {
            for block in [None, Some(3)] {
                if aggregation == Aggregation::CalibratedMean && block.is_some() {
                    continue;
                }
                for head in [None, Some(0)] {
                    if aggregation.needs_full_forward() && (block.is_some() || head.is_some()) {
                        continue;
                    }
                    let method = Method { aggregation, block, head };
                    assert_eq!(method.to_string().parse(), Ok(method));
                }
            }
        }
    }

    #[test]
    fn invalid_names_are_rejected_with_reason() {
        for (name, reason) in [
            ("atn", "unknown name"),
            ("", "unknown name"),
            ("attn@block", "no '='"),
            ("attn@layer=1", "neither block nor head"),
            ("attn@block=last", "no whole number"),
            ("attn@head=1@head=2", "twice"),
            ("norm@block=1", "full forward pass"),
            ("vitnt@head=1", "full forward pass"),
            ("attn-calibrated@block=1", "key bias belongs to the last"),
        ] {
            let message = name.parse::<Method>().expect_err(name).to_string();
            assert!(message.contains(reason) && message.contains("attn-inverse-std"), "{message}");
        }
    }
}
