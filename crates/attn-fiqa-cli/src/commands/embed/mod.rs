//! `attn-fiqa embed`: faces to the numbers by which they are compared.

mod writer;

use anyhow::bail;
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::onnx::{OnnxModel, is_onnx};
use attn_fiqa::pipeline::embed_faces;
use attn_fiqa::recognise::{Recogniser, joined_with_mirror, mirrored, norm, normalised};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use attn_fiqa::threads::Threads;

use crate::args::{EmbedArgs, RunOptions};
use crate::exit::Exit;
use crate::interrupt::{self, until_asked};
use crate::log;
use crate::summary::{Activity, Summary};
use writer::Writer;

pub(crate) fn run(args: &EmbedArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(Some(&args.output))?;
    if args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        // The names beside the matrix.
        args.input.refuse_as_output(Some(&args.output.with_extension("txt")))?;
    }
    let model = Model::open(args, run)?;
    let options = args.faces.options(&args.input, model.threads())?;
    interrupt::end_early();
    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let mut writer = Writer::open(&args.output, !args.faces.aligned)?;
    let mut summary = Summary::start(Activity::Other("embedded"), sources.progress());
    log::debug(model.describe());
    let embed = |crop: &Crop| assess(&model, crop, args.flip, args.normalise);
    let stream = args.input.stream(run.batch);
    embed_faces(
        until_asked(sources),
        model.threads(),
        model.side(),
        &options,
        &stream,
        embed,
        |row| {
            summary.count(&row);
            writer.write(row, &mut summary)
        },
    )?;
    summary.refuse_empty()?;
    writer.finish()?;
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

/// One of our networks or anybody's.
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
