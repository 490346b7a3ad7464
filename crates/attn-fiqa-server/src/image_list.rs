//! Images as JSON: `{"images": [{"name": …, "base64": …}]}`. Parsing stops at the first image too
//! many.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use crate::base64::Base64;
use crate::error::ApiError;
use crate::upload::{Upload, checked_name, too_many};

/// Images as JSON.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a body to clients")]
pub(crate) struct ImageList {
    /// At least one image.
    #[schema(min_items = 1)]
    images: Vec<ImageInList>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImageInList {
    /// A name to identify it in the answer.
    #[schema(example = "a.jpg", max_length = 1024)]
    name: Option<String>,
    /// The image file in standard base64.
    #[schema(value_type = String, content_encoding = "base64")]
    base64: Base64,
}

/// Parses a body with at most `most` images.
///
/// # Errors
///
/// 400 if it has another form, 413 for too many images.
pub(crate) fn parse_image_list(bytes: &[u8], most: usize) -> Result<Vec<Upload>, ApiError> {
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let body = Body(Images { most, refused: &mut refused });
    let images = body.deserialize(&mut json).and_then(|images| json.end().map(|()| images));
    let form = "{\"images\": [{\"name\": …, \"base64\": …}]}";
    images.map_err(|error| refused.unwrap_or_else(|| ApiError::invalid_json(form, &error)))
}

/// The whole body.
struct Body<'a>(Images<'a>);

/// The list of images. `refused` receives errors that are not about JSON.
struct Images<'a> {
    most: usize,
    refused: &'a mut Option<ApiError>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Images,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Vec<Upload>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Vec<Upload>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the key `images`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some(Key::Images) = map.next_key()? else {
            return Err(Error::missing_field("images"));
        };
        let images = map.next_value_seed(self.0)?;
        match map.next_key()? {
            Some(Key::Images) => Err(Error::duplicate_field("images")),
            None => Ok(images),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Images<'_> {
    type Value = Vec<Upload>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Images<'_> {
    type Value = Vec<Upload>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of images")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Self { most, refused } = self;
        let mut refuse = |error: ApiError| {
            *refused = Some(error);
            A::Error::custom("refused")
        };
        let mut images = Vec::new();
        while images.len() < most {
            let Some(image) = list.next_element::<ImageInList>()? else { return Ok(images) };
            images.push(upload(image, images.len()).map_err(&mut refuse)?);
        }
        match list.next_element::<IgnoredAny>()? {
            Some(_) => Err(refuse(too_many(most))),
            None => Ok(images),
        }
    }
}

fn upload(image: ImageInList, index: usize) -> Result<Upload, ApiError> {
    let name = checked_name(image.name.as_deref().unwrap_or("image"))?;
    let bytes = image.base64.into_bytes(&format!("images[{index}].base64"))?;
    Ok(Upload { name, bytes })
}
