//! Animations, frame by frame.

use std::num::NonZeroU32;

use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::pixels::Image;
use attn_fiqa::source::{
    FrameSampling, ImageData, Input, ListFrom, SourceItem, SourceOptions, Sources, VideoOptions,
};
use attn_fiqa::status::Status;
use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};

const SIDE: u32 = 12;

/// A frame of one colour.
fn grey(level: u8) -> RgbaImage {
    RgbaImage::from_pixel(SIDE, SIDE, Rgba([level, level, level, 255]))
}

fn gif(levels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for &level in levels {
        let delay = Delay::from_numer_denom_ms(100, 1);
        encoder.encode_frame(Frame::from_parts(grey(level), 0, 0, delay)).unwrap();
    }
    drop(encoder);
    bytes
}

fn read(path: &std::path::Path, sampling: Option<FrameSampling>) -> Vec<SourceItem> {
    let videos = sampling.map(|sampling| VideoOptions { sampling, max_pixels: 1000 });
    let options = SourceOptions { videos, ..SourceOptions::default() };
    let sources = Sources::open(&[Input::Path(path.to_owned())], &options).unwrap();
    let progress = sources.progress();
    let items: Vec<SourceItem> = sources.collect();
    let counts = progress.counts();
    assert_eq!((counts.known, counts.exact), (items.len() as u64, true));
    items
}

fn every(step: u32) -> Option<FrameSampling> {
    NonZeroU32::new(step).map(FrameSampling::Every)
}

/// An item's image.
fn image(item: &SourceItem) -> Image {
    let image = item.image.clone().unwrap();
    image.decode(&DecodeLimits::default()).unwrap().image
}

/// The part of each name after the last `/`, and the level of its image.
fn levels(items: &[SourceItem]) -> Vec<(String, String, u8)> {
    let level = |item: &SourceItem| {
        let image = image(item);
        assert_eq!((image.width(), image.height()), (SIDE as usize, SIDE as usize));
        let first = image.rgb()[0];
        assert!(image.rgb().iter().all(|&level| level == first));
        first
    };
    let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap().to_owned();
    let row =
        |item: &SourceItem| (name(&item.path), item.relative.display().to_string(), level(item));
    items.iter().map(row).collect()
}

fn row(name: &str, relative: &str, level: u8) -> (String, String, u8) {
    (name.to_owned(), relative.to_owned(), level)
}

#[test]
fn every_frame_of_an_animation_is_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gif");
    std::fs::write(&path, gif(&[10, 60, 200, 90])).unwrap();
    assert_eq!(
        levels(&read(&path, every(1))),
        [
            row("a.gif#0", "a.gif.frame-000000", 10),
            row("a.gif#1", "a.gif.frame-000001", 60),
            row("a.gif#2", "a.gif.frame-000002", 200),
            row("a.gif#3", "a.gif.frame-000003", 90),
        ]
    );
    let third = levels(&read(&path, every(3)));
    assert_eq!(third.iter().map(|frame| frame.2).collect::<Vec<_>>(), [10, 90]);
    // Displayed for a tenth of a second each; at five per second, every second one is used.
    let timed = levels(&read(&path, Some(FrameSampling::PerSecond(5.0))));
    assert_eq!(timed.iter().map(|frame| frame.2).collect::<Vec<_>>(), [10, 200]);
}

#[test]
fn animations_are_found_in_folders_beside_images() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.GIF"), gif(&[1, 2])).unwrap();
    let png = image::DynamicImage::ImageRgba8(grey(7)).to_rgb8();
    png.save(folder.path().join("a.png")).unwrap();
    let found = levels(&read(folder.path(), every(1)));
    assert_eq!(
        found,
        [
            row("a.png", "a.png", 7),
            row("b.GIF#0", "b.GIF.frame-000000", 1),
            row("b.GIF#1", "b.GIF.frame-000001", 2),
        ]
    );
    // Unless videos are requested, only the first image of a GIF is read.
    let still = [row("a.png", "a.png", 7), row("b.GIF", "b.GIF", 1)];
    assert_eq!(levels(&read(folder.path(), None)), still);
}

#[test]
fn animated_webp_and_png_are_animations_too() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for name in ["animated.webp", "animated.png"] {
        let path = fixtures.join(name);
        let frames = read(&path, every(1));
        assert!(frames.len() > 1, "{name} has {} frame", frames.len());
        assert!(matches!(frames[0].image, Ok(ImageData::Pixels(_))), "{name}");
        let first = image(&frames[0]);
        let whole = std::fs::read(&path).unwrap();
        let expected = decode(&whole, &DecodeLimits::default()).unwrap();
        assert_eq!(first, expected.image, "{name}");
        assert_eq!(read(&path, None).len(), 1);
    }
}

#[test]
fn truncated_animation_yields_complete_frames_then_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gif");
    let whole = gif(&[10, 60, 200, 90]);
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let mut items = read(&path, every(1));
    let last = items.pop().unwrap();
    assert_eq!(last.image.unwrap_err().status, Status::BrokenImage);
    assert_eq!(last.path, path.to_string_lossy());
    let whole_frames = levels(&items);
    assert!(!whole_frames.is_empty() && whole_frames.len() < 4, "{whole_frames:?}");

    for (bytes, status) in [
        (b"GIF89a".to_vec(), Status::BrokenImage),
        (b"GIF89a\x10\x27\x10\x27\0\0\0;".to_vec(), Status::TooLarge),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let items = read(&path, every(1));
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].image.as_ref().unwrap_err().status, status, "{:?}", items[0].image);
    }
}

#[test]
fn dropping_an_unfinished_video_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gif");
    std::fs::write(&path, gif(&[5; 40])).unwrap();
    let videos = every(1).map(|sampling| VideoOptions { sampling, max_pixels: 1000 });
    let options = SourceOptions { videos, ..SourceOptions::default() };
    let mut sources = Sources::open(&[Input::Path(path)], &options).unwrap();
    assert!(sources.next().is_some());
    drop(sources);
}

#[test]
fn listed_transport_stream_is_recognised_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let mut stream = vec![0; 2 * 188];
    (stream[0], stream[188]) = (0x47, 0x47);
    std::fs::write(folder.path().join("clip.ts"), stream).unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "clip.ts\n").unwrap();
    let videos = every(1).map(|sampling| VideoOptions { sampling, max_pixels: 1000 });
    let options = SourceOptions { videos, ..SourceOptions::default() };
    let list = Input::List { path: ListFrom::File(list), root: Some(folder.path().to_owned()) };
    let items: Vec<SourceItem> = Sources::open(&[list], &options).unwrap().collect();
    // Whether or not ffmpeg is installed, the file is passed to it and not read as an image.
    let [item] = items.as_slice() else { panic!("{items:?}") };
    let failure = item.image.as_ref().unwrap_err();
    assert!(failure.message.contains("ffmpeg"), "{failure:?}");
    assert_eq!(item.path, "clip.ts");
}
