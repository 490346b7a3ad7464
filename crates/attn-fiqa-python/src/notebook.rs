//! A face as a notebook shows it.

use attn_fiqa::crop::Crop;
use attn_fiqa::visualize::{MapStyle, PatchGrid, encode_png, overlay, render_map};
use pyo3::prelude::*;

use crate::drawing::value_range;
use crate::error::AttnFiqaError;
use crate::face::State;

/// Crop, map and overlay, if available, and the numbers.
pub(crate) fn html(py: Python<'_>, face: &State) -> PyResult<String> {
    let mut cells = String::new();
    for (caption, png) in images(face).map_err(AttnFiqaError::new_err)? {
        let text = py.import("base64")?.call_method1("b64encode", (&png[..],))?;
        let text: String = text.call_method1("decode", ("ascii",))?.extract()?;
        cells += &format!(
            "<figure style=\"display:inline-block;margin:0 8px 0 0\"><img alt=\"{caption}\" \
             width=\"112\" height=\"112\" src=\"data:image/png;base64,{text}\">\
             <figcaption>{caption}</figcaption></figure>"
        );
    }
    Ok(format!("<div>{cells}<div>{}</div></div>", words(py, face)?))
}

fn words(py: Python<'_>, face: &State) -> PyResult<String> {
    let mut words = Vec::new();
    if let (Some(quality), Some(band)) = (face.quality, face.band()) {
        words.push(format!("quality <b>{quality}</b> ({band})"));
    }
    words.push(format!("score {:.4}", face.scores[0]));
    if let Some(distance) = face.inter_eye_distance() {
        words.push(format!("{distance:.0} pixels between the eyes"));
    }
    let further = face.message.iter().chain(face.notes.iter());
    for text in further {
        words.push(py.import("html")?.call_method1("escape", (text,))?.extract()?);
    }
    Ok(words.join(" · "))
}

fn images(face: &State) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let mut images = Vec::new();
    let Some((side, rgb)) = &face.crop else { return Ok(images) };
    let png = |rgb: &[u8]| encode_png(rgb, *side, *side).map_err(|error| error.to_string());
    images.push(("crop", png(rgb)?));
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    let Some((grid, values)) = face.map.as_ref().filter(|(_, values)| finite(values)) else {
        return Ok(images);
    };
    let map = PatchGrid::new(values, *grid, *grid).map_err(|error| error.to_string())?;
    let style = MapStyle { side: *side, ..MapStyle::new(value_range(values)) };
    let crop = Crop::from_rgb(*side, rgb.clone()).ok_or("a crop of another size")?;
    let drawn = render_map(&map, &style).map_err(|error| error.to_string())?;
    images.push(("map", png(&drawn.rgb)?));
    let drawn = overlay(&crop, &map, &style).map_err(|error| error.to_string())?;
    images.push(("overlay", png(&drawn.rgb)?));
    Ok(images)
}
