//! Figures of maps: colour scales, overlays and the contact sheet.
//!
//! A map is a grid of patch values ([`PatchGrid`]). It is mapped to 0…1 by a [`ColorRange`],
//! enlarged to the size of the crop, coloured by a [`Colormap`] and overlaid on the crop. Images
//! that are viewed side by side need a single range: gather it with [`RangeOverSet`] before
//! rendering.

mod canvas;
mod colormap;
mod error;
mod faces;
mod layout;
mod on_photo;
mod overlay;
mod png;
mod range;
mod sheet;
mod text;

pub use colormap::Colormap;
pub use error::VisualizeError;
pub use faces::draw_faces;
pub use on_photo::{MapOnPhoto, overlay_on_photo};
pub use overlay::{
    DEFAULT_ALPHA, DEFAULT_SIDE, MapStyle, PatchGrid, Rendered, overlay, render_map,
};
pub use png::{encode_jpeg, encode_png};
pub use range::{ColorRange, RangeOverSet};
pub use sheet::{SheetCell, SheetStyle, render_sheet, sheet_size};

/// Maximum pixels of a figure: 100 megapixels are 300 MB of RGB, and few viewers open more.
pub const MAX_PIXELS: usize = 100_000_000;
