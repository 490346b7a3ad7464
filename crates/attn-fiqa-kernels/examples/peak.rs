//! The peak rates of this machine, for `benches/peers`.
//!
//! `peak THREADS`: prints, for each precision, its name and the Gop/s of THREADS busy threads, each
//! running a loop of the widest multiply–add in registers.
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::time::Instant;

use attn_fiqa_kernels::{Isa, Precision, peak_operations};

const ROUNDS: usize = 1_000_000;

fn main() {
    let threads: usize = std::env::args().nth(1).map_or(1, |text| text.parse().expect("THREADS"));
    let isa = Isa::from_env().expect("an instruction set of this machine");
    for precision in Precision::ALL {
        let rates: Vec<f64> = std::thread::scope(|scope| {
            let busy: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(move || {
                        let start = Instant::now();
                        let operations = peak_operations(isa, precision, ROUNDS);
                        operations / start.elapsed().as_secs_f64() / 1e9
                    })
                })
                .collect();
            busy.into_iter().map(|thread| thread.join().expect("a thread broke")).collect()
        });
        println!("{} {}", precision.name(), rates.iter().sum::<f64>());
    }
}
