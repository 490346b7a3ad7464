//! Truncated, damaged and malicious tar archives.

use std::path::Component;

use attn_fiqa::source::{ImageData, SourceItem, SourceOptions, Sources};
use attn_fiqa::status::Status;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::archives::{end, gzipped, member, packed};
use super::{contents, items, path, relative_names, status, tree, write};

/// The items of an archive with these bytes; members are limited to 1,000 bytes.
fn read(bytes: &[u8]) -> Vec<SourceItem> {
    let folder = tree(&[]);
    let archive = folder.path().join("set.tar");
    write(&archive, bytes);
    let options = SourceOptions { max_bytes: 1000, ..SourceOptions::default() };
    Sources::open(&[path(&archive)], &options).unwrap().collect()
}

/// The message of an archive with a single row, that of the archive itself.
fn only_failure(bytes: &[u8]) -> String {
    let found = read(bytes);
    assert_eq!(contents(&found), ["<broken-archive>"]);
    assert!(found[0].path.ends_with("set.tar"));
    assert_eq!(relative_names(&found), ["set.tar"]);
    found[0].image.as_ref().unwrap_err().message.clone()
}

#[test]
fn path_traversal_names_are_sanitized() {
    let names: [&[u8]; 6] = [
        b"../../etc/passwd.jpg",
        b"/etc/shadow.jpg",
        b"a/../../../b.jpg",
        b"//x/./y.jpg",
        b"bad\xFFname.jpg",
        b"",
    ];
    let mut bytes: Vec<u8> =
        names.iter().flat_map(|name| member(name, EntryType::Regular, b"data")).collect();
    bytes.extend(end());
    let found = read(&bytes);
    assert_eq!(found.len(), 5, "a member without a name is no image");
    assert_eq!(
        relative_names(&found)[..4],
        ["etc/passwd.jpg", "etc/shadow.jpg", "a/b.jpg", "x/y.jpg"]
    );
    for item in &found {
        let ordinary = |part: Component<'_>| matches!(part, Component::Normal(_));
        assert!(item.relative.components().all(ordinary));
        assert_eq!(item.image, Ok(ImageData::Encoded(b"data".to_vec())));
    }
    // The row shows the name as stored.
    assert!(found[0].path.ends_with("set.tar/../../etc/passwd.jpg"));
}

#[test]
fn oversized_member_fails_without_stopping_the_archive() {
    let mut bytes = member(b"big.jpg", EntryType::Regular, &[7; 1001]);
    bytes.extend(member(b"fits.jpg", EntryType::Regular, &[b'f'; 1000]));
    bytes.extend(end());
    let found = read(&bytes);
    assert_eq!(contents(&found), ["<too-large>".to_owned(), "f".repeat(1000)]);
}

#[test]
fn huge_declared_sizes_are_rejected() {
    let mut lying = member(b"lie.jpg", EntryType::Regular, b"");
    let mut header = Header::from_byte_slice(&lying).clone();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    lying.copy_from_slice(header.as_bytes());
    assert_eq!(contents(&read(&lying)), ["<too-large>", "<broken-archive>"]);

    // The length of extended headers is limited, compressed or not.
    let long = member(b"x", EntryType::GNULongName, &vec![b'a'; 2 << 20]);
    for bytes in [gzipped(&long), long] {
        assert!(only_failure(&bytes).contains("extended header claims 2097152 bytes"));
    }
}

#[test]
fn truncated_archive_yields_complete_members_then_error() {
    let names = ["a.jpg", "b.png", "n.txt", "c.jpg"];
    let images = ["a.jpg", "b.png", "c.jpg"];
    let plain = packed(&names);
    let complete = plain.len() - 1024;
    for length in 1..complete + 512 {
        let found = read(&plain[..length]);
        let (last, before) = found.split_last().unwrap();
        assert_eq!(status(last), Status::BrokenArchive, "cut to {length}");
        assert_eq!(contents(before), images[..before.len()], "cut to {length}");
        // A member is 1,024 bytes here: its header and its padded data.
        assert!(before.len() + 1 >= (length / 1024).min(images.len()));
    }
    assert_eq!(contents(&read(&plain[..complete + 512])), images);

    let zipped = gzipped(&plain);
    for length in 1..zipped.len() {
        let found = read(&zipped[..length]);
        let (last, before) = found.split_last().unwrap();
        assert_eq!(contents(before), images[..before.len()]);
        assert_eq!(status(last), Status::BrokenArchive, "cut to {length}");
    }
}

