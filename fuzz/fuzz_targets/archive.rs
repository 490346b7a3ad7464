//! Any bytes named `.tar` (a tar, gzipped or zip archive by content) must give rows, each with
//! bytes or a failure.

#![no_main]

use std::cell::RefCell;
use std::io::{Seek, SeekFrom, Write};

use attn_fiqa::source::{ImageData, Input, SourceOptions, Sources};
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

thread_local! {
    /// One file per process: creating one for every run would take most of the time.
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    FILE.with_borrow_mut(|slot| {
        let file = slot.get_or_insert_with(|| {
            tempfile::Builder::new().suffix(".tar").tempfile().expect("a temporary file")
        });
        file.as_file().set_len(0).expect("an empty file");
        file.seek(SeekFrom::Start(0)).expect("its start");
        file.write_all(bytes).expect("its bytes");
        let options = SourceOptions { max_bytes: 1 << 20, ..SourceOptions::default() };
        let Ok(sources) = Sources::open(&[Input::Path(file.path().to_owned())], &options) else {
            return;
        };
        for item in sources {
            assert!(item.relative.is_relative() && !item.relative.as_os_str().is_empty());
            if let Ok(ImageData::Encoded(bytes)) = item.image {
                assert!(bytes.len() as u64 <= options.max_bytes);
            }
        }
    });
});
