//! `attn-fiqa score`: one row per face.

use attn_fiqa::engine::{Engine, Request};
use attn_fiqa::pipeline::ScoreOptions;
use attn_fiqa::score::{Method, QualityMap};

use super::scorers;
use super::session::Session;
use crate::args::{Column, FormatChoice, QualityName, RunOptions, ScoreArgs};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::{self, ColumnChoice, Columns, EMBEDDING_LENGTH, Record, RunRows};

pub(crate) fn run(args: &ScoreArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    let format = output::choose_format(args.format, args.output.as_deref())?;
    refuse_what_the_format_cannot_hold(args, format)?;
    args.input.refuse_as_output(args.output.as_deref())?;
    scorers::refuse_named_twice(&args.method)?;
    let embedding = args.columns.contains(&Column::Embedding);
    let methods: Vec<Method> = args.method.iter().filter_map(QualityName::method).collect();
    let session = Session::open(&args.model, run, &methods, embedding)?;
    let names = scorers::names(&args.method, &session.engine);
    let columns = Columns::new(&ColumnChoice {
        methods: &names.iter().map(QualityName::to_string).collect::<Vec<_>>(),
        on_request: &args.columns,
        faces: !args.faces.aligned,
        jitter: args.jitter.is_some(),
    });
    let (scorers, mut methods) = scorers::open(&names, &session.engine)?;
    let asked = |column| args.columns.contains(&column);
    let causes = asked(Column::Causes) || asked(Column::MainCause);
    let weak_regions = asked(Column::WeakRegions);
    if methods.is_empty() && (columns.map || embedding || causes || weak_regions) {
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
        causes,
        weak_regions,
        methods,
        ..Request::new(session.engine.default_method())
    };
    let options = ScoreOptions {
        request,
        scorers,
        jitter: args.jitter.map_or(0, usize::from),
        components: args.columns.contains(&Column::Components),
        best_only: args.best.best,
    };
    let pipeline = session.pipeline(session.faces(&args.input, &args.faces)?, options)?;

    if args.columns.contains(&Column::MatchProbability) {
        refuse_without_matches(first, &session.engine)?;
    }

    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let mut about = session.about();
    if embedding && let Some(head) = &session.engine.config().embedding_head {
        about.push((EMBEDDING_LENGTH, head.dim().to_string()));
    }
    let plan = args.resume.plan(run, &about);
    let sink = output::open(format, args.output.as_deref(), columns.with_about(about), &plan)?;
    let (mut rows, images) = RunRows::start(sink, sources, &plan, None)?;
    let of_first = |map: &&QualityMap| first == Some(&QualityName::Method(map.method()));
    let map = session.engine.quality_map().filter(of_first);
    let law = map.and_then(|_| session.engine.match_probability());
    let summary = session.run(images, &pipeline, &args.input, run, |row, summary| {
        let is_first = row.is_first;
        let record = Record::from(row).with_quality(map).with_match_probability(law);
        rows.next_row(is_first, summary)?.write(&record)
    })?;
    rows.finish(&summary)?;
    Ok(summary.finish())
}

/// Refuses a column that would be empty in every row.
fn refuse_without_matches(first: Option<&QualityName>, engine: &Engine) -> anyhow::Result<()> {
    let calibrated = engine.quality_map().filter(|_| engine.match_probability().is_some());
    match (first, calibrated) {
        (Some(QualityName::Method(method)), Some(map)) if map.method() == *method => Ok(()),
        (_, Some(map)) => anyhow::bail!(
            "--columns match_probability: the model's calibration is for the method '{}'; put that \
             one first",
            map.method()
        ),
        (_, None) => anyhow::bail!(
            "--columns match_probability: the model has no calibration to the matches of a \
             recogniser; `attn-fiqa calibrate` makes one"
        ),
    }
}

fn refuse_what_the_format_cannot_hold(
    args: &ScoreArgs,
    format: FormatChoice,
) -> anyhow::Result<()> {
    match format {
        FormatChoice::Txt if !args.columns.is_empty() => {
            anyhow::bail!("the format txt has no --columns; use csv, jsonl or parquet")
        }
        FormatChoice::Txt if args.method.len() > 1 => {
            anyhow::bail!("the format txt holds one score per line; name one --method or use csv")
        }
        FormatChoice::Table if args.columns.iter().any(|column| column.is_list()) => {
            anyhow::bail!(
                "a table cannot hold the columns map and embedding; use --format csv, jsonl or \
                 parquet"
            )
        }
        _ => Ok(()),
    }
}
