//! The contents of a row: the one list that every format follows.

use attn_fiqa::align::Landmarks;
use attn_fiqa::causes::{FaceRegion, FoundCause};
use attn_fiqa::components::{Component, Components};
use attn_fiqa::decode::Note;
use attn_fiqa::detect::Face;
use attn_fiqa::pipeline::{CropRow, FaceInfo, Row};
use attn_fiqa::score::{Band, FAILURE_TO_COMPUTE, MatchProbability, QualityMap};
use attn_fiqa::status::{Failure, Status};

use crate::args::Column;
use crate::hint::message_of;

/// A column's position in a row and its name in the heading. Every format writes the fields of
/// [`Columns::fields`] in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether the user requested it; the table for people then shows it too.
    pub(crate) on_request: bool,
    what: What,
}

/// The type of a column's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Always present, possibly empty.
    Text,
    /// An optional whole number.
    Whole,
    /// An optional number.
    Number,
    /// An optional list of numbers.
    List,
    /// An optional word.
    Word,
    /// An optional list of words.
    Words,
    /// An optional list of causes.
    Causes,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Text(&'a str),
    Whole(Option<i64>),
    Number(Option<f32>),
    List(Option<&'a [f32]>),
    Word(Option<&'a str>),
    Words(Option<&'a [&'static str]>),
    Causes(Option<&'a [FoundCause]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Path,
    Face,
    Status,
    /// The file that the face was written to.
    File,
    Score(usize),
    Quality,
    Band,
    MatchProbability,
    MainCause,
    Causes,
    WeakRegions,
    CropOrigin,
    BoxX,
    BoxY,
    BoxWidth,
    BoxHeight,
    DetectionScore,
    InterEyeDistance,
    Roll,
    Yaw,
    JitterStd,
    Landmark(usize),
    Width,
    Height,
    /// A component measure: its native value or its value from 0 to 100.
    Component(Component, Scale),
    Received,
    Embedding,
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Native,
    Scalar,
}

/// The columns of a run: path, face and status, the scores and the quality, how the face was found,
/// the requested columns, and the message. Without detection there are no face columns.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// All of them, in order.
    pub(crate) fields: Vec<Field>,
    /// Names of the score columns; the first is `score`.
    pub(crate) scores: Vec<String>,
    pub(crate) map: bool,
    /// How the rows were made, as named values, for formats that can store them.
    pub(crate) about: Vec<(&'static str, String)>,
}

/// What a run's columns depend on.
pub(crate) struct ColumnChoice<'a> {
    /// The names of the scoring methods, at least one.
    pub(crate) methods: &'a [String],
    pub(crate) on_request: &'a [Column],
    /// Whether faces are detected.
    pub(crate) faces: bool,
    pub(crate) jitter: bool,
}

impl Columns {
    /// Columns for rows with scores.
    pub(crate) fn new(choice: &ColumnChoice<'_>) -> Self {
        let further = choice.methods.iter().skip(1).cloned();
        let scores: Vec<String> = std::iter::once("score".to_owned()).chain(further).collect();
        let asked = |column| choice.on_request.contains(&column);
        let mut fields = vec![field("path", Kind::Text, What::Path)];
        if choice.faces {
            fields.push(field("face", Kind::Whole, What::Face));
        }
        fields.push(field("status", Kind::Text, What::Status));
        let score = |(index, name)| field(name, Kind::Number, What::Score(index));
        fields.extend(scores.iter().map(String::as_str).enumerate().map(score));
        // Next to the score that it belongs to.
        let after_first_score = fields.len() + 1 - scores.len();
        fields.insert(after_first_score, field("quality", Kind::Whole, What::Quality));
        let about_quality = [
            (Column::Band, "band", Kind::Word, What::Band),
            (Column::MatchProbability, "match_probability", Kind::Number, What::MatchProbability),
            (Column::MainCause, "main_cause", Kind::Word, What::MainCause),
            (Column::Causes, "causes", Kind::Causes, What::Causes),
            (Column::WeakRegions, "weak_regions", Kind::Words, What::WeakRegions),
        ];
        let about_quality = about_quality.into_iter().filter(|(column, ..)| asked(*column));
        let about_quality = about_quality.map(|(_, name, kind, what)| requested(name, kind, what));
        let place = after_first_score + 1;
        fields.splice(place..place, about_quality);
        if choice.faces {
            fields.push(field("crop_origin", Kind::Word, What::CropOrigin));
            fields.extend(found_fields());
        }
        if choice.jitter {
            fields.push(requested("jitter_std", Kind::Number, What::JitterStd));
        }
        if asked(Column::Landmarks) {
            fields.extend(landmark_fields().into_iter().map(on_request));
        }
        if asked(Column::Size) {
            fields.push(requested("width", Kind::Whole, What::Width));
            fields.push(requested("height", Kind::Whole, What::Height));
        }
        if asked(Column::Components) {
            fields.extend(component_fields().into_iter().map(on_request));
        }
        if asked(Column::Map) {
            fields.push(field("map", Kind::List, What::Received));
        }
        if asked(Column::Embedding) {
            fields.push(field("embedding", Kind::List, What::Embedding));
        }
        fields.push(field("message", Kind::Text, What::Message));
        Self { fields, scores, map: asked(Column::Map), about: Vec::new() }
    }

    /// Columns for rows without scores: the faces themselves.
    pub(crate) fn of_faces() -> Self {
        let mut fields = vec![
            field("path", Kind::Text, What::Path),
            field("face", Kind::Whole, What::Face),
            field("status", Kind::Text, What::Status),
        ];
        fields.extend(found_fields());
        fields.extend(landmark_fields());
        fields.push(field("message", Kind::Text, What::Message));
        Self { fields, scores: Vec::new(), map: false, about: Vec::new() }
    }

    /// Columns for a manifest of crops, which can be read as a landmark file.
    pub(crate) fn of_crops() -> Self {
        let mut columns = Self::of_faces();
        let file = [
            field("file", Kind::Text, What::File),
            field("crop_origin", Kind::Word, What::CropOrigin),
        ];
        columns.fields.splice(3..3, file);
        columns
    }

    /// The same columns, with a description of how the rows were made.
    pub(crate) fn with_about(self, about: Vec<(&'static str, String)>) -> Self {
        Self { about, ..self }
    }

    /// The column names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }
}

fn field(name: &str, kind: Kind, what: What) -> Field {
    Field { name: name.to_owned(), kind, on_request: false, what }
}

fn requested(name: &str, kind: Kind, what: What) -> Field {
    on_request(field(name, kind, what))
}

fn on_request(field: Field) -> Field {
    Field { on_request: true, ..field }
}

fn found_fields() -> Vec<Field> {
    [
        ("box_x", What::BoxX),
        ("box_y", What::BoxY),
        ("box_width", What::BoxWidth),
        ("box_height", What::BoxHeight),
        ("detection_score", What::DetectionScore),
        ("inter_eye_distance", What::InterEyeDistance),
        ("roll", What::Roll),
        ("yaw", What::Yaw),
    ]
    .map(|(name, what)| field(name, Kind::Number, what))
    .into()
}

/// `left_eye_x, left_eye_y` to `right_mouth_x, right_mouth_y`, the names used to read a landmark
/// file.
fn landmark_fields() -> Vec<Field> {
    let name = |index: usize| format!("{}_{}", Landmarks::NAMES[index / 2], ["x", "y"][index % 2]);
    (0..10).map(|index| field(&name(index), Kind::Number, What::Landmark(index))).collect()
}

/// Two columns per component measure, named as in OFIQ.
fn component_fields() -> Vec<Field> {
    let fields = Component::ALL.into_iter().flat_map(|component| {
        let native = What::Component(component, Scale::Native);
        let scalar = What::Component(component, Scale::Scalar);
        [
            field(component.name(), Kind::Number, native),
            field(&format!("{}.scalar", component.name()), Kind::Whole, scalar),
        ]
    });
    fields.collect()
}

/// The row of one face, or of an image without a face. For a failed image, only path, status,
/// message and possibly the size are set.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) path: String,
    /// The path, followed by `#` and the face number from an image's second row on.
    pub(crate) label: String,
    pub(crate) status: Status,
    /// The file that the face was written to, or empty.
    pub(crate) file: String,
    pub(crate) face: Option<FaceInfo>,
    pub(crate) scores: Option<Vec<f32>>,
    /// Quality of the first score, 0 to 100, or -1 if it could not be computed; `None` if the
    /// method has no calibration.
    pub(crate) quality: Option<i8>,
    /// Probability of a match given the first score, 0 to 1.
    pub(crate) match_probability: Option<f32>,
    /// Strongest first.
    pub(crate) causes: Option<Vec<FoundCause>>,
    pub(crate) main_cause: Option<&'static str>,
    /// Weakest first.
    pub(crate) weak_regions: Option<Vec<&'static str>>,
    pub(crate) jitter_std: Option<f32>,
    pub(crate) size: Option<(usize, usize)>,
    pub(crate) components: Option<Components>,
    pub(crate) map: Option<Vec<f32>>,
    pub(crate) embedding: Option<Vec<f32>>,
    /// Why the image failed, or what was ignored or changed while processing it.
    pub(crate) message: String,
}

impl Record {
    fn new(path: String, size: Option<(usize, usize)>, notes: &[Note]) -> Self {
        Self {
            label: path.clone(),
            path,
            status: Status::Ok,
            file: String::new(),
            face: None,
            scores: None,
            quality: None,
            match_probability: None,
            causes: None,
            main_cause: None,
            weak_regions: None,
            jitter_std: None,
            size,
            components: None,
            map: None,
            embedding: None,
            message: describe_notes(notes),
        }
    }

    fn failed(self, failure: Failure) -> Self {
        Self { status: failure.status, message: message_of(&failure), ..self }
    }

    /// An image that could not be searched for faces or has none.
    pub(crate) fn without_face(path: String, failure: Failure) -> Self {
        Self::new(path, None, &[]).failed(failure)
    }

    /// A face that was detected but not scored.
    pub(crate) fn of_face(path: String, index: usize, face: &Face, notes: &[Note]) -> Self {
        let info = FaceInfo::detected(index, face);
        Self { face: Some(info), ..Self::new(path, None, notes) }
    }

    /// A face that was cropped into a file, or an image without a face.
    pub(crate) fn of_crop(row: CropRow, file: String) -> Self {
        let record = Self { face: row.face, file, ..Self::new(row.path, None, &row.notes) };
        match row.crop {
            Ok(_) => record,
            Err(failure) => record.failed(failure),
        }
    }

    /// The same row with the quality of its first score.
    pub(crate) fn with_quality(self, map: Option<&QualityMap>) -> Self {
        let quality = map.map(|map| match &self.scores {
            Some(scores) => map.quality(scores[0]),
            None => FAILURE_TO_COMPUTE,
        });
        Self { quality, ..self }
    }

    /// The same row with the match probability of its first score.
    pub(crate) fn with_match_probability(self, law: Option<MatchProbability>) -> Self {
        let score = self.scores.as_ref().map(|scores| scores[0]);
        Self { match_probability: law.zip(score).map(|(law, score)| law.of(score)), ..self }
    }

    pub(crate) fn cell(&self, field: &Field) -> Cell<'_> {
        let bounds = self.face.and_then(|face| face.bounds);
        let landmarks = self.face.and_then(|face| face.landmarks);
        match field.what {
            What::Path => Cell::Text(&self.path),
            What::Face => Cell::Whole(self.face.map(|face| face.index as i64)),
            What::Status => Cell::Text(self.status.name()),
            What::File => Cell::Text(&self.file),
            // NaN marks a measure that this face does not have.
            What::Score(index) => {
                let score = self.scores.as_ref().map(|scores| scores[index]);
                Cell::Number(score.filter(|score| !score.is_nan()))
            }
            What::Quality => Cell::Whole(self.quality.map(i64::from)),
            What::Band => Cell::Word(self.quality.and_then(Band::of).map(Band::name)),
            What::MatchProbability => Cell::Number(self.match_probability),
            What::MainCause => Cell::Word(self.main_cause),
            What::Causes => Cell::Causes(self.causes.as_deref()),
            What::WeakRegions => Cell::Words(self.weak_regions.as_deref()),
            What::CropOrigin => Cell::Word(self.face.map(|face| face.crop_origin.name())),
            What::BoxX => Cell::Number(bounds.map(|bounds| bounds.x)),
            What::BoxY => Cell::Number(bounds.map(|bounds| bounds.y)),
            What::BoxWidth => Cell::Number(bounds.map(|bounds| bounds.width)),
            What::BoxHeight => Cell::Number(bounds.map(|bounds| bounds.height)),
            What::DetectionScore => Cell::Number(self.face.and_then(|face| face.confidence)),
            What::InterEyeDistance => {
                Cell::Number(landmarks.map(|landmarks| landmarks.inter_eye_distance()))
            }
            What::Roll => Cell::Number(landmarks.map(|landmarks| landmarks.pose().roll)),
            What::Yaw => Cell::Number(landmarks.map(|landmarks| landmarks.pose().yaw)),
            What::JitterStd => Cell::Number(self.jitter_std),
            What::Landmark(index) => {
                Cell::Number(landmarks.map(|landmarks| landmarks.0[index / 2][index % 2]))
            }
            What::Width => Cell::Whole(self.size.map(|(width, _)| width as i64)),
            What::Height => Cell::Whole(self.size.map(|(_, height)| height as i64)),
            What::Component(component, scale) => {
                let value = self.components.as_ref().and_then(|all| all.get(component));
                match scale {
                    Scale::Native => Cell::Number(value.map(|value| value.native)),
                    Scale::Scalar => {
                        Cell::Whole(value.and_then(|value| value.scalar).map(i64::from))
                    }
                }
            }
            What::Received => Cell::List(self.map.as_deref()),
            What::Embedding => Cell::List(self.embedding.as_deref()),
            What::Message => Cell::Text(&self.message),
        }
    }
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        let label = row.label();
        let mut record = Self::new(row.path, row.size, &row.notes);
        record.label = label;
        record.face = row.face;
        record.jitter_std = row.jitter_std;
        record.components = row.components;
        match row.outcome {
            Ok(assessment) => Self {
                scores: Some(assessment.scores),
                main_cause: assessment
                    .causes
                    .as_ref()
                    .and_then(|causes| Some(causes.main()?.cause.name())),
                causes: assessment.causes.map(|causes| causes.found),
                weak_regions: assessment
                    .weak_regions
                    .map(|regions| regions.into_iter().map(FaceRegion::name).collect()),
                map: assessment.received.map(|map| map.mean.values().to_vec()),
                embedding: assessment.embedding,
                ..record
            },
            Err(failure) => record.failed(failure),
        }
    }
}

