//! A small pickle writer, for what torch.save writes and for what it never would.

use super::network::Tensor;

#[derive(Debug, Clone, Default)]
pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn mark(self) -> Self {
        self.raw(b"(")
    }

    pub(crate) fn tuple(self) -> Self {
        self.raw(b"t")
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// LONG1, whatever the magnitude.
    pub(crate) fn int(self, value: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    pub(crate) fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.mark(), |pickle, &value| pickle.int(value)).tuple()
    }

    pub(crate) fn storage(self, class: &str, key: &str, elements: i64) -> Self {
        self.mark()
            .text("storage")
            .global("torch", class)
            .text(key)
            .text("cpu")
            .int(elements)
            .tuple()
            .raw(b"Q")
    }

    /// A call of `_rebuild_tensor_v2`.
    pub(crate) fn tensor(self, view: &View<'_>) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .mark()
            .storage(view.class, view.key, view.elements)
            .int(view.offset)
            .ints(view.shape)
            .ints(view.strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")R")
            .tuple()
            .raw(b"R")
    }

    pub(crate) fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A tensor as a pickle declares it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) class: &'a str,
    pub(crate) key: &'a str,
    pub(crate) elements: i64,
    pub(crate) offset: i64,
    pub(crate) shape: &'a [i64],
    pub(crate) strides: &'a [i64],
}

/// `{"w": tensor}`.
pub(crate) fn one_tensor(name: &str, view: &View<'_>) -> Vec<u8> {
    Pickle::new().raw(b"}").text(name).tensor(view).raw(b"s").stop()
}

/// A state dict as `torch.save` writes it, tensor `i` in storage `i`, inside dictionaries with the
/// given keys, each with an `epoch` entry.
pub(crate) fn state_dict(tensors: &[Tensor], wrappers: &[&str]) -> Vec<u8> {
    let mut pickle = Pickle::new();
    for wrapper in wrappers {
        pickle = pickle.raw(b"}").mark().text("epoch").int(3).text(wrapper);
    }
    pickle = pickle.global("collections", "OrderedDict").raw(b")R").mark();
    for (key, tensor) in tensors.iter().enumerate() {
        let shape: Vec<i64> = tensor.shape.iter().map(|&size| size as i64).collect();
        let mut strides = vec![1_i64; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        pickle = pickle.text(&tensor.name).tensor(&View {
            class: "FloatStorage",
            key: &key.to_string(),
            elements: tensor.values.len() as i64,
            offset: 0,
            shape: &shape,
            strides: &strides,
        });
    }
    pickle = pickle.raw(b"u");
    // The `_metadata` of a module's state dict, set with BUILD.
    pickle = pickle.raw(b"}").text("_metadata").raw(b"}s").raw(b"b");
    for _ in wrappers {
        pickle = pickle.raw(b"u");
    }
    pickle.stop()
}
