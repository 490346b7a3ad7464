//! `POST /v1/map`: draws the maps of an image's faces onto it.

use std::sync::Arc;

use attn_fiqa::align::{Similarity, similarity_to_template};
use attn_fiqa::engine::Engine;
use attn_fiqa::pipeline::{ScoredFace, ScoredImage};
use attn_fiqa::pixels::Image;
use attn_fiqa::resize::shrink_area;
use attn_fiqa::visualize::{
    Colormap, DEFAULT_ALPHA, MapOnPhoto, MapStyle, PatchGrid, RangeOverSet, VisualizeError,
    encode_png, overlay_on_photo,
};
use axum::extract::{Request, State};
use axum::response::Response;
use utoipa::{IntoParams, ToSchema};

use crate::error::{ApiError, ErrorBody};
use crate::image_list::ImageList;
use crate::model::Wanted;
use crate::query::{FacesParameter, Query, take_faces};
use crate::reply::reply;
use crate::service::Shared;
use crate::upload::{ImageForm, uploads};

pub(super) const PATH: &str = "/v1/map";

/// The longer side of the drawn image, if not given.
const DEFAULT_SIDE: usize = 1600;
const MAX_SIDE: usize = 10_000;

const COLORMAPS: [(&str, Colormap); 2] = [("viridis", Colormap::Viridis), ("jet", Colormap::Jet)];

/// A colour map.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes a parameter to clients")]
enum ColormapParameter {
    Viridis,
    Jet,
}

/// Parameters of `/v1/map`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes parameters to clients")]
pub(super) struct MapParameters {
    /// Which faces of the image.
    #[param(inline, required = false)]
    faces: FacesParameter,
    /// The image is an aligned face of the network's size.
    #[param(required = false)]
    aligned: bool,
    /// The colour map; viridis is perceptually uniform, jet is the one used in the paper.
    #[param(inline, required = false)]
    colormap: ColormapParameter,
    /// The weight of the map over the image, 0 to 1.
    #[param(required = false, minimum = 0, maximum = 1)]
    alpha: f32,
    /// The longer side of the answer in pixels; larger images are reduced.
    #[param(required = false, minimum = 1, maximum = 10000)]
    side: usize,
}

#[derive(Debug, Clone, Copy)]
struct Style {
    colormap: Colormap,
    alpha: f32,
    /// Maximum length of the longer side.
    side: usize,
}

