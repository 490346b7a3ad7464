//! Files, folders and patterns.

use std::fs;

use attn_fiqa::source::{ProgressCount, SourceError, SourceOptions, Sources};
use attn_fiqa::status::Status;

use super::{contents, items, open, path, relative_names, status, tree};

#[test]
fn explicit_files_are_read_regardless_of_extension() {
    let folder = tree(&["notes.txt", "noextension"]);
    for name in ["notes.txt", "noextension"] {
        let file = folder.path().join(name);
        let found = items(&[path(&file)], false);
        assert_eq!(contents(&found), [name]);
        assert_eq!(found[0].path, file.to_string_lossy());
        assert_eq!(relative_names(&found), [name]);
    }
}

#[test]
fn unreadable_files_yield_failed_items() {
    let folder = tree(&["a.jpg"]);
    let at = |name: &str| path(folder.path().join(name));
    let found = items(&[at("gone.jpg"), at("a.jpg/below.jpg"), at("a.jpg"), path("")], false);
    assert_eq!(contents(&found), ["<not-found>", "<not-found>", "a.jpg", "<not-found>"]);
    assert_eq!(found[0].image.as_ref().unwrap_err().message, "no such file");

    let options = SourceOptions { max_bytes: 4, ..SourceOptions::default() };
    let mut sources = Sources::open(&[at("a.jpg")], &options).unwrap();
    let failure = sources.next().unwrap().image.unwrap_err();
    assert_eq!(failure.status, Status::TooLarge);
    assert_eq!(failure.message, "the file holds 5 bytes and the limit is 4");
}

#[cfg(unix)]
#[test]
fn pipes_sockets_and_broken_links_do_not_hang() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let folder = tree(&["real.jpg"]);
    let at = |name: &str| folder.path().join(name);
    let _listener = UnixListener::bind(at("socket.jpg")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(at("pipe.jpg")).status();
    assert!(made.unwrap().success());
    symlink("nowhere.jpg", at("broken.jpg")).unwrap();
    symlink("real.jpg", at("link.jpg")).unwrap();
    symlink("loop.jpg", at("loop.jpg")).unwrap();

    let named = ["socket.jpg", "pipe.jpg", "broken.jpg", "link.jpg", "loop.jpg"];
    let found = items(&named.map(|name| path(at(name))), false);
    assert_eq!(
        contents(&found),
        ["<unreadable>", "<unreadable>", "<not-found>", "real.jpg", "<unreadable>"]
    );
    assert!(found[1].image.as_ref().unwrap_err().message.contains("pipe"));
    assert!(found[2].image.as_ref().unwrap_err().message.contains("link"));

    // In a folder as well, everything with an image name is a row.
    symlink("/dev/zero", at("zero.jpg")).unwrap();
    symlink("/dev/zero", at("without-an-ending")).unwrap();
    fs::create_dir(at("folder.jpg")).unwrap();
    for recursive in [false, true] {
        let mut sources = open(&[path(folder.path())], recursive).unwrap();
        let found: Vec<_> = sources.by_ref().collect();
        let names = ["broken", "folder", "link", "loop", "pipe", "real", "socket", "zero"];
        let names = names.map(|name| format!("{name}.jpg"));
        // Folders are searched as folders, whatever their names.
        let expected: Vec<_> =
            names.iter().filter(|name| !recursive || *name != "folder.jpg").collect();
        assert_eq!(relative_names(&found).iter().collect::<Vec<_>>(), expected);
        for item in found {
            let is_image =
                item.relative.ends_with("real.jpg") || item.relative.ends_with("link.jpg");
            assert_eq!(item.image.is_ok(), is_image, "{}", item.path);
        }
        assert_eq!(sources.skipped(), 1);
    }
}

#[test]
fn a_folder_gives_its_images_in_name_order() {
    let folder = tree(&[
        "c.JPG",
        "a.jpeg",
        "b.Png",
        "é.webp",
        "d.bmp",
        "img10.tif",
        "img2.TIFF",
        "z.txt",
        "jpg",
        "sub/hidden.jpg",
    ]);
    let mut sources = open(&[path(folder.path())], false).unwrap();
    let found: Vec<_> = sources.by_ref().collect();
    let expected = ["a.jpeg", "b.Png", "c.JPG", "d.bmp", "img10.tif", "img2.TIFF", "é.webp"];
    assert_eq!(contents(&found), expected);
    assert_eq!(relative_names(&found), expected);
    assert_eq!(found[0].path, folder.path().join("a.jpeg").to_string_lossy());
    assert_eq!(sources.skipped(), 2);
}

