//! Bilinear resizing as OpenCV does it.
