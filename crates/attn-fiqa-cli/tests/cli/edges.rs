//! Unusual names, places and numbers.

use std::process::Stdio;

use crate::support::{self, Table, TestDir, wide_image};

#[test]
fn run_continues_after_stderr_closes() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let mut command = here.command(&["score", "gone.png", "blur-1.png", "-o", "scores.csv"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(Table::parse(&here.read_text("scores.csv")).rows.len(), 2);
}

#[test]
fn batch_size_limits_are_enforced() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["score", "blur-1.png", "--batch", "4096"]).ended_with(0);
    for batch in ["0", "4097", "1000000000000", "18446744073709551615"] {
        here.run(&["score", "blur-1.png", "--batch", batch]).refused_with("expected 1 to 4096");
    }
}

#[test]
fn head_index_is_part_of_file_name() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["map", "blur-1.png", "-o", "maps", "--per-head", "--method", "attn@head=2"])
        .ended_with(0);
    assert!(
        here.files("maps").contains(&"blur-1.png.head-02.map.png".to_owned()),
        "{:?}",
        here.files("maps")
    );
}

#[test]
#[cfg(unix)]
fn symlink_target_is_replaced_not_the_link() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("real.csv", "old");
    std::os::unix::fs::symlink("real.csv", here.path("link.csv")).unwrap();
    here.run(&["score", "blur-1.png", "-o", "link.csv"]).ended_with(0);
    assert!(here.path("link.csv").is_symlink(), "a link was replaced");
    assert!(here.read_text("real.csv").starts_with("path,"));
}

#[test]
fn empty_list_is_an_error() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("empty.txt", "");
    here.write("old.csv", "old");
    let ran = here.run(&["score", "--list", "empty.txt", "-o", "old.csv"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert_eq!(here.read_text("old.csv"), "old");
}

#[test]
fn error_causes_are_not_repeated() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let ran = here.run(&["score", "--list", "gone.txt"]).ended_with(2);
    assert_eq!(ran.stderr.matches("os error 2").count(), 1, "{}", ran.stderr);
    let ran = here.run(&["score", "[.png"]).ended_with(2);
    assert_eq!(ran.stderr.matches("invalid range").count(), 1, "{}", ran.stderr);
}

#[test]
fn preset_is_rejected_for_builtin_model() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["score", "blur-1.png", "--preset", "cvlface-vit-s"]).ended_with(2);
}

#[test]
fn heads_and_activation_are_rejected_for_builtin_model() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["score", "blur-1.png", "--heads", "3"]).ended_with(2);
    here.run(&["score", "blur-1.png", "--activation", "gelu"]).ended_with(2);
}

#[test]
fn failed_map_creates_no_output_folder() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["map", "nope-*.png", "-o", "maps"]).ended_with(2);
    assert!(!here.path("maps").exists());
}

#[test]
fn sheet_warns_of_values_outside_range() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let ran =
        here.run(&["map", "blur-1.png", "--sheet", "s.png", "--range", "100,200"]).ended_with(0);
    assert!(ran.stderr.contains("outside --range"), "{}", ran.stderr);
}

#[test]
fn sheet_requires_png_extension() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["map", "blur-1.png", "--sheet", "s.jpg"]).ended_with(2);
}

#[test]
fn jsonl_rows_start_with_path() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let ran = here.run(&["score", "blur-1.png", "--format", "jsonl"]).ended_with(0);
    assert!(ran.stdout().starts_with("{\"path\":"), "{}", ran.stdout());
}

#[test]
#[cfg(unix)]
fn escape_codes_in_file_names_are_not_printed() {
    let here = TestDir::new();
    here.write("a\u{1b}[31m.png", wide_image());
    let ran = here.run(&["score", ".", "--aligned"]).ended_with(1);
    assert!(!ran.stderr.contains('\x1b'), "{:?}", ran.stderr);
}

#[test]
#[cfg(unix)]
fn newlines_in_names_do_not_split_txt_lines() {
    let here = TestDir::new();
    here.face("blur-1.png", "a\nb.png");
    let ran = here.run(&["score", ".", "--format", "txt"]);
    assert_eq!(ran.stdout().lines().count(), 1, "{:?}", ran.stdout());
}

#[test]
fn duplicate_methods_are_rejected() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["score", "blur-1.png", "--method", "attn,attn-max,attn-max"])
        .refused("method 'attn-max' was named twice");
}

#[test]
fn json_grid_score_matches_manifest() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.run(&["map", "blur-1.png", "-o", "maps"]).ended_with(0);
    let score = Table::parse(&here.read_text("maps/manifest.csv")).column("score")[0].to_owned();
    let grid: serde_json::Value =
        serde_json::from_str(&here.read_text("maps/blur-1.png.grid.json")).unwrap();
    // JSON has twice as many digits.
    assert_eq!(grid["score"].as_f64().unwrap() as f32, score.parse::<f32>().unwrap());
}

#[test]
fn missing_output_folder_error_hides_temporary_name() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    let ran = here.run(&["score", "blur-1.png", "-o", "gone/x.csv"]).ended_with(2);
    assert!(!ran.stderr.contains(".attn-fiqa-"), "{}", ran.stderr);
}

