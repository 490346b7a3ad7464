//! From an image to the network's input.

use attn_fiqa::crop::{CropOptions, Fit, crop_from_image};
use attn_fiqa::decode::Note;
use attn_fiqa::pixels::{ChannelOrder, Image};
use attn_fiqa::resize::resize_bilinear;
use attn_fiqa::status::Status;

fn image(width: usize, height: usize) -> Image {
    let rgb = (0..width * height * 3).map(|at| (at * 7 % 256) as u8);
    Image::from_rgb(width, height, rgb.collect()).unwrap()
}

fn options(side: usize, fit: Fit, channels: ChannelOrder) -> CropOptions {
    CropOptions { side, fit, channels }
}

#[test]
fn matching_size_is_left_unchanged() {
    for fit in [Fit::Exact, Fit::Resize] {
        let image = image(9, 9);
        let (crop, notes) =
            crop_from_image(image.clone(), &options(9, fit, ChannelOrder::Rgb)).unwrap();
        assert_eq!((crop.side(), crop.rgb()), (9, image.rgb()));
        assert_eq!(notes, []);
    }
}

#[test]
fn another_size_is_refused_with_both_remedies() {
    for (width, height) in [(10, 10), (9, 8), (250, 250)] {
        let exact = options(9, Fit::Exact, ChannelOrder::Rgb);
        let failure = crop_from_image(image(width, height), &exact).unwrap_err();
        assert_eq!(failure.status, Status::WrongSize);
        for part in [&*format!("{width}×{height}"), "9×9", "aligned", "resize it"] {
            assert!(failure.message.contains(part), "{part} in {failure}");
        }
    }
}

#[test]
fn resizing_is_bilinear_and_noted() {
    let resize = options(8, Fit::Resize, ChannelOrder::Rgb);
    for (size, note) in [
        ((20, 20), "resized from 20×20 to 8×8"),
        ((20, 10), "resized from 20×10 to 8×8, which changes the aspect ratio"),
    ] {
        let image = image(size.0, size.1);
        let (crop, notes) = crop_from_image(image.clone(), &resize).unwrap();
        let expected = resize_bilinear(&image, 8, 8).unwrap();
        assert_eq!(crop.rgb(), expected.rgb());
        assert_eq!(notes, [Note::Resized { from: size, to: (8, 8) }]);
        assert_eq!(notes[0].to_string(), note);
    }
}

#[test]
fn bgr_input_is_converted_to_rgb() {
    let stored = image(4, 4);
    let (crop, notes) =
        crop_from_image(stored.clone(), &options(4, Fit::Exact, ChannelOrder::Bgr)).unwrap();
    for (found, stored) in crop.rgb().chunks_exact(3).zip(stored.rgb().chunks_exact(3)) {
        assert_eq!(found, [stored[2], stored[1], stored[0]]);
    }
    assert_eq!(notes, [Note::ChannelsSwapped]);
    assert_eq!(notes[0].to_string(), "red and blue swapped back");
}

#[test]
fn zero_side_is_rejected() {
    let resize = options(0, Fit::Resize, ChannelOrder::Rgb);
    let failure = crop_from_image(image(4, 4), &resize).unwrap_err();
    assert_eq!(failure.status, Status::WrongSize);
}
