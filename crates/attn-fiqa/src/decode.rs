//! Bytes to RGB pixels, with limits before anything is decoded.
