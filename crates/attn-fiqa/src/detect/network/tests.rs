//! Compares the built-in network, run by our own layers, with `rten` on the ONNX file of the same
//! weights.
#![cfg(feature = "builtin-model")]

use attn_fiqa_kernels::Precision;

use super::{BuiltinNetwork, InputPixels, InputSize, Network, OnnxNetwork};
use crate::detect::format::Output;
use crate::detect::input::input_size;
use crate::pixels::Image;
use crate::threads::{Isa, Threads};

const ONNX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/detector.onnx");
const PIXELS: InputPixels = InputPixels { blue_first: false, mean: 0.0, scale: 1.0 };

/// Smooth gradients with added noise.
fn image(width: usize, height: usize) -> Image {
    let mut state = (width * 31 + height) as u32;
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            for colour in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let shade =
                    ((x as f32 / 9.0).sin() + (y as f32 / 13.0 + colour as f32).cos()) * 50.0;
                rgb.push((128.0 + shade + (state >> 27) as f32) as u8);
            }
        }
    }
    Image::from_rgb(width, height, rgb).unwrap()
}

fn networks() -> (Network, Network) {
    let threads = Threads::new(None).unwrap();
    let onnx = OnnxNetwork::open(ONNX.as_ref(), &threads).unwrap();
    assert!(onnx.is_builtin(), "models/src/lib.rs names another detector.onnx");
    let own =
        BuiltinNetwork::load(attn_fiqa_models::DETECTOR, Isa::widest(), Precision::F32).unwrap();
    (Network::Builtin(Box::new(own)), Network::Onnx(Box::new(onnx)))
}

fn sorted(mut outputs: Vec<Output>) -> Vec<Output> {
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    outputs
}

#[test]
fn builtin_outputs_match_rten() {
    let (own, onnx) = networks();
    for (width, height) in
        [(1, 1), (32, 32), (33, 90), (128, 128), (250, 250), (331, 97), (640, 480)]
    {
        let image = image(width, height);
        let size = input_size(width, height);
        let found = sorted(own.run(&image, size, PIXELS).unwrap());
        let expected = sorted(onnx.run(&image, size, PIXELS).unwrap());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found.name, &found.shape), (&expected.name, &expected.shape));
            for (at, (&a, &b)) in found.values.iter().zip(&expected.values).enumerate() {
                // Sums of up to 128 products through 20 layers, in a different order.
                let allowed = 2e-4 * b.abs().max(1.0);
                let name = &found.name;
                assert!((a - b).abs() < allowed, "{width}×{height} {name} {at}: {a} is not {b}");
            }
        }
    }
}

#[test]
fn runs_are_independent() {
    let (own, _) = networks();
    let run =
        |width, height| own.run(&image(width, height), input_size(width, height), PIXELS).unwrap();
    let bits = |outputs: &[Output]| {
        let values = outputs.iter().flat_map(|output| &output.values);
        values.map(|value| value.to_bits()).collect::<Vec<u32>>()
    };
    let small = run(70, 40);
    let large = run(300, 200);
    assert_eq!(bits(&run(70, 40)), bits(&small));
    assert_eq!(bits(&run(300, 200)), bits(&large));
}

#[test]
fn outputs_are_bit_identical_across_thread_counts() {
    let (own, _) = networks();
    let image = image(333, 190);
    let size = InputSize { width: 352, height: 192 };
    let values = |threads: usize| {
        let threads = Threads::new(std::num::NonZeroUsize::new(threads)).unwrap();
        let outputs = threads.install(|| own.run(&image, size, PIXELS).unwrap());
        outputs.into_iter().flat_map(|output| output.values).map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(values(1), values(3));
}

#[test]
fn damaged_or_renamed_weights_are_rejected() {
    let bytes = attn_fiqa_models::DETECTOR;
    let broken = BuiltinNetwork::load(&bytes[..bytes.len() - 1], Isa::widest(), Precision::F32);
    assert!(broken.is_err_and(|error| error.to_string() == "the weights cannot be read"));
    let mut renamed = bytes.to_vec();
    let at = renamed.windows(11).position(|name| name == b"stem.weight").unwrap();
    renamed[at..at + 4].copy_from_slice(b"stam");
    let error =
        BuiltinNetwork::load(&renamed, Isa::widest(), Precision::F32).err().unwrap().to_string();
    assert_eq!(error, "the tensor 'stem.weight' is not there, expected f32 [16, 3, 3, 3]");
}
