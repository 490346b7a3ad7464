//! `map`: ranges, colours and the contact sheet.

use image::{Rgb, RgbImage};

use crate::support::{TestDir, wide_image};

/// The ends of the two colour maps, as in Matplotlib.
const VIRIDIS: [[u8; 3]; 2] = [[68, 1, 84], [253, 231, 37]];
const JET: [[u8; 3]; 2] = [[0, 0, 128], [128, 0, 0]];

fn test_dir() -> TestDir {
    TestDir::with_faces(&["astronaut.png", "blur-5.png"])
}

fn picture(here: &TestDir, name: &str) -> RgbImage {
    image::load_from_memory(&here.read(name)).unwrap().into_rgb8()
}

/// Maps both faces and returns the plain map of each.
fn maps(here: &TestDir, options: &[&str]) -> [RgbImage; 2] {
    let args = ["map", "astronaut.png", "blur-5.png", "-o", "maps", "--overwrite"];
    here.run(&[&args[..], options].concat()).ended_with(0);
    ["astronaut.png", "blur-5.png"].map(|name| picture(here, &format!("maps/{name}.map.png")))
}

#[track_caller]
fn assert_colour(map: &RgbImage, colour: [u8; 3]) {
    for Rgb(found) in map.pixels() {
        let near = found.iter().zip(colour).all(|(&found, expected)| found.abs_diff(expected) <= 1);
        assert!(near, "{found:?} is not {colour:?}");
    }
}

#[test]
fn out_of_range_values_get_end_colours() {
    let here = test_dir();
    for (name, [first, last]) in [("viridis", VIRIDIS), ("jet", JET)] {
        for map in maps(&here, &["--range", "100,200", "--colormap", name]) {
            assert_colour(&map, first);
        }
        for map in maps(&here, &["--range", "-200,-100", "--colormap", name]) {
            assert_colour(&map, last);
        }
    }
}

#[test]
fn out_of_range_values_are_counted() {
    let here = test_dir();
    let args = ["map", "astronaut.png", "blur-5.png", "-o", "maps", "--overwrite", "--range"];
    let ran = here.run(&[&args[..], &["100,200"]].concat()).ended_with(0);
    let note = "note: 392 patch values of 2 images lie outside --range and show the colour of \
                its end\n";
    assert_eq!(ran.said(), format!("{note}2 scored\n"));
    let ran = here.run(&[&args[..], &["-1000,1000"]].concat()).ended_with(0);
    assert_eq!(ran.said(), "2 scored\n");
}

#[test]
fn single_image_set_range_equals_per_image_range() {
    let here = test_dir();
    let alone = |range: &str| {
        let args = ["map", "blur-5.png", "-o", "alone", "--overwrite", "--range", range];
        here.run(&args).ended_with(0);
        here.read("alone/blur-5.png.map.png")
    };
    assert_eq!(alone("set"), alone("per-image"));
    let (set, own) = (maps(&here, &[]), maps(&here, &["--range", "per-image"]));
    assert_eq!(set, maps(&here, &["--range", "set"]), "the set is the default");
    assert_ne!(set[1], own[1]);
    assert_eq!(own[1], image::load_from_memory(&alone("set")).unwrap().into_rgb8());
}

#[test]
fn invalid_ranges_are_rejected_and_write_nothing() {
    let here = test_dir();
    let run = |range: &str| {
        let range = format!("--range={range}");
        here.run(&["map", "astronaut.png", "--output", "maps", &range])
    };
    for text in ["nonsense", "1", "a,b", "1,2,3", ""] {
        run(text).refused_with(&format!(
            "invalid value '{text}' for '--range <RANGE>': expected 'set', 'per-image' or two \
             numbers LOW,HIGH"
        ));
    }
    for (text, found) in [("-13,-17", "-13 … -17"), ("nan,1", "NaN … 1"), ("0,inf", "0 … inf")]
    {
        run(text).refused(&format!(
            "a colour range needs two finite ends, the lower one first, found {found}"
        ));
    }
    assert_eq!(here.files(""), ["astronaut.png", "blur-5.png"]);
}

