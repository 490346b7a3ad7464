//! A network from an ONNX file, ready to run.

use std::path::Path;
use std::sync::Mutex;

use rten::{
    DataType, Dimension, Model, ModelOptions, NodeId, RunOptions, ValueOrView, ValueType, ValueView,
};

use super::error::{OnnxError, OnnxProblem};
use super::estimate::{self, DeclaredShapes};
use super::graph::{self, Graph};
use super::tensor::{Dim, Tensor, TensorInfo, list_tensors};
use crate::panics::catching;
use crate::regular_file::{OpenError, ReadError, read_regular_file};
use crate::sanitize::sanitized;
use crate::threads::Threads;

/// Protocol Buffers limits a message to 2 GiB.
const MAX_BYTES: u64 = 1 << 31;

/// Number of checked sets of input shapes that are remembered; a detector meets many.
const MAX_CHECKED_SHAPES: usize = 64;

/// An opened network. `Send + Sync`; many threads can run it at once.
pub struct OnnxModel {
    file: String,
    model: Model,
    inputs: Vec<(NodeId, TensorInfo)>,
    outputs: Vec<(NodeId, TensorInfo)>,
    graph: Graph,
    /// Input shapes for which the network was found to stay within the limits.
    checked: Mutex<Vec<Vec<Option<Vec<u64>>>>>,
}

impl std::fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxModel").field("file", &self.file).finish_non_exhaustive()
    }
}

impl OnnxModel {
    /// Reads the file at `path` into memory and builds its network. Weights in separate files
    /// (`external data`) are not supported.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is larger than 2 GiB, is not an ONNX model, uses an operator
    /// that face networks do not use (the message then names the node), or needs more memory or
    /// time than any face network.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        Self::from_bytes(read_file(path)?, &path.display().to_string())
    }

    /// Builds a network from bytes embedded in the program; `name` identifies them in errors.
    ///
    /// # Errors
    ///
    /// As [`OnnxModel::open`].
    pub fn from_static(bytes: &'static [u8], name: &str) -> Result<Self, OnnxError> {
        Self::build(bytes, name, |options| options.load_static_slice(bytes))
    }

    /// Builds a network from bytes in memory; `name` identifies them in errors.
    ///
    /// # Errors
    ///
    /// As [`OnnxModel::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, OnnxError> {
        let checked = check(&bytes).map_err(|problem| OnnxError::new(name, problem))?;
        Self::load(checked, name, |options| options.load(bytes))
    }

    fn build(
        bytes: &[u8],
        name: &str,
        load: impl FnOnce(&ModelOptions) -> Result<Model, rten::LoadError>,
    ) -> Result<Self, OnnxError> {
        let checked = check(bytes).map_err(|problem| OnnxError::new(name, problem))?;
        Self::load(checked, name, load)
    }

    /// Builds the network; `load` handles bytes that need no rewriting.
    fn load(
        Checked { graph, rewritten }: Checked,
        name: &str,
        load: impl FnOnce(&ModelOptions) -> Result<Model, rten::LoadError>,
    ) -> Result<Self, OnnxError> {
        let fail = |problem| OnnxError::new(name, problem);
        let options = ModelOptions::with_all_ops();
        let load = || match rewritten {
            Some(bytes) => options.load(bytes),
            None => load(&options),
        };
        let model = guarded(load).map_err(fail)?.map_err(|error| {
            let (opset, detail) =
                (estimate::opset_text(graph.opset), sanitized(&error.to_string()));
            fail(OnnxProblem::Load { opset, detail })
        })?;
        let tensors =
            |ids: &[NodeId]| ids.iter().map(|&id| (id, tensor_info(&model, id))).collect();
        Ok(Self {
            file: name.to_owned(),
            inputs: tensors(model.input_ids()),
            outputs: tensors(model.output_ids()),
            model,
            graph,
            checked: Mutex::new(Vec::new()),
        })
    }

    /// The file, or the name given to bytes in memory.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The inputs, in file order.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.inputs.iter().map(|(_, tensor)| tensor)
    }

    /// The outputs, in file order.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.outputs.iter().map(|(_, tensor)| tensor)
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.model.total_params()
    }

    /// Runs the network with every input by name; returns the requested outputs in order.
    ///
    /// If called from a thread of `threads`, it runs on that thread and on idle threads of the
    /// pool.
    ///
    /// # Errors
    ///
    /// If a name does not exist, a shape does not match, the network would need more memory or time
    /// for these input shapes than any face network, it fails, or an output is not f32.
    pub fn run(
        &self,
        inputs: &[(&str, &Tensor)],
        outputs: &[&str],
        threads: &Threads,
    ) -> Result<Vec<Tensor>, OnnxError> {
        let fail = |problem| OnnxError::new(&self.file, problem);
        let given = inputs
            .iter()
            .map(|(name, tensor)| self.input(name, tensor))
            .collect::<Result<Vec<_>, _>>()
            .map_err(fail)?;
        let wanted = outputs
            .iter()
            .map(|name| find(&self.outputs, "output", name))
            .collect::<Result<Vec<_>, _>>()
            .map_err(fail)?;
        let wanted: Vec<NodeId> = wanted.into_iter().map(|(id, _)| id).collect();
        self.check(inputs).map_err(fail)?;
        let options = RunOptions::default().with_thread_pool(Some(threads.pool()));
        let values = guarded(|| self.model.run(given, &wanted, Some(options)))
            .map_err(fail)?
            .map_err(|error| fail(OnnxProblem::Run(sanitized(&error.to_string()))))?;
        let tensors = values.into_iter().zip(outputs).map(|(value, name)| {
            let found = value.dtype().to_string();
            let tensor: rten_tensor::Tensor<f32> = value
                .into_tensor()
                .ok_or(OnnxProblem::NotF32 { name: sanitized(name), found })
                .map_err(fail)?;
            let shape = rten_tensor::Layout::shape(&tensor).to_vec();
            Ok(Tensor::new(&shape, tensor.into_data())
                .expect("as many values as the shape says: this is a bug"))
        });
        tensors.collect()
    }

    /// Checks that the network stays within the limits for these inputs.
    fn check(&self, inputs: &[(&str, &Tensor)]) -> Result<(), OnnxProblem> {
        let shape = |id: usize| {
            let (_, tensor) = inputs.iter().find(|(name, _)| *name == self.graph.names[id])?;
            Some(tensor.shape().iter().map(|&length| length as u64).collect())
        };
        let shapes: Vec<Option<Vec<u64>>> =
            self.graph.inputs.iter().map(|&(id, _)| shape(id)).collect();
        // A thread that panicked has left the list intact.
        let lock = || self.checked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lock().contains(&shapes) {
            return Ok(());
        }
        estimate::check(&self.graph, &shapes)?;
        let mut checked = lock();
        if checked.len() >= MAX_CHECKED_SHAPES {
            checked.clear();
        }
        checked.push(shapes);
        Ok(())
    }

    fn input<'a>(
        &self,
        name: &str,
        tensor: &'a Tensor,
    ) -> Result<(NodeId, ValueOrView<'a>), OnnxProblem> {
        let (id, info) = find(&self.inputs, "input", name)?;
        let wrong = || OnnxProblem::WrongShape {
            name: sanitized(name),
            expected: info.shape_text(),
            found: tensor.shape().to_vec(),
        };
        if !info.takes(tensor.shape()) {
            return Err(wrong());
        }
        let view = ValueView::from_shape(tensor.shape(), tensor.values()).map_err(|_| wrong())?;
        Ok((id, view.into()))
    }
}

