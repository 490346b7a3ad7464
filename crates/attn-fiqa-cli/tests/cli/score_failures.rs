//! Bad images from every source: each is one row that says what is wrong with it.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{
    CUT, EMPTY, MISSING, NOT_AN_IMAGE, TestDir, WRONG_SIZE, face_bytes, wide_image,
};

/// `bad` with the bad images and one good one.
fn test_dir() -> TestDir {
    let here = TestDir::new();
    here.bad_images("bad");
    here.face("blur-1.png", "bad/good.png");
    here
}

/// The outcomes for the images in the test directory, in the order of their names.
const OUTCOMES: [[&str; 3]; 5] = [
    ["cut.png", "broken-image", CUT],
    ["empty.png", "broken-image", EMPTY],
    ["good.png", "ok", ""],
    ["text.png", "not-an-image", NOT_AN_IMAGE],
    ["wide.png", "wrong-size", WRONG_SIZE],
];

#[track_caller]
fn assert_outcomes(here: &TestDir, args: &[&str], input: &[u8], expected: &[[&str; 3]]) {
    let ran = here.run_with_stdin(&[&["score", "--aligned"], args].concat(), input).ended_with(1);
    let table = ran.table();
    assert_eq!(table.outcomes(), expected);
    for row in &table.rows {
        assert_eq!(row[2].is_empty(), row[1] != "ok", "a score where there is one: {row:?}");
    }
    let failed = expected.iter().filter(|outcome| outcome[1] != "ok").count();
    let summary = format!("{} scored, {failed} failed (", expected.len() - failed);
    assert!(ran.stderr.contains(&summary), "{}", ran.stderr);
}

/// The outcomes with a prefix before each name.
fn below(place: &str) -> Vec<[String; 3]> {
    OUTCOMES
        .map(|[name, status, message]| [format!("{place}{name}"), status.into(), message.into()])
        .into()
}

fn borrowed(outcomes: &[[String; 3]]) -> Vec<[&str; 3]> {
    outcomes.iter().map(|outcome| outcome.each_ref().map(String::as_str)).collect()
}

#[test]
fn bad_files_become_failed_rows() {
    let here = test_dir();
    let jpeg = face_bytes("jpeg-1.jpg");
    here.write("cut.jpg", &jpeg[..jpeg.len() / 2]);
    let mut picture = face_bytes("blur-1.png");
    let middle = picture.len() / 2;
    picture[middle] ^= 0x55;
    here.write("flipped.png", &picture);
    let pictures = below("bad/");
    let mut expected = borrowed(&pictures);
    expected.push(["gone.png", "not-found", MISSING]);
    expected.push(["good.png/x.png", "not-found", MISSING]);
    here.face("blur-1.png", "good.png");
    let paths: Vec<&str> = expected.iter().map(|[path, ..]| *path).collect();
    assert_outcomes(&here, &paths, b"", &expected);

    let table = here.run(&["score", "cut.jpg", "flipped.png"]).ended_with(1).table();
    assert_eq!(table.column("status"), ["broken-image", "broken-image"]);
    let messages = table.column("message");
    assert!(messages[0].starts_with("the file ends before the image is complete"), "{messages:?}");
    assert!(messages[1].starts_with("the image's data are damaged: "), "{messages:?}");
}

#[test]
#[cfg(unix)]
fn broken_links_and_devices_become_failed_rows() {
    let here = test_dir();
    std::os::unix::fs::symlink("nowhere", here.path("link.png")).unwrap();
    std::os::unix::fs::symlink("/dev/null", here.path("device.png")).unwrap();
    let expected = [
        ["link.png", "not-found", "this is a link to a file that does not exist"],
        [
            "device.png",
            "unreadable",
            "this is a pipe, socket or device, but a regular file was expected",
        ],
    ];
    assert_outcomes(&here, &["link.png", "device.png"], b"", &expected);
}

#[test]
fn bad_files_in_folders_and_globs_are_reported() {
    let here = test_dir();
    let expected = below("bad/");
    assert_outcomes(&here, &["bad"], b"", &borrowed(&expected));
    assert_outcomes(&here, &["bad/*.png"], b"", &borrowed(&expected));
}

