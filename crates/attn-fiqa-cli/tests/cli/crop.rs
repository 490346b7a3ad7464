//! `crop`: aligned faces in a folder, and their manifest; and maps drawn back onto the photos in
//! which faces were found.

use crate::support::{MISSING, Table, TestDir, wide_image};

fn png(side: u32, level: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_pixel(side, side, image::Rgb([level; 3]));
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

fn size(bytes: &[u8]) -> (u32, u32) {
    let picture = image::load_from_memory(bytes).unwrap();
    (picture.width(), picture.height())
}

#[test]
fn crops_and_manifest_are_written_without_overwriting() {
    let here = TestDir::new();
    here.write("a/photo.png", wide_image());
    here.write("b/photo.png", wide_image());
    here.write("grey.png", png(200, 90));
    let args =
        ["crop", "a/photo.png", "b/photo.png", "grey.png", "gone.png", "--largest", "-o", "out"];
    let ran = here.run(&args).ended_with(1);
    assert_eq!(ran.stdout(), "");
    assert!(ran.said().contains("2 cropped, 2 failed (1 no-face, 1 not-found)"), "{}", ran.stderr);
    let crops = ["photo.png.face-0-2.png", "photo.png.face-0.png"];
    assert_eq!(here.files("out"), [&["manifest.csv"], &crops[..]].concat());

    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    let found = manifest.outcomes();
    assert_eq!(found[0], ["a/photo.png", "ok", "ICC profile ignored"]);
    assert_eq!(found[1], ["b/photo.png", "ok", "ICC profile ignored"]);
    assert_eq!(found[2][..2], ["grey.png", "no-face"]);
    assert_eq!(found[3], ["gone.png", "not-found", MISSING]);
    assert_eq!(manifest.column("file"), [crops[1], crops[0], "", ""]);
    assert_eq!(manifest.column("face"), ["0", "0", "", ""]);
    assert_eq!(manifest.column("crop_origin"), ["refined", "refined", "", ""]);
    let number = |name: &str| manifest.column(name)[0].parse::<f32>().unwrap();
    assert!(number("left_eye_x") < number("right_eye_x"));
    assert!(number("detection_score") > 0.6 && number("inter_eye_distance") > 20.0);

    for name in crops {
        assert_eq!(size(&here.read(&format!("out/{name}"))), (112, 112));
    }
    assert_eq!(here.read("out/photo.png.face-0.png"), here.read("out/photo.png.face-0-2.png"));

    // The crop is what `score` uses, and the manifest is a landmark file.
    let score = |args: &[&str]| {
        let ran = here.run(&[&["score"], args].concat()).ended_with(0);
        ran.table().column("score")[0].to_owned()
    };
    let by_detector = score(&["a/photo.png", "--largest"]);
    assert_eq!(score(&["out/photo.png.face-0.png", "--aligned"]), by_detector);
    assert_eq!(score(&["a/photo.png", "--landmarks", "out/manifest.csv"]), by_detector);

    // A second run in a non-empty folder must be told what to do.
    here.run(&args).refused_with("the folder 'out' is not empty: name another, or use --overwrite");
    let complete = here.read("out/manifest.csv");
    here.write("out/photo.png.face-0.png", "mine");
    here.run(&[&args[..], &["--overwrite"]].concat()).ended_with(1);
    assert_eq!(size(&here.read("out/photo.png.face-0.png")), (112, 112));
    assert_eq!(here.read("out/manifest.csv"), complete);
}

#[test]
fn skip_existing_skips_cropped_images() {
    let here = TestDir::new();
    here.write("set/one.png", wide_image());
    let args = ["crop", "set", "--largest", "--skip-existing", "-o", "out"];
    here.run(&args).ended_with(0);
    let first = here.read_text("out/manifest.csv");
    here.write("out/one.png.face-0.png", "mine");
    here.write("set/another.png", wide_image());
    // A file newer than the start of a run counts as the run's own; a file written in the same tick
    // would test nothing.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let ran = here.run(&args).ended_with(0);
    assert!(ran.said().contains("1 cropped"), "{}", ran.stderr);
    assert_eq!(here.read_text("out/one.png.face-0.png"), "mine");
    let manifest = here.read_text("out/manifest.csv");
    assert!(manifest.starts_with(&first), "{manifest}");
    assert_eq!(Table::parse(&manifest).column("path"), ["set/one.png", "set/another.png"]);
    // A third time there is nothing to do.
    std::thread::sleep(std::time::Duration::from_millis(50));
    here.run(&args).ended_with(0);
    assert_eq!(here.read_text("out/manifest.csv"), manifest);
}

/// Another input may hold an image with the same name, which must not go unnoticed.
#[test]
fn skip_existing_keeps_crops_of_another_input() {
    let here = TestDir::new();
    here.write("one/a.png", wide_image());
    here.write("two/a.png", wide_image());
    let args = ["--skip-existing", "-o", "out"];
    for _ in 0..2 {
        here.run(&[&["crop", "one"], &args[..]].concat()).ended_with(0);
        let crop = here.read("out/a.png.face-0.png");
        std::thread::sleep(std::time::Duration::from_millis(50));
        let ran = here.run(&[&["crop", "two"], &args[..]].concat()).ended_with(1);
        assert!(ran.said().contains("not-written"), "{}", ran.said());
        assert_eq!(here.read("out/a.png.face-0.png"), crop);
    }
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    assert_eq!(manifest.column("path"), ["one/a.png", "two/a.png", "two/a.png"]);
    assert_eq!(manifest.column("status"), ["ok", "not-written", "not-written"]);
    let ran = here.run(&[&["crop", "one"], &args[..]].concat()).ended_with(0);
    assert!(ran.said().contains("note: 1 image skipped: its files exist\n"), "{}", ran.said());
}

/// A complete shard is recognised as such: only new images are cropped.
#[test]
fn complete_shard_is_extended_without_duplicates() {
    let here = TestDir::new();
    here.write("set/one.png", wide_image());
    let args = ["crop", "set", "--largest", "--skip-existing", "--shard", "1/1", "-o", "out"];
    here.run(&args).ended_with(0);
    let first = here.read_text("out/manifest.csv");
    here.write("set/two.png", wide_image());
    std::thread::sleep(std::time::Duration::from_millis(50));
    let ran = here.run(&args).ended_with(0);
    assert!(ran.said().lines().any(|line| line == "1 cropped"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("damaged"), "{}", ran.stderr);
    let manifest = here.read_text("out/manifest.csv");
    assert!(manifest.starts_with(&first), "{manifest}");
    assert_eq!(Table::parse(&manifest).column("path"), ["set/one.png", "set/two.png"]);
    let ran = here.run(&[&args[..], &["--side", "64"]].concat());
    ran.refused_with("is the output of a different run, whose journal is");
    assert_eq!(here.read_text("out/manifest.csv"), manifest);
}

#[test]
fn side_format_and_landmarks_options_are_applied() {
    let here = TestDir::new();
    here.write("photo.png", wide_image());
    // Two faces with external landmarks; those of the second are invalid.
    here.write(
        "points.txt",
        "photo.png 195 120 245 118 222 150 203 172 243 170 0.9\n\
         photo.png 10 10 10 10 10 10 10 10 10 10 0.8\n",
    );
    let args = ["--landmarks", "points.txt", "--side", "64", "--format", "jpg", "--output", "out"];
    let ran = here.run(&[&["crop", "photo.png"], &args[..]].concat()).ended_with(1);
    assert!(ran.said().contains("1 of 1 images found (1 by path)"), "{}", ran.stderr);
    assert_eq!(here.files("out"), ["manifest.csv", "photo.png.face-0.jpg"]);
    assert_eq!(size(&here.read("out/photo.png.face-0.jpg")), (64, 64));
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    assert_eq!(manifest.column("status"), ["ok", "bad-landmarks"]);
    assert_eq!(manifest.column("crop_origin"), ["landmarks", "landmarks"]);
    assert_eq!(manifest.column("left_eye_x"), ["195", "10"]);
    assert_eq!(manifest.column("detection_score"), ["0.9", "0.8"]);
}

#[test]
fn invalid_options_are_rejected_before_any_work() {
    let here = TestDir::new();
    here.write("photo.png", wide_image());
    here.write("points.csv", "photo.png,1,2,3\n");
    let crop = |args: &[&str]| here.run(&[&["crop", "photo.png"], args].concat());
    crop(&["--output", "out", "--best"]).refused_with("unexpected argument '--best'");
    here.run(&["crop", ".", "--output", "out"]).refused_with("inside the input '.', which is");
    here.run(&["crop", ".", "--output", "."]).refused_with("inside the input '.', which is");
    for [command, option] in [["detect", "--draw"], ["best", "--crops"], ["map", "--output"]] {
        here.run(&[command, ".", option, "out"]).refused_with("inside the input '.', which is");
    }
    crop(&["--output", "out", "--landmarks", "points.csv"])
        .refused_with("points.csv, line 1: expected a path and ten numbers");
    crop(&["--output", "photo.png"]).refused_with("cannot make the folder 'photo.png'");
    crop(&["--output", "out", "--side", "3"]).ended_with(2);
    assert!(!here.path("out").exists());
}

#[test]
fn maps_are_overlaid_on_photos() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("photo.png", wide_image());
    here.run(&["map", "photo.png", "blur-1.png", "--largest", "--output", "maps"]).ended_with(0);
    let manifest = Table::parse(&here.read_text("maps/manifest.csv"));
    // An image that is itself a crop has no photo.
    assert_eq!(manifest.column("photo"), ["photo.png.photo.png", ""]);
    let painted = image::load_from_memory(&here.read("maps/photo.png.photo.png")).unwrap();
    let photo = image::load_from_memory(&wide_image()).unwrap();
    let (painted, photo) = (painted.to_rgb8(), photo.to_rgb8());
    assert_eq!(painted.dimensions(), photo.dimensions());
    let changed: Vec<(u32, u32)> = photo
        .enumerate_pixels()
        .filter(|(x, y, pixel)| painted.get_pixel(*x, *y) != *pixel)
        .map(|(x, y, _)| (x, y))
        .collect();
    let face = here.run(&["detect", "photo.png", "--max-faces", "1"]).ended_with(0).table();
    let number = |name: &str| face.numbers(name)[0];
    let (x, y) = (number("box_x"), number("box_y"));
    let (width, height) = (number("box_width"), number("box_height"));
    // All around the face's box, and nowhere far from it.
    assert!(changed.len() as f32 > 0.8 * width * height, "{} pixels", changed.len());
    for (column, row) in changed {
        let (column, row) = (column as f32, row as f32);
        assert!((column - x - width / 2.0).abs() < 1.5 * width, "column {column}");
        assert!((row - y - height / 2.0).abs() < 1.5 * height, "row {row}");
    }

    let map = |args: &[&str]| {
        here.run(&[&["map", "photo.png"], args].concat()).ended_with(0);
    };
    map(&["--output", "small", "--photo-side", "100"]);
    assert_eq!(size(&here.read("small/photo.png.photo.png")), (100, 100));
    map(&["--output", "none", "--no-photo"]);
    assert!(!here.path("none/photo.png.photo.png").exists());
}
