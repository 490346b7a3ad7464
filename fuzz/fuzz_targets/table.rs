//! Any bytes as a Parquet or Arrow file, chosen by the first, must give rows, each with bytes or a
//! failure.

#![no_main]

use std::cell::RefCell;
use std::fs;
use std::sync::Arc;

use attn_fiqa::source::{External, ImageData, Input, SourceOptions, Sources};
use attn_fiqa_cli::Tables;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Maximum number of rows read: a few bytes may declare any number.
const MAX_ROWS: usize = 1000;

thread_local! {
    /// One folder per process: creating one for every run would take most of the time.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, table)) = bytes.split_first() else {
        return;
    };
    FOLDER.with_borrow_mut(|slot| {
        let folder = slot.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        let file = folder.path().join(if first & 1 == 1 { "t.arrow" } else { "t.parquet" });
        fs::write(&file, table).expect("the table");
        let options = SourceOptions { max_bytes: 1 << 16, ..SourceOptions::default() };
        let externals: [Arc<dyn External>; 1] = [Arc::new(Tables::new("image"))];
        let Ok(sources) = Sources::open_with(&[Input::Path(file)], &options, &externals) else {
            return;
        };
        for item in sources.take(MAX_ROWS) {
            assert!(item.relative.is_relative() && !item.relative.as_os_str().is_empty());
            if let Ok(ImageData::Encoded(bytes)) = item.image {
                assert!(bytes.len() as u64 <= options.max_bytes);
            }
        }
    });
});
