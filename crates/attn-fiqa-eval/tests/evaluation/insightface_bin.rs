//! InsightFace's `.bin` files, as written by Python 2 and 3 and NumPy, and malicious ones.

use attn_fiqa_eval::benchmark::{Benchmark, BenchmarkKind, parse_insightface_bin};

use crate::support::folder::Folder;

/// Two pairs of images, the first mated.
const IMAGES: [&[u8]; 4] = [b"\xff\xd8one", b"\xff\xd8two", b"\xff\xd8\x80three", b"four"];

fn read(bytes: &[u8]) -> Result<Benchmark, String> {
    parse_insightface_bin("lfw", "lfw.bin", bytes.to_vec()).map_err(|error| error.to_string())
}

/// `(images, [True, False])` in protocol 2, with each image written by `image`.
fn pickle(image: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = b"\x80\x02]q\x00(".to_vec();
    for each in IMAGES {
        bytes.extend(image(each));
    }
    bytes.extend(b"e]q\x01(\x88\x89e\x86q\x02.");
    bytes
}

fn sized(code: u8, bytes: &[u8]) -> Vec<u8> {
    [&[code, bytes.len() as u8], bytes].concat()
}

#[track_caller]
fn check(bytes: &[u8]) {
    let found = read(bytes).expect("images");
    assert_eq!(found.images.len(), 4);
    for (index, expected) in IMAGES.iter().enumerate() {
        assert_eq!(found.read_image(index).expect("bytes"), *expected);
    }
    let pairs: Vec<(u32, u32, bool)> =
        found.pairs.iter().map(|pair| (pair.a, pair.b, pair.mated)).collect();
    assert_eq!(pairs, [(0, 1, true), (2, 3, false)]);
    assert_eq!(found.images[3].name, "00003");
}

#[test]
fn python2_strings_and_python3_bytes_are_read() {
    check(&pickle(|image| sized(b'U', image)));
    check(&pickle(|image| [&b"T"[..], &(image.len() as u32).to_le_bytes(), image].concat()));
    check(&pickle(|image| sized(b'C', image)));
    check(&pickle(|image| [&b"B"[..], &(image.len() as u32).to_le_bytes(), image].concat()));
    check(&pickle(|image| [&[0x8e][..], &(image.len() as u64).to_le_bytes(), image].concat()));
}

#[test]
fn protocol_2_latin1_bytes_are_decoded() {
    check(&pickle(|image| {
        let text: String = image.iter().map(|&byte| char::from(byte)).collect();
        let mut bytes = b"c_codecs\nencode\nX".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(b"X\x06\x00\x00\x00latin1\x86R");
        bytes
    }));
}

