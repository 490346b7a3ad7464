//! Reads the pickle of a PyTorch state dict without running anything in it.
//!
//! A pickle is a program for a stack machine. This one knows the instructions
//! that `torch.save` writes for a state dict and a short list of callables, for
//! which it makes plain data; everything else is refused by name. Values live
//! in an arena and refer to each other by index, so values that contain
//! themselves are harmless and nothing here recurses.

mod call;
mod machine;
mod reader;
mod state_dict;

pub(super) use state_dict::{StateDict, find_state_dict};

use super::diagnostics::sanitized;

/// Largest `data.pkl` that is read. A state dict of a thousand tensors needs
/// about 100 KiB.
pub(super) const MAX_PICKLE_BYTES: usize = 64 << 20;

/// Most instructions that are followed; a tensor needs about 30. Every
/// instruction makes at most one value and pushes at most one reference, so
/// this bounds memory too.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Most dimensions of a tensor; weights have up to four.
const MAX_RANK: usize = 8;

/// What a pickle asked for that was refused.
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
    /// It calls something with arguments that make no tensor or dictionary.
    #[error("at byte {at}: {what}")]
    Malformed {
        /// Position of the instruction.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It has an instruction that a state dict does not need.
    #[error(
        "at byte {at}: instruction 0x{opcode:02x} is not one that torch.save writes for a state \
         dict"
    )]
    UnknownInstruction {
        /// Position of the instruction.
        at: usize,
        /// The instruction.
        opcode: u8,
    },
    /// It ends in the middle of a value.
    #[error("ends at byte {at} in the middle of a value; the file is damaged")]
    CutShort {
        /// Position of the instruction that was cut.
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
    /// The value it makes is not a dictionary of tensors.
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

/// The bytes that tensors share: entry `data/<key>` of the zip file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) element: Element,
    pub(super) key: &'a str,
    /// Elements that the pickle says it has.
    pub(super) elements: u64,
}

/// A view into a storage, as declared and not yet checked.
#[derive(Debug, Clone)]
pub(super) struct PickledTensor<'a> {
    pub(super) storage: Storage<'a>,
    /// First element within the storage.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    /// As many as dimensions.
    pub(super) strides: Vec<u64>,
}

/// Index of a value in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NodeId(usize);

/// The functions and classes that a state dict may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callable {
    OrderedDict,
    RebuildTensor,
    /// Takes a tensor and returns it as a parameter.
    RebuildParameter,
    Size,
    StorageType(Element),
    /// `argparse.Namespace`, the options of a training run: made into nothing.
    Namespace,
}

/// A value.
#[derive(Debug)]
enum Node<'a> {
    /// A value that no state dict needs the content of: None, a float, bytes.
    Opaque,
    Int(i64),
    Text(&'a str),
    Tuple(Vec<NodeId>),
    List(Vec<NodeId>),
    Dict(Vec<(NodeId, NodeId)>),
    Callable(Callable),
    Storage(Storage<'a>),
    Tensor(Box<PickledTensor<'a>>),
    /// An object whose attributes are passed over.
    Ignored,
}

/// Everything a pickle made.
#[derive(Debug)]
struct Arena<'a> {
    nodes: Vec<Node<'a>>,
    root: NodeId,
}

impl<'a> Arena<'a> {
    fn get(&self, id: NodeId) -> &Node<'a> {
        self.nodes.get(id.0).unwrap_or(&Node::Opaque)
    }
}

fn not_a_state_dict(text: String) -> PickleProblem {
    PickleProblem::NotAStateDict(text)
}

/// The callable behind a global name, or its refusal.
fn resolve(module: &str, name: &str) -> Result<Callable, PickleProblem> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Callable::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Callable::RebuildTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Callable::RebuildParameter
        }
        ("torch", "Size") => Callable::Size,
        ("argparse", "Namespace") => Callable::Namespace,
        ("torch.storage", "UntypedStorage" | "TypedStorage") => {
            Callable::StorageType(Element { name: "untyped", width: 1 })
        }
        ("torch", class) => match storage_element(class) {
            Some(element) => Callable::StorageType(element),
            None => return Err(forbidden(module, name)),
        },
        _ => return Err(forbidden(module, name)),
    })
}

fn forbidden(module: &str, name: &str) -> PickleProblem {
    PickleProblem::ForbiddenGlobal(sanitized(&format!("{module}.{name}")))
}

fn storage_element(class: &str) -> Option<Element> {
    let (name, width) = match class {
        "FloatStorage" => ("float32", 4),
        "HalfStorage" => ("float16", 2),
        "BFloat16Storage" => ("bfloat16", 2),
        "DoubleStorage" => ("float64", 8),
        "LongStorage" => ("int64", 8),
        "IntStorage" => ("int32", 4),
        "ShortStorage" => ("int16", 2),
        "CharStorage" => ("int8", 1),
        "ByteStorage" => ("uint8", 1),
        "BoolStorage" => ("bool", 1),
        _ => return None,
    };
    Some(Element { name, width })
}
