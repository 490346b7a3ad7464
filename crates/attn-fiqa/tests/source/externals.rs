//! Inputs that are read by external code.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use attn_fiqa::source::{
    External, ExternalImage, ExternalImages, Input, ListFrom, Opened, PendingImage, SourceError,
    SourceItem, SourceOptions, Sources,
};
use attn_fiqa::status::{Failure, Status};

use super::archives::{gzipped, packed};
use super::{contents, path, relative_names, tree, write};

/// Everything that starts with `mem:`. Images contain their own names.
#[derive(Debug, Default)]
struct Memory {
    started: Mutex<Vec<String>>,
    waited: Arc<AtomicUsize>,
    read_ahead: usize,
}

struct NumberedImages(std::ops::Range<u32>);

impl ExternalImages for NumberedImages {
    fn next(
        &mut self,
        _max_bytes: u64,
        wanted: &mut dyn FnMut(&str, &Path) -> bool,
    ) -> Option<ExternalImage> {
        let path = format!("mem:many#{}", self.0.next()?);
        let relative = PathBuf::from(&path);
        let bytes = if wanted(&path, &relative) { path.clone().into_bytes() } else { Vec::new() };
        Some(ExternalImage { path, relative, pending: Box::new(|| Ok(bytes)) })
    }
}

impl External for Memory {
    fn accepts(&self, name: &Path) -> bool {
        name.to_string_lossy().starts_with("mem:")
    }

    fn check(&self, name: &Path) -> Result<(), String> {
        if name == Path::new("mem:useless") { Err("of no use".to_owned()) } else { Ok(()) }
    }

    fn open(&self, name: &Path) -> Result<Opened, Failure> {
        let members = ["a.jpg", "b.jpg", "n.txt"];
        let linked = super::archives::member(b"l.jpg", tar::EntryType::Link, b"");
        Ok(match name.to_string_lossy().as_ref() {
            "mem:gone" => return Err(Failure::new(Status::NotFound, "gone")),
            "mem:many" => Opened::Images(Box::new(NumberedImages(0..5))),
            "mem:tar" => Opened::Tar(Box::new(std::io::Cursor::new(packed(&members)))),
            "mem:tgz" => Opened::Tar(Box::new(std::io::Cursor::new(gzipped(&packed(&members))))),
            "mem:links" => Opened::Tar(Box::new(std::io::Cursor::new(linked))),
            "mem:rec" => Opened::Records(Box::new(std::io::empty())),
            _ => Opened::Image,
        })
    }

    fn start(&self, name: &Path, _max_bytes: u64) -> Option<PendingImage> {
        let name = name.to_string_lossy().into_owned();
        self.started.lock().unwrap().push(name.clone());
        let waited = Arc::clone(&self.waited);
        Some(Box::new(move || {
            waited.fetch_add(1, Ordering::SeqCst);
            Ok(name.into_bytes())
        }))
    }

    fn read_ahead(&self) -> usize {
        self.read_ahead
    }
}

fn open(inputs: &[Input], external: &Arc<Memory>) -> Result<Sources, SourceError> {
    let externals: [Arc<dyn External>; 1] = [Arc::<Memory>::clone(external)];
    Sources::open_with(inputs, &SourceOptions::default(), &externals)
}

fn read(names: &[&str]) -> Vec<SourceItem> {
    let inputs: Vec<_> = names.iter().map(path).collect();
    open(&inputs, &Arc::default()).unwrap().collect()
}

