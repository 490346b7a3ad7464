//! Images that are skipped without being read.

use std::path::Path;

use attn_fiqa::source::{Input, ListFrom, ProgressCount, SourceOptions, Sources};

use super::archives::{gzipped, packed};
use super::{contents, open, path, tree, write};

const NAMES: [&str; 4] = ["a.jpg", "b.jpg", "sub/c.jpg", "sub/d.jpg"];

/// A folder, a list, archives and a pattern of the same four images, plus a single file.
fn inputs(folder: &Path) -> Vec<Input> {
    let at = |name: &str| folder.join(name);
    write(&at("list.txt"), "a.jpg\nb.jpg 1\ngone.jpg\nsub/c.jpg\n\nsub/d.jpg".as_bytes());
    write(&at("p.tar"), &packed(&NAMES));
    write(&at("q.tgz"), &gzipped(&packed(&NAMES)));
    let whole = packed(&NAMES);
    // The archive ends inside the data of its last member.
    write(&at("cut.tar"), &whole[..512 * 7 + 3]);
    vec![
        path(folder),
        Input::List { path: ListFrom::File(at("list.txt")), root: Some(folder.to_owned()) },
        path(at("p.tar")),
        path(at("q.tgz")),
        path(at("cut.tar")),
        path(at("*.jpg")),
        path(at("a.jpg")),
    ]
}

#[test]
fn skipping_any_number_of_images_leaves_the_rest_as_they_are() {
    let folder = tree(&NAMES);
    let inputs = inputs(folder.path());
    let all: Vec<_> = open(&inputs, true).unwrap().collect();
    assert_eq!(all.len(), 4 + 5 + 4 + 4 + 4 + 2 + 1);
    for count in 0..=all.len() + 1 {
        let rest: Vec<_> = open(&inputs, true).unwrap().skip(count).collect();
        assert_eq!(rest, all[count.min(all.len())..], "{count}");
    }
    // Also starting from the middle, and a second time.
    let mut sources = open(&inputs, true).unwrap();
    assert_eq!(sources.next().as_ref(), Some(&all[0]));
    assert_eq!(sources.nth(6).as_ref(), Some(&all[7]));
    assert_eq!(sources.next().as_ref(), Some(&all[8]));
    assert_eq!(sources.nth(4).as_ref(), Some(&all[13]));
}

#[cfg(unix)]
#[test]
fn skipped_files_are_not_read() {
    // Reading the pipe would be a failure; skipping it is not.
    let folder = tree(&["b.jpg"]);
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("a.jpg")).status();
    assert!(made.unwrap().success());
    let mut sources = open(&[path(folder.path())], false).unwrap();
    assert!(sources.next().unwrap().image.is_err());
    let mut sources = open(&[path(folder.path())], false).unwrap();
    assert_eq!(contents(&[sources.nth(1).unwrap()]), ["b.jpg"]);
}

#[test]
fn complementary_filters_partition_all_inputs() {
    let folder = tree(&NAMES);
    let inputs = inputs(folder.path());
    let all: Vec<_> = open(&inputs, true).unwrap().collect();
    let part = |first: bool| {
        let odd = |path: &str| path.bytes().map(usize::from).sum::<usize>() % 2 == 1;
        let sources = open(&inputs, true).unwrap().only(move |path, _| odd(path) == first);
        let progress = sources.progress();
        let found: Vec<_> = sources.collect();
        let known = found.len() as u64;
        assert_eq!(progress.counts(), ProgressCount { known, exact: true });
        found
    };
    let (mut odd, mut even) = (part(true), part(false));
    assert!(!odd.is_empty() && !even.is_empty());
    assert_eq!(odd.len() + even.len(), all.len());
    for item in &all {
        let part = if odd.first() == Some(item) { &mut odd } else { &mut even };
        assert_eq!(&part.remove(0), item);
    }
}

#[test]
fn filters_combine_and_apply_before_skip() {
    let folder = tree(&NAMES);
    let open = || Sources::open(&[path(folder.path())], &options()).unwrap();
    let in_sub = |_: &str, relative: &Path| relative.starts_with("sub");
    let sources = open().only(in_sub).only(|path, _| path.ends_with("d.jpg"));
    assert_eq!(contents(&sources.collect::<Vec<_>>()), ["sub/d.jpg"]);
    let sources = open().only(in_sub).skip(1);
    assert_eq!(contents(&sources.collect::<Vec<_>>()), ["sub/d.jpg"]);
}

fn options() -> SourceOptions {
    SourceOptions { recursive: true, ..SourceOptions::default() }
}
