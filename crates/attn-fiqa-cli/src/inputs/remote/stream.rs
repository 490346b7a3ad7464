//! An object as a stream of bytes, for archives. A broken connection is resumed where it broke.

use std::io::{self, Read};
use std::sync::Arc;

use attn_fiqa::status::{Failure, Status};
use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, channel};

use super::request::{Client, Location};

/// Pieces received ahead; each has at most a few hundred kilobytes.
const PIECES_AHEAD: usize = 16;

pub(super) struct ObjectStream {
    pieces: Receiver<Result<Bytes, Failure>>,
    current: Bytes,
    failed: Option<Failure>,
}

impl ObjectStream {
    pub(super) fn start(handle: &Handle, client: Arc<Client>, location: Location) -> Self {
        let (sender, pieces) = channel(PIECES_AHEAD);
        handle.spawn(async move {
            let outcome = client.stream(&location, |piece| {
                let sender = sender.clone();
                async move { sender.send(Ok(piece)).await.is_ok() }
            });
            if let Err(failure) = outcome.await {
                // There is no receiver if the run has ended.
                let _ = sender.send(Err(failure)).await;
            }
        });
        Self { pieces, current: Bytes::new(), failed: None }
    }
}

impl Read for ObjectStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && self.failed.is_none() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.current = piece,
                Some(Err(failure)) => self.failed = Some(failure),
                None => return Ok(0),
            }
        }
        if let (true, Some(failure)) = (self.current.is_empty(), &self.failed) {
            let kind = match failure.status {
                Status::NotFound => io::ErrorKind::NotFound,
                _ => io::ErrorKind::Other,
            };
            return Err(io::Error::new(kind, failure.message.clone()));
        }
        let count = into.len().min(self.current.len());
        let (into, _) = into.split_at_mut(count);
        self.current.copy_to_slice(into);
        Ok(count)
    }
}