#[test]
fn every_kind_of_input_is_read() {
    let found = read(&["mem:one", "mem:gone", "mem:many", "mem:tar", "mem:tgz", "mem:rec"]);
    let many = (0..5).map(|number| format!("mem:many#{number}"));
    let mut expected = vec!["mem:one".to_owned(), "<not-found>".to_owned()];
    expected.extend(many);
    let rest = ["a.jpg", "b.jpg", "a.jpg", "b.jpg", "<broken-archive>"];
    expected.extend(rest.map(str::to_owned));
    assert_eq!(contents(&found), expected);
    assert_eq!(found[1].path, "mem:gone");
    assert_eq!(found[7].path, "mem:tar/a.jpg");
    assert_eq!(relative_names(&found)[7], "mem:tar/a.jpg");
    assert_eq!(contents(&read(&["mem:{x,y}"])), ["mem:x", "mem:y"]);
    // Unsupported entries of a stream are reported, and a missing end is detected.
    assert_eq!(contents(&read(&["mem:links"])), ["<unreadable>", "<broken-archive>"]);
    let error = open(&[path("mem:useless")], &Arc::default()).unwrap_err();
    assert_eq!(error.to_string(), "mem:useless: of no use");
}

#[test]
fn skipped_and_filtered_images_are_not_started() {
    let names = ["mem:0", "mem:1", "mem:2", "mem:3"];
    let inputs = names.map(path);
    let external = Arc::default();
    let rest: Vec<_> = open(&inputs, &external).unwrap().skip(2).collect();
    assert_eq!(contents(&rest), names[2..]);
    let odd = |path: &str, _: &Path| path.ends_with(['1', '3']);
    let rest: Vec<_> = open(&inputs, &external).unwrap().only(odd).collect();
    assert_eq!(contents(&rest), ["mem:1", "mem:3"]);
    assert_eq!(*external.started.lock().unwrap(), ["mem:2", "mem:3", "mem:1", "mem:3"]);
    let many: Vec<_> = open(&[path("mem:many")], &external).unwrap().skip(3).collect();
    assert_eq!(contents(&many), ["mem:many#3", "mem:many#4"]);
}

#[test]
fn listed_images_are_prefetched_in_order() {
    let folder = tree(&["a.jpg"]);
    let list = folder.path().join("list.txt");
    let mut text: String = (0..20).map(|number| format!("mem:{number} 1\n")).collect();
    text.insert_str(0, "a.jpg\n\0\n");
    text += "a.jpg\n";
    write(&list, text.as_bytes());
    let root = Some(folder.path().to_owned());
    let inputs = [Input::List { path: ListFrom::File(list), root }];
    let external = Arc::new(Memory { read_ahead: 4, ..Memory::default() });
    let all: Vec<_> = open(&inputs, &external).unwrap().collect();
    let mut expected = vec!["a.jpg".to_owned(), "<unreadable>".to_owned()];
    expected.extend((0..20).map(|number| format!("mem:{number}")));
    expected.push("a.jpg".to_owned());
    assert_eq!(contents(&all), expected);
    assert_eq!(all[2].path, "mem:0");

    for count in 0..all.len() {
        let rest: Vec<_> = open(&inputs, &external).unwrap().skip(count).collect();
        assert_eq!(rest, all[count..], "{count}");
    }
    let external = Arc::new(Memory { read_ahead: 4, ..Memory::default() });
    let mut sources = open(&inputs, &external).unwrap();
    assert!(sources.nth(3).is_some());
    assert_eq!(external.started.lock().unwrap().len(), 1 + 4);
    assert_eq!(external.waited.load(Ordering::SeqCst), 1);
}

/// A program that writes a list and waits for the rows must not wait forever.
#[cfg(unix)]
#[test]
fn read_ahead_does_not_block_on_missing_lines() {
    let folder = tree(&[]);
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let (next, asked) = std::sync::mpsc::channel::<()>();
    let other_end = pipe.clone();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let mut list = std::fs::File::create(other_end).unwrap();
        for number in 0..3 {
            writeln!(list, "mem:{number}").unwrap();
            asked.recv().unwrap();
        }
    });
    let external = Arc::new(Memory { read_ahead: 8, ..Memory::default() });
    let inputs = [Input::List { path: ListFrom::File(pipe), root: None }];
    let mut sources = open(&inputs, &external).unwrap();
    for number in 0..3 {
        assert_eq!(sources.next().unwrap().path, format!("mem:{number}"));
        next.send(()).unwrap();
    }
    writer.join().unwrap();
    assert_eq!(sources.next(), None);
}
