//! `attn-fiqa embed`: writes the embeddings by which faces are compared.

mod folder;
mod matrix;
mod writer;

use anyhow::bail;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::Note;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Precision, Request};
use attn_fiqa::onnx::{OnnxModel, is_onnx};
use attn_fiqa::pipeline::embed_faces;
use attn_fiqa::recognise::{Recogniser, joined_with_mirror, mirrored, norm, normalised};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use attn_fiqa::threads::Threads;

use crate::args::{EmbedArgs, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::log;
use crate::output::{EMBEDDING_LENGTH, RunPlan, RunRows};
use crate::summary::{Activity, Summary};
use writer::{Writer, WriterOptions};

pub(crate) fn run(args: &EmbedArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(Some(&args.output))?;
    if args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        // The text file of names next to the matrix.
        args.input.refuse_as_output(Some(&args.output.with_extension("txt")))?;
    }
    let model = Model::open(args, run)?;
    let face_options = args.faces.options(&args.input, model.threads(), model.precision())?;
    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let about = model.about(args.flip);
    let plan = args.shard.plan(run, &about, args.folder.overwrite);
    let plan = RunPlan { rows_per_file: args.rows.rows_per_file, ..plan };
    let existing = args.folder.existing();
    let faces = !args.faces.aligned;
    let options = WriterOptions { plan: &plan, existing, format: args.format, faces, about };
    let writer = Writer::open(&args.output, options)?;
    let admit = writer.admit();
    let (mut rows, images) = RunRows::start(Box::new(writer), sources, &plan, admit)?;
    let mut summary = Summary::of_images(Activity::Other("embedded"), &images);
    log::debug(model.describe());
    let embed = |crop: &Crop| assess(&model, crop, args.flip, args.normalise);
    let stream = args.input.stream(run.batch);
    embed_faces(
        images,
        model.threads(),
        model.side(),
        &face_options,
        &stream,
        embed,
        |mut row| {
            if row.crop.as_ref().is_some_and(|crop| model.assumes_landmarks(crop)) {
                row.notes.push(Note::LandmarksAssumed);
            }
            summary.count(&row);
            rows.next_row(row.is_first, &summary)?.write(row, &mut summary)
        },
    )?;
    summary.refuse_empty()?;
    rows.finish(&summary)?;
    Ok(summary.finish())
}

fn assess(model: &Model, crop: &Crop, flip: bool, normalise: bool) -> Result<Assessment, Failure> {
    let embedding = model.embed(crop)?;
    let length = norm(&embedding);
    let embedding = if flip {
        joined_with_mirror(&embedding, &model.embed(&mirrored(crop))?)
    } else if normalise {
        normalised(&embedding)
    } else {
        embedding
    };
    let mut assessment = Assessment::default();
    assessment.scores = vec![length];
    assessment.embedding = Some(embedding);
    Ok(assessment)
}

/// One of our networks or any other.
enum Model {
    Vit { engine: Box<Engine>, name: String },
    Onnx { recogniser: Box<Recogniser>, threads: Threads, name: String },
}

impl Model {
    fn open(args: &EmbedArgs, run: &RunOptions) -> anyhow::Result<Self> {
        let file = args.model.model.as_ref();
        if let Some(file) = file.filter(|file| is_onnx(file)) {
            let threads = Threads::new(run.jobs)?;
            let recogniser = Recogniser::new(OnnxModel::open(file)?, args.preprocess, &threads)?;
            let name = file.display().to_string();
            return Ok(Self::Onnx { recogniser: Box::new(recogniser), threads, name });
        }
        if args.preprocess.is_some() {
            bail!("--preprocess is for ONNX models; a checkpoint has its own preprocessing");
        }
        let checkpoint = args.model.open()?;
        let options = EngineOptions {
            threads: run.jobs,
            embedding: true,
            precision: args.model.precision,
            ..EngineOptions::default()
        };
        let engine = Box::new(Engine::new(&checkpoint, &options)?);
        engine.check(&request())?;
        Ok(Self::Vit { engine, name: args.model.name() })
    }

    /// How the embeddings were made, for the output's metadata.
    fn about(&self, flip: bool) -> Vec<(&'static str, String)> {
        let mut about = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        if let Some(dim) = self.dim() {
            let length = if flip { 2 * dim } else { dim };
            about.push((EMBEDDING_LENGTH, length.to_string()));
        }
        match self {
            Self::Vit { engine, name } => about.extend([
                ("model", name.clone()),
                ("precision", engine.precision().to_string()),
                ("instruction_set", engine.instruction_set().to_owned()),
            ]),
            Self::Onnx { recogniser, threads, name } => about.extend([
                ("model", name.clone()),
                ("preprocess", recogniser.spec().to_string()),
                ("instruction_set", threads.isa().name().to_owned()),
            ]),
        }
        about
    }

    /// An ONNX network uses f32.
    fn precision(&self) -> Precision {
        match self {
            Self::Vit { engine, .. } => engine.precision().precision,
            Self::Onnx { .. } => Precision::F32,
        }
    }

    /// The length of the model's embeddings.
    fn dim(&self) -> Option<usize> {
        match self {
            Self::Vit { engine, .. } => engine.config().embedding_head.map(|head| head.dim()),
            Self::Onnx { recogniser, .. } => Some(recogniser.dim()),
        }
    }

    fn assumes_landmarks(&self, crop: &Crop) -> bool {
        matches!(self, Self::Vit { engine, .. } if engine.assumes_landmarks(crop))
    }

    fn describe(&self) -> String {
        match self {
            Self::Vit { name, .. } => format!("model {name}"),
            Self::Onnx { recogniser, name, .. } => format!(
                "model {name}: {side}×{side} pixels, {}, {} numbers",
                recogniser.spec(),
                recogniser.dim(),
                side = recogniser.side(),
            ),
        }
    }

    fn threads(&self) -> &Threads {
        match self {
            Self::Vit { engine, .. } => engine.threads(),
            Self::Onnx { threads, .. } => threads,
        }
    }

    fn side(&self) -> usize {
        match self {
            Self::Vit { engine, .. } => engine.config().image_size,
            Self::Onnx { recogniser, .. } => recogniser.side(),
        }
    }

    fn embed(&self, crop: &Crop) -> Result<Vec<f32>, Failure> {
        match self {
            Self::Onnx { recogniser, .. } => recogniser.embed(crop),
            Self::Vit { engine, .. } => {
                let mut outcomes = engine
                    .assess(std::slice::from_ref(crop), &request())
                    .expect("the request was checked: this is a bug");
                let assessment = outcomes.pop().expect("one outcome a crop: this is a bug")?;
                Ok(assessment.embedding.expect("an embedding was asked for: this is a bug"))
            }
        }
    }
}

fn request() -> Request {
    Request { embedding: true, ..Request::new(Method::ATTN) }
}
