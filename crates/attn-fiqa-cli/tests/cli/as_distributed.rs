//! Benchmarks with photos instead of aligned crops, from their folder to scores.

use crate::support::{self, Table, TestDir, face_bytes};

/// An image of 250×220 pixels with an example face on it.
fn picture(face: &str, shift: u32) -> Vec<u8> {
    let face = image::load_from_memory(&face_bytes(face)).expect("a face").to_rgb8();
    let mut canvas = image::RgbImage::from_pixel(250, 220, image::Rgb([110, 120, 130]));
    image::imageops::overlay(&mut canvas, &face, i64::from(50 + shift), i64::from(40 + shift));
    encoded(&canvas)
}

fn encoded(picture: &image::RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG");
    bytes.into_inner()
}

/// A CFP set of three persons with two frontal images and one profile image each; the last one
/// contains no face.
fn cfp() -> TestDir {
    let here = TestDir::new();
    let faces = ["astronaut.png", "blur-1.png", "turn-1.png", "noise-1.png", "jpeg-1.jpg"];
    let [mut frontal, mut profile] = [const { String::new() }; 2];
    for person in 1..=3_u32 {
        for (pose, number) in [("frontal", 1), ("frontal", 2), ("profile", 1)] {
            let path = format!("Data/Images/{person:03}/{pose}/{number:02}.png");
            let face = faces[(person as usize + number) % faces.len()];
            let bytes = match (person, pose) {
                (3, "profile") => encoded(&image::RgbImage::new(250, 220)),
                _ => picture(face, 7 * person + number as u32),
            };
            here.write(&format!("cfp/{path}"), bytes);
            let list = if pose == "frontal" { &mut frontal } else { &mut profile };
            let at =
                if pose == "frontal" { 2 * person as usize - 2 + number } else { person as usize };
            *list += &format!("{at} ../{path}\n");
        }
    }
    here.write("cfp/Protocol/Pair_list_F.txt", frontal);
    here.write("cfp/Protocol/Pair_list_P.txt", profile);
    for fold in 1..=10 {
        let write = |name: &str, text: &str| {
            here.write(&format!("cfp/Protocol/Split/FP/{fold:02}/{name}.txt"), text);
        };
        write("same", "1,1\n3,2\n5,3\n");
        write("diff", "1,2\n3,1\n5,1\n");
    }
    here
}

const STUDY: &str = "[settings]\nfmr = [0.1]\nreplicates = 0\nfaces = 1\n\
    [[dataset]]\nname = \"cfp\"\nkind = \"cfp-fp\"\npath = \"cfp\"\nalign = true\n\
    [[recogniser]]\nname = \"own\"\nmodel = \"built-in\"\n\
    [[method]]\nname = \"attn\"\n[[method]]\nname = \"laplacian\"\n";

#[test]
fn study_detects_and_aligns_faces() {
    let here = cfp();
    here.write("study.toml", STUDY);
    let ran = here.run(&["benchmark", "study.toml"]).ended_with(1);
    let said = "cfp: no face was found in 1 of 6 images, which are failures to acquire: \
                'Data/Images/003/profile/01.png'";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(ran.stderr.contains("cfp, attn: 1 of 6 images have no score"), "{}", ran.stderr);
    assert!(ran.stderr.contains("10 comparisons are left out"), "{}", ran.stderr);

    // The same scores as for the images themselves, and none for the one without a face.
    let scores = Table::parse(&here.read_text("study.run/scores/1-cfp.csv"));
    for (path, score) in scores.column("path").iter().zip(scores.column("attn")) {
        let path = format!("cfp/{path}");
        let ran = here.run(&["score", "--method", "attn", &path]);
        if path.ends_with("003/profile/01.png") {
            assert_eq!((ran.status, score), (Some(1), ""));
            continue;
        }
        let expected = ran.ended_with(0).table().numbers("score");
        assert_eq!(expected.len(), 1, "{path}: one face");
        support::assert_near(score.parse().expect("a score"), expected[0], 1e-4);
    }
    here.run(&["report", "study.run"]).ended_with(0);
    let page = here.read_text("study.run/report.html");
    assert!(page.contains("no face was found in 1 of 6 images"), "no word of it in the page");

    // From the cached results, byte for byte.
    let results = here.read("study.run/results.json");
    here.run(&["benchmark", "study.toml", "--quiet"]).ended_with(1);
    assert_eq!(here.read("study.run/results.json"), results);
}

#[test]
fn benchmark_on_cropped_folder_gives_same_scores() {
    let here = cfp();
    here.write("study.toml", STUDY);
    here.run(&["benchmark", "study.toml", "--quiet"]).ended_with(1);
    let crop = ["crop", "cfp", "--recursive", "--keep-layout", "--output", "crops"];
    let ran = here.run(&crop).ended_with(1);
    assert!(ran.said().contains("8 cropped, 1 failed (1 no-face)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("22 text lists copied"), "{}", ran.stderr);
    let files = here.files("crops");
    assert!(files.contains(&"Data/Images/001/frontal/01.png".to_owned()), "{files:?}");

    let study = STUDY.replace("align = true\n", "").replace("path = \"cfp\"", "path = \"crops\"");
    here.write("crops.toml", &study);
    let ran = here.run(&["benchmark", "crops.toml"]).ended_with(2);
    assert!(ran.stderr.contains("1 of 6 images missing: 'Data/Images/003/profile/01.png'"));
    here.run(&["benchmark", "crops.toml", "--missing", "skip"]).ended_with(1);
    let [found, cropped] = ["study.run", "crops.run"].map(|run| {
        let scores = Table::parse(&here.read_text(&format!("{run}/scores/1-cfp.csv")));
        [scores.column("attn").join(" "), scores.column("laplacian").join(" ")]
    });
    assert_eq!(found, cropped);
    // Nothing is overwritten.
    here.run(&crop).refused_with("'crops' is not empty");
}

#[test]
fn unaligned_images_are_rejected_with_align_hint() {
    let here = cfp();
    let without = STUDY.replace("align = true\n", "");
    here.write("study.toml", &without);
    here.run(&["benchmark", "study.toml"]).refused_with(
        "dataset 'cfp': the image 'Data/Images/001/frontal/01.png' has 250×220 pixels and is not \
         an aligned crop of 112×112; set align = true in its [[dataset]]",
    );
    assert!(!here.path("study.run").exists(), "work was begun");
    here.write("study.toml", STUDY.replace("align = true", "align = true\nresize = true"));
    here.run(&["benchmark", "study.toml"]).refused_with("study.toml, line 9: align finds faces");
}
