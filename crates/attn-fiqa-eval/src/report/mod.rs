//! Reports of a study: one page, tables and figures; and the page of a set's qualities.
//!
//! Everything about a study comes from the record ([`Results`]) and the images next to it, so that
//! a report can be rebuilt without the data.

mod figures;
mod html;
mod latex;
mod overview;
mod page;
mod tables;

pub use overview::overview_page;

use std::path::Path;

use crate::figure::{FigureError, SvgColours};
use crate::study::{Results, StudyError};

/// File name of the page, in a run's folder.
pub const PAGE_FILE: &str = "report.html";

/// Pixels of a PNG figure per CSS pixel.
const PNG_SCALE: f64 = 2.0;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A figure failed.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// A table failed.
    #[error("a table cannot be written")]
    Csv(#[from] csv::Error),
    /// A file failed.
    #[error(transparent)]
    File(#[from] StudyError),
}

/// Writes the tables (`tables/*.csv`) and figures (`figures/*.svg` and `.png`).
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_tables_and_figures(folder: &Path, results: &Results) -> Result<(), ReportError> {
    for (name, csv) in tables::all(results)? {
        crate::study::write_atomic(&folder.join("tables").join(name), &csv)?;
    }
    for figure in figures::all(results)? {
        let path = |ending| folder.join("figures").join(format!("{}.{ending}", figure.name));
        let svg = figure.figure.svg(SvgColours::Fixed);
        crate::study::write_atomic(&path("svg"), svg.as_bytes())?;
        crate::study::write_atomic(&path("png"), &figure.figure.png(PNG_SCALE)?)?;
    }
    Ok(())
}

/// Writes [`PAGE_FILE`], one self-contained page, and the tables for LaTeX (`tables/*.tex`).
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_page_and_latex(folder: &Path, results: &Results) -> Result<(), ReportError> {
    for (name, tex) in latex::all(results) {
        crate::study::write_atomic(&folder.join("tables").join(name), tex.as_bytes())?;
    }
    let page = page::page(folder, results)?;
    crate::study::write_atomic(&folder.join(PAGE_FILE), page.as_bytes())?;
    Ok(())
}

/// `1e-3`, as in the papers.
fn rate(value: f64) -> String {
    let target = crate::edc::Target::Fmr(value).to_string();
    target.trim_start_matches("FMR ").to_owned()
}

/// pAUC as in the papers.
fn times_thousand(pauc: Option<f64>) -> String {
    pauc.map_or("–".to_owned(), |pauc| format!("{:.2}", pauc * 1000.0))
}
