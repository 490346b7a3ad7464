//! `best`: which faces are selected from each folder, track, person and video.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame};

use crate::support::{CommandResult, Table, TestDir, face_bytes};

fn test_dir() -> TestDir {
    let here = TestDir::new();
    for face in ["astronaut.png", "dark-5.png", "occlude-5.png"] {
        here.face(face, &format!("a/{face}"));
    }
    for face in ["blur-5.png", "turn-5.png"] {
        here.face(face, &format!("b/{face}"));
    }
    here
}

/// Path and score of each face, best first.
fn scored(here: &TestDir, inputs: &[&str]) -> Vec<(String, f32)> {
    let ran = here.run(&[&["score"], inputs].concat()).ended_with(0);
    let table = ran.table();
    let paths = table.column("path").into_iter().map(str::to_owned);
    let mut faces: Vec<(String, f32)> = paths.zip(table.numbers("score")).collect();
    faces.sort_by(|a, b| b.1.total_cmp(&a.1));
    faces
}

fn chosen(table: &Table) -> Vec<[&str; 3]> {
    let rows = table.column("group").into_iter().zip(table.column("rank"));
    rows.zip(table.column("path")).map(|((group, rank), path)| [group, rank, path]).collect()
}

#[test]
fn best_faces_per_folder_have_highest_scores() {
    let here = test_dir();
    let all = ["--top", "9", "--same-picture", "2"];
    let ran = here.run(&[&["best", "a", "b"], &all[..]].concat()).ended_with(0);
    assert!(ran.said().contains("5 chosen of 5 faces in 2 groups"), "{}", ran.stderr);
    let table = ran.table();
    let mut expected = Vec::new();
    for folder in ["a", "b"] {
        for (rank, (path, score)) in scored(&here, &[folder]).into_iter().enumerate() {
            expected.push((folder.to_owned(), (rank + 1).to_string(), path, score));
        }
    }
    let found = chosen(&table).into_iter().zip(table.numbers("score"));
    let found = found.map(|([group, rank, path], score)| {
        (group.to_owned(), rank.to_owned(), path.to_owned(), score)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(table.column("of"), ["3", "3", "3", "2", "2"]);
    assert_eq!(table.column("why")[0], "best score of 3");

    // One each unless more are requested.
    let one = here.run(&["best", "a", "b"]).ended_with(0);
    let firsts = [expected[0].2.as_str(), expected[3].2.as_str()];
    assert_eq!(one.table().column("path"), firsts);
}

#[test]
fn near_duplicates_are_left_out_and_counted() {
    let here = TestDir::new();
    for copy in ["1.png", "2.png", "3.png"] {
        here.face("astronaut.png", &format!("a/{copy}"));
    }
    let best = |limit: &str| {
        let args = ["best", "a", "--top", "5", "--same-picture", limit];
        here.run(&args).ended_with(0)
    };
    let ran = best("0.95");
    assert_eq!(ran.table().column("path"), ["a/1.png"]);
    assert_eq!(ran.table().column("duplicates"), ["2"]);
    assert!(ran.table().column("why")[0].ends_with("; 2 near-duplicates left out"));
    assert_eq!(best("1.5").table().column("path"), ["a/1.png", "a/2.png", "a/3.png"]);
}

#[test]
fn faces_are_grouped_by_track_or_identity() {
    let here = test_dir();
    here.write(
        "tracks.csv",
        "path,face,track\na/astronaut.png,,left\na/dark-5.png,0,right\nblur-5.png,,left\n",
    );
    let all = ["--top", "9", "--same-picture", "2", "a", "b"];
    let best = |args: &[&str]| here.run(&[&["best"], args, &all[..]].concat());
    let ran = best(&["--tracks", "tracks.csv"]).ended_with(0);
    let table = ran.table();
    let mut groups: Vec<(&str, &str)> =
        table.column("group").into_iter().zip(table.column("path")).collect();
    groups.sort_unstable();
    let expected =
        [("left", "a/astronaut.png"), ("left", "b/blur-5.png"), ("right", "a/dark-5.png")];
    assert_eq!(groups, expected);
    assert!(ran.said().contains("note: 2 × left out, not in any track"), "{}", ran.stderr);

    // Every cosine is at least −1, and none exceeds 1.
    let persons = |cosine: &str| {
        let args = ["--group-by", "identity", "--same-identity", cosine];
        let ran = best(&args).ended_with(0);
        let table = ran.table();
        let groups: Vec<String> = table.column("group").into_iter().map(str::to_owned).collect();
        (groups, table.numbers("score"))
    };
    let (groups, scores) = persons("-1");
    assert_eq!(groups, ["person-1"; 5]);
    assert!(scores.is_sorted_by(|a, b| a >= b));
    let (mut groups, _) = persons("1.01");
    groups.sort();
    assert_eq!(groups, [1, 2, 3, 4, 5].map(|number| format!("person-{number}")));
}

#[test]
fn invalid_options_and_track_files_are_rejected() {
    let here = test_dir();
    let best = |args: &[&str]| here.run(&[&["best", "a"], args].concat());
    let track = |text: &str| {
        here.write("tracks.csv", text);
        best(&["--tracks", "tracks.csv"])
    };
    track("a,b\nc\n").refused_with("tracks.csv, line 2: expected path,track or path,face,track");
    track("a,x,b\n")
        .refused_with("line 1: expected a face number, counted from 0, or nothing; found 'x'");
    track("path,track\n").refused_with("found no track");
    track(",t\n").refused_with("an empty path or track");
    best(&["--tracks", "gone.csv"]).refused_with("gone.csv");
    best(&["--group-by", "track-file"]).refused_with("--tracks FILE.csv");
    best(&["--output", "rows.parquet"]).refused_with("'.parquet'");
    for args in [["--top", "0"], ["--fps", "0"], ["--every", "0"]] {
        best(&args).ended_with(2);
    }
}

#[test]
fn best_faces_are_written_as_crops_and_jsonl() {
    let here = test_dir();
    let args = ["best", "a", "b", "--crops", "out", "--output", "rows.jsonl"];
    let ran = here.run(&args).ended_with(0);
    assert_eq!(ran.stdout(), "");
    assert_eq!(here.files("out"), ["a.best-1.png", "b.best-1.png"]);
    let rows = here.read_text("rows.jsonl");
    let rows: Vec<serde_json::Value> =
        rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["crop"], "a.best-1.png");
    assert_eq!(
        (&rows[0]["rank"], &rows[0]["inter_eye_distance"]),
        (&1.into(), &serde_json::Value::Null)
    );
    let winner = rows[0]["path"].as_str().unwrap();
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
    assert_eq!(pixels(&here.read("out/a.best-1.png")), pixels(&here.read(winner)));

    here.run(&args).refused_with("'out' is not empty");
    let skipped = [args.as_slice(), &["--skip-existing"]].concat();
    let again = here.run(&skipped).ended_with(1);
    assert!(again.said().contains("not-written"), "{}", again.stderr);
}

fn picture(face: &str) -> DynamicImage {
    image::load_from_memory(&face_bytes(face)).unwrap()
}

#[test]
fn animation_frames_without_faces_are_not_failures() {
    let here = TestDir::new();
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new(&mut gif);
    let grey = DynamicImage::ImageRgb8(image::RgbImage::from_pixel(240, 240, image::Rgb([90; 3])));
    for frame in [&grey, &photo(), &grey] {
        encoder.encode_frame(Frame::new(frame.to_rgba8())).unwrap();
    }
    drop(encoder);
    here.write("clips/wave.gif", gif);
    let ran = here.run(&["best", "clips", "--top", "3", "--largest"]).ended_with(0);
    assert_eq!(chosen(&ran.table()), [["clips/wave.gif", "1", "clips/wave.gif#1"]]);
    assert!(ran.said().contains("note: 2 × without a face"), "{}", ran.stderr);
    assert!(ran.table().column("why")[0].contains("pixels between the eyes"));
}

/// A face with large margins, in an image small enough for fast detection.
fn photo() -> DynamicImage {
    let mut photo = image::RgbImage::from_pixel(240, 240, image::Rgb([90; 3]));
    image::imageops::overlay(&mut photo, &picture("astronaut.png").to_rgb8(), 64, 64);
    DynamicImage::ImageRgb8(photo)
}

/// Installs a program `ffmpeg` in `bin` and runs `best` with only that folder on its path.
#[cfg(unix)]
fn with_ffmpeg(here: &TestDir, script: Option<&str>, args: &[&str]) -> CommandResult {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(here.path("bin")).unwrap();
    if let Some(script) = script {
        here.write("bin/ffmpeg", format!("#!/bin/sh\n{script}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(here.path("bin/ffmpeg"), mode).unwrap();
    }
    let mut command = here.command(&[&["best"], args].concat());
    CommandResult::from(command.env("PATH", here.path("bin")).output().unwrap())
}

#[cfg(unix)]
#[test]
fn videos_are_read_from_ffmpeg() {
    let here = TestDir::new();
    here.write("clip.mp4", "not looked at by this ffmpeg");
    for (name, face) in [("0.bmp", "blur-5.png"), ("1.bmp", "astronaut.png")] {
        let mut bmp = Vec::new();
        let to = &mut std::io::Cursor::new(&mut bmp);
        picture(face).to_rgb8().write_to(to, image::ImageFormat::Bmp).unwrap();
        here.write(name, bmp);
    }
    // It records its arguments and sends two frames.
    let script = "echo \"$@\" > called; while read -r line; do :; done; /bin/cat 0.bmp 1.bmp";
    let args = ["clip.mp4", "--top", "2", "--same-picture", "2", "--every", "5"];
    let ran = with_ffmpeg(&here, Some(script), &args).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("group"), ["clip.mp4"; 2]);
    assert_eq!(table.column("path"), ["clip.mp4#5", "clip.mp4#0"]);
    let called = here.read_text("called");
    for part in ["-nostdin", "-i file:/", "/clip.mp4 ", r"not(mod(n\,5))", "-c:v bmp"] {
        assert!(called.contains(part), "'{part}' is not in {called}");
    }
    with_ffmpeg(&here, Some(script), &["clip.mp4", "--fps", "2.5"]).ended_with(0);
    assert!(here.read_text("called").contains("fps=2.5"));
}

#[cfg(unix)]
#[test]
fn ffmpeg_errors_are_reported_as_failures() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("clip.mkv", "a film");
    let said = |script: Option<&str>| {
        let ran = with_ffmpeg(&here, script, &["clip.mkv", "blur-1.png"]).ended_with(1);
        // The run continues.
        assert_eq!(ran.table().column("path"), ["blur-1.png"]);
        ran.stderr
    };
    let missing = said(None);
    assert!(missing.contains("apt-get install ffmpeg"), "{missing}");
    let bad = said(Some("echo 'moov atom not found' >&2; exit 1"));
    assert!(bad.contains("exit status: 1; it printed: moov atom not found"), "{bad}");
    assert!(said(Some("exit 0")).contains("it found no frame"));
    assert!(said(Some("echo hello from elsewhere")).contains("not a 24-bit BMP image"));
    // A frame of 65535×65535 pixels.
    let huge = r"printf 'BM________\066\000\000\000\050\000\000\000\377\377\000\000\377\377\000\000\001\000\030\000\000\000\000\000____________________'";
    assert!(said(Some(huge)).contains("the limit is"));
}
