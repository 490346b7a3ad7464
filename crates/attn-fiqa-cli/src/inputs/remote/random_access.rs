//! Ranges of an object, for tables. Neighbouring ranges share one request.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use attn_fiqa::status::Failure;
use bytes::{Bytes, BytesMut};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use super::request::{Client, Location};

/// Bytes per request.
const BLOCK: u64 = 4 << 20;

/// Number of blocks kept: those of two columns and the one at the end.
const BLOCKS: usize = 4;

/// An object that can be read at any offset.
#[derive(Clone)]
pub(super) struct RandomAccess(Arc<Object>);

struct Object {
    handle: Handle,
    client: Arc<Client>,
    location: Location,
    length: u64,
    /// The most recently used blocks, by number, newest last.
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
}

impl RandomAccess {
    pub(super) fn open(
        handle: Handle,
        client: Arc<Client>,
        location: Location,
    ) -> Result<Self, Failure> {
        let length = handle.block_on(client.length(&location))?;
        let blocks = Mutex::default();
        Ok(Self(Arc::new(Object { handle, client, location, length, blocks })))
    }
}

impl Object {
    fn block(&self, number: u64) -> io::Result<Bytes> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = blocks.iter().position(|(kept, _)| *kept == number)
            && let Some(block) = blocks.remove(at)
        {
            let bytes = block.1.clone();
            blocks.push_back(block);
            return Ok(bytes);
        }
        let from = number * BLOCK;
        let range = from..(from + BLOCK).min(self.length);
        let bytes = self.handle.block_on(self.client.range(&self.location, range));
        let bytes = bytes.map_err(|failure| io::Error::other(failure.message))?;
        if blocks.len() == BLOCKS {
            blocks.pop_front();
        }
        blocks.push_back((number, bytes.clone()));
        Ok(bytes)
    }

    /// The bytes from an offset to the end of its block; empty at the end of the object.
    fn from(&self, at: u64) -> io::Result<Bytes> {
        if at >= self.length {
            return Ok(Bytes::new());
        }
        let mut block = self.block(at / BLOCK)?;
        let skipped = (at % BLOCK) as usize;
        if skipped >= block.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(block.split_off(skipped))
    }
}

impl Length for RandomAccess {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for RandomAccess {
    type T = From;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(From { object: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let too_short = || ParquetError::EOF("a range reaches beyond the end".to_owned());
        let end = start.checked_add(length as u64).filter(|&end| end <= self.0.length);
        let end = end.ok_or_else(too_short)?;
        let mut bytes = BytesMut::new();
        while bytes.len() < length {
            let at = start + bytes.len() as u64;
            let mut next = self.0.from(at).map_err(|error| ParquetError::External(error.into()))?;
            next.truncate(usize::try_from(end - at).unwrap_or(usize::MAX));
            if next.len() == length {
                return Ok(next);
            }
            bytes.extend_from_slice(&next);
        }
        Ok(bytes.freeze())
    }
}

/// An object from an offset on, as a reader.
pub(super) struct From {
    object: RandomAccess,
    at: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.object.0.from(self.at)?;
        let count = into.len().min(bytes.len());
        let (into, _) = into.split_at_mut(count);
        into.copy_from_slice(bytes.get(..count).unwrap_or_default());
        self.at += count as u64;
        Ok(count)
    }
}
