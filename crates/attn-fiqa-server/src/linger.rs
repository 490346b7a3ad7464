//! Reads the rest of a request's body after an early answer.
//!
//! A request may be refused before its body is read, because it is too large, there is no room, or
//! a parameter is wrong. If the connection were closed with unread bytes of the body, the system
//! would reset it, and a client that is still sending would see a broken pipe instead of the
//! answer. So the rest is read and discarded, within limits. The same holds for a connection that is
//! refused.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// How long to keep reading.
const MAX_LINGER: Duration = Duration::from_secs(5);

/// Maximum number of bytes to keep reading.
const MAX_LINGER_BYTES: u64 = 64 << 20;

/// A body; if it is dropped before its end, the rest is read and discarded in the background.
pub(crate) struct Lingering {
    /// `None` only while being dropped.
    body: Option<Incoming>,
    /// Whether the client sends its body without waiting for permission. One that waits sees an
    /// early answer anyway.
    unasked: bool,
}

impl Lingering {
    /// `unasked` is whether the client sends without waiting for a status 100.
    pub(crate) fn new(body: Incoming, unasked: bool) -> Self {
        Self { body: Some(body), unasked }
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if let (true, Ok(runtime)) = (self.unasked, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(MAX_LINGER, discard_rest(body)));
        }
    }
}

/// Closes a connection after the answer that was written to it, in the same way.
pub(crate) async fn close(mut stream: TcpStream) {
    let closing = async {
        poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await?;
        let (mut left, mut discarded) = (MAX_LINGER_BYTES, vec![0; 16 << 10]);
        while left > 0 {
            stream.readable().await?;
            match stream.try_read(&mut discarded) {
                Ok(0) => break,
                Ok(bytes) => left = left.saturating_sub(bytes as u64),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    // A client that disconnects is no error of the service.
    let _: Result<std::io::Result<()>, _> = tokio::time::timeout(MAX_LINGER, closing).await;
}

async fn discard_rest(mut body: Incoming) {
    let mut left = MAX_LINGER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        left = left.saturating_sub(bytes);
        if left == 0 {
            return;
        }
    }
}
