//! A model behind a queue, with its limits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use attn_fiqa::input::ImageData;
use attn_fiqa::pipeline::{FacePipeline, ScoredImage};
use attn_fiqa::pixels::Image;
use attn_fiqa::status::{Failure, Status};
use tokio::sync::oneshot;

use crate::admission::{Admission, Share};
use crate::error::{ApiError, ServiceError};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::model::{Model, Wanted};
use crate::options::ServiceOptions;
use crate::queue::{Job, Queue};
use crate::worker::Worker;
use crate::{observe, routes};

/// A service: a model, its queue and the thread that processes it.
///
/// # Examples
///
/// ```no_run
/// use std::net::TcpListener;
/// use std::sync::Arc;
///
/// use attn_fiqa::detect::Detector;
/// use attn_fiqa::engine::{Engine, EngineOptions};
/// use attn_fiqa_server::{Model, ModelInfo, Service, ServiceOptions};
///
/// let checkpoint = attn_fiqa::checkpoint::builtin()?;
/// let engine = Arc::new(Engine::new(&checkpoint, &EngineOptions::default())?);
/// let detector = Arc::new(Detector::builtin(engine.threads())?);
/// let info = ModelInfo::new("built-in", None, &checkpoint, &engine);
/// let model = Model::new(engine, detector, info);
/// let service = Service::new(model, ServiceOptions::default(), |event| eprintln!("{event:?}"))?;
/// service.run(TcpListener::bind("127.0.0.1:8080")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Service {
    pub(crate) shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

/// State shared by all requests.
pub(crate) struct Shared {
    pub(crate) model: Model,
    pub(crate) options: ServiceOptions,
    pub(crate) admission: Arc<Admission>,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether the model has scored a probe.
    pub(crate) ready: AtomicBool,
    /// Whether the service was asked to stop.
    pub(crate) draining: AtomicBool,
    pub(crate) report: Box<dyn Fn(Event) + Send + Sync>,
    pub(crate) request_ids: observe::RequestIds,
}

impl Service {
    /// Starts the thread that processes the queue. `report` is called with events from many
    /// threads, and must be fast.
    ///
    /// # Errors
    ///
    /// If the options admit nothing, an origin is wrong, or no thread can be started.
    pub fn new(
        model: Model,
        options: ServiceOptions,
        report: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, ServiceError> {
        let limits = [
            ("images in the queue", options.max_queue),
            ("images per request", options.max_images),
            ("bytes of a body", options.max_body as usize),
            ("connections", options.max_connections),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return Err(ServiceError::Zero(name));
        }
        observe::cors(&options.cors_origins)?;
        model.pipeline(&Wanted::default())?;
        let metrics = Arc::new(Metrics::new());
        let admission =
            Admission::new(options.max_queue, options.body_budget(), Arc::clone(&metrics));
        // A request with more images than the queue admits could never be answered.
        let max_images = options.max_images.min(options.max_queue);
        let shared = Arc::new(Shared {
            model,
            options: ServiceOptions { max_images, ..options },
            admission: Arc::new(admission),
            queue: Queue::default(),
            metrics,
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            report: Box::new(report),
            request_ids: observe::RequestIds::new(),
        });
        let worker = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("attn-fiqa-worker".to_owned())
                .spawn(move || shared.work())?
        };
        Ok(Self { shared, worker: Some(worker) })
    }

    /// The service without a socket: every route, with the layers that every request passes. Works
    /// as long as the service lives.
    pub fn router(&self) -> axum::Router {
        routes::router(&self.shared)
    }

    /// Makes the model score a probe; `/readyz` is true afterwards. [`Service::run`] does this
    /// itself.
    pub fn warm_up(&self) {
        self.shared.warm_up();
    }
}

impl Drop for Service {
    /// Ends the worker after it has processed the waiting images.
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(worker) = self.worker.take() {
            // Panics were already reported where they happened.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        let threads = self.model.engine.threads().count();
        let worker = Worker {
            queue: &self.queue,
            engine: &self.model.engine,
            metrics: &self.metrics,
            // Answers wait for their whole batch, and more than a few images per thread bring no
            // speedup.
            batch: self.options.batch.min(4 * threads).max(1),
            decode_budget: self.options.decode_budget(),
        };
        worker.run();
    }

