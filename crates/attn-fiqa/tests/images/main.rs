//! Images: decoding them, finding and aligning their faces, and drawing on them.

#![allow(clippy::unwrap_used, reason = "in helpers too, a failed unwrap is a failed test")]

mod align;
mod crop;
mod decode;
mod decode_formats;
mod decode_jpeg;
mod decode_refusals;
#[cfg(feature = "builtin-model")]
mod detect_photos;
#[cfg(feature = "builtin-model")]
mod detect_wall;
mod fixtures;
mod landmark_file;
mod pipeline;
mod resize;
mod visualize;
mod visualize_on_photo;
mod visualize_sheet;
