//! Lists of paths.

use std::path::{Path, PathBuf};

use attn_fiqa::source::{Input, ListFrom, ProgressCount, SourceError, SourceOptions, Sources};
use attn_fiqa::status::Status;

use super::{contents, items, open, relative_names, status, tree, write};

fn list(file: &Path, root: Option<&Path>) -> [Input; 1] {
    [Input::List { path: ListFrom::File(file.to_owned()), root: root.map(Path::to_owned) }]
}

#[test]
fn lines_are_paths_below_the_root() {
    let folder = tree(&["a b.jpg", "é/c.jpg", "n.txt"]);
    let file = folder.path().join("image_path_list.txt");
    let text = "\u{FEFF}é/c.jpg\r\n\r\na b.jpg\n./n.txt\na b.jpg";
    write(&file, text.as_bytes());
    let found = items(&list(&file, Some(folder.path())), false);
    assert_eq!(contents(&found), ["é/c.jpg", "a b.jpg", "n.txt", "a b.jpg"]);
    assert_eq!(relative_names(&found), ["é/c.jpg", "a b.jpg", "n.txt", "a b.jpg"]);
    // The row has the path as listed.
    assert_eq!(found[2].path, "./n.txt");
}

#[cfg(unix)]
#[test]
fn relative_names_never_leave_the_output_folder() {
    let folder = tree(&["a.jpg", "sub/b.jpg"]);
    let file = folder.path().join("list.txt");
    let absolute = folder.path().join("a.jpg");
    let text = format!("../a.jpg\n{}\n..\n", absolute.display());
    write(&file, text.as_bytes());
    let found = items(&list(&file, Some(&folder.path().join("sub"))), false);
    assert_eq!(contents(&found), ["a.jpg", "a.jpg", "<unreadable>"]);
    assert_eq!(found[0].relative, Path::new("a.jpg"));
    assert_eq!(found[1].relative, absolute.strip_prefix("/").unwrap());
    assert_eq!(found[2].relative, Path::new("unnamed"));
}

#[test]
fn bad_lines_fail_without_stopping_the_list() {
    let folder = tree(&["a.jpg", "sub/b.jpg"]);
    let file = folder.path().join("list.txt");
    write(&file, b"gone.jpg\nsub\na.jpg\0x\na.jpg\n");
    let found = items(&list(&file, Some(folder.path())), false);
    assert_eq!(contents(&found), ["<not-found>", "<unreadable>", "<unreadable>", "a.jpg"]);
    assert_eq!(found[0].image.as_ref().unwrap_err().message, "no such file");
}

#[test]
fn missing_root_is_suggested_for_relative_paths() {
    let folder = tree(&[]);
    let file = folder.path().join("list.txt");
    let absolute = folder.path().join("gone.jpg");
    write(&file, format!("no/such.jpg\n{}\n", absolute.display()).as_bytes());
    let found = items(&list(&file, None), false);
    let messages: Vec<_> = found
        .iter()
        .map(|item| {
            assert_eq!(status(item), Status::NotFound);
            item.image.as_ref().unwrap_err().message.as_str()
        })
        .collect();
    assert!(messages[0].contains("list's root"), "{}", messages[0]);
    assert!(!messages[1].contains("root"), "{}", messages[1]);
}

#[test]
fn lists_that_cannot_be_read_are_errors() {
    let folder = tree(&["a.jpg", "list.txt"]);
    for name in ["gone.txt", "."] {
        let error = open(&list(&folder.path().join(name), None), false).unwrap_err();
        assert!(matches!(error, SourceError::UnreadableList { .. }), "{error}");
    }
    let file = folder.path().join("list.txt");
    for root in ["gone", "a.jpg"] {
        let error = open(&list(&file, Some(&folder.path().join(root))), false).unwrap_err();
        assert!(matches!(error, SourceError::RootNotAFolder { .. }), "{error}");
    }
    let stdin = Input::List { path: ListFrom::Stdin, root: None };
    let error = open(&[stdin.clone(), stdin], false).unwrap_err();
    assert!(matches!(error, SourceError::StandardInputTwice));
}

