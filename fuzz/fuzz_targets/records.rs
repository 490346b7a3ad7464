//! Any bytes named `.rec`, with the part before the first zero byte as their index if the first is
//! odd, must give rows, each with bytes or a failure.

#![no_main]

use std::cell::RefCell;
use std::fs;

use attn_fiqa::source::{ImageData, Input, SourceOptions, Sources};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    /// One folder per process: creating one for every run would take most of the time.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    FOLDER.with_borrow_mut(|slot| {
        let folder = slot.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        let [records, index] = ["a.rec", "a.idx"].map(|name| folder.path().join(name));
        let mut data = rest;
        // An index left by the previous run must be removed.
        let _ = fs::remove_file(&index);
        if first & 1 == 1 {
            let mut parts = rest.splitn(2, |&byte| byte == 0);
            fs::write(&index, parts.next().unwrap_or_default()).expect("the index");
            data = parts.next().unwrap_or_default();
        }
        fs::write(&records, data).expect("the records");
        let options = SourceOptions { max_bytes: 1 << 16, ..SourceOptions::default() };
        let Ok(sources) = Sources::open(&[Input::Path(records)], &options) else {
            return;
        };
        let mut rows = 0;
        for item in sources {
            rows += 1;
            assert!(item.relative.is_relative() && !item.relative.as_os_str().is_empty());
            if let Ok(ImageData::Encoded(bytes)) = item.image {
                assert!(bytes.len() as u64 <= options.max_bytes);
            }
        }
        // A record has at least 8 bytes, and one row may be the file's own.
        assert!(rows <= data.len() / 8 + 1, "{rows} rows of {} bytes", data.len());
    });
});
