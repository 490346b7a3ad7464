//! Text: its width, and glyph outlines for PNG figures.

use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// DejaVu Sans, Latin and Greek letters and symbols; see fonts/LICENSE.
const FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans-subset.ttf");

/// The font families that an SVG requests: the one that was measured, or one that is not wider.
pub(super) const FAMILIES: &str = "DejaVu Sans, Verdana, Arial, sans-serif";

fn face() -> &'static Face<'static> {
    static FACE: OnceLock<Face<'static>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(FONT, 0).expect("the font cannot be read: this is a bug"))
}

/// A letter that the font lacks is drawn as the replacement glyph.
fn glyph(letter: char) -> GlyphId {
    let face = face();
    let missing = || face.glyph_index('\u{fffd}').unwrap_or(GlyphId(0));
    face.glyph_index(letter).unwrap_or_else(missing)
}

fn advance(letter: char) -> f64 {
    f64::from(face().glyph_hor_advance(glyph(letter)).unwrap_or(0))
}

fn units_per_em() -> f64 {
    f64::from(face().units_per_em())
}

/// Width of text in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size / units_per_em()
}

/// The text, shortened with an ellipsis if it is wider than `limit` pixels.
pub(super) fn fitted(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut room = limit - width("…", size);
    let fits = |letter: &char| {
        room -= advance(*letter) * size / units_per_em();
        room >= 0.0
    };
    let fitting: String = text.chars().take_while(fits).collect();
    format!("{}…", fitting.trim_end())
}

/// Passes every glyph's outline to `outline`, with its offset from the start of the text in pixels
/// and the pixels per font unit (whose y axis points up).
pub(super) fn outlines<B: OutlineBuilder>(
    text: &str,
    size: f64,
    outline: &mut B,
    mut place: impl FnMut(&mut B, f64, f64),
) {
    let mut x = 0.0;
    let scale = size / units_per_em();
    for letter in text.chars() {
        place(outline, x, scale);
        let _ = face().outline_glyph(glyph(letter), outline);
        x += advance(letter) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_width_is_sum_of_advances() {
        assert!(width("FNMR at FMR 1e-3", 12.0) > 80.0);
        assert!((width("aa", 10.0) - 2.0 * width("a", 10.0)).abs() < 1e-9);
        assert_eq!(width("", 10.0), 0.0);
    }

    #[test]
    fn long_words_are_cut_to_fit() {
        let short = fitted("a very long name of a method", 12.0, 80.0);
        assert!(short.ends_with('…') && width(&short, 12.0) <= 80.0, "{short}");
        assert_eq!(fitted("short", 12.0, 80.0), "short");
        assert_eq!(fitted("wide", 12.0, 1.0), "…");
    }
}
