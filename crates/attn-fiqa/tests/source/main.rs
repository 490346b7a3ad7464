//! Finding images in files, folders, patterns, lists and archives.

#![allow(clippy::unwrap_used, reason = "in helpers too, a failed unwrap is a failed test")]

mod archives;
mod braces;
mod externals;
mod files;
mod hostile_archives;
mod lists;
mod records;
mod videos;
mod wanted;
mod zips;

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use attn_fiqa::source::{ImageData, Input, SourceError, SourceItem, SourceOptions, Sources};
use attn_fiqa::status::Status;
use tempfile::TempDir;

/// A folder of synthetic files; each contains its own name.
fn tree(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        write(&folder.path().join(name), name.as_bytes());
    }
    folder
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn path(path: impl Into<PathBuf>) -> Input {
    Input::Path(path.into())
}

fn open(inputs: &[Input], recursive: bool) -> Result<Sources, SourceError> {
    let options = SourceOptions { recursive, ..SourceOptions::default() };
    Sources::open(inputs, &options)
}

fn items(inputs: &[Input], recursive: bool) -> Vec<SourceItem> {
    open(inputs, recursive).unwrap().collect()
}

/// The bytes of all items, which in a [`tree`] are names; for failures, the status.
fn contents(items: &[SourceItem]) -> Vec<String> {
    items
        .iter()
        .map(|item| match &item.image {
            Ok(_) => String::from_utf8_lossy(encoded(item)).into_owned(),
            Err(failure) => format!("<{}>", failure.status),
        })
        .collect()
}

/// The bytes of an item that is an encoded image.
fn encoded(item: &SourceItem) -> &[u8] {
    match item.image.as_ref().unwrap() {
        ImageData::Encoded(bytes) => bytes,
        _ => panic!("{} is decoded already", item.path),
    }
}

fn relative_names(items: &[SourceItem]) -> Vec<String> {
    items.iter().map(|item| item.relative.to_string_lossy().replace(MAIN_SEPARATOR, "/")).collect()
}

fn status(item: &SourceItem) -> Status {
    item.image.as_ref().unwrap_err().status
}

#[test]
fn no_inputs_is_an_error() {
    assert!(matches!(open(&[], false), Err(SourceError::NoInput)));
}

#[test]
fn sources_can_move_to_another_thread() {
    fn needs_send<T: Send>(_: &T) {}
    let folder = tree(&["a.jpg"]);
    let sources = open(&[path(folder.path())], false).unwrap();
    needs_send(&sources);
    let progress = sources.progress();
    let read = std::thread::spawn(move || sources.count()).join().unwrap();
    assert_eq!((read, progress.counts().known), (1, 1));
}

#[test]
fn inputs_keep_their_order_and_repeats() {
    let folder = tree(&["b.jpg", "a.jpg", "sub/c.png"]);
    let at = |name: &str| path(folder.path().join(name));
    let found = items(&[at("sub"), at("b.jpg"), at("."), at("gone.jpg"), at("b.jpg")], false);
    assert_eq!(contents(&found), ["sub/c.png", "b.jpg", "a.jpg", "b.jpg", "<not-found>", "b.jpg"]);
}
