//! Benchmark readers, each on a small synthetic copy of its layout.

use std::path::Path;

use attn_fiqa_eval::benchmark::{Benchmark, BenchmarkKind, ImageSource, adience};
use attn_fiqa_eval::comparisons::Pair;
use attn_fiqa_eval::embeddings::Embeddings;
use attn_fiqa_eval::files::{FileError, Missing};

use crate::support::folder::Folder;

fn open(kind: BenchmarkKind, path: &Path) -> Result<Benchmark, FileError> {
    kind.open(kind.name(), path, Missing::Fail)
}

/// Pairs by the names of their images, with labels.
fn named(benchmark: &Benchmark) -> Vec<(&str, &str, bool)> {
    let name = |index: u32| benchmark.images[index as usize].name.as_str();
    benchmark.pairs.iter().map(|pair| (name(pair.a), name(pair.b), pair.mated)).collect()
}

const PAIRS_TXT: &str = "2\t2\n\
    Ann\t1\t2\nAnn\t1\t3\nAnn\t1\tBo_Li\t1\nAnn\t2\tCy\t1\n\
    Bo_Li\t1\t2\nBo_Li\t2\t3\nBo_Li\t1\tCy\t1\nBo_Li\t2\tCy\t1\n";
const LFW_IMAGES: [&str; 7] = [
    "Ann/Ann_0001.jpg",
    "Ann/Ann_0002.jpg",
    "Ann/Ann_0003.jpg",
    "Bo_Li/Bo_Li_0001.jpg",
    "Bo_Li/Bo_Li_0002.jpg",
    "Bo_Li/Bo_Li_0003.jpg",
    "Cy/Cy_0001.jpg",
];

fn lfw_folder(protocol: &str) -> Folder {
    let folder = Folder::new();
    folder.write(protocol, PAIRS_TXT);
    for image in LFW_IMAGES {
        folder.write(&format!("lfw-deepfunneled/{image}"), image);
    }
    folder
}

#[test]
fn lfw_has_folds_and_persons() {
    let folder = lfw_folder("pairs.txt");
    let lfw = open(BenchmarkKind::Lfw, folder.path()).expect("complete");
    assert_eq!(lfw.images.len(), 7);
    assert_eq!(lfw.folds, Some(vec![0, 0, 0, 0, 1, 1, 1, 1]));
    assert_eq!(named(&lfw)[2], ("Ann_0001", "Bo_Li_0001", false));
    assert_eq!(lfw.read_image(0).expect("bytes"), b"Ann/Ann_0001.jpg");
    let identities = lfw.pair_identities().expect("all known");
    assert_eq!(identities[..3], [[0, 0], [0, 0], [0, 1]]);
    assert_eq!(identities[7], [1, 2]);
}

#[test]
fn missing_images_are_reported_on_open() {
    let folder = lfw_folder("pairs.txt");
    for image in ["Ann/Ann_0002.jpg", "Cy/Cy_0001.jpg"] {
        std::fs::remove_file(folder.path().join("lfw-deepfunneled").join(image)).expect("it");
    }
    let error = open(BenchmarkKind::Lfw, folder.path()).expect_err("incomplete").to_string();
    let expected =
        "lfw: 2 of 7 images missing: 'Ann_0002', 'Cy_0001'; complete the folder before measuring";
    assert!(error.ends_with(expected), "{error}");
    let lfw = BenchmarkKind::Lfw.open("lfw", folder.path(), Missing::Skip).expect("five of seven");
    assert_eq!((lfw.images.len(), lfw.pairs.len()), (7, 8));
    assert!(lfw.read_image(0).is_ok() && lfw.read_image(1).is_err());
    std::fs::remove_dir_all(folder.path().join("lfw-deepfunneled")).expect("the images");
    let error = BenchmarkKind::Lfw.open("lfw", folder.path(), Missing::Skip).expect_err("none");
    assert!(error.to_string().contains("7 of 7 images missing"), "{error}");
}

