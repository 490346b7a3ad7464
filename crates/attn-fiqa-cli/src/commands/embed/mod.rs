//! `attn-fiqa embed`: faces to the numbers by which they are compared.

mod writer;

use anyhow::bail;
use attn_fiqa::checkpoint::BUILTIN_NAME;
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::onnx::{OnnxModel, is_onnx};
use attn_fiqa::pipeline::embed_faces;
use attn_fiqa::recognise::{Recogniser, joined_with_mirror, mirrored, norm, normalised};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use attn_fiqa::threads::Threads;

use crate::args::EmbedArgs;
use crate::exit::Exit;
use crate::interrupt::{self, until_asked};
use crate::report::Report;
use writer::Writer;

pub(crate) fn run(args: &EmbedArgs) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(Some(&args.output))?;
    if args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        // The names beside the matrix.
        args.input.refuse_as_output(Some(&args.output.with_extension("txt")))?;
    }
    let model = Model::open(args)?;
    let options = args.faces.options(&args.input, model.threads())?;
    if args.faces.wants_best() {
        bail!("--best chooses by a quality score, and nothing is scored here; use --largest");
    }
    interrupt::end_early();
    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let mut writer = Writer::open(&args.output, !args.faces.aligned)?;
    let mut report =
        Report::start_other(args.run.quiet, args.run.verbose, "embedded", sources.progress());
    report.say_in_detail(&model.describe());
    let embed = |crop: &Crop| assess(&model, crop, args.flip, args.normalise);
    let stream = args.input.stream(args.run.batch);
    embed_faces(
        until_asked(sources),
        model.threads(),
        model.side(),
        &options,
        &stream,
        embed,
        |row| {
            report.count(&row);
            writer.write(row, &mut report)
        },
    )?;
    if report.is_empty() {
        bail!("the inputs hold no image");
    }
    writer.finish()?;
    Ok(report.finish())
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
    let scores = vec![length];
    Ok(Assessment { scores, embedding: Some(embedding), ..Assessment::default() })
}

/// One of our networks or anybody's.
enum Model {
    Vit { engine: Box<Engine>, name: String },
    Onnx { recogniser: Box<Recogniser>, threads: Threads, name: String },
}

impl Model {
    fn open(args: &EmbedArgs) -> anyhow::Result<Self> {
        let file = args.run.model.as_ref();
        if let Some(file) = file.filter(|file| is_onnx(file)) {
            let threads = Threads::new(args.run.jobs)?;
            let recogniser = Recogniser::new(OnnxModel::open(file)?, args.pixels, &threads)?;
            let name = file.display().to_string();
            return Ok(Self::Onnx { recogniser: Box::new(recogniser), threads, name });
        }
        if args.pixels.is_some() {
            bail!("--pixels is for ONNX models; a checkpoint of ours knows what it does to pixels");
        }
        let checkpoint = args.run.model_options.open(file)?;
        let options = EngineOptions {
            threads: args.run.jobs,
            embedding: true,
            precision: args.run.precision,
            ..EngineOptions::default()
        };
        let engine = Box::new(Engine::new(&checkpoint, &options)?);
        engine.check(&request())?;
        let name = file.map_or_else(|| BUILTIN_NAME.to_owned(), |file| file.display().to_string());
        Ok(Self::Vit { engine, name })
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
