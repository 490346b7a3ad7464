//! Any bytes through opening an ONNX file and, where that works, one run.
#![no_main]

use attn_fiqa::onnx::{OnnxModel, Tensor};
use attn_fiqa::threads::Threads;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match OnnxModel::from_bytes(bytes.to_vec(), "fuzz") {
        Ok(network) => {
            let threads = Threads::new(std::num::NonZeroUsize::new(1)).expect("a thread");
            let image = Tensor::new(&[1, 3, 4, 4], vec![0.5; 48]).expect("a tensor");
            let inputs: Vec<_> = network.inputs().map(|port| (port.name.as_str(), &image)).collect();
            let outputs: Vec<_> = network.outputs().map(|port| port.name.as_str()).collect();
            let _ = network.run(&inputs, &outputs, &threads);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
});