#[test]
fn folders_and_globs_without_images_are_rejected() {
    let here = test_dir();
    here.write("texts/a.txt", "");
    here.write("outer/inner/readme.md", "");
    here.run(&["score", "texts"]).refused(
        "texts: no image in this folder (jpg, png, webp, gif, bmp, tif, jp2, jxl, ppm and others)",
    );
    here.run(&["score", "outer"]).refused(
        "outer: no image in this folder (jpg, png, webp, gif, bmp, tif, jp2, jxl, ppm and others)",
    );
    here.run(&["score", "bad/good.png", "outer", "--no-recursive"]).refused(
        "outer: no image in this folder (jpg, png, webp, gif, bmp, tif, jp2, jxl, ppm and others); it has \
         subfolders, which are searched only recursively (without --no-recursive they are searched)",
    );
    here.run(&["score", "bad/*.jpg"])
        .refused("bad/*.jpg: no such file, and nothing matches it as a pattern");
    here.run(&["score", "bad/[.png"])
        .refused_with("bad/[.png: no such file, and not a valid pattern: ");
    assert_outcomes(
        &here,
        &["gone-folder", "bad/good.png"],
        b"",
        &[["gone-folder", "not-found", MISSING], ["bad/good.png", "ok", ""]],
    );
}

#[test]
fn bad_list_entries_become_failed_rows() {
    let here = test_dir();
    let lists = below("");
    let mut expected = borrowed(&lists);
    expected.push(["gone.png", "not-found", MISSING]);
    expected.push(["../bad", "unreadable", "this is a folder, but a file was expected"]);
    let text: String = expected.iter().map(|[path, ..]| format!("{path}\n")).collect();
    here.write("list.txt", &text);
    assert_outcomes(&here, &["--list", "list.txt", "--root", "bad"], b"", &expected);
    assert_outcomes(&here, &["--list", "-", "--root", "bad"], text.as_bytes(), &expected);

    let long = [vec![b'x'; 100_000], b"\nbad/good.png\n".to_vec()].concat();
    assert_outcomes(
        &here,
        &["--list", "-"],
        &long,
        &[
            [
                "standard input, line 1",
                "unreadable",
                "the line is longer than 65536 bytes and cannot be a path",
            ],
            ["bad/good.png", "ok", ""],
        ],
    );
}

#[test]
fn missing_list_paths_get_a_root_hint() {
    let here = test_dir();
    let advice = format!(
        "{MISSING} below the current directory: if the list's paths start elsewhere, give that \
         folder as the list's root"
    );
    assert_outcomes(
        &here,
        &["--list", "-"],
        b"good.png\nbad/good.png\n",
        &[["good.png", "not-found", &advice], ["bad/good.png", "ok", ""]],
    );
}

#[test]
fn unreadable_list_or_root_is_rejected() {
    let here = test_dir();
    here.run(&["score", "--list", "gone.txt"]).refused_with("gone.txt: the list cannot be read: ");
    here.run(&["score", "--list", "bad"]).refused_with("bad: the list cannot be read: ");
    here.write("list.txt", "good.png\n");
    here.run(&["score", "--list", "list.txt", "--root", "gone"])
        .refused("gone: the list's root is not a folder");
    here.run(&["score", "bad/good.png", "--root", "bad"])
        .refused_with("the following required arguments were not provided:\n  --list <FILE>");
}

#[test]
fn missing_input_prints_usage() {
    let here = test_dir();
    for command in ["score", "map"] {
        let ran = here.run(&[command]).ended_with(2);
        assert!(
            ran.stderr.starts_with("error: the following required arguments were not provided:\n")
                && ran.stderr.contains("<INPUT>...")
                && ran.stderr.contains(&format!("Usage: attn-fiqa {command} ")),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout(), "");
    }
}

