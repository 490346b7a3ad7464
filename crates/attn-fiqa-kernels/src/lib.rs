//! CPU arithmetic: slices in, slices out; no idea what a face is.
