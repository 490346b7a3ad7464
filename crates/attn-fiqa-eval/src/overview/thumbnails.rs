//! Small images of faces, cut from the images that a table names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use attn_fiqa::decode::DecodeLimits;
use attn_fiqa::input::ImageData;
use attn_fiqa::source::{Input, SourceOptions, Sources, read_image};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, RgbImage};

use super::RankedFace;

/// Longest side in pixels: twice what the page shows, for high-resolution screens.
const MAX_SIDE: u32 = 224;

/// Quality of the JPEG data: about 10 kB per face.
const JPEG_QUALITY: u8 = 85;

/// Side of a thumbnail relative to the longer side of the face's box, so that it includes hair and
/// chin.
const MARGIN: f32 = 1.5;

/// Thumbnails of some faces of an overview.
#[derive(Debug, Clone, Default)]
pub struct Thumbnails {
    /// JPEG data by image and number of the face.
    jpegs: HashMap<(String, Option<u32>), Vec<u8>>,
    /// The images that could not be read, and why, in alphabetical order.
    pub missing: Vec<(String, String)>,
}

impl Thumbnails {
    /// The thumbnail of a face as JPEG data, if its image could be read.
    pub fn of(&self, face: &RankedFace) -> Option<&[u8]> {
        self.jpegs.get(&(face.path.clone(), face.face)).map(Vec::as_slice)
    }

