//! Pictures of maps: colour scales, overlays and the contact sheet.
