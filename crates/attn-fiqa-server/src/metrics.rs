//! The contents of `/metrics`, in the OpenMetrics text format, which Prometheus reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Weight of the latest batch in the mean time per image.
const EWMA_WEIGHT: f64 = 0.2;
/// Used until the first batch has been timed.
const INITIAL_SECONDS_PER_IMAGE: f64 = 0.02;

type RouteStatus = [(&'static str, String); 2];

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RouteStatus, Counter>,
    request_seconds: Histogram,
    pub(crate) queue_seconds: Histogram,
    pub(crate) batch_seconds: Histogram,
    pub(crate) batch_images: Histogram,
    /// Answered images and faces.
    pub(crate) images: Counter,
    pub(crate) faces: Counter,
    /// Images whose client left before they were answered.
    pub(crate) abandoned: Counter,
    pub(crate) connections: Gauge,
    pub(crate) refused_connections: Counter,
    queue_depth: Gauge,
    images_in_flight: Gauge,
    bytes_in_flight: Gauge,
    seconds_per_image: AtomicU64,
}

/// 1 ms to 33 s.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("attn_fiqa");
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: times(),
            queue_seconds: times(),
            batch_seconds: times(),
            batch_images: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            images: Counter::default(),
            faces: Counter::default(),
            abandoned: Counter::default(),
            connections: Gauge::default(),
            refused_connections: Counter::default(),
            queue_depth: Gauge::default(),
            images_in_flight: Gauge::default(),
            bytes_in_flight: Gauge::default(),
            seconds_per_image: AtomicU64::new(INITIAL_SECONDS_PER_IMAGE.to_bits()),
        };
        let m = &metrics;
        registry.register(
            "requests",
            "Requests by route and status; 499 if the client left before the answer",
            m.requests.clone(),
        );
        let seconds = Unit::Seconds;
        let help = "From the header of a request to its answer";
        registry.register_with_unit("request", help, seconds.clone(), m.request_seconds.clone());
        let help = "From an admitted image to the start of its work";
        registry.register_with_unit("queue", help, seconds.clone(), m.queue_seconds.clone());
        let help = "The network's work on one batch";
        registry.register_with_unit("batch", help, seconds, m.batch_seconds.clone());
        registry.register(
            "batch_images",
            "Images that were scored together",
            m.batch_images.clone(),
        );
        registry.register("images", "Images that were answered", m.images.clone());
        registry.register("faces", "Faces that were answered", m.faces.clone());
        let help = "Images whose client left before they were answered";
        registry.register("abandoned_images", help, m.abandoned.clone());
        registry.register("connections", "Open connections", m.connections.clone());
        let help = "Connections that were closed because too many were open";
        registry.register("refused_connections", help, m.refused_connections.clone());
        registry.register("queue_depth", "Images that wait for work", m.queue_depth.clone());
        let help = "Images of admitted requests";
        registry.register("images_in_flight", help, m.images_in_flight.clone());
        let help = "Bytes admitted for bodies, photos and answers";
        registry.register_with_unit("in_flight", help, Unit::Bytes, m.bytes_in_flight.clone());
        Self { registry, ..metrics }
    }

    pub(crate) fn count_request(&self, route: &'static str, status: u16, duration: Duration) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        // There are few label sets, since there are few routes and statuses.
        let labels: RouteStatus = labels;
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.observe(duration.as_secs_f64());
    }

    /// Records that a batch of this many images took this long from start to end.
    pub(crate) fn count_batch(&self, images: usize, duration: Duration) {
        if images == 0 {
            return;
        }
        let latest = duration.as_secs_f64() / images as f64;
        let mean = self.seconds_per_image() * (1.0 - EWMA_WEIGHT) + latest * EWMA_WEIGHT;
        self.seconds_per_image.store(mean.to_bits(), Ordering::Relaxed);
    }

    /// The mean time per image under load, in seconds.
    pub(crate) fn seconds_per_image(&self) -> f64 {
        f64::from_bits(self.seconds_per_image.load(Ordering::Relaxed))
    }

    /// The text of `/metrics` with these current values.
    pub(crate) fn text(&self, queue_depth: usize, images: usize, bytes: u64) -> String {
        self.queue_depth.set(queue_depth as i64);
        self.images_in_flight.set(images as i64);
        self.bytes_in_flight.set(bytes.min(i64::MAX as u64) as i64);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
