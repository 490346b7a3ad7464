//! Every kernel at the shapes of a ViT-S: `cargo bench -p attn-fiqa-kernels`.
//!
//! Rates count multiply–adds as two operations each or, for the kernels that work on rows, values.
//! `ATTN_FIQA_ISA` forces an instruction set. `examples/roofline.rs` compares the products with the
//! machine's peak.

use std::hint::black_box;

use attn_fiqa_kernels::{
    AttentionShape, Epilogue, Isa, PackedWeights, Precision, attention, gelu, matrix_vector, relu6,
    softmax, standardise,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const TOKENS: usize = 196;
/// Half of them: the rows that go through a linear layer together.
const ROWS: usize = 98;
const DIM: usize = 512;
const HEADS: AttentionShape = AttentionShape { heads: 8, head_dim: 64, scale: 0.125 };
/// Name, inputs and outputs.
const LINEARS: [(&str, usize, usize); 5] = [
    ("patch_embed", 192, DIM),
    ("qkv", DIM, 3 * DIM),
    ("proj", DIM, DIM),
    ("fc1", DIM, 5 * DIM),
    ("fc2", 5 * DIM, DIM),
];

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 504.0).collect()
}

fn isa() -> Isa {
    Isa::from_env().expect("an instruction set of this machine")
}

fn linears(c: &mut Criterion) {
    let isa = isa();
    for precision in Precision::ALL {
        let mut group = c.benchmark_group(format!("linear {}", precision.name()));
        for (name, inputs, outputs) in LINEARS {
            let layer = PackedWeights::new(isa, precision, &values(inputs * outputs), None, inputs);
            let (x, mut out) = (values(ROWS * inputs), vec![0.0; ROWS * outputs]);
            group.throughput(Throughput::Elements((2 * ROWS * inputs * outputs) as u64));
            group.bench_function(name, |b| {
                b.iter(|| layer.apply(black_box(&x), &mut out, Epilogue::Overwrite));
            });
        }
        group.finish();
    }
}

fn heads(c: &mut Criterion) {
    let isa = isa();
    let mut group = c.benchmark_group("attention, one head");
    let qkv = values(TOKENS * 3 * DIM);
    let mut out = vec![0.0; TOKENS * HEADS.head_dim];
    group.throughput(Throughput::Elements((4 * TOKENS * TOKENS * HEADS.head_dim) as u64));
    for precision in Precision::ALL {
        group.bench_function(BenchmarkId::from_parameter(precision.name()), |b| {
            b.iter(|| attention(isa, precision, black_box(&qkv), &HEADS, 3, None, &mut out));
        });
    }
    group.finish();
}

fn rows(c: &mut Criterion) {
    let isa = isa();
    let mut group = c.benchmark_group("rows");
    let x = values(ROWS * DIM);
    group.throughput(Throughput::Elements(x.len() as u64));
    let mut out = vec![0.0; x.len()];
    group.bench_function("standardise", |b| {
        b.iter(|| standardise(isa, black_box(&x), DIM, 1e-5, &mut out));
    });
    // In place: after the first round, ReLU6 leaves its input unchanged.
    let mut same = x.clone();
    group.bench_function("relu6", |b| b.iter(|| relu6(isa, black_box(&mut same))));
    group.bench_function("gelu", |b| {
        b.iter(|| {
            out.copy_from_slice(&x);
            gelu(isa, black_box(&mut out));
        });
    });
    let logits = values(TOKENS * TOKENS);
    let mut out = vec![0.0; logits.len()];
    group.throughput(Throughput::Elements(logits.len() as u64));
    group.bench_function("softmax", |b| {
        b.iter(|| {
            out.copy_from_slice(&logits);
            softmax(isa, black_box(&mut out), TOKENS);
        });
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let isa = isa();
    let (matrix, x) = (values(2 * DIM * DIM), vec![0.25; DIM]);
    let (bias, mut out) = (vec![0.0; 2 * DIM], vec![0.0; 2 * DIM]);
    let mut group = c.benchmark_group("reading");
    group.throughput(Throughput::Elements(2 * matrix.len() as u64));
    group.bench_function("matrix_vector", |b| {
        b.iter(|| matrix_vector(isa, black_box(&matrix), &x, &bias, &mut out));
    });
    group.finish();
}

criterion_group!(benches, linears, heads, rows, reading);
criterion_main!(benches);
