//! Malicious pickles: nothing in them is executed, and each is refused with a specific message.

use crate::checkpoint_support::hostile::{VIEW, read, refused, torch};
use crate::checkpoint_support::network::TINY;
use crate::checkpoint_support::pickle::{Pickle, View, one_tensor};
use crate::checkpoint_support::zip::torch_zip;

#[test]
fn disallowed_pickle_calls_are_rejected_by_name() {
    let call = |module: &str, name: &str| {
        Pickle::new().global(module, name).mark().text("rm -rf /").tuple().raw(b"R").stop()
    };
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("models.vit", "VisionTransformer"),
        ("collections", "OrderedDict.fromkeys"),
    ] {
        let full = format!("refuses to call `{module}.{name}`");
        refused(torch(&call(module, name), 16), &["data.pkl", &full]);
    }
    let short = |text: &str| {
        let mut bytes = vec![0x8c, text.len() as u8];
        bytes.extend(text.as_bytes());
        bytes
    };
    let by_stack = Pickle::new().raw(&short("os")).raw(&short("system")).raw(b"\x93)R").stop();
    refused(torch(&by_stack, 16), &["`os.system`"]);
    // Terminal control sequences in a name are not echoed.
    let escape = Pickle::new().global("os\x1b[2J", &"x".repeat(900)).stop();
    refused(torch(&escape, 16), &["os\\u{1b}[2J", "…"]);
    // Allowed names in the wrong place.
    let wrong: [(Vec<u8>, &str); 7] = [
        (Pickle::new().global("torch", "FloatStorage").raw(b")R").stop(), "storage class"),
        (Pickle::new().global("collections", "OrderedDict").raw(b"]\x85R").stop(), "arguments"),
        (Pickle::new().global("torch", "Size").raw(b"]\x85R").stop(), "not a tuple"),
        (Pickle::new().raw(b"}").raw(b")R").stop(), "not a function or class"),
        (Pickle::new().raw(b"]}b").stop(), "state is set"),
        (Pickle::new().global("torch._utils", "_rebuild_tensor_v2").raw(b")R").stop(), "arguments"),
        (Pickle::new().raw(b")Q").stop(), "persistent id"),
    ];
    for (pickle, part) in wrong {
        refused(torch(&pickle, 16), &["at byte", part]);
    }
    // These include Python 2 strings, which only image sets contain.
    for opcode in [0x92, b'i', b'o', b'P', 0x82, 0x97, 0x98, 0xff, b'I', b'U', b'T'] {
        let pickle = Pickle::new().raw(&[opcode]).stop();
        refused(torch(&pickle, 16), &[&format!("instruction 0x{opcode:02x}")]);
    }
}

