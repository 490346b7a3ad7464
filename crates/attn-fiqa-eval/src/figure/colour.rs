//! Colours by meaning, on light and dark backgrounds.

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Ground,
    /// Text and axes.
    Ink,
    /// Secondary text and lines.
    Muted,
    /// Grid lines.
    Rule,
    /// Data of series, group or bar number n.
    Series(usize),
}

/// Number of series colours before they repeat with different dashes.
pub(super) const SERIES: usize = 8;

/// (name, light, dark): after Okabe and Ito, "Color Universal Design" (2008), each darkened for a
/// white background or lightened for a dark one to a contrast of 3:1.
const SERIES_COLOURS: [(&str, &str, &str); SERIES] = [
    ("--figure-series-1", "#0072b2", "#56a8e8"),
    ("--figure-series-2", "#d55e00", "#f08a3c"),
    ("--figure-series-3", "#008a62", "#2fc096"),
    ("--figure-series-4", "#b8508f", "#e08cbc"),
    ("--figure-series-5", "#9a7400", "#e6b422"),
    ("--figure-series-6", "#2f8fc4", "#8fd3ff"),
    ("--figure-series-7", "#5b4bb7", "#a79cf5"),
    ("--figure-series-8", "#7a5c3e", "#c9a982"),
];

const GROUND: (&str, &str, &str) = ("--figure-ground", "#ffffff", "#16181c");
const INK: (&str, &str, &str) = ("--figure-ink", "#1c1e21", "#e8e9eb");
const MUTED: (&str, &str, &str) = ("--figure-muted", "#63676d", "#a2a7ae");
const RULE: (&str, &str, &str) = ("--figure-rule", "#dfe1e4", "#363a40");

impl Paint {
    fn entry(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ground => GROUND,
            Self::Ink => INK,
            Self::Muted => MUTED,
            Self::Rule => RULE,
            Self::Series(number) => SERIES_COLOURS[number % SERIES],
        }
    }

    /// `#rrggbb` on a light background.
    pub(super) fn light(self) -> &'static str {
        self.entry().1
    }

    /// The CSS custom property that holds the colour on a page.
    pub(super) fn property(self) -> &'static str {
        self.entry().0
    }

    /// Red, green and blue on a light background.
    pub(super) fn light_rgb(self) -> [u8; 3] {
        let hex = self.light().as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
        [1, 3, 5].map(|at| digit(hex[at]) * 16 + digit(hex[at + 1]))
    }
}

/// The CSS rules that give figures with [`SvgColours::Page`](super::SvgColours::Page) their
/// colours: light ones, and dark ones if the reader prefers them.
pub fn page_css() -> String {
    let all = [GROUND, INK, MUTED, RULE].into_iter().chain(SERIES_COLOURS);
    let (mut light, mut dark) = (String::new(), String::new());
    for (name, on_light, on_dark) in all {
        light += &format!("{name}:{on_light};");
        dark += &format!("{name}:{on_dark};");
    }
    format!(":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn colours_meet_wcag_contrast() {
        for (name, light, dark) in SERIES_COLOURS {
            assert!(contrast(light, GROUND.1) >= 3.0, "{name} on light");
            assert!(contrast(dark, GROUND.2) >= 3.0, "{name} on dark");
        }
        for (name, light, dark) in [INK, MUTED] {
            assert!(contrast(light, GROUND.1) >= 4.5, "{name} on light");
            assert!(contrast(dark, GROUND.2) >= 4.5, "{name} on dark");
        }
    }
}
