//! Notes on what was ignored or changed between a file and a crop.

use std::fmt;

/// Something that was ignored, dropped or changed between a file and a crop.
///
/// The [`Display`](fmt::Display) form is the text for a row's notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {
    /// The file holds an ICC colour profile. Pixels are used as stored, as is usual in face image
    /// quality research.
    IccIgnored,
    /// The image was rotated or mirrored according to its EXIF orientation (2 … 8).
    OrientationApplied(u8),
    /// Transparency was dropped; the colours under it are used as stored.
    AlphaDropped,
    /// Only the upper 8 bits of each 16-bit sample are used.
    SixteenBitReduced,
    /// CMYK was converted to RGB by multiplication, without a profile.
    CmykConverted,
    /// The end marker is missing, but every block of the image is present.
    NoEndMarker,
    /// Scans of a progressive JPEG are missing, so that it lacks detail.
    ScansMissing,
    /// The file is an animation; only its first image is used.
    FirstFrame,
    /// The file has several pages; only the first is used.
    FirstPage,
    /// The face image record holds images of several faces; only the first is used.
    FirstOfRecord,
    /// The image was resized; both sizes are `(width, height)` in pixels.
    Resized {
        /// The size of the file's image.
        from: (usize, usize),
        /// The size of the network's input.
        to: (usize, usize),
    },
    /// Red and blue were swapped back, as the caller requested.
    ChannelsSwapped,
    /// Faces were detected in a reduced image.
    FacesLookedForReduced {
        /// Its size, `(width, height)` in pixels.
        to: (usize, usize),
        /// The size of a face, in pixels of the file's image, below which the detector often misses
        /// it; `None` if not known for this detector.
        often_missed_below: Option<usize>,
    },
    /// The maximum number of faces was detected: there may be more.
    MostFaces(usize),
    /// Every face is rotated clockwise by about 90, 180 or 270 degrees: the image was probably not
    /// stored upright.
    FacesTurned(u16),
    /// The network uses landmarks and none are known, so those of the template were assumed.
    LandmarksAssumed,
}

impl Note {
    /// Whether this means that faces may have been missed.
    pub fn limits_faces(&self) -> bool {
        matches!(self, Self::FacesLookedForReduced { .. } | Self::MostFaces(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IccIgnored => f.write_str("ICC profile ignored"),
            Self::OrientationApplied(orientation) => {
                write!(f, "EXIF orientation {orientation} applied")
            }
            Self::AlphaDropped => f.write_str("alpha channel dropped"),
            Self::SixteenBitReduced => f.write_str("16-bit samples reduced to 8"),
            Self::CmykConverted => f.write_str("CMYK converted to RGB"),
            Self::NoEndMarker => f.write_str("no end marker, the image is complete"),
            Self::ScansMissing => {
                f.write_str("scans of the progressive JPEG are missing, it lacks detail")
            }
            Self::FirstFrame => f.write_str("first frame of an animation"),
            Self::FirstPage => f.write_str("first page of several"),
            Self::FirstOfRecord => f.write_str("first image of the face image record"),
            Self::Resized { from, to } => {
                write!(f, "resized from {}×{} to {}×{}", from.0, from.1, to.0, to.1)?;
                let same_aspect = from.0 as u128 * to.1 as u128 == from.1 as u128 * to.0 as u128;
                f.write_str(if same_aspect { "" } else { ", which changes the aspect ratio" })
            }
            Self::ChannelsSwapped => f.write_str("red and blue swapped back"),
            Self::FacesLookedForReduced { to, often_missed_below } => {
                write!(f, "faces searched at {}×{}", to.0, to.1)?;
                match often_missed_below {
                    Some(side) => write!(f, ", ones below about {side} pixels are often missed"),
                    None => f.write_str(", small ones may be missed"),
                }
            }
            Self::MostFaces(most) => {
                write!(f, "{most} faces found, the most of one image, there may be more")
            }
            Self::FacesTurned(degrees) => {
                write!(f, "faces are turned by {degrees}°, the image is probably not upright")
            }
            Self::LandmarksAssumed => f.write_str("landmarks of the ArcFace template assumed"),
        }
    }
}
