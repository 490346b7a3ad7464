//! Reads a request's body within a budget and a time limit.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use tokio::task::spawn_blocking;

use crate::admission::Share;
use crate::error::ApiError;
use crate::progress::Progress;
use crate::service::Shared;

/// A body and its admitted share of the budgets.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) share: Share,
}

impl Received {
    /// Does work on the body that would take too long on the threads for I/O. It holds the share to
    /// its end, even if the client leaves.
    ///
    /// # Errors
    ///
    /// Those of the work; 500 if it panics.
    pub(crate) async fn parse<T: Send + 'static>(
        self,
        work: impl FnOnce(Vec<u8>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<(T, Share), ApiError> {
        let Self { bytes, share } = self;
        let working = spawn_blocking(move || Ok((work(bytes)?, share)));
        working.await.map_err(|_| ApiError::internal())?
    }
}

/// Reads a body. Nothing is read before it is admitted; a body of unknown length is admitted piece
/// by piece.
///
/// # Errors
///
/// 413 if the body is too long, 429 if there is no room, 408 if it is too slow, 400 if it breaks
/// off, 415 if it is compressed.
pub(crate) async fn receive(
    shared: &Shared,
    parts: &Parts,
    body: Body,
) -> Result<Received, ApiError> {
    let options = &shared.options;
    let limit = options.body_limit();
    require_plain(&parts.headers)?;
    let length = content_length(&parts.headers)?;
    if let Some(length) = length.filter(|&length| length > limit) {
        return Err(too_long(limit, &length.to_string()));
    }
    let share = shared.admission.admit(length.unwrap_or(0))?;
    let progress = Progress::of(parts);
    let reading = read(body, share, length.unwrap_or(0), limit, &progress);
    match tokio::time::timeout(options.body_timeout, reading).await {
        Ok(received) => received,
        Err(_) => Err(ApiError::slow_body(options.body_timeout)),
    }
}

/// Refuses compressed bodies: their images could not be read.
fn require_plain(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(encoding) if !encoding.eq_ignore_ascii_case(b"identity") => {
            Err(ApiError::unsupported_encoding(String::from_utf8_lossy(encoding)))
        }
        _ => Ok(()),
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length
        .map(Some)
        .ok_or_else(|| ApiError::invalid("content-length", "a number of bytes", "something else"))
}

fn too_long(limit: u64, found: &str) -> ApiError {
    ApiError::too_large("body-too-large", "body", format!("{limit} bytes"), found)
}

async fn read(
    mut body: Body,
    mut share: Share,
    length: u64,
    limit: u64,
    progress: &Progress,
) -> Result<Received, ApiError> {
    let mut bytes = Vec::with_capacity(length as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::broken_body(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        let total = bytes.len() as u64 + data.len() as u64;
        progress.set_bytes(total);
        if total > limit {
            return Err(too_long(limit, &format!("more than {limit}")));
        }
        share.grow_to(total)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, share })
}
