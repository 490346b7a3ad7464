//! Figures: numbers in, an image out, as SVG and as PNG.
//!
//! Every kind of figure is a function that takes plain numbers and returns a [`Figure`]: a list of
//! lines, areas and text. The same figure can be written as SVG with fixed colours for a paper, as
//! SVG that follows the page's light or dark colours, or as PNG. The same numbers give the same
//! bytes.
//!
//! 1. [`Figure`]: the shapes, and their output formats.
//! 2. The kinds: [`edc_grid`], [`score_distributions`], [`det_curves`],
//!    [`box_plots`], [`bars`].
//!
//! Methods are distinguished by colour and, beyond the eighth, by dashes; the
//! colours are those of Okabe and Ito, which people with any kind of colour
//! vision can distinguish.

mod axis;
mod colour;
mod font;
mod panel;
mod raster;
mod scene;
mod svg;

mod bars;
mod boxes;
mod det;
mod distribution;
mod edc;

pub use bars::{Bar, bars};
pub use boxes::{BoxGroup, BoxPanel, box_plots};
pub use colour::page_css;
pub use det::{DetPanel, DetSeries, det_curves};
pub use distribution::{DistributionPanel, Histogram, ScoreGroup, score_distributions};
pub use edc::{EdcPanel, EdcSeries, edc_grid};
pub use scene::{Figure, FigureError};
pub use svg::SvgColours;
