//! `attn-fiqa measure`: the component measures of each face, one row each.

use std::io::Write;
use std::path::Path;

use attn_fiqa::components::{Component, ComponentValue};
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::measure::Measure;
use attn_fiqa::pipeline::{FacePipeline, Row, ScoreOptions, Scorer};
use attn_fiqa::status::{Failure, Status};
use serde_json::json;

use crate::args::{MeasureArgs, RunOptions, TextFormat};
use crate::exit::Exit;
use crate::hint::message_of;
use crate::interrupt;
use crate::journal::Images;
use crate::output::{Destination, choose_text_format, describe_notes, printable};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &MeasureArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(args.output.as_deref())?;
    if args.faces.aligned {
        anyhow::bail!(
            "--aligned: component measures need the photo around a face; leave --aligned out, or \
             give the landmarks with --landmarks"
        );
    }
    let pipeline = pipeline(args, run)?;
    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let mut rows = Rows::open(args.format, args.output.as_deref())?;
    let mut summary = Summary::start(Activity::Other("measured"), sources.progress());
    pipeline.run(Images::all(sources), &args.input.stream(run.batch), |row| {
        let row = with_measures(row);
        summary.count(&row);
        rows.write(&row)
    })?;
    summary.refuse_empty()?;
    rows.finish()?;
    Ok(summary.finish())
}

/// A pipeline that measures without running the network.
fn pipeline(args: &MeasureArgs, run: &RunOptions) -> anyhow::Result<FacePipeline> {
    let checkpoint = attn_fiqa::checkpoint::builtin()?;
    let options = EngineOptions { threads: run.jobs, ..EngineOptions::default() };
    let engine = std::sync::Arc::new(Engine::new(&checkpoint, &options)?);
    let faces = args.faces.options(&args.input, engine.threads(), engine.precision().precision)?;
    let request = Request { methods: Vec::new(), ..Request::new(engine.default_method()) };
    let options = ScoreOptions {
        scorers: vec![Scorer::Measure(Measure::Laplacian)],
        components: true,
        ..request.into()
    };
    Ok(FacePipeline::new(engine, faces, options)?)
}

/// A face that could not be measured counts as failed.
fn with_measures(row: Row) -> Row {
    let mut row = row;
    if row.outcome.is_ok() && row.components.is_none() {
        let message = "an aligned crop has no photo around it, which measures need";
        row.outcome = Err(Failure::new(Status::NoLandmarks, message));
    }
    row
}

const COLUMNS: [&str; 8] =
    ["path", "face", "status", "measure", "native", "scalar", "basis", "message"];

enum Rows {
    Table(Destination),
    Csv(Box<csv::Writer<Destination>>),
    Jsonl(Destination),
}

impl Rows {
    fn open(format: Option<TextFormat>, output: Option<&Path>) -> anyhow::Result<Self> {
        let format = choose_text_format(format, output)?;
        let destination = Destination::open(output)?;
        Ok(match format {
            TextFormat::Table => Self::Table(destination),
            TextFormat::Jsonl => Self::Jsonl(destination),
            TextFormat::Csv => {
                let mut writer = csv::Writer::from_writer(destination);
                writer.write_record(COLUMNS)?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    /// Writes the rows of a face, or one row for an image without measures.
    fn write(&mut self, row: &Row) -> anyhow::Result<()> {
        let (status, message) = match &row.outcome {
            Err(failure) => (failure.status, message_of(failure)),
            Ok(_) => (Status::Ok, describe_notes(&row.notes)),
        };
        let face = row.face.map(|face| face.index);
        if let Self::Table(destination) = self {
            let failed = (status != Status::Ok).then(|| format!(": {}", printable(&message)));
            writeln!(destination, "{}{}", printable(&row.label()), failed.unwrap_or_default())?;
        }
        match row.components.as_ref() {
            None => self.write_one(row, face, status, None, &message)?,
            Some(components) => {
                for measured in components.iter() {
                    self.write_one(row, face, status, Some(measured), &message)?;
                }
            }
        }
        match self {
            Self::Table(destination) | Self::Jsonl(destination) => destination.end_row()?,
            Self::Csv(writer) => writer.flush()?,
        }
        Ok(())
    }

    fn write_one(
        &mut self,
        row: &Row,
        face: Option<usize>,
        status: Status,
        measured: Option<(Component, Option<ComponentValue>)>,
        message: &str,
    ) -> anyhow::Result<()> {
        let name = measured.map(|(component, _)| component.name());
        let basis = measured.map(|(component, _)| component.basis().name());
        let value = measured.and_then(|(_, value)| value);
        let native = value.map(|value| value.native);
        let scalar = value.and_then(|value| value.scalar);
        fn text(value: Option<impl ToString>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        match self {
            Self::Table(destination) => {
                let Some(name) = name else { return Ok(()) };
                let native = native.map(|native| format!("{native:.3}")).unwrap_or_default();
                let (scalar, basis) = (text(scalar), text(basis));
                writeln!(destination, "  {name:28}  {native:>10}  {scalar:>3}  {basis}")?;
            }
            Self::Csv(writer) => writer.write_record([
                row.path.clone(),
                text(face),
                status.to_string(),
                text(name),
                text(native),
                text(scalar),
                text(basis),
                message.to_owned(),
            ])?,
            Self::Jsonl(destination) => {
                let native: Option<f64> = native.and_then(|native| native.to_string().parse().ok());
                let object = json!({
                    "path": row.path,
                    "face": face,
                    "status": status.name(),
                    "measure": name,
                    "native": native,
                    "scalar": scalar,
                    "basis": basis,
                    "message": message,
                });
                writeln!(destination, "{object}")?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Table(destination) | Self::Jsonl(destination) => destination.finish(),
            Self::Csv(writer) => {
                (*writer).into_inner().map_err(|error| error.into_error())?.finish()
            }
        }
    }
}
