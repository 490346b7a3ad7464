//! Any bytes must be read as landmarks or be refused.

#![no_main]

use attn_fiqa::align::landmark_file::{Found, LandmarkFile, LandmarkFileLimits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = LandmarkFileLimits { max_faces: 100, max_line: 500 };
    let Ok(file) = LandmarkFile::read(bytes, "fuzzed", &limits) else {
        return;
    };
    assert!(file.paths() > 0 && file.faces() <= limits.max_faces);
    let text = String::from_utf8_lossy(bytes);
    for path in text.split([',', ' ', '\n']) {
        if let Found::Faces { faces, .. } = file.find(path) {
            let mut points = faces.iter().flat_map(|face| face.landmarks.0);
            assert!(points.all(|point| point.iter().all(|value| value.is_finite())));
        }
    }
});
