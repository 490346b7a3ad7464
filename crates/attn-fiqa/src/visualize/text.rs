//! Lines of text: fitting and drawing.

use std::borrow::Cow;

use noto_sans_mono_bitmap::{
    FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width,
};

use super::canvas::{At, Canvas};

const WEIGHT: FontWeight = FontWeight::Regular;
const SIZE: RasterHeight = RasterHeight::Size16;

/// Width in pixels of every letter.
pub(super) const GLYPH_WIDTH: usize = get_raster_width(WEIGHT, SIZE);

/// Height in pixels of a line, including room for accents and descenders.
pub(super) const LINE_HEIGHT: usize = SIZE.val();

/// Width of a line of text in pixels.
pub(super) fn width(text: &str) -> usize {
    text.chars().count() * GLYPH_WIDTH
}

/// Draws one line with its upper left corner at `at`.
///
/// Characters missing from the font become its replacement mark, so that a name keeps its length.
pub(super) fn draw(canvas: &mut Canvas, at: At, text: &str, color: [u8; 3]) {
    for (letter, character) in text.chars().enumerate() {
        let at = At { x: at.x + letter * GLYPH_WIDTH, y: at.y };
        if character == ELLIPSIS {
            draw_ellipsis(canvas, at, color);
        } else if let Some(glyph) = glyph(character) {
            for (row, line) in glyph.rows().enumerate() {
                for (col, &coverage) in line.iter().enumerate() {
                    let at = At { x: at.x + col, y: at.y + row };
                    canvas.ink(at, color, coverage);
                }
            }
        }
    }
}

const ELLIPSIS: char = '…';

fn glyph(character: char) -> Option<RasterizedChar> {
    let character = match character {
        // The font has only the hyphen, which is readable as a minus sign or a dash.
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    };
    get_raster(character, WEIGHT, SIZE)
        .or_else(|| get_raster(char::REPLACEMENT_CHARACTER, WEIGHT, SIZE))
}

/// The font has no `…`: draws three dots on the baseline.
fn draw_ellipsis(canvas: &mut Canvas, at: At, color: [u8; 3]) {
    let baseline = LINE_HEIGHT * 3 / 4;
    for dot in 0..3 {
        let x = at.x + dot * GLYPH_WIDTH / 3 + GLYPH_WIDTH / 6;
        canvas.ink(At { x, y: at.y + baseline - 1 }, color, 255);
        canvas.ink(At { x, y: at.y + baseline }, color, 96);
    }
}

/// The text itself if it has at most `letters` characters, else its beginning and its end with `…`
/// in between, `letters` characters in total.
///
/// File names differ at their ends as often as at their beginnings.
pub(super) fn shorten_middle(text: &str, letters: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= letters {
        return Cow::Borrowed(text);
    }
    if letters == 0 {
        return Cow::Borrowed("");
    }
    let kept = letters - 1;
    let (head, tail) = (kept / 2, kept - kept / 2);
    let short = text.chars().take(head).chain([ELLIPSIS]).chain(text.chars().skip(count - tail));
    Cow::Owned(short.collect())
}

/// Breaks text into lines of at most `letters` characters, at spaces if there are any. Line ends in
/// the text are kept.
pub(super) fn wrap(text: &str, letters: usize) -> Vec<String> {
    let letters = letters.max(1);
    text.lines().flat_map(|line| wrap_line(line, letters)).collect()
}

fn wrap_line(text: &str, letters: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let used = line.chars().count();
        if used > 0 && used + 1 + word.len() > letters {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > letters {
            let rest = word.split_off(letters);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLACK: [u8; 3] = [0; 3];

    fn drawn(text: &str) -> Vec<u8> {
        let mut canvas = Canvas::white(width(text), LINE_HEIGHT);
        draw(&mut canvas, At { x: 0, y: 0 }, text, BLACK);
        canvas.into_rgb()
    }

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(shorten_middle("Aaron_Eckhart_0001.jpg", 11), "Aaron…1.jpg");
        assert_eq!(shorten_middle("short.png", 9), "short.png");
        assert_eq!(shorten_middle("Zoë", 2), "…ë");
        assert_eq!(shorten_middle("abc", 1), "…");
        assert_eq!(shorten_middle("abc", 0), "");
    }

    #[test]
    fn titles_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(wrap("a\nb", 4), ["a", "b"]);
        assert_eq!(wrap("", 4), Vec::<String>::new());
    }

    #[test]
    fn glyphs_differ_and_missing_ones_are_replaced() {
        for (a, b) in [("0", "8"), ("-", "…"), ("é", "e"), ("ł", "l"), ("…", ".")] {
            assert_ne!(drawn(a), drawn(b), "{a} {b}");
        }
        assert_eq!(drawn("−"), drawn("-"));
        assert_eq!(drawn("顔"), drawn("\u{fffd}"));
        assert_ne!(drawn("顔"), drawn(" "));
    }

    proptest! {
        #[test]
        fn shortened_text_fits(text in "\\PC{0,40}", letters in 0usize..50) {
            let short = shorten_middle(&text, letters);
            prop_assert_eq!(short.chars().count(), text.chars().count().min(letters));
        }

        #[test]
        fn wrapped_text_fits_and_loses_nothing(text in "[a-zà-ÿ \n]{0,60}", letters in 1usize..12) {
            let lines = wrap(&text, letters);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= letters));
            let letters_of = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters_of(&lines.concat()), letters_of(&text));
        }
    }
}