#[test]
fn output_that_is_an_input_is_rejected() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("image_path_list.txt", "blur-1.png\n");
    here.run(&["score", "--list", "image_path_list.txt", "-o", "image_path_list.txt"])
        .ended_with(2);
    here.run(&["score", "blur-1.png", "-o", "blur-1.png", "--format", "csv"]).ended_with(2);
}

#[test]
fn inspect_aligns_its_columns() {
    let here = TestDir::new();
    let ran = here.run(&["model", "inspect"]).ended_with(0);
    let (_, config) = ran.stdout().split_once("configuration\n").unwrap();
    let config = config.split("\n\n").next().unwrap();
    let first = config.lines().map(|l| l.find(" from ").unwrap()).collect::<Vec<_>>();
    assert!(first.windows(2).all(|w| w[0] == w[1]), "{config}");
}

#[test]
#[cfg(unix)]
fn file_mode_is_kept_and_dangling_symlinks_resolve() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("private.csv", "old");
    let mode = |name: &str| here.path(name).metadata().unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(here.path("private.csv"), PermissionsExt::from_mode(0o600)).unwrap();
    here.run(&["score", "blur-1.png", "-o", "private.csv"]).ended_with(0);
    assert_eq!(mode("private.csv"), 0o600);
    assert!(here.read_text("private.csv").starts_with("path,"));

    std::fs::create_dir(here.path("sub")).unwrap();
    symlink("second.csv", here.path("sub/first.csv")).unwrap();
    symlink("sub/first.csv", here.path("link.csv")).unwrap();
    here.run(&["score", "blur-1.png", "-o", "link.csv"]).ended_with(0);
    assert!(here.path("link.csv").is_symlink() && here.path("sub/first.csv").is_symlink());
    assert!(here.read_text("sub/second.csv").starts_with("path,"));

    symlink("circle.csv", here.path("circle.csv")).unwrap();
    here.run(&["score", "blur-1.png", "-o", "circle.csv"]).refused_with("symlink loop");
}

/// Temporary files are written next to the output: the system's temporary folder may be small.
#[test]
#[cfg(unix)]
fn temporary_files_are_written_beside_the_output() {
    let here = TestDir::with_faces(&["blur-1.png", "astronaut.png"]);
    for args in [
        &["embed", ".", "--aligned", "-o", "all.npy"][..],
        &["best", "blur-1.png", "--aligned", "--crops", "crops", "-o", "best.csv"][..],
    ] {
        let mut command = here.command(args);
        support::CommandResult::from(command.env("TMPDIR", "/nowhere").output().unwrap())
            .ended_with(0);
    }
    assert!(here.path("all.npy").is_file() && !here.files("crops").is_empty());
}

/// A message is a single line, whatever a decoder says about an untrusted file.
#[test]
fn long_decoder_messages_are_truncated() {
    let here = TestDir::with_faces(&["blur-1.png"]);
    // A page of 65535 bits per sample and four samples, whose numbers the decoder repeats.
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let samples = 65_535_u32;
    let data_at = 8 + 2 + 6 * 12 + 4;
    let entries: [(u16, u16, u32, u32); 6] = [
        (256, 3, 1, 4),
        (257, 3, 1, 4),
        (258, 3, samples, data_at),
        (262, 3, 1, 2),
        (273, 4, 1, data_at),
        (277, 3, 1, samples),
    ];
    tiff.extend(6_u16.to_le_bytes());
    for (tag, kind, count, value) in entries {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(count.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    // Samples of different sizes, which the decoder complains about.
    tiff.extend((0..samples).flat_map(|i| (8 + (i % 2) as u16).to_le_bytes()));
    here.write("odd.tif", &tiff);
    let ran = here.run(&["score", "odd.tif", "--aligned", "-o", "odd.csv"]).ended_with(1);
    let text = here.read_text("odd.csv");
    assert!(text.lines().count() == 2 && text.len() < 1000, "{} characters", text.len());
    assert!(ran.stderr.len() < 2000, "{} characters", ran.stderr.len());
}

/// The image of 81 megapixels does not fit, and the one after it does.
#[test]
#[cfg(target_os = "linux")]
fn out_of_memory_image_becomes_a_failed_row() {
    use std::io::Write;
    let here = TestDir::with_faces(&["blur-1.png"]);
    let side: u32 = 9000;
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..side {
        pixels.write_all(&vec![0; 1 + 3 * side as usize]).unwrap();
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (name, data) in [(b"IHDR", header), (b"IDAT", pixels.finish().unwrap()), (b"IEND", vec![])]
    {
        let mut checksum = flate2::Crc::new();
        checksum.update(name);
        checksum.update(&data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend_from_slice(name);
        png.extend(data);
        png.extend(checksum.sum().to_be_bytes());
    }
    here.write("large.png", png);
    let mut command = std::process::Command::new("sh");
    let script = "ulimit -v 400000; exec \"$0\" score large.png blur-1.png -j 1 -o rows.csv";
    command.current_dir(here.path(".")).args(["-c", script, env!("CARGO_BIN_EXE_attn-fiqa")]);
    let ran = support::CommandResult::from(command.output().unwrap()).ended_with(1);
    let table = Table::parse(&here.read_text("rows.csv"));
    assert_eq!(table.column("status"), ["too-large", "ok"], "{}", ran.stderr);
}
