//! A figure as SVG text.

use std::fmt::Write;

use super::colour::Paint;
use super::font::FAMILIES;
use super::scene::{Anchor, Figure, Shape};

/// Where the colours of an SVG come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SvgColours {
    /// Written into the file, dark on white: for papers and for any viewer.
    Fixed,
    /// Custom properties of the surrounding page ([`page_css`](super::page_css)), so that the
    /// figure follows the reader's light or dark colours.
    Page,
}

impl Figure {
    /// The figure as SVG. Text stays text, so it can be searched and copied.
    pub fn svg(&self, colours: SvgColours) -> String {
        let mut svg = String::new();
        self.write_svg(&mut svg, colours).expect("writing to a string failed: this is a bug");
        svg
    }

    fn write_svg(&self, out: &mut String, colours: SvgColours) -> std::fmt::Result {
        let (width, height) = (number(self.width), number(self.height));
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\" \
             font-family=\"{FAMILIES}\"><title>{title}</title>",
            title = escaped(&self.title)
        )?;
        if colours == SvgColours::Fixed {
            let ground = Paint::Ground.light();
            write!(out, "\n<rect width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>")?;
        }
        for shape in &self.shapes {
            out.push('\n');
            write_shape(out, shape, colours)?;
        }
        out.push_str("\n</svg>\n");
        Ok(())
    }
}

fn write_shape(out: &mut String, shape: &Shape, colours: SvgColours) -> std::fmt::Result {
    let colour = |paint: Paint| match colours {
        SvgColours::Fixed => paint.light().to_owned(),
        SvgColours::Page => format!("var({})", paint.property()),
    };
    match shape {
        Shape::Line { points, paint, width, dashes } => {
            let (points, colour, width) = (joined(points), colour(*paint), number(*width));
            write!(
                out,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"{width}\""
            )?;
            if !dashes.is_empty() {
                let dashes: Vec<String> = dashes.iter().map(|&dash| number(dash)).collect();
                write!(out, " stroke-dasharray=\"{}\"", dashes.join(" "))?;
            }
            out.write_str("/>")
        }
        Shape::Area { points, paint, opacity } => {
            let (points, colour, opacity) = (joined(points), colour(*paint), number(*opacity));
            write!(
                out,
                "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
            )
        }
        Shape::Rect { x, y, width, height, paint, opacity } => {
            let [x, y, width, height] = [x, y, width, height].map(|&value| number(value));
            let (colour, opacity) = (colour(*paint), number(*opacity));
            write!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
                 fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
            )
        }
        Shape::Circle { x, y, radius, paint } => {
            let [x, y, radius] = [x, y, radius].map(|&value| number(value));
            let colour = colour(*paint);
            write!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{colour}\"/>")
        }
        Shape::Text { x, y, size, anchor, upwards, paint, text } => {
            let [x, y, size] = [x, y, size].map(|&value| number(value));
            let (colour, text) = (colour(*paint), escaped(text));
            write!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\"")?;
            match anchor {
                Anchor::Start => {}
                Anchor::Middle => out.push_str(" text-anchor=\"middle\""),
                Anchor::End => out.push_str(" text-anchor=\"end\""),
            }
            if *upwards {
                write!(out, " transform=\"rotate(-90 {x} {y})\"")?;
            }
            write!(out, ">{text}</text>")
        }
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    let points: Vec<String> =
        points.iter().map(|&(x, y)| format!("{},{}", number(x), number(y))).collect();
    points.join(" ")
}

/// At most two decimals, without trailing zeros: a hundredth of a pixel is invisible.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0 + 0.0;
    rounded.to_string()
}

/// Escapes text so that it cannot end its element or attribute; control characters, which XML
/// forbids, become the replacement character.
fn escaped(text: &str) -> String {
    let forbidden = |letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}');
    let text = text.replace(forbidden, "\u{fffd}");
    maud::html! { (text) }.into_string()
}
