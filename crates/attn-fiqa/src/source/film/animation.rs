//! The frames of an animated GIF, WebP or PNG.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::{FilmOptions, Names, Take};
use crate::decode::{DecodeLimits, each_frame};
use crate::picture::Picture;
use crate::source::{ImageData, SourceItem, Step, Tally};
use crate::status::{Failure, Status};

/// An animation that is being read.
///
/// Its frames are decoded on a thread of their own, since a decoder cannot be
/// left half-way and taken up again; it is never more than one frame ahead, and
/// whoever reads waits for it meanwhile.
#[derive(Debug)]
pub(in crate::source) struct Animation {
    names: Names,
    frames: Receiver<Result<(u64, Picture), Failure>>,
    any: bool,
}

impl Animation {
    /// The animation that an image turned out to be; its bytes are there.
    pub(in crate::source) fn new(item: SourceItem, options: FilmOptions, max_bytes: u64) -> Self {
        let SourceItem { path, relative, image } = item;
        let (sender, frames) = sync_channel(1);
        std::thread::spawn(move || {
            let limits = DecodeLimits { max_bytes, max_pixels: options.max_pixels };
            let mut choice = Choice::new(options.take);
            let sent = |frame| match sender.send(frame) {
                Ok(()) => ControlFlow::Continue(()),
                // Nobody reads any more.
                Err(_) => ControlFlow::Break(()),
            };
            let read = image.and_then(|image| match image {
                ImageData::Encoded(bytes) => {
                    each_frame(&bytes, &limits, |picture, shown| match choice.next(shown) {
                        Some(number) => sent(Ok((number, picture))),
                        None => ControlFlow::Continue(()),
                    })
                }
                ImageData::Pixels(_) => Ok(()),
            });
            if let Err(failure) = read {
                // A reader who is gone needs no reason either.
                let _ = sent(Err(failure));
            }
        });
        Self { names: Names { path, relative }, frames, any: false }
    }

    pub(in crate::source) fn step(&mut self, tally: &Tally) -> Step {
        let item = match self.frames.recv() {
            Ok(Ok((number, picture))) => self.names.frame(number, picture),
            Ok(Err(failure)) => self.names.film(failure),
            // The end, or a thread that was lost: what is there was handed on.
            Err(_) if self.any => return Step::Done,
            Err(_) => {
                self.names.film(Failure::new(Status::BrokenImage, "the animation holds no frame"))
            }
        };
        // The file itself was counted as one image.
        if self.any {
            tally.add_known(1);
        }
        self.any = true;
        Step::Item(item)
    }
}

/// Decides frame by frame what is taken.
struct Choice {
    take: Take,
    number: u64,
    taken: u64,
    time: Duration,
}

impl Choice {
    fn new(take: Take) -> Self {
        Self { take, number: 0, taken: 0, time: Duration::ZERO }
    }

    /// The number of the next frame, which is shown for so long, if it is taken.
    fn next(&mut self, shown: Duration) -> Option<u64> {
        let number = self.number;
        let due = match self.take {
            Take::Every(step) => number.is_multiple_of(u64::from(step.get())),
            // A frame that is still shown when the next one is due is that one.
            Take::PerSecond(rate) => {
                (self.time + shown).as_secs_f64() * rate > self.taken as f64 || self.taken == 0
            }
        };
        self.number += 1;
        self.time += shown;
        if !due {
            return None;
        }
        if let Take::PerSecond(rate) = self.take {
            // A long frame answers for all that fall due while it is shown.
            self.taken = (self.time.as_secs_f64() * rate).ceil().max(1.0) as u64;
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn taken(take: Take, shown: &[u64]) -> Vec<u64> {
        let mut choice = Choice::new(take);
        shown.iter().filter_map(|&ms| choice.next(Duration::from_millis(ms))).collect()
    }

    #[test]
    fn frames_are_taken_by_number_or_by_time() {
        let every = |step| Take::Every(NonZeroU32::new(step).expect("positive"));
        assert_eq!(taken(every(1), &[10; 4]), [0, 1, 2, 3]);
        assert_eq!(taken(every(3), &[10; 8]), [0, 3, 6]);
        // Ten frames a second, two wanted: every fifth.
        assert_eq!(taken(Take::PerSecond(2.0), &[100; 12]), [0, 5, 10]);
        // A second frame that lasts three seconds stands for them all.
        assert_eq!(taken(Take::PerSecond(1.0), &[100, 3000, 100, 800, 200]), [0, 1, 4]);
        assert_eq!(taken(Take::PerSecond(5.0), &[0, 0, 0]), [0]);
    }
}