#[test]
fn an_empty_list_gives_nothing() {
    let folder = tree(&["list.txt"]);
    let file = folder.path().join("list.txt");
    for text in ["", "\n\r\n  \n", "\u{FEFF}"] {
        write(&file, text.as_bytes());
        assert_eq!(items(&list(&file, None), false), []);
    }
}

#[test]
fn a_count_is_exact_only_at_the_end_of_the_list() {
    let folder = tree(&["a.jpg"]);
    let file = folder.path().join("list.txt");
    write(&file, b"a.jpg\na.jpg\n");
    let mut sources = open(&list(&file, Some(folder.path())), false).unwrap();
    let progress = sources.progress();
    assert_eq!(progress.counts(), ProgressCount { known: 0, exact: false });
    assert!(sources.next().is_some() && sources.next().is_some());
    assert_eq!(progress.counts(), ProgressCount { known: 2, exact: false });
    assert!(sources.next().is_none());
    assert_eq!(progress.counts(), ProgressCount { known: 2, exact: true });
}

#[cfg(unix)]
#[test]
fn piped_lists_with_non_utf8_paths_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tree(&[]);
    let name = std::ffi::OsStr::from_bytes(b"\xFF.jpg");
    std::fs::write(folder.path().join(name), b"odd").unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let other_end: PathBuf = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(other_end, b"\xFF.jpg\n\xFF.jpg"));
    let found = items(&list(&pipe, Some(folder.path())), false);
    writer.join().unwrap().unwrap();
    assert_eq!(contents(&found), ["odd", "odd"]);
    assert_eq!(found[0].path, r"\xff.jpg");
    assert_eq!(found[0].relative, name);
}

#[test]
fn trailing_labels_are_stripped_from_paths() {
    let folder = tree(&["a.jpg", "a b.jpg", "c, d.jpg", "e.jpg 1", "e.jpg", "sub/f.jpg"]);
    let file = folder.path().join("list.txt");
    let text = "a.jpg 0\na b.jpg 1\na.jpg\tlabel with spaces\nc, d.jpg,0.5,x\ne.jpg 1\n\
                e.jpg 2\nsub/f.jpg  , 7\nsub 3\ngone.jpg 4\n";
    write(&file, text.as_bytes());
    let found = items(&list(&file, Some(folder.path())), false);
    let expected = [
        "a.jpg",
        "a b.jpg",
        "a.jpg",
        "c, d.jpg",
        "e.jpg 1",
        "e.jpg",
        "sub/f.jpg",
        "<not-found>",
        "<not-found>",
    ];
    assert_eq!(contents(&found), expected);
    let paths: Vec<_> = found.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths[..7], expected[..7]);
    // A line that names no existing file is kept as written.
    assert_eq!(paths[7..], ["sub 3", "gone.jpg 4"]);
}

#[test]
fn nul_separated_lists_are_supported() {
    let names = ["a b.jpg", "a b.jpg 1", "c.jpg"];
    let folder = tree(&names);
    let file = folder.path().join("list");
    write(&file, b"a b.jpg 1\0\0c.jpg\0a b.jpg 2\0a b.jpg");
    let read = |nul_separated| {
        let options = SourceOptions { nul_separated, ..SourceOptions::default() };
        let inputs = list(&file, Some(folder.path()));
        Sources::open(&inputs, &options).unwrap().collect::<Vec<_>>()
    };
    assert_eq!(contents(&read(true)), ["a b.jpg 1", "c.jpg", "<not-found>", "a b.jpg"]);
    let lines = read(false);
    assert_eq!(contents(&lines), ["<unreadable>"]);
    assert!(lines[0].image.as_ref().unwrap_err().message.contains("zero byte"));
}
