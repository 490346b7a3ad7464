//! What the pickle of a PyTorch state dict may contain.

use super::{Element, MAX_RANK, PickledTensor, Storage};
use crate::pickle::{Id, Returned, Value, Values, Vocabulary};

/// The functions and classes that a state dict may refer to, and what they produce.
#[derive(Debug)]
pub(super) enum Object<'a> {
    OrderedDict,
    RebuildTensor,
    /// Takes a tensor and returns it as a parameter.
    RebuildParameter,
    Size,
    StorageType(Element),
    /// `argparse.Namespace`: the options of a training run, whose attributes are skipped.
    Namespace,
    NamespaceInstance,
    Storage(Storage<'a>),
    Tensor(Box<PickledTensor<'a>>),
}

pub(super) type StateDictValues<'a> = Values<'a, Object<'a>>;

/// The vocabulary of state dicts, as `torch.save` writes them.
pub(super) struct StateDictVocabulary;

impl<'a> Vocabulary<'a> for StateDictVocabulary {
    type Object = Object<'a>;

    /// DUP; BINFLOAT, LONG1, LONG4; EMPTY_DICT, DICT, SETITEM, SETITEMS; NEWOBJ, BINPERSID.
    const OPCODES: &'static [u8] = &[b'2', b'G', 0x8a, 0x8b, b'}', b'd', b's', b'u', 0x81, b'Q'];

    fn global(&mut self, module: &str, name: &str) -> Option<Object<'a>> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Object::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Object::RebuildTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Object::RebuildParameter
            }
            ("torch", "Size") => Object::Size,
            ("argparse", "Namespace") => Object::Namespace,
            ("torch.storage", "UntypedStorage" | "TypedStorage") => {
                Object::StorageType(Element { name: "untyped", width: 1 })
            }
            ("torch", class) => Object::StorageType(storage_element(class)?),
            _ => return None,
        })
    }

    fn call(
        &mut self,
        values: &StateDictValues<'a>,
        callable: &Object<'a>,
        arguments: &[Id],
    ) -> Result<Returned<'a, Object<'a>>, &'static str> {
        match (callable, arguments) {
            (Object::OrderedDict, []) => Ok(Returned::New(Value::Dict(Vec::new()))),
            (Object::RebuildTensor, &[storage, offset, shape, strides, ..])
                if (6..=7).contains(&arguments.len()) =>
            {
                let Value::Object(Object::Storage(storage)) = values.get(storage) else {
                    return Err("a tensor has no storage");
                };
                let tensor = PickledTensor {
                    storage: *storage,
                    offset: size(values, offset)?,
                    shape: sizes(values, shape)?,
                    strides: sizes(values, strides)?,
                };
                if tensor.shape.len() != tensor.strides.len() {
                    return Err("a tensor has different numbers of strides and dimensions");
                }
                Ok(Returned::New(Value::Object(Object::Tensor(Box::new(tensor)))))
            }
            (Object::RebuildParameter, &[tensor, ..]) if (3..=4).contains(&arguments.len()) => {
                match values.get(tensor) {
                    Value::Object(Object::Tensor(_)) => Ok(Returned::Existing(tensor)),
                    _ => Err("a parameter is not a tensor"),
                }
            }
            (Object::Size, &[sizes]) => match values.get(sizes) {
                Value::Tuple(_) => Ok(Returned::Existing(sizes)),
                _ => Err("a size is not a tuple"),
            },
            (Object::StorageType(_), _) => Err("a storage class is called"),
            (Object::NamespaceInstance | Object::Storage(_) | Object::Tensor(_), _) => {
                Err("something that is not a function or class is called")
            }
            _ => Err("a call has the wrong number of arguments"),
        }
    }

    /// State set on a dictionary, such as `_metadata`, or on a namespace is ignored: no tensor
    /// depends on it.
    fn set_state(
        &mut self,
        values: &StateDictValues<'a>,
        value: Id,
        _state: Id,
    ) -> Result<Option<Object<'a>>, &'static str> {
        match values.get(value) {
            Value::Dict(_) | Value::Object(Object::NamespaceInstance) => Ok(None),
            _ => Err("state is set on something that is not a dictionary"),
        }
    }

    fn new_object(&mut self, class: &Object<'a>) -> Result<Object<'a>, &'static str> {
        match class {
            Object::Namespace => Ok(Object::NamespaceInstance),
            _ => Err("an object is made from a class that has no instances"),
        }
    }

    /// The storage for a persistent id `('storage', class, key, location, elements)`.
    fn persistent(
        &mut self,
        values: &StateDictValues<'a>,
        id: Id,
    ) -> Result<Object<'a>, &'static str> {
        let Value::Tuple(parts) = values.get(id) else {
            return Err("a persistent id is not a tuple");
        };
        let &[kind, class, key, _location, elements] = parts.as_slice() else {
            return Err("a persistent id does not have five parts");
        };
        match (values.get(kind), values.get(class), values.get(key)) {
            (
                Value::Text("storage"),
                Value::Object(Object::StorageType(element)),
                Value::Text(key),
            ) => {
                let elements = size(values, elements)?;
                Ok(Object::Storage(Storage { element: *element, key, elements }))
            }
            _ => Err("a persistent id does not refer to a storage"),
        }
    }
}

fn size(values: &StateDictValues<'_>, id: Id) -> Result<u64, &'static str> {
    match values.get(id) {
        Value::Int(value) => u64::try_from(*value).map_err(|_| "a size or offset is negative"),
        _ => Err("a size or offset is not a 64-bit integer"),
    }
}

fn sizes(values: &StateDictValues<'_>, id: Id) -> Result<Vec<u64>, &'static str> {
    match values.get(id) {
        // Many tensors may share one tuple, so its copy must be small.
        Value::Tuple(items) if items.len() <= MAX_RANK => {
            items.iter().map(|&item| size(values, item)).collect()
        }
        Value::Tuple(_) => Err("a tensor has more than 8 dimensions"),
        _ => Err("a shape is not a tuple"),
    }
}

/// The element type of a storage class.
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
