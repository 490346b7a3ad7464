//! A network from an ONNX file, ready to run.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rten::{
    DataType, Dimension, Model, ModelOptions, NodeId, RunOptions, ValueOrView, ValueType, ValueView,
};

use super::error::{OnnxError, OnnxProblem, shown};
use super::structure::{self, Structure};
use super::tensor::{Dim, Port, Tensor};
use crate::threads::Threads;

/// Protocol Buffers bounds a message to 2 GiB.
const MAX_BYTES: u64 = 1 << 31;

/// An opened network. `Send + Sync`; it can be run from many threads at once.
pub struct OnnxModel {
    file: String,
    model: Model,
    inputs: Vec<(NodeId, Port)>,
    outputs: Vec<(NodeId, Port)>,
}

impl std::fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxModel").field("file", &self.file).finish_non_exhaustive()
    }
}

impl OnnxModel {
    /// Reads the file at `path` into memory and builds its network. Weights that lie
    /// in files of their own (`external data`) are not looked for.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is longer than 2 GiB, is no ONNX model, or uses
    /// an operator that `rten` does not have; the message then names the node.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        let file = path.display().to_string();
        let bytes = read(path).map_err(|problem| OnnxError::new(&file, problem))?;
        Self::from_bytes(bytes, &file)
    }

    /// Builds a network of bytes that are part of the program; `name` stands for them
    /// in errors.
    ///
    /// # Errors
    ///
    /// As [`OnnxModel::open`].
    pub fn from_static(bytes: &'static [u8], name: &str) -> Result<Self, OnnxError> {
        Self::load(bytes, name, |options| options.load_static_slice(bytes))
    }

    /// Builds a network of bytes in memory; `name` stands for them in errors.
    ///
    /// # Errors
    ///
    /// As [`OnnxModel::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, OnnxError> {
        let look = structure::look(&bytes);
        Self::build(look, name, |options| options.load(bytes))
    }

    fn load(
        bytes: &[u8],
        name: &str,
        load: impl FnOnce(&ModelOptions) -> Result<Model, rten::LoadError>,
    ) -> Result<Self, OnnxError> {
        Self::build(structure::look(bytes), name, load)
    }

    fn build(
        look: Result<Structure, &'static str>,
        name: &str,
        load: impl FnOnce(&ModelOptions) -> Result<Model, rten::LoadError>,
    ) -> Result<Self, OnnxError> {
        let fail = |problem| OnnxError::new(name, problem);
        let structure = look.map_err(|reason| fail(OnnxProblem::NotOnnx(reason)))?;
        let options = ModelOptions::with_all_ops();
        let model = guarded(|| load(&options)).map_err(fail)?.map_err(|error| {
            let opset = structure.opset.map_or("not stated".to_owned(), |opset| opset.to_string());
            fail(OnnxProblem::Load { opset, detail: shown(&error.to_string()) })
        })?;
        let ports = |ids: &[NodeId]| ids.iter().map(|&id| (id, port(&model, id))).collect();
        Ok(Self {
            file: name.to_owned(),
            inputs: ports(model.input_ids()),
            outputs: ports(model.output_ids()),
            model,
        })
    }

    /// The file, or the name that stands for embedded bytes.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What goes in, in the file's order.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &Port> {
        self.inputs.iter().map(|(_, port)| port)
    }

    /// What comes out, in the file's order.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &Port> {
        self.outputs.iter().map(|(_, port)| port)
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.model.total_params()
    }

    /// Runs the network: every input by its name, and the outputs wanted, in that order.
    ///
    /// Called from a thread of `threads`, it runs there and on the idle ones beside it.
    ///
    /// # Errors
    ///
    /// When a name is not there, a shape does not fit, the network fails, or an output
    /// holds something else than f32.
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
        let options = RunOptions::default().with_thread_pool(Some(threads.pool()));
        let values = guarded(|| self.model.run(given, &wanted, Some(options)))
            .map_err(fail)?
            .map_err(|error| fail(OnnxProblem::Run(shown(&error.to_string()))))?;
        let tensors = values.into_iter().zip(outputs).map(|(value, name)| {
            let found = value.dtype().to_string();
            let tensor: rten_tensor::Tensor<f32> = value
                .into_tensor()
                .ok_or(OnnxProblem::NotF32 { name: (*name).to_owned(), found })
                .map_err(fail)?;
            let shape = rten_tensor::Layout::shape(&tensor).to_vec();
            Ok(Tensor::new(&shape, tensor.into_data())
                .expect("as many values as the shape says: this is a bug"))
        });
        tensors.collect()
    }

    fn input<'a>(
        &self,
        name: &str,
        tensor: &'a Tensor,
    ) -> Result<(NodeId, ValueOrView<'a>), OnnxProblem> {
        let (id, port) = find(&self.inputs, "input", name)?;
        let wrong = || OnnxProblem::WrongShape {
            name: name.to_owned(),
            expected: port.shape_text(),
            found: tensor.shape().to_vec(),
        };
        if !port.takes(tensor.shape()) {
            return Err(wrong());
        }
        let view = ValueView::from_shape(tensor.shape(), tensor.values()).map_err(|_| wrong())?;
        Ok((id, view.into()))
    }
}

fn find<'a>(
    ports: &'a [(NodeId, Port)],
    side: &'static str,
    name: &str,
) -> Result<(NodeId, &'a Port), OnnxProblem> {
    let found = ports.iter().find(|(_, port)| port.name == name);
    found.map(|(id, port)| (*id, port)).ok_or_else(|| OnnxProblem::NoSuchPort {
        side,
        name: shown(name),
        known: ports.iter().map(|(_, port)| port.to_string()).collect::<Vec<_>>().join(", "),
    })
}

fn port(model: &Model, id: NodeId) -> Port {
    let info = model.node_info(id);
    let shape = info.as_ref().and_then(|info| info.shape()).map(|axes| {
        let dim = |axis| match axis {
            Dimension::Fixed(length) => Dim::Fixed(length),
            Dimension::Symbolic(name) => Dim::Named(name),
        };
        axes.into_iter().map(dim).collect()
    });
    let dtype = info.as_ref().and_then(|info| info.dtype());
    Port {
        name: info.as_ref().and_then(|info| info.name()).unwrap_or_default().to_owned(),
        shape,
        is_f32: dtype.is_none_or(|dtype| dtype == ValueType::Tensor(DataType::Float)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OnnxProblem> {
    // Opening a pipe would wait for a writer, so look before opening.
    let metadata = std::fs::metadata(path).map_err(OnnxProblem::Io)?;
    if !metadata.is_file() {
        return Err(OnnxProblem::NotAFile);
    }
    let too_large = |found| OnnxProblem::TooLarge { found, limit: MAX_BYTES };
    if metadata.len() > MAX_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(OnnxProblem::Io)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(OnnxProblem::Io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Turns a panic inside `rten` into an error. What it may leave half done is dropped:
/// the network being built, or the values of one run.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, OnnxProblem> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        OnnxProblem::Panicked(shown(text.unwrap_or("without a reason")))
    })
}
