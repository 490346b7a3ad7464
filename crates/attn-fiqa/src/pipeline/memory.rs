//! One memory budget for everything that a stream of images holds at once.
//!
//! Encoded bytes in the queue, encoded bytes of the current batch, decoded images with their
//! decoders and detectors, and photos kept by rows each have a share. An image is admitted to
//! decoding by the memory that its header implies, before anything is allocated; images that fit
//! together are decoded concurrently, and one that does not fit even alone becomes a failed row.

use std::fs;

use super::read_ahead::held;
use super::{FaceSource, StreamOptions, control_group};
use crate::decode::{DecodeLimits, memory_needed};
use crate::input::{ImageData, SourceItem};
use crate::status::{Failure, Status};

/// Memory that detecting faces in one image needs besides the image: the detector sees it with its
/// longer side at most 1920 pixels.
const DETECTION_BYTES: u64 = 96 << 20;

/// Used if the machine's memory size is unknown.
const UNKNOWN_MACHINE: u64 = 4 << 30;

/// Default memory budget of a stream: half of what this process may use, which is the least of the
/// machine's memory, the limits of its control groups and its own address space limit.
pub fn default_max_memory() -> u64 {
    let limits = [physical_memory(), control_group::memory_limit(), address_space()];
    limits.into_iter().flatten().min().unwrap_or(UNKNOWN_MACHINE) / 2
}

fn physical_memory() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The second word, in kB, of the line that starts with `name`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

fn address_space() -> Option<u64> {
    soft_address_space_limit(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_address_space_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How a stream divides its memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    max_memory: u64,
    limits: DecodeLimits,
    /// Memory that detection needs besides the image.
    detection: u64,
    keep_photo: bool,
}

impl Budget {
    pub(super) fn new(stream: &StreamOptions, limits: DecodeLimits, keep_photo: bool) -> Self {
        Self { max_memory: stream.max_memory, limits, detection: 0, keep_photo }
    }

    pub(super) fn with_detection(self, faces: &FaceSource) -> Self {
        match faces {
            FaceSource::Detected(_) => self.with_detector(),
            FaceSource::Aligned(_) | FaceSource::Landmarks(_) => self,
        }
    }

    pub(super) fn with_detector(self) -> Self {
        Self { detection: DETECTION_BYTES, ..self }
    }

    /// Share of encoded bytes that are read ahead.
    pub(super) fn read_ahead(&self) -> u64 {
        self.max_memory / 8
    }

    /// Share of one batch's encoded bytes and kept photos.
    pub(super) fn batch(&self) -> u64 {
        self.max_memory / 8
    }

    /// Share of images being decoded, and their decoders.
    fn decoding(&self) -> u64 {
        self.max_memory / 2
    }

    /// What an image counts towards [`Self::batch`].
    pub(super) fn weight(&self, item: &SourceItem) -> u64 {
        let photo = if self.keep_photo { self.needed(item) } else { 0 };
        held(item).saturating_add(photo)
    }

    /// Memory that decoding an image needs; 0 if there is nothing to decode.
    fn needed(&self, item: &SourceItem) -> u64 {
        match &item.image {
            Ok(ImageData::Encoded(bytes)) => memory_needed(bytes, &self.limits).unwrap_or(0),
            Ok(ImageData::Pixels(_)) | Err(_) => 0,
        }
    }

    /// Takes from the front of `items` those that are decoded together: at most `threads`, and no
    /// more than memory allows. An image that needs more than the whole share is not decoded: it
    /// becomes a [`Status::TooLarge`] failure.
    pub(super) fn next_wave(
        &self,
        items: &mut std::iter::Peekable<impl Iterator<Item = SourceItem>>,
        threads: usize,
    ) -> Vec<SourceItem> {
        let (mut wave, mut sum) = (Vec::new(), 0u64);
        while wave.len() < threads.max(1) {
            let Some(next) = items.peek_mut() else { break };
            let needed = self.needed(next);
            if needed > self.decoding() {
                next.image = Err(self.too_large(needed));
                wave.extend(items.next());
                continue;
            }
            sum = sum.saturating_add(needed.saturating_add(self.detection));
            if sum > self.decoding() && !wave.is_empty() {
                break;
            }
            wave.extend(items.next());
        }
        wave
    }

    fn too_large(&self, needed: u64) -> Failure {
        let [needed, limit] = [needed, self.max_memory].map(|bytes| bytes.div_ceil(1 << 20));
        Failure::new(
            Status::TooLarge,
            format!(
                "decoding the image needs {needed} MiB, more than half of the {limit} MiB of \
                 memory that this run may use: make it smaller or raise the limit on memory"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        assert_eq!(
            kilobytes("MemTotal:       24 kB\nMemFree: 1 kB\n", "MemTotal:"),
            Some(24 << 10)
        );
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max address space         409600000            unlimited            bytes\n";
        assert_eq!(soft_address_space_limit(limits), Some(409_600_000));
        assert_eq!(soft_address_space_limit("Max address space  unlimited  unlimited"), None);
        assert!(default_max_memory() > 0);
    }

    fn png(side: u32) -> SourceItem {
        let mut bytes = Vec::new();
        let image = image::RgbImage::new(side, side);
        let mut file = std::io::Cursor::new(&mut bytes);
        image.write_to(&mut file, image::ImageFormat::Png).expect("an image");
        SourceItem {
            path: "a.png".into(),
            relative: "a.png".into(),
            image: Ok(ImageData::Encoded(bytes)),
        }
    }

    #[test]
    fn decoding_waves_are_limited_by_memory() {
        let stream = |max_memory| StreamOptions { max_memory, ..StreamOptions::default() };
        let budget = |max_memory| Budget::new(&stream(max_memory), DecodeLimits::default(), false);
        let one = budget(1 << 30).needed(&png(400));
        assert!(one >= 400 * 400 * 3, "{one}");
        let waves = |max_memory: u64, threads| -> Vec<usize> {
            let mut items = (0..7).map(|_| png(400)).peekable();
            let next = || budget(max_memory).next_wave(&mut items, threads).len();
            std::iter::repeat_with(next).take_while(|&count| count > 0).collect()
        };
        assert_eq!(waves(1 << 30, 3), [3, 3, 1]);
        assert_eq!(waves(4 * one, 3), [2, 2, 2, 1]);
        assert_eq!(waves(2 * one, 3), [1; 7]);

        let small = budget(1 << 30).needed(&png(8));
        assert!(small < one, "{small} {one}");
        let mut items = [png(400), png(8)].into_iter().peekable();
        let wave = budget(2 * small).next_wave(&mut items, 4);
        let failure = wave[0].image.as_ref().expect_err("too large");
        assert_eq!(failure.status, Status::TooLarge);
        assert!(failure.message.contains("raise the limit on memory"), "{failure}");
        assert!(wave[1].image.is_ok());
    }
}
