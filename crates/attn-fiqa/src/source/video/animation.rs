//! The frames of an animated GIF, WebP or PNG.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::{FrameSampling, Names, VideoOptions};
use crate::decode::{DecodeLimits, each_frame};
use crate::pixels::Image;
use crate::source::{ImageData, Progress, SourceItem, Step};
use crate::status::{Failure, Status};

/// An animation being read.
///
/// Its frames are decoded on a separate thread, since a decoder cannot be suspended and resumed
/// elsewhere. That thread works only while the reader waits for it: one of the two is always idle,
/// and no frame is decoded before it is requested.
#[derive(Debug)]
pub(in crate::source) struct Animation {
    names: Names,
    /// Requests the next frame.
    requests: SyncSender<()>,
    frames: Receiver<Result<(u64, Image), Failure>>,
    any: bool,
}

impl Animation {
    /// The animation in an image file, whose bytes have been read.
    pub(in crate::source) fn new(item: SourceItem, options: VideoOptions, max_bytes: u64) -> Self {
        let SourceItem { path, relative, image } = item;
        let (requests, requested) = sync_channel(1);
        let (sender, frames) = sync_channel(1);
        let own_sender = sender.clone();
        let thread = std::thread::Builder::new().name("animation".to_owned());
        let started = thread.spawn(move || {
            if requested.recv().is_err() {
                return;
            }
            let limits = DecodeLimits { max_bytes, max_pixels: options.max_pixels };
            let mut choice = Choice::new(options.sampling);
            // When the reader stops, it closes both channels.
            let handed_on = |frame| sender.send(frame).is_ok() && requested.recv().is_ok();
            let read = image.and_then(|image| match image {
                ImageData::Encoded(bytes) => {
                    each_frame(&bytes, &limits, |image, duration| match choice.next(duration) {
                        Some(number) if !handed_on(Ok((number, image))) => ControlFlow::Break(()),
                        _ => ControlFlow::Continue(()),
                    })
                }
                ImageData::Pixels(_) => Ok(()),
            });
            if let Err(failure) = read {
                // If the reader is gone, nobody needs the reason.
                let _ = sender.send(Err(failure));
            }
        });
        if let Err(error) = started {
            let message = format!("cannot start a thread to decode the animation: {error}");
            // The channel has room for one message.
            let _ = own_sender.send(Err(Failure::new(Status::Unreadable, message)));
        }
        Self { names: Names { path, relative }, requests, frames, any: false }
    }

    pub(in crate::source) fn step(&mut self, progress: &Progress) -> Step {
        // A thread that has ended needs no request, and its last message is still in the channel.
        let _ = self.requests.send(());
        let item = match self.frames.recv() {
            Ok(Ok((number, image))) => self.names.frame(number, image),
            Ok(Err(failure)) => self.names.video(failure),
            // The end, or a thread that died: all frames that it sent have been passed on.
            Err(_) if self.any => return Step::Done,
            Err(_) => {
                self.names.video(Failure::new(Status::BrokenImage, "the animation holds no frame"))
            }
        };
        // The file itself was counted as one image.
        if self.any {
            progress.add_known(1);
        }
        self.any = true;
        Step::Item(item)
    }
}

/// Decides for each frame whether it is sampled.
struct Choice {
    sampling: FrameSampling,
    number: u64,
    taken: u64,
    time: Duration,
}

impl Choice {
    fn new(sampling: FrameSampling) -> Self {
        Self { sampling, number: 0, taken: 0, time: Duration::ZERO }
    }

    /// The number of the next frame, displayed for `duration`, if it is sampled.
    fn next(&mut self, duration: Duration) -> Option<u64> {
        let number = self.number;
        let due = match self.sampling {
            FrameSampling::Every(step) => number.is_multiple_of(u64::from(step.get())),
            // The sampled frame is the one on display when a sample is due.
            FrameSampling::PerSecond(rate) => {
                (self.time + duration).as_secs_f64() * rate > self.taken as f64 || self.taken == 0
            }
        };
        self.number += 1;
        self.time += duration;
        if !due {
            return None;
        }
        if let FrameSampling::PerSecond(rate) = self.sampling {
            // A long frame stands for all samples that fall into its display time.
            self.taken = (self.time.as_secs_f64() * rate).ceil().max(1.0) as u64;
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn taken(sampling: FrameSampling, duration: &[u64]) -> Vec<u64> {
        let mut choice = Choice::new(sampling);
        duration.iter().filter_map(|&ms| choice.next(Duration::from_millis(ms))).collect()
    }

    /// A decoder that works ahead would be one busy thread more than the run may have.
    #[test]
    fn no_frame_is_decoded_before_it_is_asked_for() {
        let mut gif = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
        for _ in 0..3 {
            encoder.encode_frame(image::Frame::new(image::RgbaImage::new(5, 5))).expect("a frame");
        }
        drop(encoder);
        let item = SourceItem {
            path: "a.gif".to_owned(),
            relative: "a.gif".into(),
            image: Ok(ImageData::Encoded(gif)),
        };
        let sampling = FrameSampling::Every(NonZeroU32::MIN);
        let mut animation =
            Animation::new(item, VideoOptions { sampling, max_pixels: 25 }, 1 << 20);
        let mut frames = 0;
        loop {
            std::thread::sleep(Duration::from_millis(50));
            assert!(animation.frames.try_recv().is_err(), "frame {frames} was decoded ahead");
            if matches!(animation.step(&Progress::default()), Step::Done) {
                break;
            }
            frames += 1;
        }
        assert_eq!(frames, 3);
    }

    #[test]
    fn frames_are_sampled_by_number_or_time() {
        let every = |step| FrameSampling::Every(NonZeroU32::new(step).expect("positive"));
        assert_eq!(taken(every(1), &[10; 4]), [0, 1, 2, 3]);
        assert_eq!(taken(every(3), &[10; 8]), [0, 3, 6]);
        // Ten frames per second, two requested: every fifth.
        assert_eq!(taken(FrameSampling::PerSecond(2.0), &[100; 12]), [0, 5, 10]);
        // A second frame that lasts three seconds stands for three samples.
        assert_eq!(taken(FrameSampling::PerSecond(1.0), &[100, 3000, 100, 800, 200]), [0, 1, 4]);
        assert_eq!(taken(FrameSampling::PerSecond(5.0), &[0, 0, 0]), [0]);
    }
}
