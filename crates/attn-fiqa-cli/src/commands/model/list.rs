//! `attn-fiqa model list`.

use std::io::Write;

use attn_fiqa::checkpoint::builtin;
use serde_json::json;

use crate::args::ListFormat;
use crate::models::{BUILT_IN, BUILT_IN_LICENCE, Entry, EntryLocation, Hub, Registry};
use crate::output::{PlainTable, stdout};

/// One model, as listed.
struct Line {
    name: String,
    state: &'static str,
    size: Option<u64>,
    preset: Option<String>,
    licence: Option<String>,
    place: String,
    sha256: Option<String>,
    title: Option<String>,
}

pub(super) fn run(format: Option<ListFormat>) -> anyhow::Result<()> {
    let lines = lines()?;
    if format == Some(ListFormat::Jsonl) {
        let mut stdout = stdout();
        for line in &lines {
            let value = json!({
                "name": line.name, "state": line.state, "title": line.title, "size": line.size,
                "preset": line.preset, "licence": line.licence, "place": line.place,
                "sha256": line.sha256,
            });
            writeln!(stdout, "{value}")?;
        }
        return Ok(stdout.flush()?);
    }
    let mut table = PlainTable::new(&["name", "state", "size", "preset", "licence", "place"]);
    let or_empty = |text: Option<String>| text.unwrap_or_default();
    for line in lines {
        table.push(vec![
            line.name,
            line.state.to_owned(),
            or_empty(line.size.map(|size| size.to_string())),
            or_empty(line.preset),
            or_empty(line.licence),
            line.place,
        ]);
    }
    match format {
        Some(ListFormat::Table) => table.print_aligned(),
        Some(_) => table.print_csv(),
        None => table.print(),
    }
}

fn lines() -> anyhow::Result<Vec<Line>> {
    let registry = Registry::open()?;
    let hub = Hub::from_env()?;
    let mut lines: Vec<Line> =
        builtin().ok().map(|model| built_in(&model.inspect())).into_iter().collect();
    lines.extend(registry.entries().map(|(entry, own)| of_entry(entry, own, &hub)));
    Ok(lines)
}

fn built_in(model: &attn_fiqa::checkpoint::Inspection) -> Line {
    Line {
        name: BUILT_IN.to_owned(),
        state: "built-in",
        size: Some(model.file_size),
        preset: model.preset.map(|preset| preset.name().to_owned()),
        licence: Some(BUILT_IN_LICENCE.to_owned()),
        place: model.file.clone(),
        sha256: Some(model.sha256.clone()),
        title: None,
    }
}

fn of_entry(entry: &Entry, own: bool, hub: &Hub) -> Line {
    let (state, file, place) = match entry.entry_location() {
        EntryLocation::Local(path) if path.is_file() => {
            ("added", Some(path.to_owned()), path.display().to_string())
        }
        EntryLocation::Local(path) => ("missing", None, path.display().to_string()),
        EntryLocation::Hub { repo, file } => match hub.cached(repo, file) {
            Some(path) => {
                let shown = path.display().to_string();
                ("cached", Some(path), shown)
            }
            None if own => ("added, not fetched", None, format!("{repo}/{file}")),
            None => ("not fetched", None, format!("{repo}/{file}")),
        },
    };
    let size = file.and_then(|file| Some(std::fs::metadata(file).ok()?.len())).or(entry.size);
    Line {
        name: entry.name.clone(),
        state,
        size,
        preset: entry.preset.clone(),
        licence: entry.licence.clone(),
        place,
        sha256: entry.sha256.clone(),
        title: entry.title.clone(),
    }
}
