//! Any bytes must decode to a whole image or to a failure.

#![no_main]

use attn_fiqa::decode::{DecodeLimits, decode, memory_needed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
    // Outside the panic handler of `decode`.
    let _ = memory_needed(bytes, &limits);
    if let Ok(decoded) = decode(bytes, &limits) {
        let image = decoded.image;
        assert_eq!(image.rgb().len(), image.width() * image.height() * 3);
    }
});