#[test]
fn colormap_and_alpha_are_applied() {
    let here = test_dir();
    let viridis = maps(&here, &[]);
    assert_eq!(viridis, maps(&here, &["--colormap", "viridis"]));
    assert_ne!(viridis, maps(&here, &["--colormap", "jet"]));
    here.run(&["map", "astronaut.png", "-o", "m", "--colormap", "rainbow"])
        .refused_with("invalid value 'rainbow' for '--colormap <COLORMAP>'");

    let face = picture(&here, "astronaut.png");
    maps(&here, &["--alpha", "0"]);
    assert_eq!(picture(&here, "maps/astronaut.png.overlay.png"), face);
    let [map, _] = maps(&here, &["--alpha", "1"]);
    assert_eq!(picture(&here, "maps/astronaut.png.overlay.png"), map);
    let [map, _] = maps(&here, &["--alpha", "0.25"]);
    let overlay = picture(&here, "maps/astronaut.png.overlay.png");
    for ((Rgb(over), Rgb(below)), Rgb(above)) in
        overlay.pixels().zip(face.pixels()).zip(map.pixels())
    {
        for channel in 0..3 {
            let mixed = 0.75 * f32::from(below[channel]) + 0.25 * f32::from(above[channel]);
            assert!((mixed - f32::from(over[channel])).abs() <= 0.5);
        }
    }
    here.run(&["map", "astronaut.png", "-o", "m", "--alpha", "1.5"])
        .refused_with("invalid value '1.5' for '--alpha <ALPHA>': expected a number from 0 to 1");
}

#[test]
fn map_size_equals_crop_size() {
    let here = test_dir();
    here.write("wide.png", wide_image());
    here.run(&["map", "wide.png", "--aligned", "--resize", "--output", "maps"]).ended_with(0);
    for end in ["map.png", "overlay.png"] {
        let picture = picture(&here, &format!("maps/wide.png.{end}"));
        assert_eq!(picture.dimensions(), (112, 112), "{end}");
    }
}

#[test]
fn sheet_grows_with_number_of_faces() {
    let here = test_dir();
    let sheet = |args: &[&str]| {
        let ran = here.run(&[&["map", "--sheet", "sheet.png"], args].concat()).ended_with(0);
        (picture(&here, "sheet.png"), ran)
    };
    let (one, ran) = sheet(&["astronaut.png"]);
    assert_eq!(ran.said(), "1 scored\n");
    let (width, height) = one.dimensions();
    assert!((336..700).contains(&width) && (112..400).contains(&height), "{width}×{height}");

    let repeated = ["blur-5.png"; 12];
    let (many, ran) = sheet(&repeated);
    assert_eq!(ran.said(), "12 scored\n");
    let area = |picture: &RgbImage| picture.width() * picture.height();
    assert!(area(&many) > 12 * 3 * 112 * 112 && area(&many) < 16 * area(&one));

    let (few, ran) = sheet(&[&repeated[..], &["--sheet-faces", "3"]].concat());
    assert_eq!(
        ran.said(),
        "note: the sheet shows 3 of 12 faces, evenly over the ranks; --sheet-faces sets how \
         many\n12 scored\n"
    );
    assert!(area(&few) < area(&many));
    assert_eq!(here.files(""), ["astronaut.png", "blur-5.png", "sheet.png"]);
}

#[test]
fn sheet_contains_face_pixels() {
    let here = test_dir();
    here.run(&["map", "astronaut.png", "--sheet", "sheet.png"]).ended_with(0);
    let (sheet, face) = (picture(&here, "sheet.png"), picture(&here, "astronaut.png"));
    let is_at = |left: u32, top: u32| {
        face.enumerate_pixels().all(|(x, y, pixel)| sheet.get_pixel(left + x, top + y) == pixel)
    };
    let found = (0..=sheet.height() - 112)
        .any(|top| (0..=sheet.width() - 112).any(|left| is_at(left, top)));
    assert!(found, "the face is nowhere on its sheet");
}

#[test]
fn no_sheet_is_written_without_scored_images() {
    let here = test_dir();
    here.write("old.png", "what stood here before");
    let ran = here.run(&["map", "gone.png", "--sheet", "old.png"]).ended_with(1);
    assert!(ran.said().contains("note: no image was scored, so there is no sheet\n"));
    assert_eq!(here.read_text("old.png"), "what stood here before");
}
