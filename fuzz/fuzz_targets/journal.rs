//! Any bytes as the journal of a run and its rows: what is kept is the start of each, and the next
//! run keeps it as well.
#![no_main]

use std::cell::RefCell;
use std::fs;

use attn_fiqa_cli::read_journal;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    /// One folder per process: creating one for every run would take most of the time.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

// The first byte says how many of the others are rows; the journal follows them.
fuzz_target!(|bytes: &[u8]| {
    let Some((&length, rest)) = bytes.split_first() else {
        return;
    };
    let (rows, journal) = rest.split_at(rest.len().min(length.into()));
    FOLDER.with_borrow_mut(|slot| {
        let folder = slot.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        let [rows_file, journal_file] = ["r.part", "r.journal"].map(|name| folder.path().join(name));
        fs::write(&rows_file, rows).expect("the rows");
        fs::write(&journal_file, journal).expect("the journal");
        let Ok(kept) = read_journal(&journal_file, &rows_file) else {
            return;
        };
        let [of_journal, of_rows] = kept.map(|bytes| usize::try_from(bytes).expect("a length"));
        // This panics if more is kept than there is.
        fs::write(&rows_file, &rows[..of_rows]).expect("the rows");
        fs::write(&journal_file, &journal[..of_journal]).expect("the journal");
        let again = read_journal(&journal_file, &rows_file).expect("it has its first lines");
        // Less if the line that said that the files are on disk is gone.
        let has_files = journal.windows(6).any(|bytes| bytes == b"files ");
        assert!(again == kept || (has_files && again[0] <= kept[0] && again[1] <= kept[1]));
    });
});