/// Draw the attention maps of the faces in an image onto it
///
/// The colours span the range of values in the image's maps. Takes exactly one image; an image
/// without a face is an error.
#[utoipa::path(
    post,
    path = PATH,
    tag = "score",
    params(MapParameters),
    request_body(content(
        (ImageForm = "multipart/form-data"),
        (ImageList = "application/json"),
        (String = "image/*"),
        (String = "application/octet-stream"),
    ), description = "One image"),
    responses(
        (status = 200, description = "The image as PNG with its maps", body = String,
         content_type = "image/png"),
        (status = 400, description = "A parameter or the body is not as described", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes or pixels", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 422, description = "The image cannot be used, or there is no face in it; the \
                                      code says which", body = ErrorBody),
        (status = 429, description = "The service has no room for more", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn map(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (wanted, style) = parse(request.uri().query())?;
    let (parts, body) = request.into_parts();
    let received = uploads(&shared, &parts, body).await?;
    let bytes = received.bytes;
    let (image, mut share) = received.into_one("body")?;
    // The decoded image is kept until it has been drawn.
    let memory = shared.memory_to_decode(&image).map_err(|failure| {
        shared.metrics.images.inc();
        ApiError::of_image(&failure)
    })?;
    share.grow_to(bytes + memory)?;
    let (mut scored, share) = shared.score(vec![image], &wanted, share).await?;
    let scored = scored.pop().ok_or_else(ApiError::internal)?;
    let engine = Arc::clone(&shared.model.engine);
    // The work goes on if the client leaves, and holds the share to its end.
    let drawn = tokio::task::spawn_blocking(move || {
        engine.install(|| draw(&engine, scored, style)).map(|png| (png, share))
    });
    let (png, share) = drawn.await.map_err(|_| ApiError::internal())??;
    reply(share, "image/png", png)
}

fn parse(query: Option<&str>) -> Result<(Wanted, Style), ApiError> {
    let mut query = Query::parse(query)?;
    let wanted = Wanted {
        faces: take_faces(&mut query)?,
        aligned: query.switch("aligned")?,
        map: true,
        photo: true,
        ..Wanted::default()
    };
    let unit = |alpha: &f32| (0.0..=1.0).contains(alpha);
    let sides = format!("1 to {MAX_SIDE} pixels");
    let style = Style {
        colormap: query.word("colormap", &COLORMAPS)?.unwrap_or(Colormap::Viridis),
        alpha: query.number("alpha", "a number from 0 to 1", unit)?.unwrap_or(DEFAULT_ALPHA),
        side: query
            .number("side", &sides, |side| (1..=MAX_SIDE).contains(side))?
            .unwrap_or(DEFAULT_SIDE),
    };
    query.finish(&["faces", "aligned", "colormap", "alpha", "side"])?;
    Ok((wanted, style))
}

/// A face that can be drawn.
struct Drawable {
    values: Vec<f32>,
    crop_side: usize,
    to_crop: Similarity,
}

impl Drawable {
    fn new(face: ScoredFace) -> Option<Self> {
        let crop_side = face.crop?.side();
        let values = face.outcome.ok()?.received?.mean.values().to_vec();
        let to_crop = match face.info.landmarks {
            Some(landmarks) => similarity_to_template(&landmarks, crop_side).ok()?,
            None => Similarity { a: 1.0, b: 0.0, shift: [0.0, 0.0] },
        };
        Some(Self { values, crop_side, to_crop })
    }
}

/// Draws the PNG. Runs on the engine's threads.
fn draw(engine: &Engine, scored: ScoredImage, style: Style) -> Result<Vec<u8>, ApiError> {
    let faces = scored.faces.map_err(|failure| ApiError::of_image(&failure))?;
    if let Some(failure) = faces.iter().find_map(|face| face.outcome.as_ref().err())
        && faces.iter().all(|face| face.outcome.is_err())
    {
        return Err(ApiError::of_image(failure));
    }
    let photo = scored.photo.ok_or_else(ApiError::internal)?;
    let faces: Vec<Drawable> = faces.into_iter().filter_map(Drawable::new).collect();
    let drawn = draw_faces(engine, &photo, &faces, style);
    drawn.map_err(|_| ApiError::internal())
}

fn draw_faces(
    engine: &Engine,
    photo: &Image,
    faces: &[Drawable],
    style: Style,
) -> Result<Vec<u8>, VisualizeError> {
    let longer = photo.width().max(photo.height());
    let factor = (longer as f64 / style.side as f64).max(1.0);
    let [width, height] = [photo.width(), photo.height()]
        .map(|length| ((length as f64 / factor).round() as usize).max(1));
    let smaller = match factor > 1.0 {
        true => shrink_area(engine.threads().isa(), photo, width, height),
        false => None,
    };
    let photo = smaller.as_ref().unwrap_or(photo);
    let mut range = RangeOverSet::default();
    faces.iter().for_each(|face| range.include(&face.values));
    let nan = VisualizeError::Range { low: f32::NAN, high: f32::NAN };
    let range = range.range().ok_or(nan)?;
    let maps = faces.iter().map(|face| {
        let patches = face.values.len().isqrt();
        Ok(MapOnPhoto {
            to_crop: similarity_for_reduced(&face.to_crop, factor),
            grid: PatchGrid::new(&face.values, patches, patches)?,
            style: MapStyle {
                colormap: style.colormap,
                alpha: style.alpha,
                side: face.crop_side,
                ..MapStyle::new(range)
            },
        })
    });
    let maps: Vec<MapOnPhoto<'_>> = maps.collect::<Result<_, VisualizeError>>()?;
    let drawn = overlay_on_photo(photo, &maps)?;
    encode_png(&drawn.rgb, drawn.width, drawn.height)
}

/// Maps pixels of the reduced image to pixels of the crop; the outer edges of both images coincide.
fn similarity_for_reduced(to_crop: &Similarity, factor: f64) -> Similarity {
    let first = (factor - 1.0) / 2.0;
    Similarity {
        a: to_crop.a * factor,
        b: to_crop.b * factor,
        shift: to_crop.apply([first, first]),
    }
}
