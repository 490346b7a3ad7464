//! Names that are not Unicode: each image gets its own files, and manifests name them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::support::{Table, TestDir, face_bytes, wide_image};

/// A folder with images whose names differ only in bytes that are not UTF-8, or look as if.
fn test_dir(image: &[u8]) -> TestDir {
    let here = TestDir::new();
    fs::create_dir(here.path("in")).expect("a folder");
    for name in [&b"\xff.png"[..], b"\xfe.png", br"\xff.png"] {
        fs::write(here.path("in").join(OsStr::from_bytes(name)), image).expect("an image");
    }
    here
}

/// Undoes the escaping of a cell.
fn named(cell: &str) -> OsString {
    let mut parts = cell.split(r"\x");
    let mut name = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        name.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        name.extend(&part.as_bytes()[2..]);
    }
    OsString::from_vec(name)
}

/// The number of files other than manifests.
fn images(here: &TestDir, folder: &str) -> usize {
    here.files(folder).iter().filter(|name| !name.starts_with("manifest")).count()
}

#[test]
fn manifests_name_existing_files_of_every_image() {
    let commands: [(&[&str], &[&str]); 5] = [
        (&["crop", "--largest"], &["file"]),
        (&["crop", "--largest", "--keep-layout"], &["file"]),
        (&["degrade", "--resize", "--kinds", "blur", "--levels", "2"], &["file"]),
        (&["map", "--largest"], &["overlay", "map", "grid", "photo"]),
        (&["map", "--aligned", "--resize"], &["overlay", "map", "grid"]),
    ];
    for (args, columns) in commands {
        let here = test_dir(&wide_image());
        here.run(&[args, &["in", "-o", "out"]].concat()).ended_with(0);
        let manifest = Table::parse(&here.read_text("out/manifest.csv"));
        let cells = columns.iter().flat_map(|column| manifest.column(column));
        let mut files: Vec<OsString> = cells.map(named).collect();
        files.sort();
        files.dedup();
        assert_eq!(files.len(), images(&here, "out"), "{args:?}");
        for file in files {
            assert!(here.path("out").join(&file).is_file(), "{args:?}: {file:?}");
        }
    }
}

#[test]
fn every_image_is_drawn_and_embedded() {
    let here = test_dir(&face_bytes("blur-1.png"));
    here.run(&["detect", "in", "--draw", "out", "-o", "faces.csv"]).ended_with(0);
    assert_eq!(images(&here, "out"), 3);
    here.run(&["embed", "in", "--aligned", "-o", "npy"]).ended_with(0);
    assert_eq!(images(&here, "npy"), 3);
}
