//! Rows as an Arrow table, exported through Arrow's C interface.

use std::sync::Arc;

use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{
    ArrayRef, Float32Array, Int8Array, Int32Array, ListArray, RecordBatch, RecordBatchIterator,
    StringArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::error::AttnFiqaError;
use crate::face::State;
use crate::files::RowState;
use crate::loaded::Wanted;

/// Rows of one record batch.
const BATCH: usize = 4096;

/// One cell of a row.
enum Cell {
    Text(Option<String>),
    Int32(Option<i32>),
    Int8(Option<i8>),
    Float(Option<f32>),
    List(Option<Vec<f32>>),
}

/// The cells of a row with the names of their columns, as in the command line's tables.
fn cells<'a>(
    row: &'a RowState,
    methods: &'a [String],
    wanted: Wanted,
) -> impl Iterator<Item = (&'a str, Cell)> {
    let face = row.face.as_ref();
    let text = |text: Option<&str>| Cell::Text(text.map(str::to_owned));
    let number = |get: &dyn Fn(&State) -> Option<f32>| {
        Cell::Float(face.and_then(get).filter(|value| !value.is_nan()))
    };
    let list = |get: &dyn Fn(&State) -> Option<Vec<f32>>| Cell::List(face.and_then(get));
    let side = |side: Option<usize>| Cell::Int32(side.and_then(|side| i32::try_from(side).ok()));
    let score = |index: usize| number(&|face| face.scores.get(index).copied());
    let bbox = |value: fn([f32; 4]) -> f32| number(&|face| face.bbox.map(value));
    let mut cells = vec![
        ("path", text(Some(&row.path))),
        ("face", side(face.map(|face| face.index))),
        ("status", text(Some(row.status()))),
        ("score", score(0)),
        ("quality", Cell::Int8(face.and_then(|face| face.quality))),
        ("band", text(face.and_then(State::band))),
        ("match_probability", number(&|face| face.match_probability)),
        ("main_cause", text(face.and_then(|face| face.main_cause.as_deref()))),
    ];
    let further = methods.iter().enumerate().skip(1);
    cells.extend(further.map(|(index, name)| (&**name, score(index))));
    cells.extend([
        ("crop_origin", text(face.map(|face| &*face.crop_origin))),
        ("box_x", bbox(|[x, ..]| x)),
        ("box_y", bbox(|[_, y, ..]| y)),
        ("box_width", bbox(|[left, _, right, _]| right - left)),
        ("box_height", bbox(|[_, top, _, bottom]| bottom - top)),
        ("detection_score", number(&|face| face.confidence)),
        ("inter_eye_distance", number(&State::inter_eye_distance)),
        ("roll", number(&|face| Some(face.pose()?.roll))),
        ("yaw", number(&|face| Some(face.pose()?.yaw))),
        ("landmarks", list(&|face| face.landmarks.map(|points| points.as_flattened().to_vec()))),
        ("width", side(row.size.map(|size| size.0))),
        ("height", side(row.size.map(|size| size.1))),
    ]);
    if wanted.maps {
        cells.push(("map", list(&|face| face.map.as_ref().map(|(_, values)| values.clone()))));
    }
    if wanted.embeddings {
        cells.push(("embedding", list(&|face| face.embedding.clone())));
    }
    let message = row.message().map(str::to_owned);
    let notes = || (!row.notes.is_empty()).then(|| row.notes.join("; "));
    cells.push(("message", Cell::Text(message.or_else(notes))));
    cells.into_iter()
}

/// A row as a dictionary with the names of the table's columns.
pub(crate) fn row_dict<'py>(py: Python<'py>, row: &RowState) -> PyResult<Bound<'py, PyDict>> {
    let methods = row.face.as_ref().map(|face| Arc::clone(&face.methods)).unwrap_or_default();
    let dict = PyDict::new(py);
    let wanted = Wanted {
        maps: row.face.as_ref().is_some_and(|face| face.map.is_some()),
        embeddings: row.face.as_ref().is_some_and(|face| face.embedding.is_some()),
    };
    for (name, cell) in cells(row, &methods, wanted) {
        match cell {
            Cell::Text(value) => dict.set_item(name, value)?,
            Cell::Int32(value) => dict.set_item(name, value)?,
            Cell::Int8(value) => dict.set_item(name, value)?,
            Cell::Float(value) => dict.set_item(name, value)?,
            Cell::List(value) => dict.set_item(name, value)?,
        }
    }
    Ok(dict)
}

