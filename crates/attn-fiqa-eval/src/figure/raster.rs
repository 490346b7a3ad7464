//! Renders a figure as PNG.

use std::sync::Arc;

use attn_fiqa::visualize::encode_png;
use tiny_skia::{
    Color, FillRule, Paint as Ink, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::colour::Paint;
use super::font;
use super::scene::{Anchor, Figure, FigureError, PngError, Shape};

/// Maximum pixels per side.
const MAX_SIDE: f64 = 16_384.0;

impl Figure {
    /// The figure as the bytes of a PNG file, dark on white, with `scale` pixels per CSS pixel: 2
    /// is sharp on most screens.
    ///
    /// Letters other than Latin and Greek appear as replacement glyphs; the SVG contains all text.
    ///
    /// # Errors
    ///
    /// [`FigureError::TooLarge`] if it would have no or too many pixels.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>, FigureError> {
        let (width, height) = ((self.width * scale).ceil(), (self.height * scale).ceil());
        let too_large = || FigureError::TooLarge { width, height };
        let in_bounds = |side: f64| (1.0..=MAX_SIDE).contains(&side);
        if !in_bounds(width) || !in_bounds(height) {
            return Err(too_large());
        }
        let mut pixmap = Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
        let [r, g, b] = Paint::Ground.light_rgb();
        pixmap.fill(Color::from_rgba8(r, g, b, 255));
        let transform = Transform::from_scale(scale as f32, scale as f32);
        for shape in &self.shapes {
            draw(&mut pixmap, shape, transform);
        }
        // The background is opaque, so every pixel is.
        let rgb: Vec<u8> = pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let png = encode_png(&rgb, width as usize, height as usize);
        png.map_err(|error| FigureError::Png(Arc::new(PngError(error))))
    }
}

fn draw(pixmap: &mut Pixmap, shape: &Shape, transform: Transform) {
    match shape {
        Shape::Line { points, paint, width, dashes } => {
            let Some(path) = polyline(points, false) else { return };
            let dashes: Vec<f32> = dashes.iter().map(|&dash| dash as f32).collect();
            let dash = StrokeDash::new(dashes, 0.0);
            let stroke = Stroke { width: *width as f32, dash, ..Stroke::default() };
            pixmap.stroke_path(&path, &ink(*paint, 1.0), &stroke, transform, None);
        }
        Shape::Area { points, paint, opacity } => {
            fill(pixmap, polyline(points, true), ink(*paint, *opacity), transform);
        }
        Shape::Rect { x, y, width, height, paint, opacity } => {
            let (right, bottom) = (x + width, y + height);
            let corners = [(*x, *y), (right, *y), (right, bottom), (*x, bottom)];
            fill(pixmap, polyline(&corners, true), ink(*paint, *opacity), transform);
        }
        Shape::Circle { x, y, radius, paint } => {
            let path = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
            fill(pixmap, path, ink(*paint, 1.0), transform);
        }
        Shape::Text { x, y, size, anchor, upwards, paint, text } => {
            let shift = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => -0.5,
                Anchor::End => -1.0,
            } * font::width(text, *size);
            let turn = if *upwards { -90.0 } else { 0.0 };
            let transform = transform
                .pre_translate(*x as f32, *y as f32)
                .pre_rotate(turn)
                .pre_translate(shift as f32, 0.0);
            let mut letters = GlyphPath::default();
            font::outlines(text, *size, &mut letters, |letters, x, scale| {
                letters.x = x as f32;
                letters.scale = scale as f32;
            });
            fill(pixmap, letters.path.finish(), ink(*paint, 1.0), transform);
        }
    }
}

fn fill(pixmap: &mut Pixmap, path: Option<Path>, ink: Ink<'_>, transform: Transform) {
    if let Some(path) = path {
        pixmap.fill_path(&path, &ink, FillRule::Winding, transform, None);
    }
}

fn ink(paint: Paint, opacity: f64) -> Ink<'static> {
    let [r, g, b] = paint.light_rgb();
    let mut ink = Ink { anti_alias: true, ..Ink::default() };
    ink.set_color_rgba8(r, g, b, (opacity.clamp(0.0, 1.0) * 255.0).round() as u8);
    ink
}

fn polyline(points: &[(f64, f64)], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        match index {
            0 => path.move_to(x as f32, y as f32),
            _ => path.line_to(x as f32, y as f32),
        }
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// Glyph outlines, one after the other on the baseline.
#[derive(Default)]
struct GlyphPath {
    path: PathBuilder,
    x: f32,
    scale: f32,
}

impl GlyphPath {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for GlyphPath {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
