//! `attn-fiqa report`: a page of a run.

use std::io::{self, Write};

use attn_fiqa_eval::report::{PAGE_FILE, write_page_and_latex, write_tables_and_figures};
use attn_fiqa_eval::study::load;

use crate::args::ReportArgs;
use crate::exit::Exit;
use crate::log;

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    let results = load(&args.run)?;
    write_tables_and_figures(&args.run, &results)?;
    write_page_and_latex(&args.run, &results)?;
    let page = args.run.join(PAGE_FILE);
    writeln!(io::stdout(), "{}", page.display())?;
    log::info("wrote the page; tables (CSV, LaTeX) are in tables, images in figures beside it");
    Ok(Exit::Done)
}
