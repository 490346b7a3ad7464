//! RecordIO files, written here as MXNet and InsightFace write them.

use std::path::Path;

use attn_fiqa::source::{SourceItem, SourceOptions, Sources};
use attn_fiqa::status::Status;

use super::{contents, encoded, items, open, path, relative_names, tree, write};

const MAGIC: [u8; 4] = [0x0a, 0x23, 0xd7, 0xce];

/// A record: its data are split wherever they contain the magic number at a multiple of 4 bytes.
fn record(data: &[u8]) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
    for word in data.chunks(4) {
        if word == MAGIC { parts.push(Vec::new()) } else { parts.last_mut().unwrap().extend(word) }
    }
    let last = parts.len() - 1;
    let mut bytes = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let kind = match number {
            _ if last == 0 => 0_u32,
            0 => 1,
            _ if number == last => 3,
            _ => 2,
        };
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(kind << 29 | part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// The header of an image record, `IRHeader`, and what follows it.
fn image(id: u64, labels: &[f32], bytes: &[u8]) -> Vec<u8> {
    let (flag, label) = match labels {
        [label] => (0, *label),
        labels => (labels.len() as u32, 0.0),
    };
    let mut data = flag.to_le_bytes().to_vec();
    data.extend_from_slice(&label.to_le_bytes());
    data.extend_from_slice(&id.to_le_bytes());
    data.extend_from_slice(&0_u64.to_le_bytes());
    if flag > 0 {
        data.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
    }
    data.extend_from_slice(bytes);
    data
}

/// A set of three images of two persons as packed by InsightFace, and its index with these keys.
fn insightface(keys: [u64; 6]) -> (Vec<u8>, String) {
    let odd = [b"abcd".as_slice(), &MAGIC, &MAGIC, b"end"].concat();
    let records = [
        image(0, &[4.0, 6.0], b""),
        image(1, &[0.0], b"one"),
        image(2, &[0.0, 7.0, 8.0], b"two."),
        image(3, &[1.0], &odd),
        image(4, &[1.0, 3.0], b""),
        image(5, &[3.0, 4.0], b""),
    ];
    let (mut file, mut index) = (Vec::new(), String::new());
    for (record_data, key) in records.iter().zip(keys) {
        index += &format!("{key}\t{}\n", file.len());
        file.extend(record(record_data));
    }
    (file, index)
}

fn names(items: &[SourceItem]) -> Vec<&str> {
    items.iter().map(|item| item.path.rsplit('/').next().unwrap()).collect()
}

#[test]
fn identity_records_are_skipped_and_order_kept() {
    let folder = tree(&[]);
    let file = folder.path().join("train.rec");
    let (bytes, index) = insightface([0, 1, 2, 3, 4, 5]);
    write(&file, &bytes);
    for with_index in [false, true] {
        if with_index {
            write(&folder.path().join("train.idx"), index.as_bytes());
        }
        let mut sources = open(&[path(&file)], false).unwrap();
        let found: Vec<_> = sources.by_ref().collect();
        assert_eq!(names(&found), ["train.rec#1", "train.rec#2", "train.rec#3"]);
        assert_eq!(relative_names(&found), ["1", "2", "3"]);
        assert_eq!([encoded(&found[0]), encoded(&found[1])], [b"one".as_slice(), b"two."]);
        assert_eq!(encoded(&found[2]), [b"abcd".as_slice(), &MAGIC, &MAGIC, b"end"].concat());
        assert_eq!(sources.skipped(), 0);
        let rest: Vec<_> = open(&[path(&file)], false).unwrap().skip(2).collect();
        assert_eq!(rest, found[2..]);
    }
    // The relative names of a pattern start with that of the file.
    let found = items(&[path(folder.path().join("*.rec"))], false);
    assert_eq!(relative_names(&found)[0], "train.rec/1");
    // Recognised by content, under any other name.
    write(&folder.path().join("data.bin"), &bytes);
    let found = items(&[path(folder.path().join("data.bin"))], false);
    assert_eq!(names(&found), ["data.bin#1", "data.bin#2", "data.bin#3"]);
}

#[test]
fn record_keys_come_from_the_index() {
    let folder = tree(&[]);
    let (bytes, index) = insightface([10, 17, 3, 12, 40, 50]);
    let file = folder.path().join("a.rec");
    write(&file, &bytes);
    write(&folder.path().join("a.idx"), index.as_bytes());
    assert_eq!(names(&items(&[path(&file)], false)), ["a.rec#17", "a.rec#3", "a.rec#12"]);
    // Without the line of the third record.
    let lines: Vec<_> = index.lines().enumerate().filter(|(at, _)| *at != 2).collect();
    let wrong: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    for wrong in [wrong.as_str(), "0\t0\n17\t36\nno line\n", "0\t0\n17\t36\n"] {
        write(&folder.path().join("a.idx"), wrong.as_bytes());
        let found = items(&[path(&file)], false);
        let failure = found.last().unwrap().image.as_ref().unwrap_err();
        assert_eq!(failure.status, Status::BrokenArchive);
        assert!(failure.message.contains(".idx"), "{failure}");
        assert_eq!(found.last().unwrap().path, file.to_string_lossy());
    }
}

#[test]
fn wrong_magic_number_ends_only_that_file() {
    let folder = tree(&["a.jpg"]);
    let (mut bytes, _) = insightface([0; 6]);
    let second =
        record(&image(0, &[4.0, 6.0], b"")).len() + record(&image(1, &[0.0], b"one")).len();
    bytes[second] ^= 1;
    write(&folder.path().join("a.rec"), &bytes);
    let inputs = [path(folder.path().join("a.rec")), path(folder.path().join("a.jpg"))];
    let found = items(&inputs, false);
    assert_eq!(contents(&found), ["one", "<broken-archive>", "a.jpg"]);
    let failure = found[1].image.as_ref().unwrap_err();
    assert!(failure.message.contains(&format!("byte {second}")), "{failure}");
}

#[test]
fn bad_records_fail_without_stopping_the_file() {
    let folder = tree(&[]);
    let file = folder.path().join("a.rec");
    let mut many_labels = image(0, &[1.0], b"abc");
    many_labels[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let records = [
        b"short".to_vec(),
        many_labels,
        image(2, &[1.0], b""),
        image(3, &[1.0], &[7; 20]),
        image(4, &[1.0], &[7; 100_000]),
        image(5, &[1.0], b"last"),
    ];
    write(&file, &records.iter().flat_map(|data| record(data)).collect::<Vec<_>>());
    let options = SourceOptions { max_bytes: 19, ..SourceOptions::default() };
    let found: Vec<_> = Sources::open(&[path(&file)], &options).unwrap().collect();
    let expected = ["<broken-image>", "<broken-image>", "<broken-image>", "<too-large>"];
    assert_eq!(contents(&found)[..4], expected);
    assert_eq!(contents(&found)[4..], ["<too-large>", "last"]);
}

#[test]
fn non_record_files_are_rejected_with_a_reason() {
    let folder = tree(&["text.rec", "empty.rec"]);
    let at = |name: &str| folder.path().join(name);
    write(&at("empty.rec"), b"");
    let message = |file: &Path| {
        let found = items(&[path(file)], false);
        let failure = found[0].image.clone().unwrap_err();
        assert_eq!(failure.status, Status::BrokenArchive);
        failure.message
    };
    assert!(message(&at("text.rec")).contains("not a RecordIO file"));
    assert!(message(&at("empty.rec")).contains("empty"));
}
