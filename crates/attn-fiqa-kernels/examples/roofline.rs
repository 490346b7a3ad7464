//! The peak rates of this machine, and how much of them the kernels reach.
//!
//! `roofline [ROWS]`: for each precision, the peak of one core (a loop of independent multiply–adds
//! in registers) and the product of ROWS rows with the linear layers of a ViT-S block, in turn. The
//! best of many short rounds counts: other work on the machine can only lower a rate.
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::hint::black_box;
use std::time::Instant;

use attn_fiqa_kernels::{
    AttentionShape, Epilogue, Isa, PackedWeights, Precision, attention, peak_operations,
};

const ROUNDS: usize = 60;
/// Inputs and outputs of `qkv`, `proj`, `fc1` and `fc2` in ViT-S.
const LINEARS: [(usize, usize); 4] = [(512, 1536), (512, 512), (512, 2560), (2560, 512)];

fn main() {
    let rows: usize = std::env::args().nth(1).map_or(98, |rows| rows.parse().expect("rows"));
    let isa = Isa::from_env().expect("an instruction set of this machine");
    println!("instruction set {}, {rows} rows, one thread", isa.name());
    println!("precision  peak Gop/s  kernels Gop/s  ratio  attention Gop/s  kernel");
    for precision in Precision::ALL {
        let layers: Vec<_> = LINEARS
            .iter()
            .map(|&(inputs, outputs)| {
                let weight = values(inputs * outputs);
                PackedWeights::new(isa, precision, &weight, None, inputs)
            })
            .collect();
        let mut peaks = Vec::new();
        let mut rates = Vec::new();
        let mut attention_rates = Vec::new();
        let mut outs: Vec<_> =
            layers.iter().map(|layer| vec![0.0; rows * layer.outputs()]).collect();
        let inputs: Vec<_> = layers.iter().map(|layer| values(rows * layer.inputs())).collect();
        let shape = AttentionShape { heads: 8, head_dim: 64, scale: 0.125 };
        let qkv = values(196 * 3 * 512);
        let mut mixed = vec![0.0; 196 * 64];
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let operations = peak_operations(isa, precision, 20_000);
            peaks.push(operations / start.elapsed().as_secs_f64() / 1e9);
            let start = Instant::now();
            for ((layer, x), out) in layers.iter().zip(&inputs).zip(&mut outs) {
                layer.apply(black_box(x), out, Epilogue::Overwrite);
            }
            let products: usize = LINEARS.iter().map(|(i, o)| i * o * rows).sum();
            rates.push(2.0 * products as f64 / start.elapsed().as_secs_f64() / 1e9);
            let start = Instant::now();
            for head in 0..8 {
                attention(isa, precision, black_box(&qkv), &shape, head, None, &mut mixed);
            }
            let products = 8 * 2 * 196 * 196 * 64;
            attention_rates.push(2.0 * products as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
        let [peak, rate, attention] = [peaks, rates, attention_rates].map(best);
        println!(
            "{:9}  {peak:10.0}  {rate:13.0}  {:4.0}%  {attention:15.0}  {}",
            precision.name(),
            100.0 * rate / peak,
            layers[0].kernel_name()
        );
    }
}

fn best(values: Vec<f64>) -> f64 {
    values.into_iter().fold(0.0, f64::max)
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 504.0).collect()
}
