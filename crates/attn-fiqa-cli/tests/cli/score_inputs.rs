//! Every kind of input with images.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use crate::support::{TestDir, face_bytes};

/// `faces` with two faces, a note, and one face in a subfolder; a list of them.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    here.face("blur-3.png", "faces/b.png");
    here.face("jpeg-1.jpg", "faces/a.JPG");
    here.face("turn-1.png", "faces/more/c.png");
    here.write("faces/notes.txt", "not a picture, and not named as one\n");
    here.write("list.txt", "b.png\r\n\r\nmore/c.png\r\na.JPG");
    here.write("pack.tar", tar(&["more/c.png", "a.JPG", "b.png"]));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&tar(&["b.png", "a.JPG"])).unwrap();
    here.write("pack.tar.gz", gzip.finish().unwrap());
    here.write("pack.zip", zip(&["b.png", "a.JPG", "more/c.png"]));
    here
}

/// The bytes stored in an archive under a name.
fn packed(name: &str) -> Vec<u8> {
    match name {
        "a.JPG" => face_bytes("jpeg-1.jpg"),
        "b.png" => face_bytes("blur-3.png"),
        "more/c.png" => face_bytes("turn-1.png"),
        _ => b"not a picture\n".to_vec(),
    }
}

/// As [`tar`], as a zip archive.
fn zip(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for name in names.iter().chain(&["notes.txt"]) {
        let builder = archive.new_file(*name);
        let builder = builder.compression_method(rawzip::CompressionMethod::DEFLATE);
        let (mut entry, config) = builder.start().unwrap();
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
        writer.write_all(&packed(name)).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// An archive of the files in the test directory by their names below `faces`, and one that is not an image.
fn tar(names: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in names.iter().chain(&["notes.txt"]) {
        let bytes = packed(name);
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Runs `score` and asserts that these paths come in this order, all of them scored, and that the
/// same face has the same score whatever its input.
#[track_caller]
fn assert_paths(here: &TestDir, args: &[&str], input: &[u8], expected: &[&str]) {
    let reference = ["faces/a.JPG", "faces/b.png", "faces/more/c.png"];
    let scores =
        here.run(&[&["score", "--aligned"], &reference[..]].concat()).ended_with(0).table();
    let (scores, qualities) = (scores.column("score"), scores.column("quality"));
    let ran = here.run_with_stdin(&[&["score", "--aligned"], args].concat(), input).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("path"), expected);
    for row in &table.rows {
        let face = ["a.JPG", "b.png", "c.png"].iter().position(|face| row[0].ends_with(face));
        let face = face.unwrap();
        assert_eq!(row[1..], ["ok", scores[face], qualities[face], ""], "{}", row[0]);
    }
}

#[test]
fn files_keep_argument_order_and_duplicates() {
    let paths = ["faces/b.png", "./faces/a.JPG", "faces/b.png"];
    assert_paths(&test_dir(), &paths, b"", &paths);
}

#[test]
fn folder_images_are_sorted_by_name() {
    let here = test_dir();
    let all = ["faces/a.JPG", "faces/b.png", "faces/more/c.png"];
    assert_paths(&here, &["faces"], b"", &all);
    let ran = here.run(&["score", "faces"]);
    let note = "note: 1 file that is not an image skipped\n";
    assert_eq!(ran.said(), format!("3 scored\n{note}"));
}

#[test]
#[cfg(unix)]
fn links_to_folders_are_counted_separately() {
    let here = test_dir();
    for name in ["faces/link", "faces/other"] {
        std::os::unix::fs::symlink("more", here.path(name)).unwrap();
    }
    let note = "note: 1 file that is not an image skipped\n\
                note: 2 links to folders not followed: name those folders, or use a pattern\n";
    assert_eq!(here.run(&["score", "faces"]).said(), format!("3 scored\n{note}"));
    // Both ways are possible.
    for input in ["faces/link", "faces/link*/*.png"] {
        let table = here.run(&["score", input]).ended_with(0).table();
        assert_eq!(table.column("path"), ["faces/link/c.png"]);
    }
}

#[test]
fn image_on_stdin_is_scored() {
    let here = test_dir();
    let face = here.read("faces/b.png");
    let ran = here.run_with_stdin(&["score", "-"], &face).ended_with(0);
    let file = here.run(&["score", "faces/b.png"]);
    assert_eq!(ran.table().column("path"), ["-"]);
    assert_eq!(ran.table().column("score"), file.table().column("score"));
    let outcomes = |bytes: &[u8]| here.run_with_stdin(&["score", "-"], bytes).ended_with(1).table();
    assert_eq!(outcomes(b"").column("status"), ["unreadable"]);
    assert_eq!(outcomes(b"no image").column("status"), ["not-an-image"]);
    assert_eq!(outcomes(&here.read("pack.zip")).column("status"), ["not-an-image"]);
    here.run_with_stdin(&["score", "-", "-"], &face).refused_with("standard input was named twice");
    here.run_with_stdin(&["score", "-", "--list", "-"], &face).refused_with("named twice");
}

#[test]
fn no_recursive_excludes_subfolders() {
    let here = test_dir();
    let expected = ["faces/a.JPG", "faces/b.png"];
    assert_paths(&here, &["faces", "--no-recursive"], b"", &expected);
}

#[test]
fn glob_patterns_expand_to_matching_inputs() {
    let here = test_dir();
    assert_paths(&here, &["faces/*.png"], b"", &["faces/b.png"]);
    assert_paths(&here, &["faces/**/[bc].png"], b"", &["faces/b.png", "faces/more/c.png"]);
    assert_paths(&here, &["faces/more*"], b"", &["faces/more/c.png"]);
    assert_paths(
        &here,
        &["pack*"],
        b"",
        &[
            "pack.tar/more/c.png",
            "pack.tar/a.JPG",
            "pack.tar/b.png",
            "pack.tar.gz/b.png",
            "pack.tar.gz/a.JPG",
            "pack.zip/b.png",
            "pack.zip/a.JPG",
            "pack.zip/more/c.png",
        ],
    );
}

#[test]
fn existing_file_takes_precedence_over_glob() {
    let here = test_dir();
    here.face("jpeg-1.jpg", "[x]a.JPG");
    assert_paths(&here, &["[x]a.JPG"], b"", &["[x]a.JPG"]);
}

#[test]
fn list_keeps_order_and_resolves_against_root() {
    let here = test_dir();
    let expected = ["b.png", "more/c.png", "a.JPG"];
    assert_paths(&here, &["--list", "list.txt", "--root", "faces"], b"", &expected);
    here.write("from-here.txt", "faces/a.JPG\nfaces/b.png\n");
    assert_paths(&here, &["--list", "from-here.txt"], b"", &["faces/a.JPG", "faces/b.png"]);
}

#[test]
fn list_is_read_from_stdin() {
    let here = test_dir();
    let args = ["--list", "-", "--root", "faces"];
    assert_paths(&here, &args, b"\xEF\xBB\xBFb.png\na.JPG\n", &["b.png", "a.JPG"]);
    assert_paths(&here, &["--list", "-"], b"faces/b.png", &["faces/b.png"]);
}

#[test]
fn tar_members_are_scored_in_order_without_unpacking() {
    let here = test_dir();
    let plain = ["pack.tar/more/c.png", "pack.tar/a.JPG", "pack.tar/b.png"];
    assert_paths(&here, &["pack.tar"], b"", &plain);
    let packed = ["b.png", "a.JPG"];
    assert_paths(
        &here,
        &["pack.tar.gz"],
        b"",
        &packed.map(|name| ["pack.tar.gz/", name].concat()).each_ref().map(String::as_str),
    );
    let before = here.files("");
    here.run(&["score", "pack.tar", "pack.tar.gz"]).ended_with(0);
    assert_eq!(here.files(""), before, "nothing is unpacked");
}

#[test]
fn mixed_inputs_keep_order_with_list_last() {
    assert_paths(
        &test_dir(),
        &[
            "--list",
            "list.txt",
            "--root",
            "faces",
            "faces/more",
            "pack.tar.gz",
            "faces/a*",
            "faces/b.png",
        ],
        b"",
        &[
            "faces/more/c.png",
            "pack.tar.gz/b.png",
            "pack.tar.gz/a.JPG",
            "faces/a.JPG",
            "faces/b.png",
            "b.png",
            "more/c.png",
            "a.JPG",
        ],
    );
}

#[test]
fn utf16_and_null_separated_lists_are_read() {
    let here = test_dir();
    let text = "\u{feff}faces/a.JPG\r\nfaces/b.png 1\r\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    here.write("powershell.txt", utf16);
    let expected = ["faces/a.JPG", "faces/b.png"];
    assert_paths(&here, &["--list", "powershell.txt"], b"", &expected);
    for option in ["-0", "--null"] {
        let input = b"faces/a.JPG\0faces/b.png\0";
        assert_paths(&here, &["--list", "-", option], input, &expected);
    }
}

#[test]
fn hard_links_in_archives_are_scored() {
    let here = test_dir();
    let mut builder = tar::Builder::new(Vec::new());
    let face = face_bytes("blur-3.png");
    let mut header = tar::Header::new_gnu();
    header.set_size(face.len() as u64);
    builder.append_data(&mut header, "b.png", &face[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Link);
    builder.append_link(&mut header, "person/b.png", "b.png").unwrap();
    here.write("linked.tar", builder.into_inner().unwrap());
    assert_paths(&here, &["linked.tar"], b"", &["linked.tar/b.png", "linked.tar/person/b.png"]);
}

#[test]
fn zip_images_are_scored_and_truncation_is_reported() {
    let here = test_dir();
    let paths = ["pack.zip/b.png", "pack.zip/a.JPG", "pack.zip/more/c.png"];
    assert_paths(&here, &["pack.zip"], b"", &paths);
    let ran = here.run(&["score", "pack.zip"]).ended_with(0);
    assert!(ran.stderr.contains("1 file that is not an image skipped"), "{}", ran.stderr);

    let whole = here.read("pack.zip");
    here.write("cut.zip", &whole[..whole.len() - 30]);
    let ran = here.run(&["score", "cut.zip", "pack.zip"]).ended_with(1);
    let outcomes = ran.table();
    let outcomes = outcomes.outcomes();
    assert_eq!(outcomes[0][..2], ["cut.zip", "broken-archive"]);
    assert!(outcomes[0][2].contains("truncated or damaged"), "{}", outcomes[0][2]);
    assert!(outcomes[1..].iter().all(|[_, status, _]| *status == "ok"));
}
