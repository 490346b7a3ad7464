//! The single thread that processes the queue, on the engine's threads.
//!
//! While the network scores one batch, the next one is decoded and its faces are detected. A batch
//! is whatever is waiting at that moment: on a CPU an image takes as long alone as in a batch, so
//! there is no reason to wait.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use attn_fiqa::engine::Engine;
use attn_fiqa::pipeline::PreparedImage;
use rayon::prelude::*;

use crate::metrics::Metrics;
use crate::queue::{Job, Queue};

/// Bytes needed to find faces in one image, in addition to the image.
const DETECTION_BYTES: u64 = 96 << 20;

/// The worker, and how it divides threads and memory.
pub(crate) struct Worker<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) engine: &'a Engine,
    pub(crate) metrics: &'a Metrics,
    /// Images per batch.
    pub(crate) batch: usize,
    /// Limit on the bytes used for decoding at any time.
    pub(crate) decode_budget: u64,
}

/// An image that is ready for the network.
struct Ready(Job, PreparedImage);

impl Worker<'_> {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(&self) {
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            let next = self.queue.next_batch(self.batch, ready.is_empty());
            if next.is_empty() && ready.is_empty() {
                return;
            }
            let current = std::mem::take(&mut ready);
            let (images, started) = (current.len().max(next.len()), Instant::now());
            let work = || rayon::join(|| self.score(current), || self.prepare(next));
            ready = self.engine.install(work).1;
            self.metrics.count_batch(images, started.elapsed());
        }
    }

    /// Decodes images and finds their faces, as many at once as there are threads and memory for.
    /// Images that nobody is waiting for any more are dropped.
    fn prepare(&self, jobs: Vec<Job>) -> Vec<Ready> {
        let mut jobs = VecDeque::from(jobs);
        let mut ready = Vec::with_capacity(jobs.len());
        while !jobs.is_empty() {
            let wave = self.next_wave(&mut jobs);
            let prepared = wave.into_par_iter().filter_map(|mut job| {
                let image = std::mem::replace(&mut job.image, Vec::new().into());
                // A dropped reply tells whoever waits for it that the service failed.
                let work = AssertUnwindSafe(|| job.pipeline.prepare_image(image));
                let prepared = catch_unwind(work).ok()?;
                Some(Ready(job, prepared))
            });
            ready.par_extend(prepared);
        }
        ready
    }

    fn next_wave(&self, jobs: &mut VecDeque<Job>) -> Vec<Job> {
        let (mut wave, mut memory) = (Vec::new(), 0u64);
        while wave.len() < self.engine.threads().count() {
            let Some(job) = jobs.pop_front() else { break };
            if !self.is_wanted(&job) {
                continue;
            }
            memory = memory.saturating_add(job.memory.saturating_add(DETECTION_BYTES));
            if memory > self.decode_budget && !wave.is_empty() {
                jobs.push_front(job);
                break;
            }
            self.metrics.queue_seconds.observe(job.queued.elapsed().as_secs_f64());
            wave.push(job);
        }
        wave
    }

    /// Scores images, all of one group together, and sends the answers.
    fn score(&self, mut ready: Vec<Ready>) {
        while let Some(group) = ready.first().map(|Ready(job, _)| job.group) {
            let (batch, rest): (Vec<_>, Vec<_>) =
                ready.into_iter().partition(|Ready(job, _)| job.group == group);
            ready = rest;
            let (jobs, images): (Vec<Job>, Vec<PreparedImage>) = batch
                .into_iter()
                .filter(|Ready(job, _)| self.is_wanted(job))
                .map(|Ready(job, image)| (job, image))
                .unzip();
            let Some(first) = jobs.first() else { continue };
            let started = Instant::now();
            let work = AssertUnwindSafe(|| first.pipeline.score_prepared_images(images));
            let Ok(scored) = catch_unwind(work) else { continue };
            self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
            self.metrics.batch_images.observe(jobs.len() as f64);
            for (job, image) in jobs.into_iter().zip(scored) {
                if !self.is_wanted(&job) {
                    continue;
                }
                self.metrics.images.inc();
                self.metrics.faces.inc_by(image.faces.as_ref().map_or(0, Vec::len) as u64);
                let Job { reply, share, .. } = job;
                // Whoever waits for the reply needs the whole share for the answer.
                drop(share);
                // A client that has just left does not read it.
                let _ = reply.send(image);
            }
        }
    }

    /// Whether a job is still wanted; one that is not is counted.
    fn is_wanted(&self, job: &Job) -> bool {
        let wanted = job.is_wanted();
        if !wanted {
            self.metrics.abandoned.inc();
        }
        wanted
    }
}
