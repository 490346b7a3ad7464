//! `attn-fiqa report`: a page about a run, or about a table of scores.

use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use attn_fiqa_eval::files::{FileError, FileProblem};
use attn_fiqa_eval::overview::{Overview, OverviewOptions, RankedFace, thumbnails};
use attn_fiqa_eval::report::{
    PAGE_FILE, overview_page, write_page_and_latex, write_tables_and_figures,
};
use attn_fiqa_eval::study::load;

use crate::args::{ReportArgs, Reported};
use crate::exit::Exit;
use crate::log;
use crate::output::{Destination, is_stdout, stdout};

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    match args.reported()? {
        Reported::Run(folder) => of_run(folder),
        Reported::Scores { file, output, images, options } => {
            of_scores(file, output, images, &options)
        }
    }
}

fn of_run(folder: &Path) -> anyhow::Result<Exit> {
    let results = load(folder)?;
    write_tables_and_figures(folder, &results)?;
    write_page_and_latex(folder, &results)?;
    let page = folder.join(PAGE_FILE);
    writeln!(stdout(), "{}", page.display())?;
    log::info("wrote the page; tables (CSV, LaTeX) are in tables, images in figures next to it");
    Ok(Exit::Done)
}

fn of_scores(
    file: &Path,
    output: &Path,
    images: Option<&Path>,
    options: &OverviewOptions,
) -> anyhow::Result<Exit> {
    // Before any work, so that an unwritable page is refused at once.
    let mut destination = Destination::open(Some(output))?;
    let overview = Overview::read(file, options).map_err(advised)?;
    let faces: Vec<&RankedFace> = overview.worst.iter().chain(&overview.best).collect();
    let found = thumbnails(&faces, images);
    if let Some((name, problem)) = found.missing.first() {
        log::note(format!(
            "{} of {} images could not be shown, such as '{name}': {problem} (--images DIR says \
             where they are)",
            found.missing.len(),
            found.missing.len() + found.images()
        ));
    }
    destination.write_all(overview_page(&overview, &found)?.as_bytes())?;
    destination.finish()?;
    if !is_stdout(output) {
        writeln!(stdout(), "{}", output.display())?;
    }
    Ok(Exit::Done)
}

/// Adds the flag that resolves an error in a file; the hints for other commands do not apply here.
fn advised(error: FileError) -> anyhow::Error {
    let advice = match error.problem() {
        FileProblem::NoColumn { column, .. } if column == "quality" || column == "path" => {
            "`attn-fiqa score` writes it"
        }
        FileProblem::NoColumn { .. } => "--by names the columns",
        FileProblem::Missing { .. } => "--missing skip leaves these images out",
        _ => return error.into(),
    };
    anyhow!("{error} ({advice})")
}
