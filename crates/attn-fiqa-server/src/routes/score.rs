//! `POST /v1/score`: scores the faces of images.

use std::sync::Arc;

use attn_fiqa::input::ImageData;
use attn_fiqa::pipeline::ScoredImage;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

use crate::admission::Share;
use crate::answer::{ImageAnswer, ScoreAnswer};
use crate::error::{ApiError, ErrorBody};
use crate::image_list::ImageList;
use crate::model::Wanted;
use crate::query::{Columns, ScoreParameters, ScoreQuery};
use crate::reply::json_reply;
use crate::service::Shared;
use crate::upload::{ImageForm, Uploads, uploads};

pub(super) const PATH: &str = "/v1/score";

/// Score the faces of images
///
/// One entry per image, in order, each with one entry per face. An image that cannot be used or has
/// no face is an entry with a status other than `ok`, and the HTTP status is still 200: HTTP errors
/// concern the request.
#[utoipa::path(
    post,
    path = PATH,
    tag = "score",
    params(ScoreParameters),
    request_body(content(
        (ImageForm = "multipart/form-data"),
        (ImageList = "application/json"),
        (String = "image/*"),
        (String = "application/octet-stream"),
    ), description = "Images: as multipart files, as JSON with base64, or one image file as it is"),
    responses(
        (status = 200, description = "Every image has an entry", body = ScoreAnswer),
        (status = 400, description = "A parameter or the body is not as described", body = ErrorBody),
        (status = 401, description = "The service requires a key", body = ErrorBody),
        (status = 408, description = "The body arrived too slowly", body = ErrorBody),
        (status = 413, description = "Too many bytes or images", body = ErrorBody),
        (status = 415, description = "The body type is not supported", body = ErrorBody),
        (status = 429, description = "The service has no room for more; the header \
                                      retry-after says when to try again", body = ErrorBody),
        (status = 500, description = "The service failed", body = ErrorBody),
    ),
    security((), ("key" = [])),
)]
pub(super) async fn score(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let query = ScoreQuery::parse(request.uri().query())?;
    let Scored { images, share } =
        score_images(&shared, request, &query.wanted(), query.columns).await?;
    json_reply(share, &ScoreAnswer { model: shared.model.info.clone(), images })
}

/// The answers for a request's images.
pub(super) struct Scored {
    pub(super) images: Vec<ImageAnswer>,
    pub(super) share: Share,
}

/// Reads a request's images and scores them.
pub(super) async fn score_images(
    shared: &Arc<Shared>,
    request: Request<Body>,
    wanted: &Wanted,
    columns: Columns,
) -> Result<Scored, ApiError> {
    // Unsupported requests are refused before anything is read.
    shared.pipeline(wanted)?;
    if columns.match_probability && shared.model.engine.match_probability().is_none() {
        let expected = "columns that the model has";
        return Err(ApiError::invalid("columns", expected, "'match_probability'"));
    }
    let ReceivedImages { names, images, share } =
        receive_and_score(shared, request, wanted).await?;
    let answer = |(name, image)| ImageAnswer::new(name, image, &shared.model, columns);
    Ok(Scored { images: names.into_iter().zip(images).map(answer).collect(), share })
}

/// The scored images of a request with their names, in the order of the request.
pub(super) struct ReceivedImages {
    pub(super) names: Vec<String>,
    pub(super) images: Vec<ScoredImage>,
    pub(super) share: Share,
}

/// Reads a request's images and scores them, for any kind of answer.
pub(super) async fn receive_and_score(
    shared: &Arc<Shared>,
    request: Request<Body>,
    wanted: &Wanted,
) -> Result<ReceivedImages, ApiError> {
    let (parts, body) = request.into_parts();
    let Uploads { images, share, .. } = uploads(shared, &parts, body).await?;
    let (names, files): (Vec<String>, Vec<ImageData>) =
        images.into_iter().map(|image| (image.name, image.bytes.into())).unzip();
    let (images, share) = shared.score(files, wanted, share).await?;
    Ok(ReceivedImages { names, images, share })
}
