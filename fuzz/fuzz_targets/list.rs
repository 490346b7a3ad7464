//! Any bytes as a list of paths, with the separator chosen by the first, must give rows.

#![no_main]

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use attn_fiqa::source::{Input, ListFrom, SourceOptions, Sources};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    /// One folder per process: creating one for every run would take most of the time.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Files that lists may name.
const FILES: [&str; 3] = ["a.jpg", "b c.png", "sub/d.jpg"];

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, text)) = bytes.split_first() else {
        return;
    };
    // Only files in the folder may be read.
    if text.contains(&b'/') && !text.windows(4).any(|part| part == b"sub/") {
        return;
    }
    FOLDER.with_borrow_mut(|slot| {
        let folder = slot.get_or_insert_with(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            for name in FILES {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, name).expect("a file");
            }
            folder
        });
        read(folder.path(), first & 1 == 1, text);
    });
});

fn read(root: &Path, nul_separated: bool, text: &[u8]) {
    let list = root.join("list");
    fs::write(&list, text).expect("the list");
    let input = Input::List { path: ListFrom::File(list), root: Some(root.to_owned()) };
    let options = SourceOptions { nul_separated, max_bytes: 1 << 16, ..SourceOptions::default() };
    let sources = Sources::open(&[input], &options).expect("a list that is there");
    let separator = if nul_separated { 0 } else { b'\n' };
    // Separators in UTF-16 contain the same byte.
    let most = text.iter().filter(|&&byte| byte == separator).count() + 1;
    let mut rows = 0;
    for item in sources {
        rows += 1;
        assert!(!item.path.is_empty() && !item.path.contains('\0'));
        assert!(item.relative.is_relative() && !item.relative.as_os_str().is_empty());
    }
    assert!(rows <= most, "{rows} rows of {most} lines");
}
