//! Any bytes as the `data.pkl` of an otherwise valid PyTorch zip file.
#![no_main]

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pickle: &[u8]| {
    let file = zip(&[("m/data.pkl", pickle), ("m/data/0", &[0; 64])]);
    let outcome = Checkpoint::from_bytes(file, "fuzz", &CheckpointOptions::default());
    // One storage of 16 numbers cannot hold a network.
    let text = outcome.expect_err("no network fits").to_string();
    assert!(!text.contains("zip directory"), "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
});

/// A zip file of stored entries.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        let header = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0][..],
            &size,
            &size,
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        let offset = (file.len() as u32).to_le_bytes();
        file.extend([b"PK\x03\x04", &header[..], name.as_bytes(), data].concat());
        let entry = [b"PK\x01\x02\x14\x00", &header[..], &[0; 10], &offset, name.as_bytes()];
        directory.extend(entry.concat());
    }
    let start = (file.len() as u32).to_le_bytes();
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].concat());
    file.extend([(directory.len() as u32).to_le_bytes(), start].concat());
    file.extend([0, 0]);
    file
}