#[test]
fn subfolders_come_in_name_order_after_the_images() {
    let folder =
        tree(&["b/2.jpg", "b/1.jpg", "a/y/3.jpg", "a/x/4.jpg", "a/5.jpg", "z.jpg", "b/e/n.txt"]);
    let found = items(&[path(folder.path())], true);
    let expected = ["z.jpg", "a/5.jpg", "a/x/4.jpg", "a/y/3.jpg", "b/1.jpg", "b/2.jpg"];
    assert_eq!(contents(&found), expected);
    assert_eq!(relative_names(&found), expected);
}

#[cfg(unix)]
#[test]
fn deeply_nested_folders_are_read() {
    let folder = tree(&[]);
    let deep = "d/".repeat(900);
    let below = folder.path().join(&deep);
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("deep.jpg"), b"deep").unwrap();
    let found = items(&[path(folder.path())], true);
    assert_eq!(contents(&found), ["deep"]);
    assert_eq!(relative_names(&found), [format!("{deep}deep.jpg")]);
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_not_followed() {
    let folder = tree(&["a/1.jpg"]);
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("same.jpg")).unwrap();
    let mut sources = open(&[path(folder.path())], true).unwrap();
    let found: Vec<_> = sources.by_ref().collect();
    assert_eq!(contents(&found), ["<unreadable>", "a/1.jpg"]);
    assert_eq!((sources.skipped(), sources.progress().links_to_folders()), (0, 1));
    // If given as an input itself, a link to a folder is that folder.
    let found = items(&[path(folder.path().join("same.jpg"))], false);
    assert_eq!(contents(&found), ["a/1.jpg"]);
}

#[test]
#[cfg(unix)]
fn folder_with_only_links_to_folders_is_an_error_that_names_them() {
    let folder = tree(&["images/1.jpg", "links/n.txt"]);
    std::os::unix::fs::symlink("../images", folder.path().join("links/more")).unwrap();
    let error = open(&[path(folder.path().join("links"))], true).unwrap_err();
    assert!(matches!(error, SourceError::NoImages { links: 1, .. }));
    assert!(error.to_string().contains("a link to a folder, which is not followed"), "{error}");
}

#[test]
fn a_folder_without_images_is_an_error() {
    let folder = tree(&["n.txt", "sub/1.jpg", "empty/n.txt"]);
    let error = open(&[path(folder.path())], false).unwrap_err();
    assert!(matches!(error, SourceError::NoImages { unsearched: true, .. }));
    assert!(error.to_string().contains("recursively"), "{error}");
    assert!(open(&[path(folder.path())], true).is_ok());
    let error = open(&[path(folder.path().join("empty"))], true).unwrap_err();
    assert!(matches!(error, SourceError::NoImages { unsearched: false, .. }));
    assert!(!error.to_string().contains("recursively"), "{error}");
}

#[test]
fn counts_grow_as_folders_are_opened() {
    let folder = tree(&["1.jpg", "2.jpg", "a/3.jpg"]);
    let file = folder.path().join("1.jpg");
    let mut sources = open(&[path(&file), path(folder.path())], true).unwrap();
    let progress = sources.progress();
    let counts = |known, exact| ProgressCount { known, exact };
    assert_eq!(progress.counts(), counts(1, false));
    sources.by_ref().take(2).for_each(drop);
    assert_eq!(progress.counts(), counts(3, false));
    sources.by_ref().for_each(drop);
    assert_eq!(progress.counts(), counts(4, true));

    let files_only = open(&[path(&file), path(&file)], false).unwrap();
    assert_eq!(files_only.progress().counts(), counts(2, true));
}

