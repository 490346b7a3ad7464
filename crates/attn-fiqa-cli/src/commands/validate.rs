//! `attn-fiqa validate`: does the score fall as faces get worse?

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::Request;
use attn_fiqa::pipeline::ScoreOptions;
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use attn_fiqa_eval::degrade::seed_for;
use attn_fiqa_eval::figure::SvgColours;
use attn_fiqa_eval::validate::{DegradationStudy, Plan, monotonicity};
use serde_json::json;

use super::scorers;
use super::session::Session;
use crate::args::{QualityName, RunOptions, ValidateArgs};
use crate::exit::Exit;
use crate::journal::Images;
use crate::output::{NewFile, PlainTable};

/// PNG pixels per unit of the figure.
const PNG_SCALE: f64 = 2.0;

pub(crate) fn run(args: &ValidateArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    refuse_pixel_independent_methods(&args.method)?;
    scorers::refuse_named_twice(&args.method)?;
    let methods: Vec<Method> = args.method.iter().filter_map(QualityName::method).collect();
    let session = Session::open(&args.model, run, &methods, false)?;
    let names = scorers::names(&args.method, &session.engine);
    let (scorers, methods) = scorers::open(&names, &session.engine)?;
    let names: Vec<String> = names.iter().map(QualityName::to_string).collect();
    let request = Request { methods, ..Request::new(session.engine.default_method()) };
    let faces = session.faces(&args.input, &args.faces)?;
    let options = ScoreOptions { best_only: args.best.best, scorers, ..request.into() };
    let pipeline = session.pipeline(faces, options)?;
    args.input.refuse_as_output_folder(args.output.as_deref())?;
    let sources = args.input.open()?;
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    }

    let degradation = &args.degradation;
    let plan = Plan { kinds: degradation.kinds(), levels: degradation.levels() };
    let mut study = DegradationStudy::new(plan.clone(), names);
    let mut paths = Vec::new();
    let score = |crops: &[Crop]| {
        let assessed = pipeline.score_crops(crops).into_iter();
        assessed.map(|outcome| Ok(outcome?.scores)).collect()
    };
    let summary =
        session.run(Images::all(sources), &pipeline, &args.input, run, |row, summary| {
            let (Ok(clean), Some(crop)) = (&row.outcome, &row.crop) else { return Ok(()) };
            let name = row.label();
            let seed = seed_for(degradation.seed, &name);
            let respond = || plan.respond(crop, Some(&clean.scores), seed, score);
            match session.engine.install(respond) {
                Ok(response) => {
                    study.add(&response);
                    paths.push(name);
                }
                Err(Failure { status, message }) => summary.retract(&row, status, &message),
            }
            Ok(())
        })?;
    if study.faces() > 0 {
        let kinds = kinds_table(&study);
        kinds.print()?;
        if let Some(folder) = &args.output {
            kinds.save(&folder.join("kinds.csv"))?;
            levels_table(&study).save(&folder.join("levels.csv"))?;
            images_table(&study, &paths).save(&folder.join("images.csv"))?;
            save_json(&study, &session.model_name, args, &folder.join("validate.json"))?;
            save_figures(&study, folder)?;
        }
    }
    Ok(summary.finish())
}

/// Refuses methods that do not depend on the pixels of a crop.
fn refuse_pixel_independent_methods(methods: &[QualityName]) -> anyhow::Result<()> {
    use attn_fiqa::measure::MeasureName::{DetectionScore, InterEyeDistance};
    for method in methods {
        if let QualityName::Measure(InterEyeDistance | DetectionScore) = method {
            anyhow::bail!(
                "{method} is a property of the photo, which degrading a crop does not change"
            );
        }
    }
    Ok(())
}

fn kinds_table(study: &DegradationStudy) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "kind",
        "faces",
        "spearman",
        "spearman_p10",
        "monotonic_fraction",
    ]);
    for row in study.kinds() {
        table.push(vec![
            row.method,
            row.kind.to_owned(),
            row.faces.to_string(),
            format!("{:.4}", row.spearman),
            format!("{:.4}", row.spearman_p10),
            format!("{:.4}", row.monotonic_fraction),
        ]);
    }
    table
}

fn levels_table(study: &DegradationStudy) -> PlainTable {
    let mut table = PlainTable::new(&[
        "method",
        "kind",
        "level",
        "parameter",
        "unit",
        "faces",
        "mean",
        "min",
        "lower_whisker",
        "lower_quartile",
        "median",
        "upper_quartile",
        "upper_whisker",
        "max",
    ]);
    for row in study.levels() {
        let scores = row.scores;
        let mut cells = vec![
            row.method,
            row.kind.to_owned(),
            row.level.to_string(),
            row.parameter.to_string(),
            row.unit.to_owned(),
            scores.count.to_string(),
        ];
        let numbers = [
            scores.mean,
            scores.min,
            scores.lower_whisker,
            scores.lower_quartile,
            scores.median,
            scores.upper_quartile,
            scores.upper_whisker,
            scores.max,
        ];
        cells.extend(numbers.map(|number| number.to_string()));
        table.push(cells);
    }
    table
}

/// One row per method, face and kind: how the score falls, and its value at every level.
fn images_table(study: &DegradationStudy, paths: &[String]) -> PlainTable {
    let levels: Vec<String> =
        study.plan().levels.iter().map(|level| format!("score@{:.2}", level.get())).collect();
    let mut heading = vec!["path", "method", "kind", "spearman"];
    heading.extend(levels.iter().map(String::as_str));
    let mut table = PlainTable::new(&heading);
    for (face, path) in paths.iter().enumerate() {
        for (method, name) in study.methods().iter().enumerate() {
            for (kind, degradation) in study.plan().kinds.iter().enumerate() {
                let series = study.series(face, method, kind);
                let spearman =
                    monotonicity(series).map(|fall| fall.to_string()).unwrap_or_default();
                let mut row =
                    vec![path.clone(), name.clone(), degradation.name().to_owned(), spearman];
                row.extend(series.iter().map(f32::to_string));
                table.push(row);
            }
        }
    }
    table
}

/// One figure per method, as SVG and as PNG.
fn save_figures(study: &DegradationStudy, folder: &Path) -> anyhow::Result<()> {
    for (method, name) in study.methods().iter().enumerate() {
        let figure = study.figure(method)?;
        // '@' and '=' in a method name are awkward in some shells.
        let stem = name.replace(['@', '='], "-");
        let svg = figure.svg(SvgColours::Fixed).into_bytes();
        for (ending, bytes) in [("svg", svg), ("png", figure.png(PNG_SCALE)?)] {
            let mut file = NewFile::create(&folder.join(format!("{stem}.{ending}")))?;
            file.write_all(&bytes)?;
            file.finish()?;
        }
    }
    Ok(())
}

fn save_json(
    study: &DegradationStudy,
    model: &str,
    args: &ValidateArgs,
    path: &Path,
) -> anyhow::Result<()> {
    let mut file = NewFile::create(path)?;
    let value = json!({
        "model": model,
        "program": concat!("attn-fiqa ", env!("CARGO_PKG_VERSION")),
        "seed": args.degradation.seed,
        "faces": study.faces(),
        "kinds": study.kinds(),
        "levels": study.levels(),
    });
    serde_json::to_writer_pretty(&mut file, &value)?;
    writeln!(file)?;
    file.finish()
}
