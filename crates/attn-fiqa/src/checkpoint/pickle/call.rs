//! What the permitted callables make of their arguments.

use super::machine::Machine;
use super::{Callable, MAX_RANK, Node, NodeId, PickleProblem, PickledTensor, Storage};

impl<'a> Machine<'a> {
    /// The value of `callable(*arguments)`.
    pub(super) fn call(
        &mut self,
        callable: NodeId,
        arguments: NodeId,
    ) -> Result<NodeId, PickleProblem> {
        let callable = self.callable(callable)?;
        let Node::Tuple(arguments) = self.node(arguments) else {
            return Err(self.malformed("the arguments of a call are not a tuple"));
        };
        match (callable, arguments.as_slice()) {
            (Callable::OrderedDict, []) => Ok(self.add(Node::Dict(Vec::new()))),
            (Callable::RebuildTensor, &[storage, offset, shape, strides, ..])
                if (6..=7).contains(&arguments.len()) =>
            {
                let tensor = PickledTensor {
                    storage: match self.node(storage) {
                        Node::Storage(storage) => *storage,
                        _ => return Err(self.malformed("a tensor has no storage")),
                    },
                    offset: self.size(offset)?,
                    shape: self.sizes(shape)?,
                    strides: self.sizes(strides)?,
                };
                if tensor.shape.len() != tensor.strides.len() {
                    return Err(self.malformed("a tensor has not as many strides as dimensions"));
                }
                Ok(self.add(Node::Tensor(Box::new(tensor))))
            }
            (Callable::RebuildParameter, &[tensor, ..]) if (3..=4).contains(&arguments.len()) => {
                match self.node(tensor) {
                    Node::Tensor(_) => Ok(tensor),
                    _ => Err(self.malformed("a parameter is not a tensor")),
                }
            }
            (Callable::Size, &[sizes]) => match self.node(sizes) {
                Node::Tuple(_) => Ok(sizes),
                _ => Err(self.malformed("a size is not a tuple")),
            },
            (Callable::StorageType(_), _) => Err(self.malformed("a storage class is called")),
            _ => Err(self.malformed("a call has the wrong number of arguments")),
        }
    }

    /// The storage that a persistent id `('storage', class, key, location,
    /// elements)` stands for.
    pub(super) fn storage(&self, id: NodeId) -> Result<Storage<'a>, PickleProblem> {
        let Node::Tuple(parts) = self.node(id) else {
            return Err(self.malformed("a persistent id is not a tuple"));
        };
        let &[kind, class, key, _location, elements] = parts.as_slice() else {
            return Err(self.malformed("a persistent id has not five parts"));
        };
        match (self.node(kind), self.node(class), self.node(key)) {
            (
                Node::Text("storage"),
                Node::Callable(Callable::StorageType(element)),
                Node::Text(key),
            ) => Ok(Storage { element: *element, key, elements: self.size(elements)? }),
            _ => Err(self.malformed("a persistent id is not that of a storage")),
        }
    }

    fn size(&self, id: NodeId) -> Result<u64, PickleProblem> {
        match self.node(id) {
            Node::Int(value) => {
                u64::try_from(*value).map_err(|_| self.malformed("a size or offset is negative"))
            }
            _ => Err(self.malformed("a size or offset is not a 64-bit integer")),
        }
    }

    fn sizes(&self, id: NodeId) -> Result<Vec<u64>, PickleProblem> {
        match self.node(id) {
            // Many tensors may share one tuple, so its copy must be small.
            Node::Tuple(items) if items.len() <= MAX_RANK => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            Node::Tuple(_) => Err(self.malformed("a tensor has more than 8 dimensions")),
            _ => Err(self.malformed("a shape is not a tuple")),
        }
    }
}
