//! Measures how many seconds decoding an image takes, for `benches/peers/jpeg.py`: reads a file
//! name and a decoder from each line of standard input and prints a number.
#![allow(clippy::print_stdout, reason = "the answer is for the program that asks")]

use std::error::Error;
use std::io::{BufRead, Cursor, Write};
use std::time::Instant;

use attn_fiqa::decode::{DecodeLimits, decode};
use image::codecs::jpeg::JpegDecoder;
use image::{DynamicImage, ImageDecoder};

fn main() -> Result<(), Box<dyn Error>> {
    let mut stdout = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (way, file) = line.split_once(' ').ok_or("a way and a file are expected")?;
        let bytes = std::fs::read(file)?;
        let start = Instant::now();
        let sum = match way {
            // With all checks.
            "ours" => decode(&bytes, &DecodeLimits::default())?.image.rgb().len(),
            // Only the decoder for ordinary files.
            "alone" => {
                let decoder = JpegDecoder::new(Cursor::new(&bytes))?;
                let colour = decoder.color_type();
                let length = DynamicImage::from_decoder(decoder)?.into_bytes().len();
                length.max(colour.channel_count().into())
            }
            other => return Err(format!("no way '{other}'").into()),
        };
        let seconds = start.elapsed().as_secs_f64();
        std::hint::black_box(sum);
        writeln!(stdout, "{seconds}")?;
        stdout.flush()?;
    }
    Ok(())
}
