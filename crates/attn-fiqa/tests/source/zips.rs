//! Zip archives: valid, truncated, damaged and malicious ones.

use std::io::{Cursor, Write};
use std::path::Component;

use attn_fiqa::source::{SourceItem, SourceOptions, Sources};
use attn_fiqa::status::Status;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;
use rawzip::path::EntryPath;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::archives::{gzipped, packed};
use super::{contents, items, open, path, relative_names, status, tree, write};

/// A file in an archive.
#[derive(Clone)]
struct File<'a> {
    name: &'a [u8],
    data: &'a [u8],
    method: CompressionMethod,
    encrypted: bool,
    mode: u32,
}

impl<'a> File<'a> {
    fn new(name: &'a str, data: &'a [u8]) -> Self {
        let method = CompressionMethod::STORE;
        Self { name: name.as_bytes(), data, method, encrypted: false, mode: 0o100_644 }
    }

    fn deflated(name: &'a str, data: &'a [u8]) -> Self {
        Self { method: CompressionMethod::DEFLATE, ..Self::new(name, data) }
    }
}

fn zipped(files: &[File<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut bytes);
    for file in files {
        if file.name.ends_with(b"/") {
            archive.new_dir(EntryPath::verbatim(file.name)).create().unwrap();
            continue;
        }
        let builder = archive.new_file(EntryPath::verbatim(file.name));
        let builder = builder.compression_method(file.method).encrypted(file.encrypted);
        let (mut entry, config) = builder.unix_permissions(file.mode).start().unwrap();
        let descriptor = if file.method == CompressionMethod::DEFLATE {
            let encoder = DeflateEncoder::new(&mut entry, Compression::best());
            let mut writer = config.wrap(encoder);
            writer.write_all(file.data).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(file.data).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// The items of an archive with these bytes; files are limited to 1,000 bytes.
fn read(bytes: &[u8]) -> Vec<SourceItem> {
    let folder = tree(&[]);
    let archive = folder.path().join("set.zip");
    write(&archive, bytes);
    let options = SourceOptions { max_bytes: 1000, ..SourceOptions::default() };
    Sources::open(&[path(&archive)], &options).unwrap().collect()
}

fn message(item: &SourceItem) -> &str {
    &item.image.as_ref().unwrap_err().message
}

#[test]
fn entries_follow_central_directory_order() {
    let folder = tree(&[]);
    let mac: &[u8] = b"beside";
    let bytes = zipped(&[
        File::new("z.jpg", b"z"),
        File::new("faces/", b""),
        File::deflated("faces/é/1.PNG", b"one"),
        File::new("notes.txt", b"a text"),
        File::deflated("download", b"\xFF\xD8\xFF\xE0 without an ending"),
        File::new("__MACOSX/faces/._1.png", mac),
        File::new("faces/._1.png", mac),
        File::new("clip.mp4", b"no image"),
        File::new("z.jpg", b"a second of that name"),
    ]);
    let names = ["z.jpg", "faces/é/1.PNG", "download", "z.jpg"];
    // The content determines how a file is read.
    for file in ["set.zip", "SET.ZIP", "set.tar", "no_extension"] {
        let archive = folder.path().join(file);
        write(&archive, &bytes);
        let mut sources = open(&[path(&archive)], false).unwrap();
        let found: Vec<_> = sources.by_ref().collect();
        assert_eq!(relative_names(&found), names, "{file}");
        assert_eq!(found[1].path, format!("{}/faces/é/1.PNG", archive.display()));
        let stored = contents(&found);
        assert_eq!([&stored[0], &stored[1], &stored[3]], ["z", "one", "a second of that name"]);
        assert!(stored[2].ends_with("without an ending"));
        assert_eq!(sources.skipped(), 4);
        std::fs::remove_file(archive).unwrap();
    }
    // Also a file that is a zip archive only by name.
    for bytes in [packed(&["a.jpg"]), gzipped(&packed(&["a.jpg"]))] {
        let archive = folder.path().join("tar.zip");
        write(&archive, &bytes);
        assert_eq!(contents(&items(&[path(&archive)], false)), ["a.jpg"]);
    }
    // In a folder, an archive is skipped; as a match of a pattern, it is read.
    write(&folder.path().join("a.jpg"), b"a.jpg");
    write(&folder.path().join("set.zip"), &bytes);
    assert_eq!(contents(&items(&[path(folder.path())], false)), ["a.jpg"]);
    let found = items(&[path(folder.path().join("*t.zip"))], false);
    assert_eq!(relative_names(&found)[0], "set.zip/z.jpg");
}

/// Written by another program, with 64-bit sizes in the headers.
#[test]
fn zip64_is_read() {
    use zip::write::{SimpleFileOptions, ZipWriter};

    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .large_file(true);
    writer.start_file("a.jpg", options).unwrap();
    writer.write_all(b"first").unwrap();
    writer.start_file("b/c.jpg", options).unwrap();
    writer.write_all(b"second").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(contents(&read(&bytes)), ["first", "second"]);

    // More files than a 16-bit count can express.
    let names: Vec<String> = (0..70_000).map(|number| format!("{number}.jpg")).collect();
    let files: Vec<File<'_>> = names.iter().map(|name| File::new(name, b"x")).collect();
    let found = read(&zipped(&files));
    assert_eq!(found.len(), 70_000);
    assert!(found.iter().all(|item| item.image.is_ok()));
}

#[test]
fn unsupported_entries_fail_with_a_reason() {
    let plain = File::new("fine.jpg", b"fine");
    let locked = File { encrypted: true, ..File::new("locked.jpg", b"secret") };
    let link = File { mode: 0o120_777, ..File::new("link.jpg", b"fine.jpg") };
    let pipe = File { mode: 0o010_644, ..File::new("pipe.jpg", b"") };
    let zstd = File { method: CompressionMethod::ZSTD, ..File::new("zstd.jpg", b"?") };
    let other = File { method: CompressionMethod::new(77), ..File::new("other.jpg", b"?") };
    let unnamed = File { encrypted: true, ..File::new("locked", b"\xFF\xD8\xFF\xE0") };
    let found = read(&zipped(&[locked, link, pipe, zstd, other, unnamed, plain]));
    for (item, why) in found.iter().zip([
        "encrypted",
        "symbolic link",
        "a pipe",
        "compressed with ZSTD",
        "compressed with method 77",
    ]) {
        assert_eq!(status(item), Status::Unreadable);
        assert!(message(item).contains(why), "{}", message(item));
    }
    assert_eq!(contents(&found[5..]), ["fine"]);
}

#[test]
fn path_traversal_names_are_sanitized() {
    let names: [&[u8]; 5] = [
        b"../../etc/passwd.jpg",
        b"/etc/shadow.jpg",
        b"a/../../../b.jpg",
        b"bad\xFFname.jpg",
        b"C:\\faces\\c.jpg",
    ];
    let files = names.map(|name| File { name, ..File::new("", b"data") });
    let found = read(&zipped(&files));
    assert_eq!(contents(&found), ["data"; 5]);
    assert_eq!(relative_names(&found)[..3], ["etc/passwd.jpg", "etc/shadow.jpg", "a/b.jpg"]);
    for item in &found {
        let ordinary = |part: Component<'_>| matches!(part, Component::Normal(_));
        assert!(item.relative.components().all(ordinary));
    }
    assert!(found[0].path.ends_with("set.zip/../../etc/passwd.jpg"));
    assert!(found[3].path.ends_with(r"set.zip/bad\xffname.jpg"));
}

#[test]
fn entries_that_expand_beyond_the_limit_are_not_unpacked() {
    let bomb = vec![0; 10 << 20];
    let exact = vec![7; 1000];
    let over = vec![7; 1001];
    let bytes = zipped(&[
        File::deflated("bomb.jpg", &bomb),
        File::new("over.jpg", &over),
        File::deflated("exact.jpg", &exact),
    ]);
    let found = read(&bytes);
    assert_eq!(contents(&found)[..2], ["<too-large>", "<too-large>"]);
    assert_eq!(contents(&found)[2].len(), 1000);

    // A file whose declared size is smaller or larger than its actual size.
    let at = bytes.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
    for claimed in [5_u32, 999] {
        let mut lying = bytes.clone();
        lying[at + 24..at + 28].copy_from_slice(&claimed.to_le_bytes());
        let found = read(&lying);
        assert_eq!(status(&found[0]), Status::Unreadable);
        assert!(message(&found[0]).contains("damaged"), "{}", message(&found[0]));
    }
}

#[test]
fn damaged_entry_fails_without_stopping_the_archive() {
    let mut bytes = zipped(&[File::new("a.jpg", b"some bytes"), File::new("b.jpg", b"others")]);
    let at = bytes.windows(4).position(|part| part == b"some").unwrap();
    bytes[at] = b'S';
    assert_eq!(contents(&read(&bytes)), ["<unreadable>", "others"]);
    bytes[0] = b'X';
    let found = read(&bytes);
    assert_eq!(contents(&found), ["<unreadable>", "others"]);
    assert!(message(&found[0]).contains("no file where its directory says"));
}

#[test]
fn a_truncated_archive_is_refused() {
    let inner = zipped(&[File::new("inner.jpg", b"inner")]);
    let whole = zipped(&[File::new("first.jpg", b"first"), File::new("inner.zip", &inner)]);
    for length in 0..whole.len() {
        let found = read(&whole[..length]);
        assert_eq!(contents(&found), ["<broken-archive>"], "{length}");
        assert_eq!(relative_names(&found), ["set.zip"]);
    }
    assert_eq!(contents(&read(&whole)), ["first"]);
    // Appended to a self-extracting program.
    let program = [b"MZ a program".as_slice(), &inner].concat();
    assert_eq!(contents(&read(&program)), ["inner"]);
    for other in [b"<html>not found</html>".as_slice(), b""] {
        assert_eq!(contents(&read(other)), ["<broken-archive>"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn corrupted_archives_never_panic(at in 0..1000_usize, to in any::<u8>(), cut in 0..2000_usize) {
        let data = [9; 300];
        let mut bytes = zipped(&[
            File::new("a.jpg", b"some bytes"),
            File::deflated("b.png", &data),
            File::deflated("c", b"\xFF\xD8\xFF\xE0"),
        ]);
        let at = at % bytes.len();
        bytes[at] = to;
        bytes.truncate(cut);
        for item in read(&bytes) {
            prop_assert!(item.relative.is_relative());
        }
    }
}
