//! The images in a request's body: multipart files, one image file, or JSON with base64.

use attn_fiqa::input::ImageData;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use multer::Multipart;
use utoipa::ToSchema;

use crate::admission::Share;
use crate::body::{Received, receive};
use crate::error::ApiError;
use crate::file_name::file_name;
use crate::image_list::parse_image_list;
use crate::progress::Progress;
use crate::service::Shared;

const TYPES: &str = "multipart/form-data, application/json, an image type such as image/jpeg, or \
                     application/octet-stream";

/// Maximum number of characters in an image's name, which is repeated in the answer.
const MAX_NAME: usize = 1024;

/// One image of a request.
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The images of a request, at least one, and the share of the budgets that it holds.
pub(crate) struct Uploads {
    pub(crate) images: Vec<Upload>,
    pub(crate) share: Share,
    /// Size of the body in bytes.
    pub(crate) bytes: u64,
}

/// Images as multipart files.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a body to clients")]
pub(crate) struct ImageForm {
    /// One image file per part. Any field name is accepted and may be repeated.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
}

impl Uploads {
    /// The image of a request that must have exactly one.
    ///
    /// # Errors
    ///
    /// 400 for several.
    pub(crate) fn into_one(self, field: &str) -> Result<(ImageData, Share), ApiError> {
        let Self { images, share, .. } = self;
        let [image]: [Upload; 1] = images.try_into().map_err(|images: Vec<Upload>| {
            ApiError::invalid(field, "one image", format!("{} images", images.len()))
        })?;
        Ok((image.bytes.into(), share))
    }
}

enum BodyType {
    Multipart(String),
    Json,
    Image,
}

fn body_type(headers: &HeaderMap) -> Result<BodyType, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(ApiError::unsupported_type(TYPES, "not given"));
    };
    let value = value.to_str().map_err(|_| ApiError::unsupported_type(TYPES, "no text"))?;
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "multipart/form-data" => match multer::parse_boundary(value) {
            Ok(boundary) => Ok(BodyType::Multipart(boundary)),
            Err(_) => {
                Err(ApiError::invalid("content-type", "a boundary of multipart/form-data", "none"))
            }
        },
        "application/json" => Ok(BodyType::Json),
        "application/octet-stream" => Ok(BodyType::Image),
        image if image.starts_with("image/") => Ok(BodyType::Image),
        _ => Err(ApiError::unsupported_type(TYPES, value)),
    }
}

/// Reads a request's images.
///
/// # Errors
///
/// 415 for any other type, 400 for a body that does not match its type or has no image, 413 for too
/// many images, and the errors of [`receive`].
pub(crate) async fn uploads(
    shared: &Shared,
    parts: &Parts,
    body: Body,
) -> Result<Uploads, ApiError> {
    let body_type = body_type(&parts.headers)?;
    let received = receive(shared, parts, body).await?;
    let (length, most) = (received.bytes.len() as u64, shared.options.max_images);
    let (images, mut share) = match body_type {
        BodyType::Multipart(boundary) => {
            let Received { bytes, share } = received;
            (multipart(bytes, boundary, most).await?, share)
        }
        BodyType::Json => received.parse(move |bytes| parse_image_list(&bytes, most)).await?,
        BodyType::Image => {
            let Received { bytes, share } = received;
            if bytes.is_empty() {
                return Err(ApiError::invalid("body", "an image file", "no bytes"));
            }
            (vec![Upload { name: "image".to_owned(), bytes }], share)
        }
    };
    if images.is_empty() {
        return Err(ApiError::invalid("body", "at least one image", "none"));
    }
    Progress::of(parts).set_images(images.len());
    share.grow_to_images(images.len())?;
    Ok(Uploads { images, share, bytes: length })
}

pub(crate) fn too_many(most: usize) -> ApiError {
    let limit = format!("{most} images");
    ApiError::too_large("too-many-images", "body", limit, "more")
}

async fn multipart(bytes: Vec<u8>, boundary: String, most: usize) -> Result<Vec<Upload>, ApiError> {
    let broken = |error: multer::Error| {
        ApiError::invalid("body", "multipart/form-data", format!("an error: {error}"))
    };
    let mut parts = Multipart::new(Body::from(bytes).into_data_stream(), boundary);
    let mut images = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        if images.len() == most {
            return Err(too_many(most));
        }
        let file = part.headers().get(header::CONTENT_DISPOSITION);
        let file = file.and_then(|disposition| file_name(disposition.as_bytes()));
        let name = file.as_deref().or(part.name()).unwrap_or("image");
        let name = checked_name(name)?;
        let bytes = Vec::from(part.bytes().await.map_err(broken)?);
        images.push(Upload { name, bytes });
    }
    Ok(images)
}

pub(crate) fn checked_name(name: &str) -> Result<String, ApiError> {
    let length = name.chars().count();
    if length > MAX_NAME {
        let expected = format!("at most {MAX_NAME} characters");
        return Err(ApiError::invalid("name", expected, format!("{length} characters")));
    }
    Ok(name.to_owned())
}