#[test]
fn malformed_lfw_pairs_are_rejected() {
    let folder = lfw_folder("pairs.txt");
    folder.write("pairs.txt", PAIRS_TXT.replace("Bo_Li\t2\tCy\t1\n", ""));
    let error = folder.said(&open(BenchmarkKind::Lfw, folder.path()).expect_err("refused"));
    assert_eq!(
        error,
        "pairs.txt: holds 7 pairs, but 8 are announced by its first line (2 folds of 2 × 2)"
    );
    folder.write("pairs.txt", PAIRS_TXT.replace("Ann\t1\t3", "Ann\t1\tBo_Li\t3"));
    let error = folder.said(&open(BenchmarkKind::Lfw, folder.path()).expect_err("refused"));
    assert_eq!(
        error,
        "pairs.txt, line 3: expected `name i j`, a mated pair, found 'Ann\u{fffd}1\u{fffd}Bo_Li\u{fffd}3'"
    );
    let empty = Folder::new();
    let error = empty.said(&open(BenchmarkKind::Lfw, empty.path()).expect_err("refused"));
    assert!(error.starts_with("pairs.txt: cannot be read: "), "{error}");
}

#[test]
fn xqlfw_is_lfw_with_its_own_pairs() {
    let folder = lfw_folder("xqlfw_pairs.txt");
    assert_eq!(open(BenchmarkKind::Xqlfw, folder.path()).expect("complete").pairs.len(), 8);
}

#[test]
fn calfw_and_cplfw_have_two_lines_per_pair() {
    for (kind, protocol) in
        [(BenchmarkKind::Calfw, "pairs_CALFW.txt"), (BenchmarkKind::Cplfw, "pairs_CPLFW.txt")]
    {
        let folder = Folder::new();
        folder.write(protocol, "A_1.jpg 3\nA_2.jpg 3\nA_1.jpg 0\nB_1.jpg 0\n");
        for image in ["A_1.jpg", "A_2.jpg", "B_1.jpg"] {
            folder.write(&format!("aligned images/{image}"), image);
        }
        let found = open(kind, folder.path()).expect("complete");
        assert_eq!(named(&found), [("A_1.jpg", "A_2.jpg", true), ("A_1.jpg", "B_1.jpg", false)]);
        assert_eq!(found.pair_identities().expect("known"), [[0, 0], [0, 1]]);
        folder.write(protocol, "A_1.jpg 3\nA_2.jpg 0\n");
        let error = folder.said(&open(kind, folder.path()).expect_err("two labels"));
        assert!(error.starts_with(&format!("{protocol}, line 2: ")), "{error}");
        folder.write(protocol, "A_1.jpg 3\nA_2.jpg 3\nB_1.jpg 0\n");
        let error = folder.said(&open(kind, folder.path()).expect_err("half a pair"));
        assert!(error.contains("the last pair has only one image"), "{error}");
    }
}

#[test]
fn cfp_pairs_frontal_with_profile() {
    let folder = Folder::new();
    let (mut frontal, mut profile) = (String::new(), String::new());
    for person in 1..=2 {
        for number in 1..=2 {
            let path = |pose: &str| format!("Data/Images/{person:03}/{pose}/{number:02}.jpg");
            let line = |pose: &str| format!("{} ../{}\n", 2 * (person - 1) + number, path(pose));
            frontal += &line("frontal");
            profile += &line("profile");
            folder.write(&path("frontal"), path("frontal"));
            folder.write(&path("profile"), path("profile"));
        }
    }
    folder.write("Protocol/Pair_list_F.txt", frontal);
    folder.write("Protocol/Pair_list_P.txt", profile);
    for set in ["FF", "FP"] {
        for fold in 1..=10 {
            folder.write(&format!("Protocol/Split/{set}/{fold:02}/same.txt"), "1,2\n");
            folder.write(&format!("Protocol/Split/{set}/{fold:02}/diff.txt"), "1,3\n");
        }
    }
    let fp = open(BenchmarkKind::CfpFp, folder.path()).expect("complete");
    assert_eq!(fp.pairs.len(), 20);
    let first = "Data/Images/001/frontal/01.jpg";
    assert_eq!(
        named(&fp)[..2],
        [
            (first, "Data/Images/001/profile/02.jpg", true),
            (first, "Data/Images/002/profile/01.jpg", false)
        ]
    );
    assert_eq!(fp.folds.as_ref().map(|folds| folds[17]), Some(8));
    assert_eq!(fp.pair_identities().expect("known")[..2], [[0, 0], [0, 1]]);
    let ff = open(BenchmarkKind::CfpFf, folder.path()).expect("complete");
    assert_eq!(named(&ff)[0], (first, "Data/Images/001/frontal/02.jpg", true));

    std::fs::remove_file(folder.path().join("Data/Images/002/profile/01.jpg")).expect("it");
    let error = folder.said(&open(BenchmarkKind::CfpFp, folder.path()).expect_err("incomplete"));
    assert!(
        error.contains("cfp-fp: 1 of 3 images missing: 'Data/Images/002/profile/01.jpg'"),
        "{error}"
    );
    folder.write("Protocol/Split/FP/03/same.txt", "1,2\n1,9\n");
    let error = folder.said(&open(BenchmarkKind::CfpFp, folder.path()).expect_err("no image 9"));
    assert!(error.starts_with("Protocol/Split/FP/03/same.txt, line 2: "), "{error}");
    folder.write("Protocol/Pair_list_P.txt", "1 ../../../etc/passwd/../x.jpg\n");
    let error = folder.said(&open(BenchmarkKind::CfpFp, folder.path()).expect_err("outside"));
    assert!(error.contains("a path below CFP's folder"), "{error}");
}

