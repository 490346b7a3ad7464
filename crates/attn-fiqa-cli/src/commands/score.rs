//! `attn-fiqa score`: one row a face.

use attn_fiqa::engine::Request;
use attn_fiqa::pipeline::PipelineOptions;
use attn_fiqa::score::QualityMap;

use super::session::Session;
use crate::args::{Column, FormatChoice, ScoreArgs};
use crate::exit::Exit;
use crate::output::{self, ColumnChoice, Columns, Record};

pub(crate) fn run(args: &ScoreArgs) -> anyhow::Result<Exit> {
    let format = output::choose_format(args.format, args.output.as_deref())?;
    refuse_what_the_format_cannot_hold(args, format)?;
    args.input.refuse_as_output(args.output.as_deref())?;
    if let Some(twice) = args.method.iter().enumerate().find(|(i, m)| args.method[..*i].contains(m))
    {
        anyhow::bail!("method '{}' was named twice", twice.1);
    }
    let embedding = args.columns.contains(&Column::Embedding);
    let session = Session::open(&args.run, embedding)?;
    let methods = session.methods(&args.method);
    let columns = Columns::new(&ColumnChoice {
        methods: &methods,
        on_request: &args.columns,
        faces: !args.faces.aligned,
        jitter: args.jitter.is_some(),
    });
    let request = Request {
        received: columns.map,
        embedding,
        methods,
        ..Request::new(session.engine.default_method())
    };
    session.engine.check(&request)?;
    let options = PipelineOptions {
        jitter: args.jitter.map_or(0, usize::from),
        ..session.pipeline(&args.input, &args.faces, &args.run)?
    };

    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let mut sink = output::open(format, args.output.as_deref(), columns)?;
    let of_first = |map: &&QualityMap| request.methods.first() == Some(&map.method());
    let map = session.engine.quality_map().filter(of_first);
    let report = session.run(sources, &options, &args.run, &request, |row, _| {
        sink.write(&Record::from(row).with_quality(map))
    })?;
    sink.finish()?;
    Ok(report.finish())
}

fn refuse_what_the_format_cannot_hold(
    args: &ScoreArgs,
    format: FormatChoice,
) -> anyhow::Result<()> {
    let name = match format {
        FormatChoice::Txt => "txt",
        FormatChoice::Table => "table",
        _ => return Ok(()),
    };
    if !args.columns.is_empty() {
        anyhow::bail!("--columns has no place in the format {name}; use csv, jsonl or parquet");
    }
    if format == FormatChoice::Txt && args.method.len() > 1 {
        anyhow::bail!("the format txt holds one score a line; name one --method or use csv");
    }
    Ok(())
}