#[test]
fn a_pattern_gives_its_matches_in_order() {
    let folder = tree(&["b/1.jpg", "a/2.jpg", "a/1.jpg", "a/n.txt", "a[1].jpg"]);
    let pattern = |text: &str| [path(folder.path().join(text))];
    let found = items(&pattern("*/[12].jpg"), false);
    assert_eq!(contents(&found), ["a/1.jpg", "a/2.jpg", "b/1.jpg"]);
    assert_eq!(relative_names(&found), ["a/1.jpg", "a/2.jpg", "b/1.jpg"]);
    // Matches count as named: any file is read, and folders are read as folders.
    let found = items(&pattern("a/n.*"), false);
    assert_eq!(
        (contents(&found), relative_names(&found)),
        (vec!["a/n.txt".into()], vec!["n.txt".into()])
    );
    let found = items(&pattern("?"), false);
    assert_eq!(relative_names(&found), ["a/1.jpg", "a/2.jpg", "b/1.jpg"]);
    // A file whose name looks like a pattern is read as a file.
    assert_eq!(contents(&items(&pattern("a[1].jpg"), false)), ["a[1].jpg"]);
}

#[test]
fn patterns_without_a_match_are_errors() {
    let folder = tree(&["a.jpg"]);
    for text in ["*.png", "none/*", "b?.jpg"] {
        let error = open(&[path(folder.path().join(text))], false).unwrap_err();
        assert!(matches!(error, SourceError::NoMatch { .. }), "{text}: {error}");
        assert!(error.to_string().contains(text));
    }
    let error = open(&[path(folder.path().join("a[.jpg"))], false).unwrap_err();
    assert!(matches!(error, SourceError::BadPattern { .. }), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_work() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tree(&[]);
    let name = OsStr::from_bytes(b"caf\xE9.jpg");
    let file = folder.path().join(name);
    fs::write(&file, b"latin").unwrap();
    for input in [file.as_path(), folder.path()] {
        let found = items(&[path(input)], false);
        assert_eq!(contents(&found), ["latin"]);
        assert_eq!(found[0].relative, name);
        assert!(found[0].path.ends_with(r"caf\xe9.jpg"), "{}", found[0].path);
    }
    // Names that differ only in such bytes stay distinct.
    fs::write(folder.path().join(OsStr::from_bytes(b"caf\xEA.jpg")), b"other").unwrap();
    let found = items(&[path(folder.path())], false);
    assert_ne!(found[0].path, found[1].path);
}

#[cfg(unix)]
#[test]
fn deleted_folder_yields_a_failed_item() {
    let folder = tree(&["a.jpg"]);
    let sub = tree(&["b.jpg"]);
    let sources = open(&[path(sub.path()), path(folder.path())], false).unwrap();
    let gone = sub.path().to_owned();
    sub.close().unwrap();
    let found: Vec<_> = sources.collect();
    assert_eq!(found[0].path, gone.to_string_lossy());
    assert_eq!(status(&found[0]), Status::Unreadable);
    assert_eq!(contents(&found[1..]), ["a.jpg"]);
}

#[test]
fn a_file_without_an_extension_is_recognised_by_content() {
    let folder = tree(&["a.jpg", "notes.txt", "._a.jpg", "__MACOSX/a.jpg", "empty.bin"]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("empty.bin"), b"").unwrap();
    fs::write(at("download"), b"\xFF\xD8\xFF\xE0 and so on").unwrap();
    fs::write(at("scan.dat"), b"II*\0\x08\0\0\0").unwrap();
    fs::write(at("phone.bin"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    fs::write(at("BMW.csv"), b"BMW,1\nand other cars").unwrap();
    for name in ["b.jfif", "c.HEIC", "d.jpe", "e.jp2", "f.avif"] {
        fs::write(at(name), name).unwrap();
    }
    for recursive in [false, true] {
        let mut sources = open(&[path(folder.path())], recursive).unwrap();
        let found: Vec<_> = sources.by_ref().collect();
        let expected = [
            "a.jpg",
            "b.jfif",
            "c.HEIC",
            "d.jpe",
            "download",
            "e.jp2",
            "f.avif",
            "phone.bin",
            "scan.dat",
        ];
        assert_eq!(relative_names(&found), expected);
        // Notes, an empty file, a table, and two companion files of macOS.
        assert_eq!(sources.skipped(), 5);
    }
}

#[test]
fn folder_with_only_macos_companions_is_an_error() {
    let folder = tree(&["._a.jpg", "notes.txt"]);
    assert!(matches!(open(&[path(folder.path())], true), Err(SourceError::NoImages { .. })));
}