#[test]
fn adience_balances_mated_and_non_mated_pairs() {
    let folder = Folder::new();
    for fold in 0..5 {
        let mut text = "user_id\toriginal_image\tface_id\tage\tgender\n".to_owned();
        for user in ["30601258@N03", "7153718@N04"] {
            text += &format!("{user}\t{fold}_o.jpg\t{fold}\t(25, 32)\tf\n");
            let name = format!("faces/{user}/coarse_tilt_aligned_face.{fold}.{fold}_o.jpg");
            folder.write(&name, &name);
        }
        folder.write(&format!("fold_{fold}_data.txt"), text);
    }
    let found = open(BenchmarkKind::Adience, folder.path()).expect("complete");
    assert_eq!(found.images.len(), 10);
    let mated: Vec<&Pair> = found.pairs.iter().filter(|pair| pair.mated).collect();
    assert_eq!((mated.len(), found.pairs.len()), (20, 40));
    for (pair, [a, b]) in found.pairs.iter().zip(found.pair_identities().expect("known")) {
        assert_eq!(a == b, pair.mated);
        assert_ne!(pair.a, pair.b);
    }
    let again = adience("adience", folder.path(), 0, Missing::Fail).expect("complete");
    assert_eq!(again.pairs, found.pairs, "the same seed draws the same pairs");
    std::fs::remove_file(folder.path().join("fold_3_data.txt")).expect("it");
    let error = folder.said(&open(BenchmarkKind::Adience, folder.path()).expect_err("refused"));
    assert!(error.starts_with("fold_3_data.txt: cannot be read"), "{error}");
}

fn ijbc_folder() -> Folder {
    let folder = Folder::new();
    let points = "1 2 3 4 5 6 7 8 9 10 0.99";
    let names = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"];
    let lines: String = names.iter().map(|name| format!("{name} {points}\n")).collect();
    folder.write("meta/ijbc_name_5pts_score.txt", lines);
    // Template 7: a still and two frames of one video; template 5: a still.
    folder.write(
        "meta/ijbc_face_tid_mid.txt",
        "1.jpg 7 100\n2.jpg 7 200\n3.jpg 7 200\n4.jpg 5 300\n",
    );
    folder.write("meta/ijbc_template_pair_label.txt", "7 5 1\n7 7 0\n");
    folder
}