#[test]
fn gzip_checksum_mismatch_is_reported_after_the_images() {
    let mut bytes = gzipped(&packed(&["a.jpg", "b.jpg"]));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    let found = read(&bytes);
    assert_eq!(contents(&found), ["a.jpg", "b.jpg", "<broken-archive>"]);
    let failure = found[2].image.as_ref().unwrap_err();
    assert!(failure.message.contains("its images may be damaged"), "{failure}");
}

#[test]
fn data_after_the_end_marker_are_reported() {
    let first = packed(&["a.jpg"]);
    let joined = [first.clone(), packed(&["b.jpg"])].concat();
    let zipped = [gzipped(&first), gzipped(&packed(&["b.jpg"]))].concat();
    for bytes in [&joined, &gzipped(&joined), &zipped] {
        let found = read(bytes);
        assert_eq!(contents(&found), ["a.jpg", "<broken-archive>"]);
        let failure = found[1].image.as_ref().unwrap_err();
        assert!(failure.message.contains("more data after its end marker"), "{failure}");
    }
    // Padding to the size of a record.
    let mut padded = first;
    padded.resize(20 << 10, 0);
    assert_eq!(contents(&read(&padded)), ["a.jpg"]);
    assert_eq!(contents(&read(&gzipped(&padded))), ["a.jpg"]);
}

#[test]
fn non_archives_are_rejected_with_a_reason() {
    assert_eq!(only_failure(b""), "the archive is empty");
    for bytes in [vec![b'x'; 100], vec![b'x'; 5000]] {
        assert!(only_failure(&bytes).contains("not a tar archive"));
    }
    assert!(only_failure(b"\xFD7zXZ\0 and more").contains("xz"));
    assert!(only_failure(&gzipped(b"")).contains("empty"));
    assert!(only_failure(b"\x1F\x8B then nothing like gzip").contains("cannot be read"));
}

#[test]
fn a_damaged_header_ends_the_archive() {
    let mut bytes = packed(&["a.jpg", "b.jpg", "c.jpg"]);
    bytes[1024] ^= 1;
    let found = read(&bytes);
    assert_eq!(contents(&found), ["a.jpg", "<broken-archive>"]);
    let failure = found[1].image.as_ref().unwrap_err();
    assert!(failure.message.contains("after a.jpg"), "{failure}");

    for records in [&b"99 path=x\n"[..], b"x", b"5 a\n", b"12 size=many\n", b"0 =\n"] {
        let mut bytes = member(b"x", EntryType::XHeader, records);
        bytes.extend(packed(&["a.jpg"]));
        assert!(only_failure(&bytes).contains("damaged"), "{records:?}");
    }
}

#[test]
fn missing_archive_yields_a_failed_item() {
    let folder = tree(&[]);
    let found = items(&[path(folder.path().join("gone.tar"))], false);
    assert_eq!(status(&found[0]), Status::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to the bytes, reading ends, and it ends at the first fault.
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        zipped in any::<bool>(),
    ) {
        let mut bytes = member(b"x", EntryType::XHeader, b"12 path=p.jpg\n");
        bytes.extend(packed(&["a.jpg", "b.jpg"]));
        if zipped {
            bytes = gzipped(&bytes);
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let broken = read(&bytes)
            .iter()
            .position(|item| item.image.as_ref().is_err_and(|f| f.status == Status::BrokenArchive));
        let found = read(&bytes);
        prop_assert!(found.len() <= 3);
        prop_assert!(broken.is_none_or(|at| at + 1 == found.len()));
    }
}
