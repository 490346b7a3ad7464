//! Options that change which images are scored and how, and those that must change nothing.

use crate::support::{TestDir, face_bytes, wide_image};

fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["astronaut.png", "jpeg-2.jpg"]);
    here.write("wide.png", wide_image());
    here
}

#[test]
fn resize_option_accepts_wrong_size_images() {
    let here = test_dir();
    let args = ["score", "--aligned", "wide.png", "astronaut.png", "--columns", "size"];
    here.run(&args).ended_with(1);
    let ran = here.run(&[&args[..], &["--resize"]].concat()).ended_with(0);
    let table = ran.table();
    assert_eq!(
        table.outcomes(),
        [
            ["wide.png", "ok", "ICC profile ignored; resized from 512×512 to 112×112"],
            ["astronaut.png", "ok", ""],
        ]
    );
    assert_eq!(table.column("width"), ["512", "112"], "the size is the file's");
    assert_eq!(
        ran.said(),
        "2 scored\nnote: 1 × ICC profile ignored\nnote: 1 × resized to 112×112\n"
    );
    let scores = table.numbers("score");
    assert!(scores[0] < scores[1], "a face that is not aligned scores lower: {scores:?}");
    let plain = here.run(&["score", "astronaut.png"]).table();
    assert_eq!(plain.numbers("score")[0], scores[1], "a crop of the right size is as it was");
}

#[test]
fn swapped_channels_option_swaps_red_and_blue() {
    let here = test_dir();
    let mut swapped = image::load_from_memory(&face_bytes("astronaut.png")).unwrap().into_rgb8();
    swapped.pixels_mut().for_each(|pixel| pixel.0.swap(0, 2));
    swapped.save(here.path("swapped.png")).unwrap();
    let score = |args: &[&str]| here.run(&[&["score"], args].concat()).ended_with(0).table();

    let plain = score(&["astronaut.png", "swapped.png"]).numbers("score");
    let table = score(&["astronaut.png", "swapped.png", "--swapped-channels"]);
    assert_eq!(table.column("message"), ["red and blue swapped back"; 2]);
    let exchanged = table.numbers("score");
    assert!((plain[0] - exchanged[0]).abs() > 0.1, "{plain:?} {exchanged:?}");
    assert_eq!(exchanged, [plain[1], plain[0]]);
}

#[test]
fn images_over_max_pixels_are_too_large() {
    let here = test_dir();
    let table = here
        .run(&["score", "astronaut.png", "wide.png", "--max-pixels", "12544"])
        .ended_with(1)
        .table();
    assert_eq!(
        table.outcomes(),
        [
            ["astronaut.png", "ok", ""],
            [
                "wide.png",
                "too-large",
                "the image is 512×512 = 262144 pixels and the limit is 12544: make it smaller or \
                 raise the limit on pixels (--max-pixels, --max-bytes and --max-memory are the \
                 limits)",
            ],
        ]
    );
    let table = here.run(&["score", "jpeg-2.jpg", "--max-pixels", "12543"]).ended_with(1).table();
    assert_eq!(table.column("status"), ["too-large"]);
}

#[test]
fn files_over_max_bytes_are_too_large() {
    let here = test_dir();
    let bytes = face_bytes("astronaut.png");
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in [("a.png", &bytes), ("b.png", &wide_image())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    here.write("pack.tar", builder.into_inner().unwrap());
    let limit = bytes.len().to_string();
    let table = here
        .run(&["score", "astronaut.png", "wide.png", "pack.tar", "--max-bytes", &limit])
        .ended_with(1)
        .table();
    let message = format!(
        "the file holds {} bytes and the limit is {limit} (--max-pixels, --max-bytes and \
         --max-memory are the limits)",
        wide_image().len()
    );
    assert_eq!(
        table.outcomes(),
        [
            ["astronaut.png", "ok", ""],
            ["wide.png", "too-large", &message],
            ["pack.tar/a.png", "ok", ""],
            ["pack.tar/b.png", "too-large", &message],
        ]
    );
    let below = (bytes.len() - 1).to_string();
    let table = here.run(&["score", "astronaut.png", "--max-bytes", &below]).ended_with(1).table();
    assert_eq!(table.column("status"), ["too-large"]);
}

#[test]
fn output_is_independent_of_jobs_and_batch_size() {
    let here = TestDir::with_faces(&[]);
    here.bad_images("faces");
    for kind in ["blur", "dark", "occlude"] {
        for strength in 1..=4 {
            let name = format!("{kind}-{strength}.png");
            here.face(&name, &format!("faces/{name}"));
        }
    }
    let run = |options: &[&str]| {
        let args = [&["score", "faces", "--columns", "map,embedding"], options].concat();
        let ran = here.run(&args).ended_with(1);
        assert_eq!(ran.table().rows.len(), 16);
        ran.bytes
    };
    let expected = run(&["--jobs", "1"]);
    for options in [
        &["--jobs", "2"][..],
        &["--jobs", "2", "--batch", "1"],
        &["--jobs", "1", "--batch", "1"],
        &["-j", "3", "--batch", "5"],
        &[],
    ] {
        assert_eq!(run(options), expected, "{options:?}");
    }
}

#[test]
fn zero_jobs_or_batch_is_rejected() {
    let here = test_dir();
    for option in ["--jobs", "--batch"] {
        here.run(&["score", "astronaut.png", option, "0"])
            .refused_with(&format!("invalid value '0' for '{option} <N>'"));
    }
}
