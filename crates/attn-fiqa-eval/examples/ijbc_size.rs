//! A benchmark of IJB-C's size on synthetic data: 23,124 templates with embeddings of 512 numbers,
//! 19,557 mated and 15,638,932 non-mated comparisons, three methods, 100 bootstrap replicates.
//! Prints the duration and the peak memory.
//!
//! ```text
//! cargo run --release -p attn-fiqa-eval --example ijbc_size -- FOLDER [IMAGES]
//! ```
//!
//! The data are written to FOLDER: 0.3 GB by default (one image per template), or 1.3 GB with as
//! many IMAGES as IJB-C has (469375). Existing data are reused; results computed from them are not.
#![allow(clippy::print_stdout, reason = "what it prints is its result")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use attn_fiqa_eval::files::npy;
use attn_fiqa_eval::study::config::StudyConfig;
use attn_fiqa_eval::study::summary::summaries;
use attn_fiqa_eval::study::{Event, RunOptions, run};

const TEMPLATES: usize = 23_124;
const PERSONS: usize = 3_531;
const MATED: usize = 19_557;
const NON_MATED: usize = 15_638_932;
const DIM: usize = 512;

const STUDY: &str = r#"
[settings]
bootstrap = 100
faces = 0

[[dataset]]
name = "ijb-c"
kind = "ijb-c"
path = "ijb-c"

[[recogniser]]
name = "made-up"
embeddings = { ijb-c = "embeddings.npy" }
lists = { ijb-c = "names.txt" }

[[method]]
name = "good"
scores = { ijb-c = "good.txt" }

[[method]]
name = "fair"
scores = { ijb-c = "fair.txt" }

[[method]]
name = "poor"
scores = { ijb-c = "poor.txt" }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let usage = "expected a folder for the data, and perhaps a number of images";
    let folder = PathBuf::from(args.next().ok_or(usage)?);
    let images = match args.next() {
        None => TEMPLATES,
        Some(count) => count.to_str().and_then(|count| count.parse().ok()).ok_or(usage)?,
    };
    if images < TEMPLATES {
        return Err(format!("{images} images are fewer than the {TEMPLATES} templates").into());
    }
    let folder = folder.join(images.to_string());
    let study = folder.join("study.toml");
    if !study.is_file() {
        make(&folder, images)?;
        fs::write(&study, STUDY)?;
    }
    let output = folder.join("run");
    if output.is_dir() {
        fs::remove_dir_all(&output)?;
    }

    let (started, cpu) = (Instant::now(), cpu_seconds());
    let tell = |event: Event| {
        if let Event::Progress(progress) = event {
            let (seconds, step) = (started.elapsed().as_secs_f64(), progress.step);
            println!("{seconds:6.1} s  {step}: {} of {}", progress.done, progress.total);
        }
    };
    let config = StudyConfig::read(&study)?;
    let results = run(&config, &RunOptions { output, cache: None, threads: None }, &tell)?;
    let wall = started.elapsed().as_secs_f64();
    for summary in summaries(&results) {
        for row in &summary.rows {
            let pauc = row.pauc[0].map(|area| 1000.0 * area);
            println!("FMR {:e}, {}: pAUC x1000 {pauc:.4?}", summary.fmr, row.method);
        }
    }
    let threads = rayon::current_num_threads();
    println!("{images} images, {TEMPLATES} templates, {} comparisons", MATED + NON_MATED);
    print!("{wall:.1} s on {threads} threads");
    if let (Some(before), Some(after)) = (cpu, cpu_seconds()) {
        print!(", {:.1} s of processor time", after - before);
    }
    match peak_megabytes() {
        Some(peak) => println!(", {peak} MB of memory at its highest"),
        None => println!("; ask the system for its memory"),
    }
    Ok(())
}

/// User and system time of this process in seconds, on Linux.
fn cpu_seconds() -> Option<f64> {
    /// The unit of time in `/proc`, on every Linux platform.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The fields after the name, which may contain anything, begin with the state.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Peak memory of this process, on Linux.
fn peak_megabytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1000)
}

/// A linear congruential generator.
struct Random(u64);

impl Random {
    /// Uniform between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Approximately normal, with standard deviation 1.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.uniform() - 0.5).sum();
        sum * 3.0_f64.sqrt()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.uniform() * bound as f64) as usize
    }
}

/// Template `n` belongs to person `n mod PERSONS`, and image `n` to template `n mod TEMPLATES`; the
/// worse the quality of an image, the farther it is from its person's embedding.
fn make(folder: &Path, images: usize) -> io::Result<()> {
    let meta = folder.join("ijb-c/meta");
    fs::create_dir_all(&meta)?;
    let open = |path: PathBuf| -> io::Result<BufWriter<File>> {
        Ok(BufWriter::with_capacity(1 << 20, File::create(path)?))
    };
    let random = &mut Random(1);
    let persons: Vec<f32> = (0..PERSONS * DIM).map(|_| random.normal() as f32).collect();
    let mut points = open(meta.join("ijbc_name_5pts_score.txt"))?;
    let mut members = open(meta.join("ijbc_face_tid_mid.txt"))?;
    let mut names = open(folder.join("names.txt"))?;
    let mut embeddings = open(folder.join("embeddings.npy"))?;
    embeddings.write_all(&npy::header(&[images, DIM]))?;
    let mut qualities = Vec::new();
    for (name, noise) in [("good", 0.1), ("fair", 0.5), ("poor", 2.0)] {
        qualities.push((open(folder.join(format!("{name}.txt")))?, noise));
    }
    for image in 0..images {
        writeln!(points, "{image}.jpg 38 51 73 51 56 71 41 92 70 92 0.99")?;
        writeln!(members, "{image}.jpg {} {image}", image % TEMPLATES)?;
        writeln!(names, "{image}.jpg")?;
        let quality = random.uniform();
        let person = image % TEMPLATES % PERSONS;
        let strength = 0.6 + 1.4 * (1.0 - quality);
        for &number in &persons[person * DIM..][..DIM] {
            let number = f64::from(number) + strength * random.normal();
            embeddings.write_all(&(number as f32).to_le_bytes())?;
        }
        for (file, noise) in &mut qualities {
            writeln!(file, "{image}.jpg {}", quality + *noise * random.normal())?;
        }
    }
    let mut pairs = open(meta.join("ijbc_template_pair_label.txt"))?;
    let total = MATED + NON_MATED;
    let every = total / MATED;
    for index in 0..total {
        let a = random.below(TEMPLATES);
        // Mated comparisons are interleaved with the others, as in the protocol's file.
        if index % every == 0 && index / every < MATED {
            let of_person = (TEMPLATES - a % PERSONS).div_ceil(PERSONS);
            let b = a % PERSONS + PERSONS * random.below(of_person);
            writeln!(pairs, "{a} {b} 1")?;
        } else {
            let mut b = random.below(TEMPLATES);
            while b % PERSONS == a % PERSONS {
                b = random.below(TEMPLATES);
            }
            writeln!(pairs, "{a} {b} 0")?;
        }
    }
    let (files, _): (Vec<_>, Vec<f64>) = qualities.into_iter().unzip();
    for mut file in files.into_iter().chain([points, members, names, embeddings, pairs]) {
        file.flush()?;
    }
    Ok(())
}
