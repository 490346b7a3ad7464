//! Files to rows, in bounded memory.
//!
//! The run has its own thread, which sends rows through a bounded channel. The thread that asks
//! for a row waits in short slices, so that Ctrl-C takes effect.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use attn_fiqa::decode::DecodeLimits;
use attn_fiqa::pipeline::{FacePipeline, Row, StreamOptions};
use attn_fiqa::source::{ImageData, Input, Progress, SourceItem, SourceOptions, Sources};
use attn_fiqa::status::{Failure, Status};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList};

use crate::args::{path, repr};
use crate::arrow::{ArrowTable, TableBuilder, row_dict};
use crate::error::{AttnFiqaError, bad_request, failed};
use crate::face::{Context, Face, PickledFace, State, described};
use crate::guard::{catch_panic, detached};
use crate::loaded::Wanted;

/// Number of buffered rows.
const ROWS_AHEAD: usize = 64;
/// The longest delay until Ctrl-C takes effect.
const WAIT_INTERVAL: Duration = Duration::from_millis(50);

/// What to do with an image without a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    Row,
    Skip,
    Raise,
}

pub(crate) const ON_ERROR: [(&str, OnError); 3] =
    [("row", OnError::Row), ("skip", OnError::Skip), ("raise", OnError::Raise)];

/// How files are processed.
pub(crate) struct Files {
    pub(crate) on_error: OnError,
    pub(crate) wanted: Wanted,
    pub(crate) batch: Option<NonZeroUsize>,
    pub(crate) max_memory: Option<NonZeroUsize>,
    pub(crate) progress: bool,
}

/// One row, without Python objects.
#[derive(Clone)]
pub(crate) struct RowState {
    pub(crate) path: String,
    pub(crate) is_first: bool,
    /// Width and height.
    pub(crate) size: Option<(usize, usize)>,
    pub(crate) face: Option<State>,
    /// Status and message of an image without a face.
    pub(crate) failure: Option<(String, String)>,
    pub(crate) notes: Arc<[String]>,
}

impl RowState {
    fn of(row: Row, context: &Context) -> Self {
        let notes = described(&row.notes);
        let (face, failure) = match (row.face, row.outcome) {
            (Some(info), outcome) => (Some(context.face(&info, row.crop, outcome, &notes).0), None),
            (None, Err(failure)) => {
                (None, Some((failure.status.name().to_owned(), failure.message)))
            }
            (None, Ok(_)) => unreachable!("an assessment is of a face: this is a bug"),
        };
        Self { path: row.path, is_first: row.is_first, size: row.size, face, failure, notes }
    }

    pub(crate) fn status(&self) -> &str {
        match (&self.failure, &self.face) {
            (Some((status, _)), _) => status,
            (None, Some(face)) => &face.status,
            (None, None) => "ok",
        }
    }

    pub(crate) fn message(&self) -> Option<&str> {
        match (&self.failure, &self.face) {
            (Some((_, message)), _) => Some(message),
            (None, face) => face.as_ref()?.message.as_deref(),
        }
    }
}

/// A running stream.
struct Run {
    rows: Receiver<Result<RowState, String>>,
    worker: JoinHandle<()>,
}

/// The rows of files.
#[pyclass(frozen, module = "attn_fiqa")]
pub(crate) struct FileScores {
    /// The process that the worker thread belongs to.
    pid: u32,
    run: Mutex<Option<Run>>,
    stop: Arc<AtomicBool>,
    on_error: OnError,
    wanted: Wanted,
    context: Context,
    progress: Progress,
    /// A bar of `tqdm`.
    bar: Option<Py<PyAny>>,
}

/// The outcome of one wait.
enum Event {
    Row(Box<RowState>),
    Panic(String),
    Wait,
    End,
}

impl FileScores {
    /// The rows of the images found at paths or in lists.
    pub(crate) fn of_inputs(
        py: Python<'_>,
        inputs: &[Input],
        recursive: bool,
        pipeline: FacePipeline,
        context: Context,
        files: &Files,
    ) -> PyResult<Self> {
        let options = SourceOptions { recursive, ..SourceOptions::default() };
        let sources = detached(py, || Sources::open(inputs, &options))?.map_err(bad_request)?;
        let progress = sources.progress();
        Self::start(py, sources, progress, pipeline, context, files)
    }

    /// The rows of encoded images in memory.
    pub(crate) fn of_images(
        images: &Bound<'_, PyAny>,
        pipeline: FacePipeline,
        context: Context,
        files: &Files,
    ) -> PyResult<Self> {
        let items = encoded(images)?;
        Self::start(images.py(), items.into_iter(), Progress::default(), pipeline, context, files)
    }

