//! Pictures as BMP files, made and found in a stream.

use std::io::{self, Read};

use crate::picture::Picture;

/// The file header and the oldest picture header that holds a 32-bit size.
const HEADERS: usize = 14 + 40;
const FILE_HEADER: usize = 14;

/// A picture as a BMP file of 24 bits a pixel, rows from the bottom up.
///
/// Returns `None` where the file would be longer than its own format can say.
pub(super) fn encode(picture: &Picture) -> Option<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    let row = (width * 3).next_multiple_of(4);
    let length = row.checked_mul(height)?.checked_add(HEADERS)?;
    let (length_32, width_32, height_32) =
        (u32::try_from(length).ok()?, i32::try_from(width).ok()?, i32::try_from(height).ok()?);
    let mut file = Vec::with_capacity(length);
    file.extend_from_slice(b"BM");
    file.extend_from_slice(&length_32.to_le_bytes());
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&(HEADERS as u32).to_le_bytes());
    file.extend_from_slice(&40_u32.to_le_bytes());
    file.extend_from_slice(&width_32.to_le_bytes());
    file.extend_from_slice(&height_32.to_le_bytes());
    // One plane of 24 bits, not compressed; the rest may be zero.
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&24_u16.to_le_bytes());
    file.resize(HEADERS, 0);
    for line in picture.rgb().chunks_exact(width * 3).rev() {
        file.extend(line.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]));
        file.resize(file.len() + row - width * 3, 0);
    }
    Some(file)
}

/// The next BMP file of a stream of them; `None` at its end.
///
/// # Errors
///
/// With the reason when what follows is no BMP file of at most `max_bytes` or
/// the stream ends inside of it.
pub(super) fn read_next(stream: &mut impl Read, max_bytes: u64) -> Result<Option<Vec<u8>>, String> {
    let mut head = [0; FILE_HEADER];
    let read = read_fully(stream, &mut head).map_err(|error| error.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    let length = u64::from(u32::from_le_bytes([head[2], head[3], head[4], head[5]]));
    if read < FILE_HEADER || !head.starts_with(b"BM") || length < HEADERS as u64 {
        return Err("what it sent is no picture in BMP format".to_owned());
    }
    if length > max_bytes {
        return Err(format!("a frame takes {length} bytes and the limit is {max_bytes}"));
    }
    let mut file = head.to_vec();
    let rest = length - FILE_HEADER as u64;
    let read = stream.take(rest).read_to_end(&mut file).map_err(|error| error.to_string())?;
    if read as u64 != rest {
        return Err("it ended inside a frame".to_owned());
    }
    Ok(Some(file))
}

/// Reads until the buffer is full or the stream ends.
fn read_fully(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{DecodeLimits, decode};

    fn picture(width: usize, height: usize) -> Picture {
        let rgb = (0..width * height * 3).map(|i| (i * 37 % 251) as u8).collect();
        Picture::from_rgb(width, height, rgb).expect("a picture")
    }

    #[test]
    fn a_picture_comes_back_from_its_bmp() {
        for (width, height) in [(1, 1), (2, 3), (3, 2), (4, 4), (5, 1), (7, 9)] {
            let picture = picture(width, height);
            let file = encode(&picture).expect("a file");
            let decoded = decode(&file, &DecodeLimits::default()).expect("a picture");
            assert_eq!(decoded.picture, picture, "{width}×{height}");
        }
    }

    #[test]
    fn a_stream_is_cut_into_its_files_and_bad_ones_are_refused() {
        let files = [picture(3, 2), picture(5, 5)].map(|p| encode(&p).expect("a file"));
        let stream = files.concat();
        let mut from = stream.as_slice();
        assert_eq!(read_next(&mut from, 1000), Ok(Some(files[0].clone())));
        assert_eq!(read_next(&mut from, 1000), Ok(Some(files[1].clone())));
        assert_eq!(read_next(&mut from, 1000), Ok(None));

        assert!(read_next(&mut &stream[..20], 1000).is_err_and(|e| e.contains("inside a frame")));
        assert!(read_next(&mut &stream[..9], 1000).is_err_and(|e| e.contains("no picture")));
        assert!(read_next(&mut &b"no picture at all"[..], 1000).is_err());
        assert!(read_next(&mut stream.as_slice(), 60).is_err_and(|e| e.contains("limit is 60")));
    }
}