/// Rows being collected into a table.
pub(crate) struct TableBuilder {
    methods: Arc<[String]>,
    wanted: Wanted,
    schema: SchemaRef,
    waiting: Vec<RowState>,
    batches: Vec<RecordBatch>,
}

/// One column of some rows.
enum Column {
    Text(Vec<Option<String>>),
    Int32(Vec<Option<i32>>),
    Int8(Vec<Option<i8>>),
    Float(Vec<Option<f32>>),
    List(Vec<Option<Vec<f32>>>),
}

impl Column {
    fn of(cell: &Cell) -> Self {
        match cell {
            Cell::Text(_) => Self::Text(Vec::new()),
            Cell::Int32(_) => Self::Int32(Vec::new()),
            Cell::Int8(_) => Self::Int8(Vec::new()),
            Cell::Float(_) => Self::Float(Vec::new()),
            Cell::List(_) => Self::List(Vec::new()),
        }
    }

    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Text(column), Cell::Text(cell)) => column.push(cell),
            (Self::Int32(column), Cell::Int32(cell)) => column.push(cell),
            (Self::Int8(column), Cell::Int8(cell)) => column.push(cell),
            (Self::Float(column), Cell::Float(cell)) => column.push(cell),
            (Self::List(column), Cell::List(cell)) => column.push(cell),
            _ => unreachable!("a column has cells of one kind: this is a bug"),
        }
    }

    fn into_array(self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(StringArray::from(column)),
            Self::Int32(column) => Arc::new(Int32Array::from(column)),
            Self::Int8(column) => Arc::new(Int8Array::from(column)),
            Self::Float(column) => Arc::new(Float32Array::from(column)),
            Self::List(column) => {
                let valid: NullBuffer = column.iter().map(Option::is_some).collect();
                let lengths = column.iter().map(|list| list.as_ref().map_or(0, Vec::len));
                let offsets = OffsetBuffer::from_lengths(lengths);
                let values: Vec<f32> = column.into_iter().flatten().flatten().collect();
                let values = Arc::new(Float32Array::from(values));
                Arc::new(ListArray::new(item(), offsets, values, Some(valid)))
            }
        }
    }
}

fn data_type(cell: &Cell) -> DataType {
    match cell {
        Cell::Text(_) => DataType::Utf8,
        Cell::Int32(_) => DataType::Int32,
        Cell::Int8(_) => DataType::Int8,
        Cell::Float(_) => DataType::Float32,
        Cell::List(_) => DataType::List(item()),
    }
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}

impl TableBuilder {
    pub(crate) fn new(methods: Arc<[String]>, wanted: Wanted) -> Self {
        // Every row has the same columns.
        let notes = Arc::default();
        let (path, is_first) = (String::new(), true);
        let row = RowState { path, is_first, size: None, face: None, failure: None, notes };
        let cells = cells(&row, &methods, wanted);
        let fields = cells.map(|(name, cell)| Field::new(name, data_type(&cell), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { methods, wanted, schema, waiting: Vec::new(), batches: Vec::new() }
    }

    pub(crate) fn push(&mut self, mut row: RowState) -> PyResult<()> {
        if let Some(face) = &mut row.face {
            face.crop = None;
        }
        self.waiting.push(row);
        if self.waiting.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> PyResult<()> {
        let mut columns: Vec<Column> = Vec::new();
        for (place, row) in std::mem::take(&mut self.waiting).iter().enumerate() {
            for (index, (_, cell)) in cells(row, &self.methods, self.wanted).enumerate() {
                if place == 0 {
                    columns.push(Column::of(&cell));
                }
                columns[index].push(cell);
            }
        }
        let arrays = columns.into_iter().map(Column::into_array).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        self.batches.push(batch.map_err(|error| AttnFiqaError::new_err(error.to_string()))?);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> PyResult<ArrowTable> {
        if !self.waiting.is_empty() {
            self.flush()?;
        }
        Ok(ArrowTable { schema: self.schema, batches: self.batches })
    }
}

/// A table that other packages read through Arrow's C interface.
#[pyclass(frozen, module = "attn_fiqa")]
pub(crate) struct ArrowTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

#[pymethods]
impl ArrowTable {
    #[getter]
    fn column_names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn __repr__(&self) -> String {
        format!(
            "<ArrowTable of {} rows and {} columns>",
            self.__len__(),
            self.schema.fields().len()
        )
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(&*self.schema)
            .map_err(|error| AttnFiqaError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// The interface lets a producer ignore the requested schema.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = self.batches.clone().into_iter().map(Ok);
        let reader = RecordBatchIterator::new(batches, Arc::clone(&self.schema));
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}