/// A name made safe for a terminal or a line of text: without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Notes joined into one line.
pub(crate) fn describe_notes(notes: &[Note]) -> String {
    notes.iter().map(Note::to_string).collect::<Vec<_>>().join("; ")
}

/// `cause:strength`, separated by spaces.
pub(crate) fn describe_causes(causes: &[FoundCause]) -> String {
    let one = |found: &FoundCause| format!("{}:{:.2}", found.cause, found.strength);
    causes.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use attn_fiqa_eval::files::quality_columns;
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn quality_columns_are_scores_and_measures() {
        let methods = ["attn".to_owned(), "onnx:q.onnx".to_owned()];
        let columns = Columns::new(&ColumnChoice {
            methods: &methods,
            on_request: Column::value_variants(),
            faces: true,
            jitter: true,
        });
        let cell = |field: &Field| if field.kind == Kind::Text { "a" } else { "1" };
        let is_number =
            |field: &&Field| matches!(field.kind, Kind::Text | Kind::Whole | Kind::Number);
        let fields: Vec<&Field> = columns.fields.iter().filter(is_number).collect();
        let line = |cells: Vec<&str>| cells.join(",") + "\n";
        let heading = line(fields.iter().map(|field| field.name.as_str()).collect());
        let row = line(fields.iter().map(|field| cell(field)).collect());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.csv");
        std::fs::write(&path, heading + &row).expect("a table");

        let mut expected =
            ["score", "quality", "match_probability", "onnx:q.onnx"].map(str::to_owned).to_vec();
        expected.extend(component_fields().into_iter().map(|field| field.name));
        assert_eq!(quality_columns(&path).expect("columns"), expected);
    }
}
