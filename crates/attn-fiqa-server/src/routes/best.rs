//! `POST /v1/best`: the best of several images.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::score::{Scored, score_images};
use crate::answer::ImageAnswer;
use crate::error::{ApiError, ErrorBody};
use crate::image_list::ImageList;
use crate::model::{Faces, ModelInfo};
use crate::query::{ScoreParameters, ScoreQuery};
use crate::reply::json_reply;
use crate::service::Shared;
use crate::upload::ImageForm;

pub(super) const PATH: &str = "/v1/best";

/// The answer of `/v1/best`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BestAnswer {
    /// The model that scored.
    model: ModelInfo,
    /// The first of `order`; `null` if no face was scored.
    best: Option<Place>,
    /// Every scored face, best first: by score, then by inter-eye distance, then in the order of
    /// the request.
    order: Vec<Place>,
    /// One entry per image, in the order of the request.
    images: Vec<ImageAnswer>,
}

/// A face in the order.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Place {
    /// 1 is the best.
    #[schema(example = 1)]
    rank: usize,
    /// The position of the image in the request, from 0.
    image: usize,
    /// The image's name.
    name: String,
    /// The number of the face in its image.
    face: usize,
    /// Its score.
    score: f32,
    /// Its quality; `null` without a calibration.
    quality: Option<i8>,
}

/// Choose the best of several images
///
/// Scores the best face of each image (or, with `faces=all`, all of them) and ranks them.
#[utoipa::path(
    post,
    path = PATH,
    tag = "score",
    params(ScoreParameters),
    request_body(content(
        (ImageForm = "multipart/form-data"),
        (ImageList = "application/json"),
    ), description = "Images: as multipart files or as JSON with base64"),
    responses(
        (status = 200, description = "The order of the faces", body = BestAnswer),
        (status = 400, description = "A parameter or the body is not as described", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes or images", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 429, description = "The service has no room for more", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn best(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut query = ScoreQuery::parse(request.uri().query())?;
    query.faces.get_or_insert(Faces::Best);
    let Scored { images, share } =
        score_images(&shared, request, &query.wanted(), query.columns).await?;
    let order = order(&images);
    let best = order.first().cloned();
    json_reply(share, &BestAnswer { model: shared.model.info.clone(), best, order, images })
}

fn order(images: &[ImageAnswer]) -> Vec<Place> {
    let faces = images.iter().enumerate().flat_map(|(index, image)| {
        image.faces.iter().filter_map(move |face| {
            let place = Place {
                rank: 0,
                image: index,
                name: image.name.clone(),
                face: face.face,
                score: face.score?,
                quality: face.quality,
            };
            Some((place, face.inter_eye_distance.unwrap_or(0.0)))
        })
    });
    let mut faces: Vec<(Place, f32)> = faces.collect();
    faces.sort_by(|(a, a_eyes), (b, b_eyes)| {
        b.score.total_cmp(&a.score).then(b_eyes.total_cmp(a_eyes))
    });
    let ranked = faces.into_iter().enumerate();
    ranked.map(|(index, (place, _))| Place { rank: index + 1, ..place }).collect()
}
