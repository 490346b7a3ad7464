//! Any bytes as each evaluation file: pairs, qualities, a `.npy` array, an InsightFace
//! `.bin`, a table of scores. What is read must be consistent.
#![no_main]

use attn_fiqa_eval::benchmark::parse_insightface_bin;
use attn_fiqa_eval::files::{Failed, Missing, PairList, QualityFile, npy};
use attn_fiqa_eval::overview::{Overview, OverviewOptions, Thumbnails};
use attn_fiqa_eval::report::overview_page;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = PairList::parse("fuzz", bytes) {
        let images = list.names.len() as u32;
        assert!(list.pairs.iter().all(|pair| pair.a < images && pair.b < images));
        assert!(list.scores.is_none_or(|scores| scores.len() == list.pairs.len()));
    }
    if let Ok(qualities) = QualityFile::parse("fuzz", bytes) {
        assert_eq!(qualities.names.len(), qualities.values.len());
        if let Ok(matched) = qualities.for_images(&qualities.names, Failed::Lowest, Missing::Fail) {
            assert_eq!(matched.by_path, qualities.names.len());
        }
    }
    if let Ok(array) = npy::parse("fuzz", bytes, bytes.len() as u64) {
        assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
        assert!(array.values.len() <= bytes.len());
    }
    if let Ok(benchmark) = parse_insightface_bin("fuzz", "fuzz", bytes.to_vec()) {
        assert_eq!(benchmark.images.len(), 2 * benchmark.pairs.len());
        for index in 0..benchmark.images.len() {
            let image = benchmark.read_image(index).expect("it is in memory");
            assert!(!image.is_empty() && image.len() <= bytes.len());
        }
    }
    for format in ["csv", "jsonl"] {
        let file = tempfile::Builder::new().suffix(&format!(".{format}")).tempfile();
        let file = file.expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        let Ok(overview) = Overview::read(file.path(), &OverviewOptions::default()) else {
            continue;
        };
        let failed: u64 = overview.failures.iter().map(|failure| failure.rows).sum();
        assert_eq!(overview.qualities.computed() + failed, overview.qualities.total());
        overview_page(&overview, &Thumbnails::default()).expect("a page");
    }
});