#[test]
fn pickle_stack_underflow_is_rejected() {
    let instructions: [&[u8]; 17] = [
        b"\x81", b".", b"0", b"1", b"2", b"t", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u",
        b"R", b"b", b"Q", b"\x93",
    ];
    for instruction in instructions {
        for before in [&b""[..], b"(", b"N("] {
            let pickle = Pickle::new().raw(before).raw(instruction).stop();
            assert!(read(torch(&pickle, 16)).is_err());
        }
    }
    refused(torch(&Pickle::new().raw(b"h\x05").stop(), 16), &["never set"]);
    refused(torch(&Pickle::new().raw(b"}(Nu").stop(), 16), &["no value"]);
    refused(torch(&[0x80, 6, b'N', b'.'], 16), &["protocol"]);
    refused(torch(&Pickle::new().raw(b"X\xff\xff\xff\xff").stop(), 16), &["middle of a value"]);
    let eight = [0x8d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    refused(torch(&Pickle::new().raw(&eight).stop(), 16), &["middle of a value"]);
}

#[test]
fn recursive_and_deep_pickles_are_rejected() {
    // d = {}; d["model"] = d
    let nested = Pickle::new().raw(b"}q\0").text("model").raw(b"h\0s").stop();
    refused(torch(&nested, 16), &["nests `model`"]);
    // l = []; l.append(l)
    refused(torch(&Pickle::new().raw(b"]q\0h\0a").stop(), 16), &["a list"]);
    // d = {}; d["w"] = (d,)
    let tuple = Pickle::new().raw(b"}q\0").text("w").raw(b"h\0\x85s").stop();
    refused(torch(&tuple, 16), &["no tensor", "`w`"]);
    // ((((…)))) and [[[[…]]]], deeper than any stack.
    for (start, step) in [(b")", &b"\x85"[..]), (b"]", b"q\0]h\0a")] {
        let mut pickle = Pickle::new().raw(start);
        for _ in 0..150_000 {
            pickle = pickle.raw(step);
        }
        assert!(read(torch(&pickle.stop(), 16)).is_err());
    }
}

#[test]
fn pickle_bombs_are_rejected() {
    // More instructions than any state dict: values, marks, memo entries.
    let memo: Vec<u8> = (0..400_000_u32)
        .flat_map(|key| {
            [vec![b'N', b'r'], key.wrapping_mul(2_654_435_761).to_le_bytes().to_vec()].concat()
        })
        .collect();
    for body in [b"N".repeat(1 << 20), b"(".repeat(1 << 20), memo.repeat(2)] {
        refused(torch(&Pickle::new().raw(&body).stop(), 16), &["instructions"]);
    }
    // Doubling: each tuple contains the previous one twice.
    let mut doubling = Pickle::new().raw(b")");
    for _ in 0..200_000 {
        doubling = doubling.raw(b"2\x86");
    }
    assert!(read(torch(&doubling.stop(), 16)).is_err());
    // A shape of many dimensions, shared by many tensors.
    let many = Pickle::new().raw(b"}").text("w").tensor(&View {
        shape: &[1; 9],
        strides: &[1; 9],
        ..VIEW
    });
    refused(torch(&many.raw(b"s").stop(), 16), &["dimensions"]);
}

#[test]
fn tensors_must_lie_within_their_storage() {
    let huge = i64::MAX;
    let cases: [(View<'_>, &str); 14] = [
        (View { shape: &[3, 2], ..VIEW }, "more elements than the 4"),
        (View { shape: &[4], strides: &[2], ..VIEW }, "leave its storage"),
        (View { offset: 1, ..VIEW }, "leave its storage"),
        (View { offset: huge, ..VIEW }, "leave its storage"),
        (View { offset: 5, shape: &[0], strides: &[1], ..VIEW }, "leave its storage"),
        (View { shape: &[1 << 40], strides: &[0], ..VIEW }, "more elements than the 4"),
        (View { shape: &[8], strides: &[0], ..VIEW }, "more elements than the 4"),
        (View { shape: &[huge, huge, 4], strides: &[0, 0, 0], ..VIEW }, "more elements"),
        (View { shape: &[2, 2], strides: &[huge, 1], ..VIEW }, "leave its storage"),
        (View { shape: &[2, 2], strides: &[huge, huge], ..VIEW }, "leave its storage"),
        (View { elements: 1 << 50, ..VIEW }, "has 16 bytes"),
        (View { elements: 3, ..VIEW }, "has 16 bytes"),
        (View { class: "DoubleStorage", ..VIEW }, "has 16 bytes"),
        (View { key: "7", ..VIEW }, "`model/data/7`, which is missing"),
    ];
    for (view, part) in cases {
        refused(torch(&one_tensor("w", &view), 16), &["tensor `w`", part]);
    }
    for view in [
        View { shape: &[-1], strides: &[1], ..VIEW },
        View { strides: &[-2, 1], ..VIEW },
        View { offset: -1, ..VIEW },
        View { elements: -4, ..VIEW },
    ] {
        refused(torch(&one_tensor("w", &view), 16), &["negative"]);
    }
    let uneven = View { strides: &[1], ..VIEW };
    refused(torch(&one_tensor("w", &uneven), 16), &["strides"]);
}

#[test]
fn non_state_dict_pickles_are_rejected() {
    let tensor = |pickle: Pickle| pickle.tensor(&VIEW);
    let cases: [(Vec<u8>, &str); 9] = [
        (Pickle::new().raw(b"N").stop(), "a single value"),
        (tensor(Pickle::new()).stop(), "a single tensor"),
        (Pickle::new().raw(b"}").stop(), "empty dictionary"),
        (tensor(Pickle::new().raw(b"}K\x01")).raw(b"s").stop(), "not strings"),
        (
            Pickle::new().raw(b"}").text("state").raw(b"}s").text("param_groups").raw(b"]s").stop(),
            "optimizer",
        ),
        (Pickle::new().raw(b"}").text("student").raw(b"}s").stop(), "`student`"),
        (
            tensor(Pickle::new().raw(b"}").text("epoch").raw(b"K\x01s").text("w")).raw(b"s").stop(),
            "`epoch`",
        ),
        (
            tensor(tensor(Pickle::new().raw(b"}").text("w")).raw(b"s").text("w")).raw(b"s").stop(),
            "two entries named `w`",
        ),
        (
            Pickle::new().raw(b"}").text("model").raw(b"}s").text("state_dict").raw(b"}s").stop(),
            "several networks",
        ),
    ];
    for (pickle, part) in cases {
        refused(torch(&pickle, 16), &[part]);
    }
}

#[test]
fn strides_and_offsets_are_honoured() {
    // All weights in one storage, each transposed, one after the other.
    let tensors = TINY.tensors(3);
    let mut storage: Vec<u8> = Vec::new();
    let total: usize = tensors.iter().map(|tensor| tensor.values.len()).sum();
    let mut pickle = Pickle::new().raw(b"}");
    for tensor in &tensors {
        let offset = storage.len() / 4;
        // Column-major: the first dimension varies fastest.
        let mut strides = vec![1; tensor.shape.len()];
        for axis in 1..strides.len() {
            strides[axis] = strides[axis - 1] * tensor.shape[axis - 1];
        }
        let mut stored = vec![0.0_f32; tensor.values.len()];
        for (position, &value) in tensor.values.iter().enumerate() {
            let mut rest = position;
            let mut at = 0;
            for (&size, &stride) in tensor.shape.iter().zip(&strides).rev() {
                at += rest % size * stride;
                rest /= size;
            }
            stored[at] = value;
        }
        storage.extend(stored.iter().flat_map(|value| value.to_le_bytes()));
        let signed = |sizes: &[usize]| -> Vec<i64> { sizes.iter().map(|&s| s as i64).collect() };
        pickle = pickle.text(&tensor.name).tensor(&View {
            elements: total as i64,
            offset: offset as i64,
            shape: &signed(&tensor.shape),
            strides: &signed(&strides),
            ..VIEW
        });
        pickle = pickle.raw(b"s");
    }
    let checkpoint = read(torch_zip(&pickle.stop(), &[storage])).unwrap();
    for tensor in &tensors {
        assert_eq!(checkpoint.read_f32(&tensor.name).unwrap(), tensor.values, "{}", tensor.name);
    }
}

#[test]
fn only_argparse_namespace_may_be_instantiated() {
    for (module, name) in [("collections", "OrderedDict"), ("torch", "FloatStorage")] {
        let pickle = Pickle::new().global(module, name).raw(b")\x81").stop();
        refused(torch(&pickle, 16), &["at byte", "an object is made"]);
    }
    let pickle = Pickle::new().global("subprocess", "Popen").raw(b")\x81").stop();
    refused(torch(&pickle, 16), &["subprocess.Popen", "refuses to call"]);
    // The options of a training run: never called, and not a state dict.
    let namespace = || Pickle::new().global("argparse", "Namespace");
    refused(torch(&namespace().raw(b")R").stop(), 16), &["at byte", "arguments"]);
    let options = namespace().raw(b")\x81}").text("lr").raw(b"Nsb").stop();
    refused(torch(&options, 16), &["holds a single value", "expected a dictionary"]);
    // References in its attributes are forbidden, as they are elsewhere.
    let hidden = namespace().raw(b")\x81}").text("run").global("os", "system").raw(b"sb").stop();
    refused(torch(&hidden, 16), &["os.system"]);
}
