//! Landmark files: what is parsed, how images are matched, what is refused.

use attn_fiqa::align::Landmarks;
use attn_fiqa::align::landmark_file::{Found, LandmarkFile, LandmarkFileLimits, MatchedBy};

fn read(text: &str) -> LandmarkFile {
    LandmarkFile::read(text.as_bytes(), "points.csv", &LandmarkFileLimits::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    let limits = LandmarkFileLimits { max_faces: 3, max_line: 120 };
    LandmarkFile::read(bytes.as_ref(), "points.csv", &limits).unwrap_err().to_string()
}

fn faces(file: &LandmarkFile, path: &str) -> Vec<([[f32; 2]; 5], Option<f32>)> {
    match file.find(path) {
        Found::Faces { faces, .. } => {
            faces.iter().map(|face| (face.landmarks.0, face.confidence)).collect()
        }
        other => panic!("{path}: {other:?}"),
    }
}

const POINTS: [[f32; 2]; 5] = [[1.5, 2.0], [3.0, 4.0], [5.0, 6.25], [7.0, 8.0], [9.0, -10.0]];

#[test]
fn delimiters_and_header_lines_are_recognised() {
    for text in [
        "a.jpg,1.5,2,3,4,5,6.25,7,8,9,-10\n",
        "a.jpg 1.5 2 3 4 5 6.25 7 8 9 -10",
        "a.jpg\t1.5\t2\t3\t4\t5\t6.25\t7\t8\t9\t-10\r\n\r\n",
        "\u{feff}path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n\na.jpg, 1.5, 2, 3, 4, 5, 6.25, 7, 8, 9, -1e1\n",
        "\"a.jpg\" 1.5 2  3 4 5 6.25 7 8 9 -10",
    ] {
        assert_eq!(faces(&read(text), "a.jpg"), [(POINTS, None)], "{text}");
    }
}

#[test]
fn ijbc_confidences_and_repeated_paths_are_kept() {
    let file = read(
        "img/1.jpg 1.5 2 3 4 5 6.25 7 8 9 -10 0.997\n\
         img/2.jpg 1 1 1 1 1 1 1 1 1 1 0.5\n\
         img/1.jpg 0 0 0 0 0 0 0 0 0 0 0.25\n",
    );
    assert_eq!((file.paths(), file.faces()), (2, 3));
    let found = faces(&file, "img/1.jpg");
    assert_eq!(found, [(POINTS, Some(0.997)), ([[0.0; 2]; 5], Some(0.25))]);
    let Found::Faces { faces, .. } = file.find("img/1.jpg") else { panic!("not found") };
    assert_eq!(faces.iter().map(|face| face.line).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_header_that_names_the_columns_gives_their_positions() {
    let names = Landmarks::NAMES.map(|name| format!("{name}_x,{name}_y")).join(",");
    let file = read(&format!(
        "status,{names},path,confidence,more\n\
         ok,1.5,2,3,4,5,6.25,7,8,9,-10,\"a, b.jpg\",0.5,x\n\
         no-face,,,,,,,,,,,empty.jpg,,\n"
    ));
    assert_eq!(faces(&file, "a, b.jpg"), [(POINTS, Some(0.5))]);
    assert_eq!(faces(&file, "empty.jpg"), []);
}

#[test]
fn paths_match_by_suffix_name_or_stem() {
    let line = |path: &str, x: u32| format!("{path},{x},0,0,0,0,0,0,0,0,0\n");
    let file = read(
        &[
            line("./a/1.jpg", 1),
            line("b/1.jpg", 2),
            line("deep/only.png", 3),
            line("bare.jpg", 4),
            line("unused.jpg", 5),
            line(".hidden", 6),
        ]
        .concat(),
    );
    let found = |path: &str| match file.find(path) {
        Found::Faces { faces, by } => Some((faces[0].landmarks.0[0][0] as u32, by)),
        Found::Missing => None,
        Found::Ambiguous { paths } => panic!("{path} is one of {paths}"),
    };
    assert_eq!(found("a/1.jpg"), Some((1, MatchedBy::Path)));
    assert_eq!(found(r".\b\1.jpg"), Some((2, MatchedBy::Path)));
    assert_eq!(found("/data/set/b/1.jpg"), Some((2, MatchedBy::Path)));
    assert_eq!(found("elsewhere/only.png"), Some((3, MatchedBy::Name)));
    assert_eq!(found("elsewhere/only.webp"), Some((3, MatchedBy::Stem)));
    assert_eq!(found("x/bare.jpg"), Some((4, MatchedBy::Name)));
    assert_eq!(found(".hidden"), Some((6, MatchedBy::Path)));
    assert_eq!(found("nowhere.jpg"), None);
    assert!(matches!(file.find("c/1.jpg"), Found::Ambiguous { paths: 2 }));
    // The suffix does not start at a folder name.
    assert!(matches!(file.find("xa/1.jpg"), Found::Ambiguous { paths: 2 }));
    assert_eq!(
        file.report().to_string(),
        "7 of 10 images found (4 by path, 2 by file name, 1 by file name without extension), 2 \
         ambiguous among others with the same name; 1 listed paths not used"
    );
}

#[test]
fn invalid_files_are_rejected_with_specific_messages() {
    let good = "a.jpg,1,2,3,4,5,6,7,8,9,10\n";
    for (text, parts) in [
        (String::new(), &["holds no landmarks", "points.csv"][..]),
        ("\n  \n".to_owned(), &["holds no landmarks"]),
        ("path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n".to_owned(), &["holds no landmarks"]),
        (
            format!("{good}b.jpg,1,2,3\n"),
            &["points.csv, line 2", "ten numbers", "4 fields in 'b.jpg,1,2,3'"],
        ),
        (format!("{good}b.jpg,1,2,3,4,x,6,7,8,9,10\n"), &["line 2", "nose's x", "'x'"]),
        (format!("{good}b.jpg,1,2,3,4,5,6,7,8,9,inf\n"), &["right_mouth's y", "'inf'"]),
        (format!("{good}b.jpg,1,2,3,4,5,6,7,8,9,10,sure\n"), &["the confidence", "'sure'"]),
        (format!("{good},1,2,3,4,5,6,7,8,9,10\n"), &["an empty path"]),
        (format!("{good}\"b.jpg,1,2\n"), &["quotes"]),
        (
            "my photo.jpg 1 2 3 4 5 6 7 8 9 10 0.5\n".to_owned(),
            &["13 fields", "spaces must be in quotes"],
        ),
        ("name,score\na,1\n".to_owned(), &["line 1", "left_eye_x", "2 columns in 'name,score'"]),
        (good.repeat(4), &["line 4", "at most 3 faces"]),
        (format!("{good}{}\n", "y".repeat(121)), &["line 2", "at most 120 bytes"]),
    ] {
        let message = refused(&text);
        for part in parts {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    }
    assert!(refused(b"\xff\xfe,1,2").contains("UTF-8"));
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("gone.csv")] {
        let error = LandmarkFile::open(&path, &LandmarkFileLimits::default()).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
