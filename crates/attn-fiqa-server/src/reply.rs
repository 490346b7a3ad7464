//! The body of an answer. It counts against the budget of bytes until the client has read it, and
//! takes no place in the queue.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use crate::admission::Share;
use crate::error::ApiError;

/// The connection buffers this much of an answer outside the budget.
const PIECE: usize = 64 << 10;

/// An answer in JSON. `share` is that of its request.
///
/// # Errors
///
/// Those of [`reply`].
pub(crate) fn json_reply(share: Share, answer: &impl Serialize) -> Result<Response, ApiError> {
    let bytes = serde_json::to_vec(answer).map_err(|_| ApiError::internal())?;
    reply(share, "application/json", bytes)
}

/// An answer of some content type. `share` is that of its request.
///
/// # Errors
///
/// 429 if there is no room for the answer, 413 if there never will be.
pub(crate) fn reply(
    share: Share,
    content_type: &'static str,
    bytes: Vec<u8>,
) -> Result<Response, ApiError> {
    let share = share.into_answer(bytes.len() as u64)?;
    let body = Body::new(Unread { bytes: bytes.into(), _share: share });
    let content_type = HeaderValue::from_static(content_type);
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// The part of an answer that has not been passed to the connection yet. It is passed in pieces,
/// since the connection would otherwise take all of it, and the share would be free, at once.
struct Unread {
    bytes: Bytes,
    _share: Share,
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.bytes.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.bytes.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