    pub(crate) fn warm_up(&self) {
        let side = self.model.engine.config().image_size;
        let grey = Image::from_rgb(side, side, vec![128; side * side * 3]);
        let wanted = Wanted { aligned: true, ..Wanted::default() };
        let (Some(grey), Ok(pipeline)) = (grey, self.model.pipeline(&wanted)) else { return };
        match pipeline.score(grey).faces {
            Ok(_) => {
                self.ready.store(true, Ordering::SeqCst);
                (self.report)(Event::Ready);
            }
            Err(failure) => {
                let line = format!("the model cannot score a grey image: {failure}");
                (self.report)(Event::Warning(line));
            }
        }
    }

    /// The pipeline for a request.
    ///
    /// # Errors
    ///
    /// 400 if the model lacks something that is requested.
    pub(crate) fn pipeline(&self, wanted: &Wanted) -> Result<Arc<FacePipeline>, ApiError> {
        let pipeline = self.model.pipeline(wanted);
        pipeline.map(Arc::new).map_err(|error| ApiError::of_model("columns", &error))
    }

    /// Bytes needed to decode an image, or why it is not decoded at all.
    pub(crate) fn memory_to_decode(&self, image: &ImageData) -> Result<u64, Failure> {
        let memory = image.memory_to_decode(&self.model.limits)?;
        let budget = self.options.decode_budget();
        if memory <= budget {
            return Ok(memory);
        }
        let [needed, most] = [memory, budget].map(|bytes| bytes.div_ceil(1 << 20));
        Err(Failure::new(
            Status::TooLarge,
            format!(
                "decoding the image needs {needed} MiB, but the service allows {most} MiB: make it \
                 smaller"
            ),
        ))
    }

    /// Scores images, in the given order. The share is returned for the answer.
    ///
    /// # Errors
    ///
    /// 500 if processing one of them failed.
    pub(crate) async fn score(
        &self,
        images: Vec<ImageData>,
        wanted: &Wanted,
        share: Share,
    ) -> Result<(Vec<ScoredImage>, Share), ApiError> {
        let pipeline = self.pipeline(wanted)?;
        let share = Arc::new(share);
        let mut waiting = Waiting { shared: self, replies: VecDeque::new() };
        let mut jobs = Vec::new();
        for image in images {
            // What is a failure according to the header also fails when decoded.
            let memory = match self.memory_to_decode(&image) {
                Err(failure) if failure.status == Status::TooLarge => {
                    waiting.replies.push_back(Err(failure));
                    continue;
                }
                memory => memory.unwrap_or(0),
            };
            let (reply, answer) = oneshot::channel();
            waiting.replies.push_back(Ok(answer));
            jobs.push(Job {
                image,
                pipeline: Arc::clone(&pipeline),
                group: wanted.group(),
                memory,
                queued: Instant::now(),
                reply,
                share: Arc::clone(&share),
            });
        }
        self.queue.push(jobs);
        let mut scored = Vec::with_capacity(waiting.replies.len());
        while let Some(reply) = waiting.replies.front_mut() {
            scored.push(match reply {
                Ok(answer) => answer.await.map_err(|_| ApiError::internal())?,
                Err(failure) => {
                    self.metrics.images.inc();
                    ScoredImage::failed(failure.clone())
                }
            });
            waiting.replies.pop_front();
        }
        // The worker releases an image's part before it replies.
        let share = Arc::into_inner(share).ok_or_else(ApiError::internal)?;
        Ok((scored, share))
    }
}

/// What a request is waiting for, in the order of its images. If it stops waiting, its images leave
/// the queue.
struct Waiting<'a> {
    shared: &'a Shared,
    replies: VecDeque<Result<oneshot::Receiver<ScoredImage>, Failure>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        self.replies.clear();
        let removed = self.shared.queue.remove_unwanted();
        self.shared.metrics.abandoned.inc_by(removed as u64);
    }
}

impl Service {
    /// Lets the worker end by itself, since nobody is waiting for its answers any more.
    pub(crate) fn abandon_worker(&mut self) {
        self.worker = None;
    }
}