    /// Number of images that were read.
    pub fn images(&self) -> usize {
        let mut names: Vec<&str> = self.jpegs.keys().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}

/// The requested images: the faces by image.
type FacesByImage<'f> = BTreeMap<&'f str, Vec<&'f RankedFace>>;

/// Reads the images of some faces and cuts each face out by its box, or uses the whole image if
/// there is no box.
///
/// The name of an image is a path in `folder` or, without one or if it is not there, relative to
/// the current folder. In an archive, it consists of the path of the archive and the name inside
/// it, as [`Sources`] writes them; each archive is read once.
pub fn thumbnails(faces: &[&RankedFace], folder: Option<&Path>) -> Thumbnails {
    let mut wanted = FacesByImage::new();
    for face in faces {
        wanted.entry(&face.path).or_default().push(face);
    }
    let mut found = Thumbnails::default();
    let mut archives: BTreeMap<PathBuf, Vec<(&str, String)>> = BTreeMap::new();
    for (&name, faces) in &wanted {
        match locate(name, folder) {
            Some(Place::File(path)) => {
                let image = read_image(&path, DecodeLimits::DEFAULT_MAX_BYTES);
                found.add(name, faces, image.map_err(|failure| failure.message));
            }
            Some(Place::Archive(path, member)) => {
                archives.entry(path).or_default().push((name, member));
            }
            None => found.missing.push((name.to_owned(), "no such file".to_owned())),
        }
    }
    for (archive, members) in archives {
        found.add_members(&archive, members, &wanted);
    }
    found.missing.sort();
    found
}

/// Where an image is.
enum Place {
    File(PathBuf),
    /// An archive and the name of the image in it.
    Archive(PathBuf, String),
}

fn locate(name: &str, folder: Option<&Path>) -> Option<Place> {
    let own = PathBuf::from(unescaped(name)?);
    let candidates = folder.map(|folder| folder.join(&own)).into_iter().chain([own]);
    candidates.into_iter().find_map(|path| {
        if path.is_file() {
            return Some(Place::File(path));
        }
        // A regular file with further components below it is an archive.
        let archive = path.ancestors().skip(1).find(|parent| parent.is_file())?;
        let depth = path.strip_prefix(archive).ok()?.components().count();
        // As written in the table: names in archives are escaped like others.
        let (slash, _) = name.rmatch_indices('/').nth(depth.checked_sub(1)?)?;
        Some(Place::Archive(archive.to_owned(), name[slash + 1..].to_owned()))
    })
}

/// A path as `attn-fiqa score` wrote it, with `\xNN` for bytes that are not UTF-8.
#[cfg(unix)]
fn unescaped(name: &str) -> Option<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = rest.strip_prefix(br"\x").and_then(|digits| digits.get(..2));
        let digits = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Some(std::ffi::OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn unescaped(name: &str) -> Option<std::ffi::OsString> {
    Some(name.into())
}

impl Thumbnails {
    /// Reads an archive until every requested member has been found.
    fn add_members(
        &mut self,
        archive: &Path,
        members: Vec<(&str, String)>,
        wanted: &FacesByImage<'_>,
    ) {
        let mut missing: BTreeMap<String, &str> =
            members.into_iter().map(|(name, member)| (member, name)).collect();
        let input = [Input::Path(archive.to_owned())];
        let mut problem = "not in the archive".to_owned();
        match Sources::open(&input, &SourceOptions::default()) {
            Err(error) => problem = error.to_string(),
            Ok(sources) => {
                let prefix = format!("{}/", archive.display());
                for item in sources {
                    let member = item.path.strip_prefix(&prefix).unwrap_or_default();
                    if let Some(name) = missing.remove(member) {
                        let image = item.image.map_err(|failure| failure.message);
                        self.add(name, &wanted[name], image);
                    }
                    if missing.is_empty() {
                        break;
                    }
                }
            }
        }
        let names = missing.into_values();
        self.missing.extend(names.map(|name| (name.to_owned(), problem.clone())));
    }

    fn add(&mut self, name: &str, faces: &[&RankedFace], image: Result<ImageData, String>) {
        let decode = |image: ImageData| {
            let decoded = image.decode(&DecodeLimits::default());
            decoded.map_err(|failure| failure.message)
        };
        let image = match image.and_then(decode) {
            Ok(decoded) => decoded.image,
            Err(problem) => return self.missing.push((name.to_owned(), problem)),
        };
        let (width, height) = (image.width() as u32, image.height() as u32);
        let pixels = RgbImage::from_raw(width, height, image.into_rgb())
            .expect("an image has three levels for each pixel: this is a bug");
        for face in faces {
            match jpeg(&pixels, face.bounds) {
                Ok(jpeg) => {
                    self.jpegs.insert((name.to_owned(), face.face), jpeg);
                }
                Err(problem) => self.missing.push((name.to_owned(), problem)),
            }
        }
    }
}

/// The part of an image around a box, at most [`MAX_SIDE`] pixels high and wide.
fn jpeg(image: &RgbImage, bounds: Option<[f32; 4]>) -> Result<Vec<u8>, String> {
    let [x, y, width, height] =
        bounds.map_or([0, 0, image.width(), image.height()], |bounds| around(bounds, image));
    if width == 0 || height == 0 {
        return Err("the box of the face is outside of the image".to_owned());
    }
    let part = imageops::crop_imm(image, x, y, width, height).to_image();
    let scale = f64::from(MAX_SIDE) / f64::from(width.max(height));
    let part = match scale < 1.0 {
        true => {
            let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
            imageops::resize(&part, side(width), side(height), FilterType::Triangle)
        }
        false => part,
    };
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .encode(part.as_raw(), part.width(), part.height(), ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The square around a box, clipped to the image: x, y, width, height.
fn around([x, y, width, height]: [f32; 4], image: &RgbImage) -> [u32; 4] {
    let half = width.max(height) * MARGIN / 2.0;
    let range = |start: f32, length: f32, limit: u32| {
        let centre = start + length / 2.0;
        // Out-of-range conversions saturate.
        let low = ((centre - half).round().max(0.0) as u32).min(limit);
        let high = ((centre + half).round().max(0.0) as u32).min(limit);
        (low, high.saturating_sub(low))
    };
    let (x, width) = range(x, width, image.width());
    let (y, height) = range(y, height, image.height());
    [x, y, width, height]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(path: &str, bounds: Option<[f32; 4]>) -> RankedFace {
        RankedFace {
            path: path.to_owned(),
            face: Some(0),
            quality: 50,
            score: None,
            bounds,
            main_cause: None,
            causes: Vec::new(),
            lowest: Vec::new(),
        }
    }

    /// A PNG of 40×20 pixels, black with a white right half.
    fn halves() -> Vec<u8> {
        let image = RgbImage::from_fn(40, 20, |x, _| image::Rgb([if x < 20 { 0 } else { 255 }; 3]));
        let mut png = std::io::Cursor::new(Vec::new());
        image.write_to(&mut png, image::ImageFormat::Png).expect("in memory");
        png.into_inner()
    }

    #[test]
    fn thumbnail_is_cut_by_box_or_reported_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("halves.png"), halves()).expect("written");
        std::fs::write(folder.path().join("text.png"), "no image").expect("written");
        let white = face("halves.png", Some([26.0, 6.0, 8.0, 8.0]));
        let outside = face("halves.png", Some([90.0, 6.0, 8.0, 8.0]));
        let others = ["gone.png", "text.png", "halves.png/member.png"].map(|name| face(name, None));
        let faces: Vec<&RankedFace> = [&white].into_iter().chain(&others).collect();
        let found = thumbnails(&faces, Some(folder.path()));
        let jpeg = found.of(&white).expect("a thumbnail");
        let pixels = image::load_from_memory(jpeg).expect("a JPEG").into_rgb8();
        assert_eq!(pixels.dimensions(), (12, 12));
        assert!(pixels.pixels().all(|pixel| pixel.0.iter().all(|&level| level > 240)));
        let missing: Vec<&str> = found.missing.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(missing, ["gone.png", "halves.png/member.png", "text.png"]);
        assert_eq!(found.missing[0].1, "no such file");
        assert_eq!(found.missing[1].1, "not in the archive");
        assert!(thumbnails(&[&outside], Some(folder.path())).of(&outside).is_none());
    }

    #[test]
    fn thumbnails_are_reduced_to_the_longest_side() {
        let size = |width, height, bounds| {
            let jpeg = jpeg(&RgbImage::new(width, height), bounds).expect("a thumbnail");
            image::load_from_memory(&jpeg).expect("a JPEG").into_rgb8().dimensions()
        };
        assert_eq!(size(448, 300, None), (224, 150));
        assert_eq!(size(300, 896, None), (75, 224));
        assert_eq!(size(2_000, 1, None), (224, 1));
        // 225 · 224 / 675 is 74.67.
        assert_eq!(size(675, 225, None), (224, 75));
        assert_eq!(size(224, 10, None), (224, 10));
        assert_eq!(size(500, 500, Some([200.0, 200.0, 60.0, 40.0])), (90, 90));
    }

    #[test]
    fn square_around_a_box_is_rounded_and_clipped() {
        let image = RgbImage::new(100, 60);
        // A side of 1.5 · 8 around (14.7, 7.6).
        assert_eq!(around([10.7, 5.6, 8.0, 4.0], &image), [9, 2, 12, 12]);
        assert_eq!(around([12.7, 3.6, 4.0, 8.0], &image), [9, 2, 12, 12]);
        assert_eq!(around([-4.0, 50.0, 8.0, 8.0], &image), [0, 48, 6, 12]);
        assert_eq!(around([94.0, 56.0, 8.0, 8.0], &image), [92, 54, 8, 6]);
        let outside = jpeg(&image, Some([10.0, 90.0, 8.0, 8.0])).expect_err("outside");
        assert_eq!(outside, "the box of the face is outside of the image");
    }

    #[test]
    fn several_faces_of_an_image_are_one_image() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a.png", "b.png"] {
            std::fs::write(folder.path().join(name), halves()).expect("written");
        }
        let of = |name, number| RankedFace { face: Some(number), ..face(name, None) };
        let faces = [of("a.png", 0), of("b.png", 0), of("a.png", 1), of("b.png", 1)];
        let found = thumbnails(&faces.iter().collect::<Vec<_>>(), Some(folder.path()));
        assert_eq!((found.images(), found.missing.len()), (2, 0));
        assert!(faces.iter().all(|face| found.of(face).is_some()));
    }

    #[cfg(unix)]
    #[test]
    fn escaped_paths_are_decoded_to_bytes() {
        use std::os::unix::ffi::OsStrExt;
        for (name, bytes) in [
            ("é.jpg", "é.jpg".as_bytes()),
            (r"a\xff.jpg", b"a\xff.jpg"),
            (r"a\x5cxff.jpg", br"a\xff.jpg"),
            (r"a\b\xg0\x1", br"a\b\xg0\x1"),
        ] {
            assert_eq!(unescaped(name).expect("a name").as_bytes(), bytes);
        }
    }
}
