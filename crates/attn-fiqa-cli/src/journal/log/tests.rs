use std::collections::BTreeMap;

use super::*;
use crate::journal::Fingerprint;

fn fingerprint() -> Fingerprint {
    Fingerprint { settings: BTreeMap::new(), inputs: BTreeMap::new(), shard: None }
}

fn open(folder: &Path) -> anyhow::Result<RunLog> {
    RunLog::open(RunPaths::beside(&folder.join("rows.csv")), &fingerprint(), false)
}

/// A run that has finished two images.
fn run(folder: &Path) -> RunLog {
    let mut log = open(folder).expect("a log");
    for (ordinal, row) in [b"a,1\n", b"b,2\n"].into_iter().enumerate() {
        log.write_all(row).expect("a row");
        let outcome = "ok".to_owned();
        let image = DoneImage { ordinal: ordinal as u64, name: 7, rows: 1, outcome };
        log.end_image(&image).expect("an image");
    }
    log
}

/// Reads everything back, and returns both errors.
fn errors_of(log: &mut RunLog) -> [String; 2] {
    let replayed = log.replay(|_, _, _| Ok(()));
    let listed = log.for_each_image(|_| Ok(()));
    [replayed, listed].map(|read| format!("{:#}", read.expect_err("not everything is there")))
}

#[test]
fn incomplete_journal_is_not_end_of_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = run(folder.path());
    log.replay(|_, _, _| Ok(())).expect("all rows");
    log.for_each_image(|_| Ok(())).expect("all images");

    let path = log.place.journal.clone();
    let text = fs::read_to_string(&path).expect("the journal");
    let last = text.trim_end().rfind('\n').expect("lines") + 1;
    fs::write(&path, format!("{}?{}", &text[..last], &text[last + 1..])).expect("written");
    for error in errors_of(&mut log) {
        assert!(error.contains("it lists 1 images, and should list 2"), "{error}");
    }
}

#[test]
fn unreadable_journal_is_not_end_of_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = run(folder.path());
    log.journal = File::options().write(true).open(&log.place.journal).expect("the journal");
    for error in errors_of(&mut log) {
        assert!(error.starts_with("cannot read '"), "{error}");
    }
}

/// Only what a run is known to have written is removed when it fails.
#[test]
fn failure_to_open_keeps_earlier_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = run(folder.path()).place.clone();
    let content = || [&place.data, &place.journal].map(|file| fs::read(file).expect("kept"));
    let before = content();

    let journal = File::options().write(true).open(&place.journal).expect("the journal");
    let data = File::open(&place.data).expect("the rows");
    let opened = RunLog::from_files(place.clone(), journal, data, true, &fingerprint(), false);
    let Err(error) = opened else { panic!("the journal cannot be read") };
    assert!(format!("{error:#}").contains("rows.csv.journal"), "{error:#}");
    assert_eq!(content(), before);
}