fn find<'a>(
    tensors: &'a [(NodeId, TensorInfo)],
    side: &'static str,
    name: &str,
) -> Result<(NodeId, &'a TensorInfo), OnnxProblem> {
    let found = tensors.iter().find(|(_, tensor)| tensor.name == name);
    found.map(|(id, tensor)| (*id, tensor)).ok_or_else(|| OnnxProblem::NoSuchTensor {
        side,
        name: sanitized(name),
        known: list_tensors(tensors.iter().map(|(_, tensor)| tensor)),
    })
}

fn tensor_info(model: &Model, id: NodeId) -> TensorInfo {
    let info = model.node_info(id);
    let shape = info.as_ref().and_then(|info| info.shape()).map(|axes| {
        let dim = |axis| match axis {
            Dimension::Fixed(length) => Dim::Fixed(length),
            Dimension::Symbolic(name) => Dim::Named(name),
        };
        axes.into_iter().map(dim).collect()
    });
    let dtype = info.as_ref().and_then(|info| info.dtype());
    TensorInfo {
        name: info.as_ref().and_then(|info| info.name()).unwrap_or_default().to_owned(),
        shape,
        is_f32: dtype.is_none_or(|dtype| dtype == ValueType::Tensor(DataType::Float)),
    }
}

/// The bytes of an ONNX file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, OnnxError> {
    read(path).map_err(|problem| OnnxError::new(&path.display().to_string(), problem))
}

fn read(path: &Path) -> Result<Vec<u8>, OnnxProblem> {
    read_regular_file(path, MAX_BYTES).map_err(|error| match error {
        ReadError::Open(OpenError::Io(error)) => OnnxProblem::Io(error),
        ReadError::Open(OpenError::Folder | OpenError::Special) => OnnxProblem::NotAFile,
        ReadError::TooLong(found) => OnnxProblem::TooLarge { found, limit: MAX_BYTES },
        ReadError::NoMemory(bytes) => OnnxProblem::NoMemory(bytes),
    })
}

/// The graph of a file that passed the checks.
struct Checked {
    graph: Graph,
    /// The file without its incorrect declared shapes, if it has any.
    rewritten: Option<Vec<u8>>,
}

/// All checks made before `rten` sees the bytes. Whatever depends on open axes is checked when the
/// network is run.
fn check(bytes: &[u8]) -> Result<Checked, OnnxProblem> {
    let graph = graph::read(bytes).map_err(OnnxProblem::NotOnnx)?;
    let fixed = |axes: &Option<graph::Axes>| axes.as_ref()?.iter().copied().collect();
    let inputs: Vec<Option<Vec<u64>>> = graph.inputs.iter().map(|(_, axes)| fixed(axes)).collect();
    let rewritten = match estimate::check(&graph, &inputs)? {
        DeclaredShapes::Consistent => None,
        DeclaredShapes::Inconsistent => {
            Some(graph::without_declared_shapes(bytes, &graph).map_err(OnnxProblem::NotOnnx)?)
        }
    };
    Ok(Checked { graph, rewritten })
}

/// Turns a panic inside `rten` into an error. What it may leave half-modified is dropped: the
/// network being built, or the values of one run.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, OnnxProblem> {
    catching(work).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        OnnxProblem::Panicked(sanitized(text.unwrap_or("without a reason")))
    })
}
