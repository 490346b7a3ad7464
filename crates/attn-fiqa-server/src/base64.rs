//! Files in base64.

use std::fmt;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::error::ApiError;

/// Standard base64, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A string that is decoded where it is parsed, so that its text is not copied.
pub(crate) struct Base64(Result<Vec<u8>, DecodeError>);

impl Base64 {
    /// # Errors
    ///
    /// 400 if the text was not base64.
    pub(crate) fn into_bytes(self, field: &str) -> Result<Vec<u8>, ApiError> {
        let Self(decoded) = self;
        decoded.map_err(|error| {
            ApiError::invalid(field, "standard base64", format!("an error: {error}"))
        })
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Base64, E> {
                Ok(Base64(BASE64.decode(text)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
