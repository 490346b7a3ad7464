//! Valid tar archives.

use std::io::Write;

use attn_fiqa::source::ProgressCount;
use attn_fiqa::status::Status;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::{contents, encoded, items, open, path, relative_names, tree, write};

/// An archive of files that contain their own names.
pub(crate) fn packed(names: &[&str]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for name in names {
        let mut header = Header::new_gnu();
        header.set_size(name.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, name.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One member with any bytes as its name, including header and padding.
pub(crate) fn member(name: &[u8], kind: EntryType, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A pax record: its length counts itself.
pub(crate) fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

pub(crate) fn end() -> Vec<u8> {
    vec![0; 1024]
}

#[test]
fn members_come_in_the_order_of_the_archive() {
    let folder = tree(&[]);
    let names = ["z.jpg", "./b/é.PNG", "b/n.txt", "a.webp", "z.jpg"];
    let plain = packed(&names);
    for (file, bytes) in [
        ("set.tar", plain.clone()),
        ("set.tar.gz", gzipped(&plain)),
        ("set.TGZ", gzipped(&plain)),
        // The content determines how a file is read.
        ("plain.tgz", plain.clone()),
        ("zipped.tar", gzipped(&plain)),
        ("no_extension", plain.clone()),
    ] {
        let archive = folder.path().join(file);
        write(&archive, &bytes);
        let mut sources = open(&[path(&archive)], false).unwrap();
        let found: Vec<_> = sources.by_ref().collect();
        let stored = contents(&found);
        assert_eq!(stored[1].trim_start_matches("./"), "b/é.PNG");
        assert_eq!([&stored[0], &stored[2], &stored[3]], ["z.jpg", "a.webp", "z.jpg"]);
        assert_eq!(relative_names(&found), ["z.jpg", "b/é.PNG", "a.webp", "z.jpg"]);
        assert_eq!(found[1].path, format!("{}/b/é.PNG", archive.display()));
        assert_eq!(sources.skipped(), 1);
    }
}

#[test]
fn an_archive_in_a_folder_is_skipped() {
    let folder = tree(&["a.jpg"]);
    write(&folder.path().join("set.tar"), &packed(&["b.jpg"]));
    let mut sources = open(&[path(folder.path())], false).unwrap();
    assert_eq!(sources.by_ref().count(), 1);
    assert_eq!(sources.skipped(), 1);
    // A pattern's match counts as named; relative names distinguish archives.
    let found = items(&[path(folder.path().join("*.tar"))], false);
    assert_eq!(relative_names(&found), ["set.tar/b.jpg"]);
}

#[test]
fn gnu_and_pax_long_names_are_read() {
    let folder = tree(&[]);
    let archive = folder.path().join("long.tar");
    let long = format!("{}face.jpg", "very long/".repeat(60));
    let mut bytes = packed(&[&long]);
    bytes.truncate(bytes.len() - 1024);
    let records = [pax("comment", "line\nbreak"), pax("path", &long)].concat();
    bytes.extend(member(b"x", EntryType::XHeader, &records));
    bytes.extend(member(b"cut.jpg", EntryType::Regular, b"pax"));
    bytes.extend(member(b"short.jpg", EntryType::Regular, b"own"));
    bytes.extend(end());
    write(&archive, &bytes);
    let found = items(&[path(&archive)], false);
    assert_eq!(relative_names(&found), [&*long, &*long, "short.jpg"]);
    assert_eq!(contents(&found), [&*long, "pax", "own"]);
}

#[test]
fn special_members_fail_with_a_reason() {
    let folder = tree(&[]);
    let archive = folder.path().join("kinds.tar");
    let mut bytes = Vec::new();
    let kinds = [
        (EntryType::Symlink, "a link to '', which is outside"),
        (EntryType::Link, "a link to '', which is outside"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a pipe"),
    ];
    for (kind, _) in kinds {
        bytes.extend(member(b"not a file.jpg", kind, b""));
        bytes.extend(member(b"without an ending", kind, b""));
    }
    bytes.extend(member(b"folder.jpg", EntryType::Directory, b""));
    bytes.extend(member(b"folder.jpg/", EntryType::Regular, b""));
    bytes.extend(member(b"g", EntryType::XGlobalHeader, &pax("path", "all.jpg")));
    bytes.extend(member(b"real.jpg", EntryType::Regular, b"real"));
    bytes.extend(end());
    write(&archive, &bytes);
    let mut sources = open(&[path(&archive)], false).unwrap();
    let found: Vec<_> = sources.by_ref().collect();
    assert_eq!(found.len(), kinds.len() + 1);
    for (item, (_, what)) in found.iter().zip(kinds) {
        let failure = item.image.as_ref().unwrap_err();
        assert_eq!(failure.status, Status::Unreadable);
        assert!(failure.message.contains(what), "{failure}");
    }
    assert_eq!(contents(&found[5..]), ["real"]);
    assert_eq!(relative_names(&found[5..]), ["real.jpg"]);
    // Folders do not count as files that might have been images.
    assert_eq!(sources.skipped(), 5);
}

#[test]
fn pax_size_overrides_header_size() {
    let folder = tree(&[]);
    let archive = folder.path().join("size.tar");
    let mut bytes = member(b"x", EntryType::XHeader, &pax("size", "3"));
    let mut sized = member(b"a.jpg", EntryType::Regular, b"abc");
    let mut header = Header::from_byte_slice(&sized[..512]).clone();
    header.set_size(0);
    header.set_cksum();
    sized[..512].copy_from_slice(header.as_bytes());
    bytes.extend(sized);
    bytes.extend(member(b"b.jpg", EntryType::Regular, b"next"));
    bytes.extend(end());
    write(&archive, &bytes);
    assert_eq!(contents(&items(&[path(&archive)], false)), ["abc", "next"]);
}

#[test]
fn sparse_members_fail_without_stopping_the_archive() {
    let folder = tree(&[]);
    let archive = folder.path().join("sparse.tar");
    // Old GNU format: another block of the sparse map precedes the data.
    let mut old = member(b"old.jpg", EntryType::GNUSparse, b"data");
    let mut header = Header::from_byte_slice(&old[..512]).clone();
    header.as_gnu_mut().unwrap().set_is_extended(true);
    header.set_cksum();
    old[..512].copy_from_slice(header.as_bytes());
    old.splice(512..512, [0; 512]);
    let records = [
        pax("GNU.sparse.major", "1"),
        pax("GNU.sparse.name", "new.jpg"),
        pax("path", "GNUSparseFile.1/new.jpg"),
    ]
    .concat();
    let mut bytes = old;
    bytes.extend(member(b"x", EntryType::XHeader, &records));
    bytes.extend(member(b"other.jpg", EntryType::Regular, b"1\n0\n4\ndata"));
    bytes.extend(member(b"last.jpg", EntryType::Regular, b"last"));
    bytes.extend(end());
    write(&archive, &bytes);
    let found = items(&[path(&archive)], false);
    assert_eq!(contents(&found), ["<unreadable>", "<unreadable>", "last"]);
    assert_eq!(relative_names(&found), ["old.jpg", "new.jpg", "last.jpg"]);
}

#[test]
fn a_count_is_exact_only_after_the_last_member() {
    let folder = tree(&[]);
    let archive = folder.path().join("set.tar");
    write(&archive, &packed(&["a.jpg", "b.jpg"]));
    let mut sources = open(&[path(&archive)], false).unwrap();
    let progress = sources.progress();
    assert!(sources.next().is_some());
    assert_eq!(progress.counts(), ProgressCount { known: 1, exact: false });
    assert_eq!(sources.count(), 1);
    assert_eq!(progress.counts(), ProgressCount { known: 2, exact: true });
}

#[test]
fn lfw_archive_yields_all_images() {
    let Some(archive) = attn_fiqa_testing::shared("data/lfw-aligned-112.tar") else { return };
    let sources = open(&[path(&archive)], false).unwrap();
    let mut read = 0;
    for item in sources {
        assert!(encoded(&item).starts_with(b"\xFF\xD8\xFF"), "{}", item.path);
        read += 1;
    }
    assert_eq!(read, 7701);
}

/// A link, with its target in the header.
pub(crate) fn link(name: &[u8], kind: EntryType, target: &[u8]) -> Vec<u8> {
    let mut bytes = member(name, kind, b"");
    let mut header = Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&bytes[..512]);
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target);
    header.set_cksum();
    bytes[..512].copy_from_slice(header.as_bytes());
    bytes
}

#[test]
fn links_give_the_file_that_they_point_to() {
    let folder = tree(&[]);
    let long = format!("{}face.jpg", "long/".repeat(40));
    let (hard, soft) = (EntryType::Link, EntryType::Symlink);
    let mut bytes = Vec::new();
    // A symbolic link may precede its target, and a name may occur twice.
    bytes.extend(link(b"early.jpg", soft, b"sub/a.jpg"));
    bytes.extend(member(b"sub/a.jpg", EntryType::Regular, b"first"));
    bytes.extend(link(b"one.jpg", hard, b"./sub/a.jpg"));
    bytes.extend(member(b"sub/a.jpg", EntryType::Regular, b"second"));
    bytes.extend(link(b"two.jpg", hard, b"sub//a.jpg"));
    bytes.extend(link(b"sub/three.jpg", soft, b"../two.jpg"));
    bytes.extend(member(b"./data", EntryType::Regular, b"without an ending"));
    bytes.extend(link(b"sub/four.jpg", soft, b"./../data"));
    bytes.extend(member(b"x", EntryType::XHeader, &pax("path", &long)));
    bytes.extend(member(b"x.jpg", EntryType::Regular, b"long"));
    bytes.extend(member(b"x", EntryType::XHeader, &pax("linkpath", &long)));
    bytes.extend(link(b"five.jpg", hard, b"cut"));
    bytes.extend(member(b"x", EntryType::GNULongLink, format!("{long}\0").as_bytes()));
    bytes.extend(link(b"six.jpg", hard, b"cut"));
    bytes.extend(link(b"back.jpg", hard, b"one.jpg"));
    bytes.extend(end());
    for (file, bytes) in [("set.tar", bytes.clone()), ("set.tar.gz", gzipped(&bytes))] {
        let archive = folder.path().join(file);
        write(&archive, &bytes);
        let found = items(&[path(&archive)], false);
        let expected = [
            "second",
            "first",
            "first",
            "second",
            "second",
            "second",
            "without an ending",
            "long",
            "long",
            "long",
            "first",
        ];
        assert_eq!(contents(&found), expected, "{file}");
        assert_eq!(found[2].path, format!("{}/one.jpg", archive.display()));
    }
}

#[test]
fn unresolvable_links_fail_with_a_reason() {
    let folder = tree(&["outside.jpg"]);
    let (hard, soft) = (EntryType::Link, EntryType::Symlink);
    let outside = folder.path().join("outside.jpg");
    let cases: [(EntryType, &[u8], &str); 11] = [
        (hard, b"gone.jpg", "'gone.jpg', which the archive does not hold before the link"),
        (hard, b"later.jpg", "before the link"),
        (hard, b"0.jpg", "before the link"),
        (hard, b"../outside.jpg", "outside of the archive"),
        (soft, b"gone.jpg", "'gone.jpg', which the archive does not hold"),
        (soft, outside.as_os_str().as_encoded_bytes(), "outside of the archive"),
        (soft, b"a/../../outside.jpg", "outside of the archive"),
        (soft, b"7.jpg", "an endless chain of links"),
        (soft, b"9.jpg", "an endless chain of links"),
        (soft, b"8.jpg", "an endless chain of links"),
        (soft, b"folder", "which is a folder"),
    ];
    let mut bytes = Vec::new();
    for (number, (kind, target, _)) in cases.iter().enumerate() {
        bytes.extend(link(format!("{number}.jpg").as_bytes(), *kind, target));
    }
    bytes.extend(member(b"folder", EntryType::Directory, b""));
    bytes.extend(member(b"later.jpg", EntryType::Regular, b"later"));
    bytes.extend(end());
    let archive = folder.path().join("set.tar");
    write(&archive, &bytes);
    let found = items(&[path(&archive)], false);
    assert_eq!(found.len(), cases.len() + 1);
    for (item, (_, target, why)) in found.iter().zip(cases) {
        let failure = item.image.as_ref().unwrap_err();
        assert_eq!(failure.status, Status::Unreadable);
        assert!(failure.message.contains(why), "{target:?}: {failure}");
    }
    assert_eq!(contents(&found[cases.len()..]), ["later"]);
}

#[test]
fn link_rereads_of_compressed_archives_are_limited() {
    let folder = tree(&[]);
    let archive = folder.path().join("set.tgz");
    let mut bytes = Vec::new();
    for number in 0..100 {
        bytes.extend(member(format!("{number}.jpg").as_bytes(), EntryType::Regular, b"x"));
    }
    for number in (0..100).rev() {
        let target = format!("{number}.jpg");
        bytes.extend(link(b"link.jpg", EntryType::Link, target.as_bytes()));
    }
    bytes.extend(end());
    write(&archive, &gzipped(&bytes));
    let found = contents(&items(&[path(&archive)], false));
    assert_eq!(found.iter().filter(|text| *text == "x").count(), 164);
    assert_eq!(found.iter().filter(|text| *text == "<unreadable>").count(), 36);
    write(&archive, &bytes);
    assert_eq!(contents(&items(&[path(&archive)], false)), vec!["x"; 200]);
}

#[test]
fn macos_companion_files_are_skipped() {
    let folder = tree(&[]);
    let archive = folder.path().join("from-a-mac.tar");
    write(&archive, &packed(&["faces/._1.png", "faces/1.png", "__MACOSX/faces/1.png", "._a.jpg"]));
    let mut sources = open(&[path(&archive)], false).unwrap();
    assert_eq!(relative_names(&sources.by_ref().collect::<Vec<_>>()), ["faces/1.png"]);
    assert_eq!(sources.skipped(), 3);
}

#[test]
fn member_images_are_recognised_by_content() {
    let folder = tree(&[]);
    let archive = folder.path().join("mixed.tar");
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let members = [
        member(b"download", EntryType::Regular, b"\xFF\xD8\xFF\xE0"),
        member(b"notes.txt", EntryType::Regular, b"P5 is a fine start for a text"),
        member(b"link", EntryType::Symlink, b""),
        member(b"phone.bin", EntryType::Regular, heic),
        member(b"b.HEIC", EntryType::Regular, b"whatever"),
        end(),
    ];
    write(&archive, &members.concat());
    let mut sources = open(&[path(&archive)], false).unwrap();
    let found: Vec<_> = sources.by_ref().collect();
    assert_eq!(relative_names(&found), ["download", "phone.bin", "b.HEIC"]);
    assert_eq!(sources.skipped(), 2);
}