#[test]
fn ijbc_templates_average_media_and_take_worst_quality() {
    let folder = ijbc_folder();
    let ijbc = open(BenchmarkKind::IjbC, folder.path()).expect("complete");
    assert_eq!((ijbc.images.len(), ijbc.template_count()), (4, 2));
    assert_eq!(ijbc.pairs[0], Pair { a: 1, b: 0, mated: true });
    assert_eq!(ijbc.images[0].landmarks.map(|points| points[4]), Some([9.0, 10.0]));
    assert!(matches!(ijbc.images[0].source, ImageSource::Unavailable));

    let embeddings = Embeddings::new(2, vec![1.0, 0.0, 0.0, 4.0, 0.0, 8.0, 3.0, 3.0]).expect("it");
    let templates = ijbc.template_embeddings(&embeddings).expect("templates");
    assert_eq!(templates.row(1), [1.0, 6.0]);
    assert_eq!(templates.row(0), [3.0, 3.0]);
    let cosine = ijbc.comparisons(&embeddings).expect("comparisons").similarity(0);
    assert!((cosine - 21.0 / (37.0_f64 * 18.0).sqrt()).abs() < 1e-12);
    let quality = [0.4, 0.9, 0.2, 0.6];
    assert_eq!(ijbc.template_qualities(&quality).expect("qualities"), [0.6, 0.2]);
    assert_eq!(ijbc.pair_qualities(&quality).expect("qualities"), [0.2, 0.2]);
    assert!(ijbc.pair_qualities(&quality[..3]).is_err());
    assert!(ijbc.pair_qualities(&[0.4, f64::NAN, 0.2, 0.6]).is_err());
}

#[test]
fn ijbc_missing_images_and_inconsistent_files_are_rejected() {
    let folder = ijbc_folder();
    for name in ["1.jpg", "2.jpg", "4.jpg"] {
        folder.write(&format!("loose_crop/{name}"), name);
    }
    let error = folder.said(&open(BenchmarkKind::IjbC, folder.path()).expect_err("incomplete"));
    assert!(error.contains("ijb-c: 1 of 4 images missing: '3.jpg'"), "{error}");
    folder.write("loose_crop/3.jpg", "3.jpg");
    let ijbc = open(BenchmarkKind::IjbC, folder.path()).expect("complete");
    assert_eq!(ijbc.read_image(2).expect("bytes"), b"3.jpg");
    folder.write("meta/ijbc_template_pair_label.txt", "7 5 1\n7 6 0\n");
    let error = folder.said(&open(BenchmarkKind::IjbC, folder.path()).expect_err("no template 6"));
    assert_eq!(
        error,
        "meta/ijbc_template_pair_label.txt, line 2: expected templates that have images, found \
         'template 6, which has no image'"
    );
    folder.write("meta/ijbc_face_tid_mid.txt", "1.jpg 7 100\n9.jpg 7 200\n");
    let error = folder.said(&open(BenchmarkKind::IjbC, folder.path()).expect_err("no image 9"));
    assert!(error.starts_with("meta/ijbc_face_tid_mid.txt, line 2: "), "{error}");
}

#[test]
fn a_plain_list_is_read_with_images_and_without() {
    let folder = Folder::new();
    let list = folder.write("pair_list.txt", "a b 1\na c 0\n");
    for image in ["images/a.png", "images/b.JPG", "images/c.webp"] {
        folder.write(image, image);
    }
    let found = open(BenchmarkKind::Pairs, folder.path()).expect("complete");
    assert_eq!(found.read_image(1).expect("bytes"), b"images/b.JPG");
    // Other sets, as written by the CR-FIQA extraction, also have this layout.
    assert_eq!(open(BenchmarkKind::CfpFp, folder.path()).expect("complete").images.len(), 3);
    let without = open(BenchmarkKind::Pairs, &list).expect("a list");
    assert!(without.read_image(0).is_err());
    folder.write("more/a.png", "another");
    let error = folder.said(&open(BenchmarkKind::Pairs, folder.path()).expect_err("which?"));
    assert!(
        error.contains("'a' matches several entries, such as 'images/a.png' and 'more/a.png'"),
        "{error}"
    );
}

#[test]
fn benchmark_kinds_round_trip_through_names() {
    for kind in BenchmarkKind::ALL {
        assert_eq!(kind.name().parse::<BenchmarkKind>(), Ok(kind));
        let text = serde_json::to_string(&kind).expect("JSON");
        assert_eq!(text, format!("\"{kind}\""));
    }
    assert_eq!("CFP_FP".parse(), Ok(BenchmarkKind::CfpFp));
    assert!("megaface".parse::<BenchmarkKind>().is_err_and(|error| error.contains("ijb-c")));
}