#[test]
fn arrays_of_bytes_are_read() {
    for module in ["numpy.core.multiarray", "numpy._core.multiarray"] {
        check(&pickle(|image| {
            let mut bytes = format!("c{module}\n_reconstruct\n").into_bytes();
            bytes.extend(b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K");
            bytes.push(image.len() as u8);
            bytes.extend(
                b"\x85cnumpy\ndtype\nU\x02u1\x89\x88\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ",
            );
            bytes.extend(b"\xff\xff\xff\xffK\x00tb\x89");
            bytes.extend(sized(b'U', image));
            bytes.extend(b"tb");
            bytes
        }));
    }
    // Protocol 5 passes a buffer.
    check(&pickle(|image| {
        let mut bytes = b"\x8c\x12numpy.core.numeric\x8c\x0b_frombuffer\x93(\x96".to_vec();
        bytes.extend((image.len() as u64).to_le_bytes());
        bytes.extend(image);
        bytes.extend(b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02u1\x89\x88\x87R");
        bytes.extend([b'K', image.len() as u8, 0x85]);
        bytes.extend(b"\x8c\x01CtR");
        bytes
    }));
}

#[test]
fn pickles_of_protocols_2_to_5_are_read() {
    let script = "import pickle,sys\nimages=[b'\\xff\\xd8one',b'\\xff\\xd8two',b'\\xff\\xd8\\x80three',\
                  b'four']\nsys.stdout.buffer.write(pickle.dumps((images,[True,False]),int(sys.argv[1])))";
    for protocol in ["2", "3", "4", "5"] {
        let python = std::process::Command::new("python3").args(["-c", script, protocol]).output();
        match python {
            Ok(output) if output.status.success() => check(&output.stdout),
            _ => return attn_fiqa_testing::skip("no python3"),
        }
    }
}

#[test]
fn disallowed_globals_and_opcodes_are_rejected() {
    let hostile = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.";
    let error = read(hostile).expect_err("refused");
    assert!(error.contains("refers to `posix.system`, and this program refuses"), "{error}");
    let hostile = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x01x\x85R.";
    assert!(read(hostile).expect_err("refused").contains("`builtins.eval`"));
    // DUP, dictionaries, floats, persistent ids and objects, which only a state dict may contain.
    for opcode in *b"2}dsuGQ\x81\x8a" {
        let error = read(&[0x80, 2, opcode, b'.']).expect_err("refused");
        assert!(error.contains(&format!("at byte 2: instruction 0x{opcode:02x}")), "{error}");
    }
}

#[test]
fn malformed_bin_files_are_rejected() {
    let good = pickle(|image| sized(b'C', image));
    for end in 0..good.len() {
        let error = read(&good[..end]).expect_err("cut");
        assert!(error.starts_with("lfw.bin: "), "{error}");
    }
    assert!(read(b"").expect_err("empty").contains("at byte 0: the file ends"));
    assert!(read(b"\x80\x01.").expect_err("old").contains("protocol 1"));
    assert!(read(b"\x80\x02N.").expect_err("nothing").contains("expected a pair of lists"));
    assert!(
        read(b"\x80\x02](K\x01K\x02e](\x88\x89e\x86.")
            .expect_err("no")
            .contains("image 0 is neither")
    );
    // A length beyond the file must not be allocated.
    let vast = [&b"\x80\x02\x8e"[..], &u64::MAX.to_le_bytes()].concat();
    assert!(read(&vast).expect_err("vast").contains("ends in the middle"));
    let odd = b"\x80\x02](C\x01aC\x01bC\x01ce](\x88\x89e\x86.";
    let error = read(odd).expect_err("three images");
    assert_eq!(error, "lfw.bin: holds 3 images, but 4 are needed by its 2 pairs");
    let one_class = b"\x80\x02](C\x01aC\x01be](\x88e\x86.";
    assert!(read(one_class).expect_err("one class").contains("all 1 pairs are mated"));
    let empty = b"\x80\x02](C\x00C\x01be](\x88e\x86.";
    assert!(read(empty).expect_err("empty image").contains("image 0 has no bytes"));
    // A list that contains itself.
    let cyclic = b"\x80\x02]q\x00h\x00a]\x86.";
    assert!(read(cyclic).expect_err("cyclic").contains("image 0 is neither"));
    // One text decoded again and again.
    let mut bomb = b"\x80\x02X\x40\x00\x00\x00".to_vec();
    bomb.extend([b'x'; 64]);
    bomb.extend(b"q\x000c_codecs\nencode\nq\x010");
    for _ in 0..50 {
        bomb.extend(b"h\x01h\x00X\x00\x00\x00\x00\x86R0");
    }
    bomb.extend(b"N.");
    assert!(read(&bomb).expect_err("a bomb").contains("more bytes are made from text"));
}

#[test]
fn bin_file_opens_as_agedb_and_cfp() {
    let folder = Folder::new();
    let path = folder.write("agedb_30.bin", pickle(|image| sized(b'C', image)));
    for (kind, path) in [
        (BenchmarkKind::AgeDb30, folder.path()),
        (BenchmarkKind::AgeDb30, path.as_path()),
        (BenchmarkKind::CfpFp, path.as_path()),
    ] {
        assert_eq!(
            kind.open("x", path, attn_fiqa_eval::files::Missing::Fail).expect("images").pairs.len(),
            2
        );
    }
}
