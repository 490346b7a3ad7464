//! Netpbm's grey and colour images: PGM (P2, P5) and PPM (P3, P6).
//!
//! The library decoder does not scale samples whose maximum value is not 255, and accepts a
//! truncated number as a complete one; the format is a page long
//! (netpbm.sourceforge.net/doc/pgm.html and ppm.html).

use super::memory::{Needs, times};
use super::{DecodeLimits, Decoded, Note, broken, memory, unsupported};
use crate::pixels::Image;
use crate::status::Failure;

/// The header before the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    width: u64,
    height: u64,
    /// The sample value of white, 1 … 65535.
    max: u64,
    channels: usize,
    /// Whether samples are decimal numbers in text.
    text: bool,
    samples_at: usize,
}

/// Reads numbers separated by white space and comments.
struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Numbers<'_> {
    /// The next number and its count of digits; `at` moves past its last digit.
    fn next(&mut self) -> Option<(u64, usize)> {
        loop {
            match self.bytes.get(self.at)? {
                b'#' => {
                    let rest = &self.bytes[self.at..];
                    self.at += rest.iter().position(|&byte| byte == b'\n' || byte == b'\r')?;
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let rest = &self.bytes[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Ten digits exceed any width or height.
        if digits == 0 || digits > 10 {
            return None;
        }
        self.at += digits;
        let number = |value, &digit: &u8| value * 10 + u64::from(digit - b'0');
        Some((rest[..digits].iter().fold(0, number), digits))
    }
}

/// The header, or `None` if it is not one: texts may begin with the same letters.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let (channels, text) = match bytes.get(..2)? {
        b"P2" => (1, true),
        b"P3" => (3, true),
        b"P5" => (1, false),
        b"P6" => (3, false),
        _ => return None,
    };
    if !matches!(bytes.get(2)?, b'#' | b' ' | b'\t' | b'\r' | b'\n') {
        return None;
    }
    let mut numbers = Numbers { bytes, at: 2 };
    let (width, _) = numbers.next()?;
    let (height, _) = numbers.next()?;
    let (max, _) = numbers.next()?;
    let separated = bytes.get(numbers.at)?.is_ascii_whitespace();
    (separated && (1..=65535).contains(&max)).then_some(Header {
        width,
        height,
        max,
        channels,
        text,
        samples_at: numbers.at + 1,
    })
}

/// The two numbers in a bitmap's header.
pub(super) fn two_numbers(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut numbers = Numbers { bytes, at: 2 };
    Some((numbers.next()?.0, numbers.next()?.0))
}

/// The samples as 8 bits, grey expanded to RGB.
pub(super) fn needs(bytes: &[u8]) -> Option<Needs> {
    let header = header(bytes)?;
    let bytes = if header.channels == 1 { 1 + 3 } else { 3 };
    Some(Needs {
        width: header.width,
        height: header.height,
        decoding: times(header.width, header.height, bytes),
        copies: 0,
        turned: false,
    })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let header = header(bytes).ok_or_else(|| broken("the header is not PPM or PGM"))?;
    limits.check_pixels(header.width, header.height)?;
    let count = times(header.width, header.height, header.channels as u64);
    let count = usize::try_from(count).map_err(|_| unsupported("the image is too large"))?;
    let stored = &bytes[header.samples_at..];
    let fewest = if header.text || header.max < 256 { count } else { 2 * count };
    // Each number has at least one digit: nothing is allocated for samples that cannot be there.
    if stored.len() < fewest {
        return Err(super::truncated());
    }
    let mut samples = memory::zeros(count)?;
    if header.text {
        read_text(bytes, &header, &mut samples)?;
    } else if header.max < 256 {
        for (sample, &value) in samples.iter_mut().zip(stored) {
            *sample = to_8_bits(u64::from(value), header.max)?;
        }
    } else {
        for (sample, value) in samples.iter_mut().zip(stored.chunks_exact(2)) {
            *sample = to_8_bits(u64::from(value[0]) << 8 | u64::from(value[1]), header.max)?;
        }
    }
    let rgb = if header.channels == 1 { super::pixels::grey_to_rgb(&samples)? } else { samples };
    let image = Image::from_rgb(header.width as usize, header.height as usize, rgb)
        .ok_or_else(|| broken("the image's size does not fit its samples"))?;
    let notes = if header.max < 256 { Vec::new() } else { vec![Note::SixteenBitReduced] };
    Ok(Decoded { image, notes })
}

fn read_text(bytes: &[u8], header: &Header, samples: &mut [u8]) -> Result<(), Failure> {
    let mut numbers = Numbers { bytes, at: header.samples_at };
    let most_digits = header.max.to_string().len();
    for sample in samples {
        let Some((value, digits)) = numbers.next() else {
            let ended = bytes[numbers.at..].iter().all(u8::is_ascii_whitespace);
            return Err(if ended {
                super::truncated()
            } else {
                broken("a sample is not a number")
            });
        };
        // A number at the very end may have lost digits.
        if numbers.at == bytes.len() && digits < most_digits {
            return Err(super::truncated());
        }
        *sample = to_8_bits(value, header.max)?;
    }
    Ok(())
}

/// 16-bit samples keep their upper 8 bits, as in all formats; other ranges are scaled.
fn to_8_bits(value: u64, max: u64) -> Result<u8, Failure> {
    if value > max {
        return Err(broken(format!("a sample is {value}, but the file declares at most {max}")));
    }
    Ok(if max == 65535 { value >> 8 } else { (value * 255 + max / 2) / max } as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let decoded = decode(bytes, &DecodeLimits::default());
        decoded.map(|decoded| decoded.image.into_rgb()).map_err(|failure| failure.message)
    }

    #[test]
    fn ascii_and_binary_samples_are_decoded() {
        assert_eq!(pixels(b"P3 #x\n2 1 255\n1 2 3\t4\n5 255"), Ok(vec![1, 2, 3, 4, 5, 255]));
        assert_eq!(pixels(b"P2\n2 1\n15\n0 #15\n 15 "), Ok(vec![0, 0, 0, 255, 255, 255]));
        assert_eq!(pixels(b"P6\n1 1\n255\n\n #"), Ok(b"\n #".to_vec()));
        assert_eq!(pixels(b"P5 1 1 65535 \x12\xFF"), Ok(vec![0x12; 3]));
        assert_eq!(pixels(b"P5 1 1 1023 \x02\0"), Ok(vec![128; 3]));
        assert_eq!(pixels(b"P5 2 1 3 \x01\x03"), Ok(vec![85, 85, 85, 255, 255, 255]));
    }

    #[test]
    fn truncated_or_out_of_range_files_are_rejected() {
        for cut in [&b"P6\n2 1\n255\n12345"[..], b"P2 2 1 255\n7 25", b"P2 2 1 255\n7 "] {
            assert!(pixels(cut).is_err_and(|message| message.contains("ends before")));
        }
        assert!(pixels(b"P2 1 1 9\n10 ").is_err_and(|message| message.contains("at most 9")));
        assert!(pixels(b"P2 2 1 9\n1 x ").is_err_and(|message| message.contains("not a number")));
        assert!(pixels(b"P5 60000 60000 255 x").is_err_and(|m| m.contains("60000×60000")));
        for none in [&b"P5 1 1 0 \0"[..], b"P5 1 1 65536 \0\0\0", b"P51 1 1 \0", b"P5 1 1 255"] {
            assert!(header(none).is_none());
        }
    }
}
