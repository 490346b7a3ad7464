//! Names with braces, as WebDataset writes its shards.

use attn_fiqa::source::{Input, SourceError};

use super::archives::packed;
use super::{contents, items, open, path, relative_names, tree, write};

#[test]
fn shards_are_read_in_order_and_sidecars_are_counted() {
    let folder = tree(&[]);
    for (number, name) in ["9", "10", "11"].iter().enumerate() {
        let key = format!("{number:06}");
        let members = ["jpg", "json", "cls", "txt"].map(|ending| format!("{key}.{ending}"));
        let members = packed(&members.each_ref().map(String::as_str));
        write(&folder.path().join(format!("data-{name:0>3}.tar")), &members);
    }
    let mut sources = open(&[path(folder.path().join("data-{009..011}.tar"))], false).unwrap();
    let found: Vec<_> = sources.by_ref().collect();
    assert_eq!(contents(&found), ["000000.jpg", "000001.jpg", "000002.jpg"]);
    assert!(found[2].path.ends_with("data-011.tar/000002.jpg"), "{}", found[2].path);
    // Shards may contain equal names, so relative names start with that of the shard.
    assert_eq!(relative_names(&found)[1], "data-010.tar/000001.jpg");
    assert_eq!(sources.skipped(), 9);
}

#[test]
fn a_missing_shard_is_an_error_before_any_work() {
    let folder = tree(&["d-0.jpg", "d-1.jpg", "d-3.jpg"]);
    let at = |name: &str| [path(folder.path().join(name))];
    assert_eq!(contents(&items(&at("d-{0..1}.jpg"), false)), ["d-0.jpg", "d-1.jpg"]);
    let error = open(&at("d-{0..4}.jpg"), false).unwrap_err();
    assert!(matches!(error, SourceError::Missing { missing: 2, names: 5, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("d-2.jpg does not exist, nor does 1 other of 5"), "{message}");
    let message = open(&at("d-{1..2}.jpg"), false).unwrap_err().to_string();
    assert!(message.contains("d-2.jpg does not exist; correct"), "{message}");
    let error = open(&at("{0..9999999}.tar"), false).unwrap_err();
    assert!(matches!(error, SourceError::TooManyNames { .. }), "{error}");
}

#[test]
fn braces_combine_with_patterns_and_folders() {
    let folder = tree(&["train/a.jpg", "train/b.jpg", "val/a.jpg", "test/a.jpg", "val/n.txt"]);
    let at = |name: &str| [path(folder.path().join(name))];
    let expected = ["train/a.jpg", "train/b.jpg", "val/a.jpg"];
    for pattern in ["{train,val}", "{train,val}/*.jpg"] {
        let found = items(&at(pattern), true);
        assert_eq!(contents(&found), expected, "{pattern}");
        assert_eq!(relative_names(&found), expected, "{pattern}");
    }
    let error = open(&at("{train,val}/b*"), true).unwrap_err();
    assert!(matches!(error, SourceError::NoMatch { .. }), "{error}");
}

#[test]
fn existing_file_with_braces_is_not_expanded() {
    let folder = tree(&["{a,b}.jpg", "a.jpg"]);
    let found: Vec<Input> = ["{a,b}.jpg"].map(|name| path(folder.path().join(name))).into();
    assert_eq!(contents(&items(&found, false)), ["{a,b}.jpg"]);
}
