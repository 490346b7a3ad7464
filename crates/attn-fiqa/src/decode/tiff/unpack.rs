//! Unpacks strips and tiles to rows of samples.

use flate2::{Decompress, FlushDecompress, Status};

use super::{LZW, NONE, PACK_BITS};
use crate::decode::{damaged, truncated};
use crate::status::Failure;

/// Fills `unpacked`; data that end earlier are truncated.
pub(super) fn unpack(compression: u64, stored: &[u8], unpacked: &mut [u8]) -> Result<(), Failure> {
    let whole = match compression {
        NONE => match stored.get(..unpacked.len()) {
            Some(stored) => {
                unpacked.copy_from_slice(stored);
                true
            }
            None => false,
        },
        LZW => lzw(stored, unpacked)?,
        PACK_BITS => pack_bits(stored, unpacked),
        _ => deflate(stored, unpacked)?,
    };
    if whole { Ok(()) } else { Err(truncated()) }
}

/// Whether everything was filled. An end code is not required: some writers omit it.
fn lzw(stored: &[u8], unpacked: &mut [u8]) -> Result<bool, Failure> {
    use weezl::{BitOrder, LzwStatus, decode::Configuration};
    // TIFF widens its codes one code early.
    let configuration = Configuration::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut decoder = configuration.with_yield_on_full_buffer(true).build();
    let (mut from, mut to) = (0, 0);
    while to < unpacked.len() {
        let result = decoder.decode_bytes(&stored[from..], &mut unpacked[to..]);
        from += result.consumed_in;
        to += result.consumed_out;
        match result.status {
            Ok(LzwStatus::Ok) if result.consumed_in + result.consumed_out > 0 => {}
            Ok(_) => break,
            Err(_) => return Err(damaged()),
        }
    }
    Ok(to == unpacked.len())
}

fn deflate(stored: &[u8], unpacked: &mut [u8]) -> Result<bool, Failure> {
    let mut decoder = Decompress::new(true);
    loop {
        let (from, to) = (decoder.total_in() as usize, decoder.total_out() as usize);
        if to == unpacked.len() {
            return Ok(true);
        }
        let status =
            decoder.decompress(&stored[from..], &mut unpacked[to..], FlushDecompress::None);
        let moved = (decoder.total_in() as usize, decoder.total_out() as usize) != (from, to);
        match status {
            Ok(Status::Ok) if moved => {}
            Ok(_) => return Ok(decoder.total_out() as usize == unpacked.len()),
            Err(_) => return Err(damaged()),
        }
    }
}

/// PackBits: runs and literals of up to 128 bytes (TIFF 6.0, section 9).
fn pack_bits(mut stored: &[u8], mut unpacked: &mut [u8]) -> bool {
    while !unpacked.is_empty() {
        let Some((&count, rest)) = stored.split_first() else {
            return false;
        };
        let count = count as i8;
        let length = usize::from(count.unsigned_abs()) + 1;
        let filled = length.min(unpacked.len());
        stored = match count {
            i8::MIN => {
                stored = rest;
                continue;
            }
            0.. => {
                let Some(bytes) = rest.get(..filled) else {
                    return false;
                };
                unpacked[..filled].copy_from_slice(bytes);
                &rest[filled..]
            }
            _ => {
                let Some((&byte, rest)) = rest.split_first() else {
                    return false;
                };
                unpacked[..filled].fill(byte);
                rest
            }
        };
        unpacked = &mut unpacked[filled..];
    }
    true
}

/// Undoes the horizontal differencing of a row of bytes (TIFF 6.0, section 14).
pub(super) fn sum_differences(row: &mut [u8], samples: usize) {
    for at in samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - samples]);
    }
}

/// Rearranges a row of 16-bit samples, possibly differences, so that the upper byte of each comes
/// first.
pub(super) fn upper_bytes(row: &mut [u8], samples: usize, differences: bool, little: bool) {
    let mut before = [0_u16; 5];
    for (at, pair) in row.chunks_exact_mut(2).enumerate() {
        let stored = [pair[0], pair[1]];
        let mut value =
            if little { u16::from_le_bytes(stored) } else { u16::from_be_bytes(stored) };
        if differences {
            value = value.wrapping_add(before[at % samples]);
            before[at % samples] = value;
        }
        pair.copy_from_slice(&value.to_be_bytes());
    }
}

/// A sample of 1, 2, 4 or 8 bits, packed from the most significant bit down.
pub(super) fn sample(row: &[u8], index: usize, bits: usize) -> u8 {
    let bit = index * bits;
    let value = u16::from(row[bit / 8]) << (bit % 8);
    ((value & 0xFF) >> (8 - bits)) as u8
}
