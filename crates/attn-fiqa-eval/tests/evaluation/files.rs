//! The field's file formats: every variant, and every way in which one can be wrong.

use attn_fiqa_eval::comparisons::Pair;
use attn_fiqa_eval::files::{
    EmbeddingFile, Failed, FileError, GroupFile, Missing, PairList, QualityFile, npy,
};

use crate::support::folder::{Folder, npy_with_header};

fn pairs(text: &str) -> Result<PairList, FileError> {
    PairList::parse("list", text.as_bytes())
}

fn qualities(text: &str) -> Result<QualityFile, FileError> {
    QualityFile::parse("scores", text.as_bytes())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[track_caller]
fn said<T: std::fmt::Debug>(result: Result<T, FileError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn json_row_without_the_key_has_no_quality() {
    let folder = Folder::new();
    let rows = "{\"path\":\"a\",\"status\":\"ok\"}\n{\"path\":\"b\",\"score\":2}\n";
    let file = QualityFile::read(&folder.write("s.jsonl", rows), None).expect("qualities");
    let images = names(&["a", "b"]);
    let lowest = file.for_images(&images, Failed::Lowest, Missing::Fail).expect("qualities");
    assert_eq!((lowest.values, lowest.failed), (vec![f64::NEG_INFINITY, 2.0], 1));
    let error = file.for_images(&images, Failed::Refuse, Missing::Fail).expect_err("refused");
    assert!(folder.said(&error).starts_with("s.jsonl, line 1: expected a quality"), "{error}");
    let none = folder.write("none.jsonl", rows.lines().next().expect("a row"));
    let error = QualityFile::read(&none, None).expect_err("no column");
    let expected = "none.jsonl: expected a column 'score', found only 'path', 'status'";
    assert_eq!(folder.said(&error), expected);
}

#[test]
fn pairs_are_read_in_every_variant() {
    let expected = [Pair { a: 0, b: 1, mated: true }, Pair { a: 1, b: 2, mated: false }];
    for text in [
        "x y 1\ny z 0\n",
        "\u{feff}x y 1\r\n\r\n  y   z  0 \r\n",
        "x\ty\t1\ny\tz\t0",
        "a,b,mated\nx,y,true\ny,z,False\n",
        "x,y,same\ny,z,diff\n",
        "x y 1\ny z -1\n",
    ] {
        let list = pairs(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(
            (list.names, list.pairs),
            (names(&["x", "y", "z"]), expected.to_vec()),
            "{text:?}"
        );
        assert_eq!(list.scores, None);
    }
    let spaced =
        pairs("Ann Lee 1.jpg\tBo 2.jpg\t1\t0.5\nBo 2.jpg\tCy.jpg\t0\t-0.25\n").expect("tabs");
    assert_eq!(spaced.names, names(&["Ann Lee 1.jpg", "Bo 2.jpg", "Cy.jpg"]));
    assert_eq!(spaced.scores, Some(vec![0.5, -0.25]));
}

#[test]
fn errors_in_a_list_of_pairs_name_the_line() {
    assert_eq!(said(pairs("")), "list: holds no pair");
    assert_eq!(
        said(pairs("a b 1\nc d 1\n")),
        "list: all 2 pairs are mated; both mated (1) and non-mated (0) ones are needed"
    );
    let error = said(pairs("a b 1\n\na c\n"));
    assert!(error.starts_with("list, line 3: expected `a b 1|0`"), "{error}");
    assert!(error.ends_with("found 'a c'"), "{error}");
    assert!(said(pairs("a b 1\na c 2\n")).starts_with("list, line 2: "));
    assert!(said(pairs("a b 1 0.5\na c 0\n")).starts_with("list, line 2: "));
    assert_eq!(
        said(pairs("a b 1 0.5\na c 0 nan\n")),
        "list, line 2: expected a finite comparison score, found 'nan'"
    );
    assert_eq!(
        said(pairs("a b 1\nc d 0\nb a 0\n")),
        "list, line 3: 'a b' has another label on line 1; keep one of the two"
    );
    let error = PairList::parse("list", &b"a b 1\n\xff b 0\n"[..]);
    assert_eq!(said(error), "list, line 2: is not UTF-8 text");
    let long = format!("a {} 1\n", "b".repeat(1 << 17));
    assert!(said(pairs(&long)).contains("larger than 65536 bytes"));
    let folder = Folder::new();
    let error = said(PairList::read(&folder.path().join("none.txt")));
    assert!(error.contains("none.txt: cannot be read: No such file"), "{error}");
    assert!(said(PairList::read(folder.path())).contains("is not a file but a folder"));
}

#[test]
fn qualities_split_at_last_separator_and_match_stems() {
    let file =
        qualities("data/Ann Lee 1.jpg -1.250000000000000\ndata/Bo.png\t2e0\nCy,3\n").expect("it");
    let images = names(&["data/Ann Lee 1.jpg", "Bo", "Cy.jpg"]);
    let matched = file.for_images(&images, Failed::Refuse, Missing::Fail).expect("all there");
    assert_eq!(matched.values, [-1.25, 2.0, 3.0]);
    assert_eq!((matched.by_path, matched.by_stem, matched.unused, matched.failed), (1, 2, 0, 0));
    let matched =
        file.for_images(&images[1..2], Failed::Refuse, Missing::Fail).expect("it is there");
    assert_eq!((matched.values, matched.unused), (vec![2.0], 2));
}

#[test]
fn missing_images_are_named_or_left_out() {
    let file = qualities("set/1/03.jpg 1\nset/2/03.jpg 2\n").expect("qualities");
    let images = names(&["set/1/03.jpg", "set/3/03.jpg", "set/4/03.jpg", "set/2/03.jpg"]);
    assert_eq!(
        said(file.for_images(&images, Failed::Refuse, Missing::Fail)),
        "scores: has no quality for 2 of 4 images: 'set/3/03.jpg', 'set/4/03.jpg'"
    );
    let matched = file.for_images(&images, Failed::Refuse, Missing::Skip).expect("two of four");
    assert_eq!((matched.by_path, matched.missing), (2, vec![1, 2]));
    assert!(matched.values[0] == 1.0 && matched.values[1].is_nan() && matched.values[3] == 2.0);

    let mut list = pairs("a b 1 0.9\na c 0 0.1\nb d 0 0.2\nd c 1 0.8\n").expect("pairs");
    assert_eq!(list.leave_out(&[1]).expect("both kinds are left"), 2);
    assert_eq!((list.names, list.scores), (names(&["a", "c", "d"]), Some(vec![0.1, 0.8])));
    let left = [Pair { a: 0, b: 1, mated: false }, Pair { a: 2, b: 1, mated: true }];
    assert_eq!(list.pairs, left);
    let mut list = pairs("a b 1\na c 0\n").expect("pairs");
    assert!(said(list.leave_out(&[2])).contains("all 1 pairs are mated"));
}

#[test]
fn failed_images_are_rejected_or_ranked_lowest() {
    let file = qualities("a.jpg 1\nb.jpg nan\n").expect("qualities");
    let images = names(&["b", "a"]);
    assert_eq!(
        said(file.for_images(&images, Failed::Refuse, Missing::Fail)),
        "scores, line 2: expected a quality (an image without one can count as the lowest), found \
         none for 'b'"
    );
    let matched = file.for_images(&images, Failed::Lowest, Missing::Fail).expect("both");
    assert_eq!((matched.values, matched.failed), (vec![f64::NEG_INFINITY, 1.0], 1));
}

#[test]
fn errors_in_qualities_name_the_line() {
    assert_eq!(said(qualities("\n")), "scores: holds no quality");
    assert_eq!(
        said(qualities("a.jpg 1\nb.jpg\n")),
        "scores, line 2: expected `path score`, the score last, found 'b.jpg'"
    );
    assert!(said(qualities("a.jpg high\n")).starts_with("scores, line 1: "));
    assert!(said(qualities("a.jpg inf\n")).starts_with("scores, line 1: "));
    assert_eq!(
        said(qualities("a.jpg 1\nb.jpg 2\na.jpg 3\n")),
        "scores, line 3: 'a.jpg' has another quality on line 1; keep one of the two"
    );
    assert!(qualities("a.jpg 1\na.jpg 1\n").is_ok(), "the same again is no contradiction");
    let file = qualities("x/1.jpg 1\ny/1.jpg 2\n").expect("qualities");
    assert_eq!(
        said(file.for_images(&names(&["1"]), Failed::Refuse, Missing::Fail)),
        "scores: '1' matches several entries, such as 'x/1.jpg' and 'y/1.jpg'; give longer names"
    );
    assert_eq!(
        said(file.for_images(&names(&["x/1", "2", "3"]), Failed::Refuse, Missing::Fail)),
        "scores: has no quality for 2 of 3 images: '2', '3'"
    );
}

#[test]
fn a_column_of_a_table_is_read_by_name() {
    let folder = Folder::new();
    let csv = folder.write(
        "s.csv",
        "path,status,score,attn-max,message\n\"a, b.jpg\",ok,0.5,7,\nc.jpg,wrong-size,,,x\n",
    );
    let read = |column| QualityFile::read(&csv, column).expect("a column");
    assert_eq!(read(None).names, ["a, b.jpg", "c.jpg"]);
    assert_eq!(read(None).values[0], 0.5);
    assert!(read(None).values[1].is_nan());
    assert_eq!(read(Some("attn-max")).values[0], 7.0);
    let error = QualityFile::read(&csv, Some("norm")).expect_err("no such column");
    assert_eq!(
        folder.said(&error),
        "s.csv: expected a column 'norm', found only 'path', 'status', 'score', 'attn-max', \
         'message'"
    );
    let jsonl = folder
        .write("s.jsonl", "{\"path\":\"a\",\"score\":1.5}\n{\"path\":\"b\",\"score\":null}\n");
    let read = QualityFile::read(&jsonl, None).expect("qualities");
    assert_eq!((read.values[0], read.values[1].is_nan()), (1.5, true));
    let bad = folder.write("bad.csv", "path,score\na,1\nb,high\n");
    let error = QualityFile::read(&bad, None).expect_err("no number");
    assert_eq!(
        folder.said(&error),
        "bad.csv, line 3: expected a finite number in the column 'score', found 'high'"
    );
    let text = folder.write("s.txt", "a 1\n");
    let error = QualityFile::read(&text, Some("score")).expect_err("text has no columns");
    assert!(folder.said(&error).starts_with("s.txt: is not a .csv, .jsonl or .parquet file"));
    let short = folder.write("short.csv", "path,score\na\n");
    let error = QualityFile::read(&short, None).expect_err("a short row");
    assert_eq!(
        folder.said(&error),
        "short.csv, line 2: expected 2 cells, as in the heading, found 1"
    );
}

#[test]
fn embeddings_load_from_folder_or_matrix_with_names() {
    let folder = Folder::new();
    folder.write("e/b.npy", npy::to_bytes(&[1, 2], &[3.0, 4.0]));
    folder.write("e/sub/a.npy", npy::to_bytes(&[2], &[1.0, 2.0]));
    let from_folder = EmbeddingFile::read(&folder.path().join("e"), None).expect("a folder");
    assert_eq!(from_folder.names, ["b.npy", "sub/a.npy"]);
    let found = from_folder.for_images(&names(&["x/a.jpg", "b"])).expect("both");
    assert_eq!(
        (found.embeddings.row(0), found.embeddings.row(1)),
        (&[1.0, 2.0][..], &[3.0, 4.0][..])
    );
    assert_eq!(found.by_stem, 2);

    let matrix = folder.write("m.npy", npy::to_bytes(&[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    let list = folder.write("list.txt", "one/a.jpg\none/b.jpg\n");
    let from_matrix = EmbeddingFile::read(&matrix, Some(&list)).expect("a matrix");
    let found = from_matrix.for_images(&names(&["one/b.jpg"])).expect("it");
    assert_eq!((found.embeddings.row(0), found.by_path), (&[3.0, 4.0][..], 1));
    let error = from_matrix.for_images(&names(&["one/b.jpg", "c"])).expect_err("one is missing");
    assert_eq!(folder.said(&error), "m.npy: has no embedding for 1 of 2 images: 'c'");
}

#[test]
fn errors_in_embeddings_are_reported() {
    let folder = Folder::new();
    let matrix = folder.write("m.npy", npy::to_bytes(&[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    let short = folder.write("short.txt", "a\n");
    let refused = |path: &std::path::Path, list: Option<&std::path::Path>| {
        folder.said(&EmbeddingFile::read(path, list).expect_err("refused"))
    };
    assert!(
        refused(&matrix, Some(&short)).starts_with("short.txt: holds 1 names, but 2 rows are in")
    );
    assert!(refused(&matrix, None).contains("without the names of its images"));
    let bad = folder.write("nan.npy", npy::to_bytes(&[2, 2], &[1.0, 2.0, f32::NAN, 4.0]));
    let list = folder.write("list.txt", "a\nb\n");
    let error = refused(&bad, Some(&list));
    assert!(error.contains("a number of embedding 1 is NaN"), "{error}");
    assert!(error.contains("(image 'b')"), "{error}");
    let zero = folder.write("zero.npy", npy::to_bytes(&[2, 2], &[0.0, 0.0, 1.0, 4.0]));
    assert!(refused(&zero, Some(&list)).contains("embedding 0 is zero"));
    folder.write("e/a.npy", npy::to_bytes(&[2], &[1.0, 2.0]));
    folder.write("e/b.npy", npy::to_bytes(&[3], &[1.0, 2.0, 3.0]));
    let error = refused(&folder.path().join("e"), None);
    assert_eq!(error, "e/b.npy: holds 3 numbers, but 2 in the first embedding");
    folder.write("empty/x.txt", "");
    assert_eq!(refused(&folder.path().join("empty"), None), "empty: holds no embedding");
    let error = refused(&folder.write("x.txt", ""), None);
    assert_eq!(error, "x.txt: is not a folder of .npy files, a .npy matrix or a .parquet file");
}

#[test]
fn npy_arrays_are_read_and_malformed_ones_rejected() {
    let read = |bytes: &[u8]| npy::parse("a.npy", bytes, bytes.len() as u64);
    let array = read(&npy::to_bytes(&[2, 1], &[1.5, -2.0])).expect("an array");
    assert_eq!((array.shape, array.values), (vec![2, 1], vec![1.5, -2.0]));
    let header = |kind: &str, order: &str, shape: &str| {
        format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}")
    };
    let doubles: Vec<u8> = [0.5_f64, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let array = read(&npy_with_header(&header("<f8", "False", "(2,)"), &doubles)).expect("f8");
    assert_eq!(array.values, [0.5, 3.0]);
    let halves: Vec<u8> = vec![0x00, 0x3c, 0x00, 0xc0];
    let array = read(&npy_with_header(&header("<f2", "True", "(1, 2)"), &halves)).expect("f2");
    assert_eq!(array.values, [1.0, -2.0]);

    let refused = |bytes: &[u8]| said(read(bytes));
    assert_eq!(refused(b"PK\x03\x04zip"), "a.npy: is not a .npy file");
    assert!(refused(b"\x93NUMPY\x09\x00xx").contains("version 9"));
    assert!(refused(&npy_with_header(&header("<i8", "False", "(2,)"), &doubles)).contains("'<i8'"));
    let fortran = npy_with_header(&header("<f4", "True", "(2, 2)"), &[0; 16]);
    assert!(refused(&fortran).contains("column-major"));
    let short = npy_with_header(&header("<f4", "False", "(3,)"), &[0; 8]);
    assert!(refused(&short).contains("needs 12 bytes of numbers, but there are 8"));
    let vast = npy_with_header(&header("<f4", "False", "(18446744073709551615, 9)"), &[0; 8]);
    assert!(refused(&vast).contains("too large"));
    let mut cut = npy::to_bytes(&[1], &[1.0]);
    cut.truncate(20);
    assert!(refused(&cut).contains("ends too early"));
    for broken in ["", "{}", "{'descr': '<f4'}", "{'x': 1}", "{'shape': (1)", "{'descr' '<f4'}"] {
        assert!(refused(&npy_with_header(broken, &[0; 4])).contains("its header"), "{broken}");
    }
}

#[test]
fn groups_are_numbered_in_order() {
    let folder = Folder::new();
    let text = folder.write("g.txt", "a.jpg women\nb.jpg men\n");
    let groups = GroupFile::read(&text, None).expect("groups");
    let (distinct, found) = groups.for_images(&names(&["b", "a", "b.jpg"])).expect("all");
    assert_eq!((distinct, found), (names(&["men", "women"]), vec![0, 1, 0]));
    let csv = folder.write("g.csv", "path,skin\na,light tone\nb,dark tone\n");
    let groups = GroupFile::read(&csv, Some("skin")).expect("groups");
    assert_eq!(groups.for_images(&names(&["a"])).expect("it").0, ["dark tone", "light tone"]);
    let twice = folder.write("t.txt", "a x\na y\n");
    let error = GroupFile::read(&twice, None).expect_err("a contradiction");
    assert!(folder.said(&error).starts_with("t.txt, line 2: 'a' has another group on line 1"));
}

#[test]
fn column_of_groups_needs_a_csv_file() {
    let folder = Folder::new();
    let read = |name: &str, text: &str, column| {
        GroupFile::read(&folder.write(name, text), column).map_err(|error| folder.said(&error))
    };
    let error = read("g.txt", "a.jpg 20\nb.jpg 30\n", Some("age")).expect_err("no columns");
    assert_eq!(error, "g.txt: is not a .csv file, the only kind of group file with named columns");
    let line = "{\"path\": \"a\", \"group\": \"x\"}\n";
    let error = read("g.jsonl", line, None).expect_err("no text");
    assert_eq!(error, "g.jsonl: is not a .csv file or text, `path group` per line");
}

#[test]
fn groups_are_trimmed_and_an_empty_one_is_missing() {
    let folder = Folder::new();
    let csv = folder.write("g.csv", "path,group\na.jpg,m\nb.jpg, m \nc.jpg, \nd.jpg,f\n");
    let groups = GroupFile::read(&csv, None).expect("groups");
    let images = names(&["a.jpg", "b.jpg", "c.jpg", "d.jpg"]);
    let error = groups.rows_of(&images, Missing::Fail).expect_err("one has no group");
    assert_eq!(folder.said(&error), "g.csv: has no group for 1 of 4 images: 'c.jpg'");
    let found = groups.rows_of(&images, Missing::Skip).expect("three of four");
    assert_eq!(found.rows, [Some(0), Some(1), None, Some(3)]);
    assert_eq!((found.by_path, found.missing), (3, vec![2]));
    let (distinct, found) = groups.for_images(&names(&["a", "b", "d"])).expect("three");
    assert_eq!((distinct, found), (names(&["f", "m"]), vec![1, 1, 0]));
}