/// An archive of the images in the test directory, and the offset of the last one's data.
fn tar(names: &[[&str; 3]]) -> (Vec<u8>, usize) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut last = 0;
    for [name, ..] in names {
        let picture = face_bytes("blur-1.png");
        let bytes = match *name {
            "cut.png" => picture[..picture.len() / 2].to_vec(),
            "empty.png" => Vec::new(),
            "text.png" => b"this is a text and no picture\n".to_vec(),
            "wide.png" => wide_image(),
            _ => picture,
        };
        last = builder.get_ref().len() + 512;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    (builder.into_inner().unwrap(), last)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn bad_archive_members_become_failed_rows() {
    let here = test_dir();
    let (archive, _) = tar(&OUTCOMES);
    here.write("pack.tar", &archive);
    here.write("pack.tgz", gzip(&archive));
    let outcomes = [below("pack.tar/"), below("pack.tgz/")].concat();
    assert_outcomes(&here, &["pack.tar", "pack.tgz"], b"", &borrowed(&outcomes));
}

#[test]
fn truncated_archive_yields_complete_members_and_error_row() {
    let here = test_dir();
    let (archive, last) = tar(&OUTCOMES);
    let cut = &archive[..last + 1000];
    let message = "the archive ends in or after wide.png, without its end marker: it is \
                   truncated; copy or download it again";
    for (name, bytes) in [("pack.tar", cut.to_vec()), ("pack.tar.gz", gzip(cut))] {
        here.write(name, bytes);
        let mut outcomes = below(&format!("{name}/"));
        outcomes.pop();
        outcomes.push([name.into(), "broken-archive".into(), message.into()]);
        assert_outcomes(&here, &[name], b"", &borrowed(&outcomes));
    }
    // Here the compressed stream itself is truncated, at some point.
    let packed = gzip(&archive);
    here.write("pack.tar.gz", &packed[..packed.len() / 2]);
    let table = here.run(&["score", "pack.tar.gz"]).ended_with(1).table();
    let last = table.outcomes().pop().unwrap();
    assert_eq!(last[..2], ["pack.tar.gz", "broken-archive"]);
    assert!(last[2].contains("truncated"), "{}", last[2]);
    let paths = table.column("path");
    assert_eq!(paths.iter().filter(|path| **path == "pack.tar.gz").count(), 1);
}

#[test]
fn invalid_tar_files_become_failed_rows() {
    let here = test_dir();
    here.write("empty.tar", "");
    here.write("text.tar", "a text");
    here.write("text.tar.gz", "a text");
    here.write("packed.tar", b"BZh91AY&SY and so on");
    fs::create_dir(here.path("folder.tar")).unwrap();
    here.face("blur-1.png", "folder.tar/good.png");
    let no_tar = "this is not a tar archive, though its name says so";
    let bzip2 = "the archive is compressed with bzip2, but only gzip is supported: decompress it \
                 first";
    let expected = [
        ["empty.tar", "broken-archive", "the archive is empty"],
        ["text.tar", "broken-archive", no_tar],
        ["text.tar.gz", "broken-archive", no_tar],
        ["packed.tar", "broken-archive", bzip2],
        ["gone.tar", "not-found", MISSING],
        ["folder.tar/good.png", "ok", ""],
    ];
    let inputs = ["empty.tar", "text.tar", "text.tar.gz", "packed.tar", "gone.tar", "folder.tar"];
    assert_outcomes(&here, &inputs, b"", &expected);
}

#[test]
fn unsupported_images_in_folders_are_reported() {
    let here = TestDir::new();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    here.write("album/IMG_1.HEIC", heic);
    here.write("album/export.bin", heic);
    here.write("album/._IMG_1.jpg", b"\0\x05\x16\x07");
    here.write("album/notes.txt", "no picture");
    let ran = here.run(&["score", "album", "--format", "csv"]).ended_with(1);
    let rows: Vec<&str> = ran.stdout().lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in rows {
        assert!(row.contains("unsupported-image") && row.contains("HEIC format"), "{row}");
    }
    assert!(ran.said().contains("2 files that are not images skipped"), "{}", ran.said());
}

#[test]
fn video_input_suggests_best_command() {
    let here = TestDir::new();
    here.write("a.mp4", b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2");
    let ran = here.run(&["score", "a.mp4", "--format", "csv"]).ended_with(1);
    assert!(ran.stdout().contains("not-an-image"), "{}", ran.stdout());
    assert!(ran.stdout().contains("`best` reads videos frame by frame"), "{}", ran.stdout());
}
