//! `attn-fiqa model`: describes a checkpoint, writes it in canonical form, and manages names.

mod export;
mod list;
mod name;

use std::io::Write;
use std::path::{Path, PathBuf};

use attn_fiqa::checkpoint::{Content, ConvertOptions, Inspection, write_canonical};

use crate::args::{ModelCommand, ModelCommandArgs};
use crate::exit::Exit;
use crate::models::{Located, locate};
use crate::output::{printable, same_file, stdout};

pub(crate) fn run(args: &ModelCommandArgs) -> anyhow::Result<Exit> {
    match &args.command {
        ModelCommand::Inspect { file, options } => {
            let inspection = options.open(file.as_deref())?.inspect();
            stdout().write_all(describe(&inspection).as_bytes())?;
        }
        ModelCommand::Convert { file, output, dtype, quality_only, options } => {
            let input = match locate(file)? {
                Located::File(input, _) => input,
                Located::BuiltIn => PathBuf::new(),
            };
            refuse_overwriting(&input, output)?;
            let checkpoint = options.open(Some(file))?;
            let options = ConvertOptions { dtype: (*dtype).into(), quality_only: *quality_only };
            write_canonical(&checkpoint, output, options)?;
        }
        ModelCommand::Export(args) => export::run(args)?,
        ModelCommand::List { format } => list::run(*format)?,
        ModelCommand::Pull { name, accept_licence } => name::pull(name, *accept_licence)?,
        ModelCommand::Add { file, name, copy, replace, licence, options } => {
            let how = name::Adding { copy: *copy, replace: *replace, licence: licence.clone() };
            name::add(file, name.as_deref(), how, options)?;
        }
        ModelCommand::Remove { name } => name::remove(name)?,
    }
    Ok(Exit::Done)
}

pub(super) fn refuse_overwriting(input: &Path, output: &Path) -> anyhow::Result<()> {
    check_output(input, output, "a safetensors file", "safetensors")
}

/// Checks that `output` is not the input file, has the extension of its format, and is in an
/// existing folder.
fn check_output(input: &Path, output: &Path, what: &str, ending: &str) -> anyhow::Result<()> {
    if same_file(input, output) {
        anyhow::bail!("'{}' is the file to read; name another to write", output.display());
    }
    if output.extension().is_none_or(|extension| extension != ending) {
        anyhow::bail!(
            "the file to write is {what}, but '{}' does not end in .{ending}",
            output.display()
        );
    }
    match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            anyhow::bail!("cannot write '{}': there is no such folder", output.display())
        }
        _ => Ok(()),
    }
}

/// Label and value on every line, for people and for `grep`.
fn describe(inspection: &Inspection) -> String {
    let mut lines = vec![
        ("file", inspection.file.clone()),
        ("format", inspection.format.name().to_owned()),
        ("size", format!("{} bytes", inspection.file_size)),
        ("sha-256", inspection.sha256.clone()),
    ];
    let content = match inspection.content {
        Content::Full => "full: scores and embeddings",
        Content::QualityOnly => "quality-only: scores, no embeddings",
    };
    lines.push(("content", content.to_owned()));
    lines.push(("family", format!("{}, from {}", inspection.family, inspection.family_from)));
    lines.extend(inspection.warnings.iter().map(|warning| ("warning", warning.to_string())));
    let dtypes: Vec<String> = inspection
        .dtypes
        .iter()
        .map(|(name, count)| format!("{name} in {count} of the tensors"))
        .collect();
    lines.push(("weights", dtypes.join(", ")));
    if !inspection.wrappers.is_empty() {
        lines.push(("found under", inspection.wrappers.join(" → ")));
    }
    if !inspection.beside.is_empty() {
        lines.push(("beside it", inspection.beside.join(", ")));
    }
    if !inspection.prefix.is_empty() {
        lines.push(("prefix", inspection.prefix.clone()));
    }
    let preset = inspection.preset.map_or("none of the known ones", |preset| preset.name());
    lines.push(("preset", preset.to_owned()));
    lines.push(("key bias", if inspection.has_key_bias { "fitted" } else { "none" }.to_owned()));
    let calibration = inspection.calibration.as_ref();
    lines.push((
        "calibration",
        calibration.map_or("none: no qualities (see attn-fiqa calibrate)".to_owned(), |found| {
            format!("{}, qualities of {}", found.id(), found.quality.method())
        }),
    ));
    let causes = calibration.and_then(|found| found.causes.as_ref());
    lines.push((
        "causes",
        causes.map_or("none (see attn-fiqa calibrate --only causes)".to_owned(), |model| {
            let names: Vec<&str> = model.causes().iter().map(|cause| cause.name()).collect();
            names.join(", ")
        }),
    ));
    lines.push((
        "parameters",
        format!(
            "{} ({:.1} M); {} ({:.1} M) for a score; {:.1}% not needed",
            inspection.parameters,
            inspection.parameters as f64 / 1e6,
            inspection.parameters_for_quality,
            inspection.parameters_for_quality as f64 / 1e6,
            100.0 * inspection.fraction_not_needed(),
        ),
    ));
    if !inspection.unused.is_empty() {
        lines.push(("unused", inspection.unused.join(", ")));
    }
    lines.extend(inspection.left_out.iter().map(|what| ("left out", what.clone())));
    let mut text: String =
        lines.iter().map(|(label, value)| format!("{label:<17} {value}\n")).collect();
    text.push_str("\nconfiguration\n");
    for value in &inspection.config {
        text.push_str(&format!("  {:<22} {:<9} from {}\n", value.name, value.value, value.from));
    }
    if let Some(scale) = calibration.and_then(|found| found.scale.as_ref()) {
        text.push_str("\nqualities\n");
        for anchor in &scale.anchors {
            let meaning = printable(&scale.describe(anchor));
            text.push_str(&format!(
                "  {:>3}  {meaning} (score {:.2})\n",
                anchor.quality, anchor.score
            ));
        }
    }
    if let Some(calibration) = calibration {
        text.push_str("\ncalibration, as its file says\n");
        for (name, value) in &calibration.record {
            text.push_str(&format!("  {:<29} {}\n", printable(name), printable(value)));
        }
    }
    text
}
