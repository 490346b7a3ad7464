//! Reads the pickle of a PyTorch state dict without executing anything in it: the
//! [machine](crate::pickle) with a vocabulary for what `torch.save` writes.

mod state_dict;
mod vocabulary;

pub(super) use state_dict::{StateDict, find_state_dict};

use crate::pickle::{Limits, Refusal};
use crate::sanitize::sanitized_name;

/// Largest `data.pkl` that is parsed. A state dict of a thousand tensors needs about 100 KiB.
pub(super) const MAX_PICKLE_BYTES: usize = 64 << 20;

/// A tensor needs about 30 instructions, and module paths are far shorter than 1024 bytes.
const LIMITS: Limits = Limits { bytes: MAX_PICKLE_BYTES, instructions: 1 << 20, name: 1024 };

/// Maximum number of dimensions of a tensor; weights have up to four.
const MAX_RANK: usize = 8;

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleProblem {
    /// It refers to a function or class that a state dict does not need.
    #[error(
        "refers to `{0}`, and this program refuses to call `{0}`: a state dict needs only \
         tensors, so load it where it was made, if you trust it, and save its state dict with \
         safetensors.torch.save_file"
    )]
    ForbiddenGlobal(String),
    /// It calls something with arguments that do not form a tensor or dictionary.
    #[error("at byte {at}: {what}")]
    Malformed {
        /// Position of the instruction.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It uses a protocol other than 2 to 5.
    #[error("is written in pickle protocol {found}; expected one of 2 to 5")]
    UnknownProtocol {
        /// The declared protocol.
        found: u8,
    },
    /// It contains an instruction that a state dict does not need.
    #[error(
        "at byte {at}: instruction 0x{opcode:02x} is not one that torch.save writes for a state \
         dict"
    )]
    UnknownInstruction {
        /// Position of the instruction.
        at: usize,
        /// Its opcode.
        opcode: u8,
    },
    /// It ends inside a value.
    #[error("ends at byte {at} in the middle of a value; the file is damaged")]
    Truncated {
        /// Position of the last instruction.
        at: usize,
    },
    /// It is larger than any state dict.
    #[error("has more than {limit} {unit}, more than any state dict")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// The resulting value is not a dictionary of tensors.
    #[error("{0}")]
    NotAStateDict(String),
}

/// The element type of a storage, from the name of its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: &'static str,
    /// Bytes per element.
    pub(super) width: usize,
}

/// Bytes shared by tensors: entry `data/<key>` of the zip file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) element: Element,
    pub(super) key: &'a str,
    /// Number of elements that the pickle declares.
    pub(super) elements: u64,
}

/// A view of a storage, as declared and not yet checked.
#[derive(Debug, Clone)]
pub(super) struct PickledTensor<'a> {
    pub(super) storage: Storage<'a>,
    /// Index of the first element in the storage.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    /// One per dimension.
    pub(super) strides: Vec<u64>,
}

fn not_a_state_dict(text: String) -> PickleProblem {
    PickleProblem::NotAStateDict(text)
}

impl From<Refusal<'_>> for PickleProblem {
    fn from(refusal: Refusal<'_>) -> Self {
        match refusal {
            Refusal::ForbiddenGlobal { module, name } => {
                Self::ForbiddenGlobal(sanitized_name(&format!("{module}.{name}")))
            }
            Refusal::Malformed { at, what } => Self::Malformed { at, what },
            Refusal::UnknownProtocol { found } => Self::UnknownProtocol { found },
            Refusal::UnknownInstruction { at, opcode } => Self::UnknownInstruction { at, opcode },
            Refusal::Truncated { at } => Self::Truncated { at },
            Refusal::TooLarge { limit, unit } => Self::TooLarge { limit, unit },
        }
    }
}