    fn start(
        py: Python<'_>,
        sources: impl Iterator<Item = SourceItem> + Send + 'static,
        progress: Progress,
        pipeline: FacePipeline,
        context: Context,
        files: &Files,
    ) -> PyResult<Self> {
        let bar = files.progress.then(|| bar(py)).transpose()?;
        let mut stream = StreamOptions::default();
        stream.batch = files.batch.map_or(stream.batch, usize::from);
        stream.max_memory = files.max_memory.map_or(stream.max_memory, |bytes| bytes.get() as u64);
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, rows) = sync_channel(ROWS_AHEAD);
        let (asked, described) = (Arc::clone(&stop), context.clone());
        let worker =
            std::thread::Builder::new().name("attn-fiqa-files".to_owned()).spawn(move || {
                work(&pipeline, sources, &stream, &described, &asked, &sender);
            });
        let worker =
            worker.map_err(|error| bad_request(format!("no thread could be started: {error}")))?;
        Ok(Self {
            pid: process::id(),
            run: Mutex::new(Some(Run { rows, worker })),
            stop,
            on_error: files.on_error,
            wanted: files.wanted,
            context,
            progress,
            bar,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next row, of any status.
    fn wait(&self, py: Python<'_>) -> PyResult<Option<RowState>> {
        if self.pid != process::id() {
            return Err(bad_request(
                "these rows belong to the process that requested them; request them again in this \
                 one",
            ));
        }
        loop {
            let event = py.detach(|| match &*self.lock() {
                None => Event::End,
                Some(run) => match run.rows.recv_timeout(WAIT_INTERVAL) {
                    Ok(Ok(row)) => Event::Row(Box::new(row)),
                    Ok(Err(panic)) => Event::Panic(panic),
                    Err(RecvTimeoutError::Timeout) => Event::Wait,
                    Err(RecvTimeoutError::Disconnected) => Event::End,
                },
            });
            if let Err(interrupted) = py.check_signals() {
                self.halt(py)?;
                return Err(interrupted);
            }
            match event {
                Event::Wait => {}
                Event::Row(row) => return Ok(Some(*row)),
                Event::Panic(panic) => {
                    self.halt(py)?;
                    return Err(AttnFiqaError::new_err(panic));
                }
                Event::End => {
                    self.halt(py)?;
                    return Ok(None);
                }
            }
        }
    }

    /// The next row, according to `on_error`.
    fn next_row(&self, py: Python<'_>) -> PyResult<Option<RowState>> {
        while let Some(row) = self.wait(py)? {
            if row.is_first {
                self.show_progress(py)?;
            }
            match self.on_error {
                _ if row.status() == "ok" => return Ok(Some(row)),
                OnError::Row => return Ok(Some(row)),
                OnError::Skip => {}
                OnError::Raise => {
                    self.halt(py)?;
                    return Err(row_error(&row));
                }
            }
        }
        Ok(None)
    }

    fn show_progress(&self, py: Python<'_>) -> PyResult<()> {
        let Some(bar) = &self.bar else { return Ok(()) };
        let counts = self.progress.counts();
        if counts.exact {
            bar.setattr(py, intern!(py, "total"), counts.known)?;
        }
        bar.call_method1(py, intern!(py, "update"), (1,))?;
        Ok(())
    }

    /// Ends the run and waits for the images in progress.
    fn halt(&self, py: Python<'_>) -> PyResult<()> {
        self.stop.store(true, Ordering::Relaxed);
        py.detach(|| {
            if let Some(Run { rows, worker }) = self.lock().take() {
                // Unblocks a worker that is waiting for room in the channel.
                drop(rows);
                let _ = worker.join();
            }
        });
        if let Some(bar) = &self.bar {
            bar.call_method0(py, intern!(py, "close"))?;
        }
        Ok(())
    }
}

/// The body of the run's thread.
fn work(
    pipeline: &FacePipeline,
    sources: impl Iterator<Item = SourceItem> + Send,
    stream: &StreamOptions,
    context: &Context,
    stop: &AtomicBool,
    sender: &SyncSender<Result<RowState, String>>,
) {
    let items = sources.take_while(|_| !stop.load(Ordering::Relaxed));
    let send = |row| match sender.send(Ok(RowState::of(row, context))) {
        Ok(()) if !stop.load(Ordering::Relaxed) => Ok(()),
        _ => Err(ControlFlow::<Infallible>::Continue(())),
    };
    if let Err(panic) = catch_panic(|| pipeline.run(items, stream, send)) {
        let _ = sender.send(Err(panic));
    }
}

/// The exception for a row without a score.
fn row_error(row: &RowState) -> PyErr {
    let status = attn_fiqa::status::Status::ALL.into_iter().find(|s| s.name() == row.status());
    let status = status.expect("a status has a name: this is a bug");
    let message = row.message().unwrap_or_default();
    failed(&Failure::new(status, message), Some(&row.path))
}

/// One path or several.
pub(crate) fn inputs(paths: &Bound<'_, PyAny>) -> PyResult<Vec<Input>> {
    if let Some(path) = path(paths)? {
        return Ok(vec![Input::Path(path)]);
    }
    let expected = "expected a path or several, as str or os.PathLike";
    let items = paths.try_iter().map_err(|_| {
        bad_request(format!("{expected}, and found {}", crate::args::type_name(paths)))
    })?;
    let mut inputs = Vec::new();
    for item in items {
        let item = item?;
        let path: Option<PathBuf> = path(&item)?;
        inputs.push(Input::Path(
            path.ok_or_else(|| bad_request(format!("{expected}, and found {}", repr(&item))))?,
        ));
    }
    Ok(inputs)
}

/// Encoded images by name, copied.
fn encoded(images: &Bound<'_, PyAny>) -> PyResult<Vec<SourceItem>> {
    let expected = "expected pairs of a name (str) and an encoded image (bytes)";
    let items = images.try_iter().map_err(|_| {
        bad_request(format!("{expected}, and found {}", crate::args::type_name(images)))
    })?;
    let limit = DecodeLimits::DEFAULT_MAX_BYTES;
    let items = items.enumerate().map(|(index, item)| {
        let item = item?;
        let pair = item.extract::<(String, Bound<'_, PyAny>)>();
        let (name, image) = pair.map_err(|_| {
            bad_request(format!("{expected}, and found {} at {index}", repr(&item)))
        })?;
        // Checked before copying.
        let bytes = image.len().unwrap_or_default() as u64;
        let image = if image.is_none() {
            Err(Failure::new(Status::NotAnImage, "there are no bytes: the value is null"))
        } else if !image.is_instance_of::<PyBytes>() && !image.is_instance_of::<PyByteArray>() {
            let found = crate::args::type_name(&image);
            return Err(bad_request(format!("{expected}, and found {found} for '{name}'")));
        } else if bytes > limit {
            let message = format!("the image has {bytes} bytes and the limit is {limit}");
            Err(Failure::new(Status::TooLarge, message))
        } else {
            Ok(ImageData::Encoded(image.extract()?))
        };
        Ok(SourceItem { relative: PathBuf::from(format!("{index}")), path: name, image })
    });
    items.collect()
}

fn bar(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let module = py.import("tqdm.auto").map_err(|error| {
        bad_request(format!(
            "progress=True needs the package tqdm, which cannot be imported: {error}"
        ))
    })?;
    let named = PyDict::new(py);
    named.set_item("unit", "image")?;
    Ok(module.getattr("tqdm")?.call((), Some(&named))?.unbind())
}

impl Drop for FileScores {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let run = self.run.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if self.pid != process::id() {
            // The thread belongs to the parent process.
            std::mem::forget(run);
        }
    }
}

#[pymethods]
impl FileScores {
    fn __iter__(rows: Bound<'_, Self>) -> Bound<'_, Self> {
        rows
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<FileScore>> {
        Ok(self.next_row(py)?.map(FileScore))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.pid == process::id() { self.halt(py) } else { Ok(()) }
    }

    fn to_arrow(&self, py: Python<'_>) -> PyResult<ArrowTable> {
        let mut table = TableBuilder::new(Arc::clone(self.context.methods()), self.wanted);
        while let Some(row) = self.next_row(py)? {
            table.push(row)?;
        }
        table.finish()
    }
}

/// One face of a file, or a file without a score.
#[pyclass(frozen, module = "attn_fiqa")]
pub(crate) struct FileScore(RowState);

#[pymethods]
impl FileScore {
    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    #[getter]
    fn face(&self) -> Option<Face> {
        self.0.face.clone().map(Face)
    }

    #[getter]
    fn status(&self) -> &str {
        self.0.status()
    }

    #[getter]
    fn message(&self) -> Option<&str> {
        self.0.message()
    }

    #[getter]
    fn size(&self) -> Option<(usize, usize)> {
        self.0.size
    }

    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.notes.iter())
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        row_dict(py, &self.0)
    }

    fn __repr__(&self) -> String {
        let row = &self.0;
        match (&row.face, row.message()) {
            (Some(face), None) => match face.quality {
                Some(quality) => format!("<FileScore '{}' quality={quality}>", row.path),
                None => format!("<FileScore '{}' score={:.4}>", row.path, face.scores[0]),
            },
            _ => format!("<FileScore '{}' status={}>", row.path, row.status()),
        }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PickledRow,))> {
        let restore = py.import("attn_fiqa._native")?.getattr("restore_row")?;
        let row = &self.0;
        let packed = PickledRow {
            path: row.path.clone(),
            is_first: row.is_first,
            size: row.size,
            face: row.face.as_ref().map(PickledFace::of),
            failure: row.failure.clone(),
            notes: row.notes.to_vec(),
        };
        Ok((restore, (packed,)))
    }
}

/// The pickled form of a row.
#[derive(FromPyObject, IntoPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct PickledRow {
    path: String,
    is_first: bool,
    size: Option<(usize, usize)>,
    face: Option<PickledFace>,
    failure: Option<(String, String)>,
    notes: Vec<String>,
}

/// Restores a pickled row.
#[pyfunction]
pub(crate) fn restore_row(packed: PickledRow) -> PyResult<FileScore> {
    let face = packed.face.map(crate::face::restore_face).transpose()?;
    Ok(FileScore(RowState {
        path: packed.path,
        is_first: packed.is_first,
        size: packed.size,
        face: face.map(|face| face.0),
        failure: packed.failure,
        notes: packed.notes.into(),
    }))
}
