//! `attn-fiqa score`: one row a face.

use attn_fiqa::engine::{Engine, Request};
use attn_fiqa::measure::{Measure, MeasureName, QualityNetwork};
use attn_fiqa::onnx::OnnxModel;
use attn_fiqa::pipeline::{ScoreOptions, Scorer};
use attn_fiqa::score::{Method, QualityMap};

use super::session::Session;
use crate::args::{Column, FormatChoice, QualityName, ScoreArgs};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::{self, ColumnChoice, Columns, Record};

pub(crate) fn run(args: &ScoreArgs) -> anyhow::Result<Exit> {
    let format = output::choose_format(args.format, args.output.as_deref())?;
    refuse_what_the_format_cannot_hold(args, format)?;
    args.input.refuse_as_output(args.output.as_deref())?;
    // By the name of its column: two specifications of one ONNX file share it.
    let asked: Vec<String> = args.method.iter().map(QualityName::to_string).collect();
    if let Some(twice) = asked.iter().enumerate().find(|(i, name)| asked[..*i].contains(name)) {
        anyhow::bail!("method '{}' was named twice", twice.1);
    }
    let embedding = args.columns.contains(&Column::Embedding);
    let methods: Vec<Method> = args.method.iter().filter_map(QualityName::method).collect();
    let session = Session::open(&args.run, &methods, embedding)?;
    let names = match &args.method[..] {
        [] => vec![QualityName::Method(session.engine.default_method())],
        names => names.to_vec(),
    };
    let columns = Columns::new(&ColumnChoice {
        methods: &names.iter().map(QualityName::to_string).collect::<Vec<_>>(),
        on_request: &args.columns,
        faces: !args.faces.aligned,
        jitter: args.jitter.is_some(),
    });
    let (scorers, mut methods) = scorers(&names, &session.engine)?;
    if methods.is_empty() && (columns.map || embedding) {
        methods.push(session.engine.default_method());
    }
    let first = names.first();
    if args.jitter.is_some() && !matches!(first, Some(QualityName::Method(_))) {
        anyhow::bail!(
            "--jitter measures the spread of the model's score; put one of its methods first"
        );
    }
    let request = Request {
        received: columns.map,
        embedding,
        methods,
        ..Request::new(session.engine.default_method())
    };
    let options = ScoreOptions {
        request,
        scorers,
        jitter: args.jitter.map_or(0, usize::from),
        best_only: args.faces.wants_best(),
    };
    let pipeline = session.pipeline(session.faces(&args.input, &args.faces)?, options)?;

    if args.columns.contains(&Column::MatchProbability) {
        refuse_without_matches(first, &session.engine)?;
    }

    interrupt::end_early();
    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let mut sink =
        output::open(format, args.output.as_deref(), columns.with_about(session.about()))?;
    let of_first = |map: &&QualityMap| first == Some(&QualityName::Method(map.method()));
    let map = session.engine.quality_map().filter(of_first);
    let law = map.and_then(|_| session.engine.match_probability());
    let report = session.run(sources, &pipeline, &args.input, &args.run, |row, _| {
        sink.write(&Record::from(row).with_quality(map).with_match_probability(law))
    })?;
    sink.finish()?;
    Ok(report.finish())
}

/// A column that would be empty in every row is refused.
fn refuse_without_matches(first: Option<&QualityName>, engine: &Engine) -> anyhow::Result<()> {
    let calibrated = engine.quality_map().filter(|_| engine.match_probability().is_some());
    match (first, calibrated) {
        (Some(QualityName::Method(method)), Some(map)) if map.method() == *method => Ok(()),
        (_, Some(map)) => anyhow::bail!(
            "--columns match_probability: the model's calibration is of the method '{}'; put \
             that one first",
            map.method()
        ),
        (_, None) => anyhow::bail!(
            "--columns match_probability: the model has no calibration to the matches of a \
             recogniser; `attn-fiqa calibrate` makes one"
        ),
    }
}

/// Where every score comes from, in the order of the names, and the methods that the
/// engine is to be asked for. No scorers if the methods are all there is.
fn scorers(names: &[QualityName], engine: &Engine) -> anyhow::Result<(Vec<Scorer>, Vec<Method>)> {
    let mut methods = Vec::new();
    let mut scorers = Vec::new();
    for name in names {
        scorers.push(match name {
            QualityName::Method(method) => {
                methods.push(*method);
                Scorer::Method(*method)
            }
            QualityName::Measure(name) => Scorer::Measure(open_measure(name, engine)?),
        });
    }
    if methods.len() == names.len() {
        scorers.clear();
    }
    Ok((scorers, methods))
}

fn open_measure(name: &MeasureName, engine: &Engine) -> anyhow::Result<Measure> {
    Ok(match name {
        MeasureName::Laplacian => Measure::Laplacian,
        MeasureName::EyeDistance => Measure::EyeDistance,
        MeasureName::DetectorScore => Measure::DetectorScore,
        MeasureName::Onnx(file, spec) => {
            let (model, side) = (OnnxModel::open(file)?, engine.config().image_size);
            let network = QualityNetwork::new(model, *spec, side, engine.threads())?;
            Measure::Network(network.into())
        }
    })
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
