//! Python objects that are accepted as images.

use std::path::{Path, PathBuf};

use attn_fiqa::decode::{DecodeLimits, Decoded};
use attn_fiqa::pixels::{ChannelOrder, Image};
use attn_fiqa::source::{ImageData, read_image};
use attn_fiqa::status::{Failure, Status};
use numpy::{PyArray3, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

use crate::args::{path, type_name};
use crate::error::{bad_request, failed, warn};

/// An image copied out of a Python object.
pub(crate) struct Input {
    pixels: Pixels,
    /// The channel order of an array; `None` for everything else.
    pub(crate) order: Option<ChannelOrder>,
}

enum Pixels {
    File(PathBuf),
    Data(Result<ImageData, Failure>),
}

impl Input {
    /// Copies the image. A file is only read by [`Self::open`].
    pub(crate) fn of(image: &Bound<'_, PyAny>, color: Option<ChannelOrder>) -> PyResult<Self> {
        let py = image.py();
        let colored = |kind: &str| match color {
            None => Ok(()),
            Some(_) => Err(bad_request(format!(
                "color was given with {kind}, whose channel order is known; leave it out: it is \
                 only for arrays"
            ))),
        };
        let encoded = |bytes: Vec<u8>| Self {
            pixels: Pixels::Data(Ok(ImageData::Encoded(bytes))),
            order: None,
        };
        if let Some(path) = path(image)? {
            colored("a path")?;
            return Ok(Self { pixels: Pixels::File(path), order: None });
        }
        if image.is_instance_of::<PyBytes>() || image.is_instance_of::<PyByteArray>() {
            colored("an encoded image")?;
            return Ok(encoded(image.extract()?));
        }
        if image.is_instance_of::<PyMemoryView>() {
            colored("an encoded image")?;
            return Ok(encoded(image.call_method0("tobytes")?.extract()?));
        }
        if let Some(pixels) = pil_pixels(image)? {
            colored("a PIL image")?;
            let array = as_array(&pixels)?.expect("PIL's images are arrays: this is a bug");
            return Self::of_array(&array, ChannelOrder::Rgb, None);
        }
        if let Some(array) = as_array(image)? {
            let order = color.ok_or_else(|| {
                bad_request(
                    "color is missing: an array does not specify its channel order; pass \
                     color='rgb' (PIL, imageio, matplotlib) or color='bgr' (OpenCV, insightface, \
                     uniface)",
                )
            })?;
            return Self::of_array(&array, order, Some(order));
        }
        if image.hasattr(intern!(py, "read"))? {
            colored("a file object")?;
            let read = image.call_method0(intern!(py, "read"))?;
            return match read.cast::<PyBytes>() {
                Ok(bytes) => Ok(encoded(bytes.as_bytes().to_vec())),
                Err(_) => Err(bad_request(format!(
                    "the file object returned {}; expected bytes, so open it in binary mode ('rb')",
                    type_name(&read)
                ))),
            };
        }
        Err(bad_request(format!(
            "expected an image as a path, bytes, a binary file object, a PIL image or a uint8 array \
             of shape (height, width, 3), and found {}",
            type_name(image)
        )))
    }

    fn of_array(
        array: &Bound<'_, PyUntypedArray>,
        order: ChannelOrder,
        named: Option<ChannelOrder>,
    ) -> PyResult<Self> {
        let array = image_array(array)?;
        let [height, width, _] = array.dims().into_pattern();
        let limit = DecodeLimits::DEFAULT_MAX_PIXELS;
        // Checked before copying: a broadcast array may not fit in memory.
        if (height as u64).saturating_mul(width as u64) > limit {
            let failure = Failure::new(
                Status::TooLarge,
                format!(
                    "the array has {width}×{height} pixels and the limit is {limit}: make it smaller"
                ),
            );
            return Ok(Self { pixels: Pixels::Data(Err(failure)), order: named });
        }
        let image = Image::from_pixels(width, height, copied(array), order)
            .expect("the shape was checked: this is a bug");
        Ok(Self { pixels: Pixels::Data(Ok(ImageData::Pixels(image))), order: named })
    }

    /// The path, if the image is a file.
    pub(crate) fn path(&self) -> Option<String> {
        match &self.pixels {
            Pixels::File(path) => Some(path.display().to_string()),
            Pixels::Data(_) => None,
        }
    }

    /// Reads the file.
    pub(crate) fn open(self) -> Result<ImageData, Failure> {
        match self.pixels {
            Pixels::File(path) => read_file(&path),
            Pixels::Data(data) => data,
        }
    }

    /// Reads and decodes.
    pub(crate) fn decode(self) -> Result<Decoded, Failure> {
        self.open()?.decode(&DecodeLimits::default())
    }
}

fn read_file(path: &Path) -> Result<ImageData, Failure> {
    read_image(path, DecodeLimits::DEFAULT_MAX_BYTES)
}

/// The image in the channel order of the caller's array.
pub(crate) fn to_channel_order(image: Image, order: Option<ChannelOrder>) -> Image {
    match order {
        Some(ChannelOrder::Bgr) => image.with_red_and_blue_exchanged(),
        _ => image,
    }
}

/// A NumPy array, or an object that exposes one; `None` for everything else.
pub(crate) fn as_array<'py>(
    object: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyUntypedArray>>> {
    let py = object.py();
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return Ok(Some(array.clone()));
    }
    let by = |function: &str| -> PyResult<Option<Bound<'py, PyUntypedArray>>> {
        let numpy = py.import(intern!(py, "numpy"))?;
        let array = numpy.call_method1(function, (object,)).map_err(|error| {
            bad_request(format!(
                "the {} cannot be read as an array on the CPU ({error}); move it to the CPU and \
                 convert it to uint8 first",
                type_name(object)
            ))
        })?;
        Ok(Some(array.cast_into::<PyUntypedArray>().map_err(PyErr::from)?))
    };
    if object.hasattr(intern!(py, "__array_interface__"))? {
        return by("asarray");
    }
    if object.hasattr(intern!(py, "__dlpack__"))? {
        return by("from_dlpack");
    }
    Ok(None)
}

/// The same array as `uint8` of shape (height, width, 3).
fn image_array<'a, 'py>(
    array: &'a Bound<'py, PyUntypedArray>,
) -> PyResult<&'a Bound<'py, PyArray3<u8>>> {
    let typed = array.cast::<PyArray3<u8>>().ok();
    match (typed, array.shape()) {
        (Some(typed), &[height, width, 3]) if height > 0 && width > 0 => Ok(typed),
        (_, shape) => {
            let found = format!("{} of shape {}", dtype(array), tuple(shape));
            let what_to_do = match shape {
                [_, _] => "repeat a grey channel: numpy.stack([grey] * 3, axis=-1)",
                [_, _, 4] => "leave the alpha channel out: image[..., :3]",
                [3, _, _] => "move the channels last: image.transpose(1, 2, 0)",
                [_, _, _, 3] => "pass one image at a time, or aligned faces to score_aligned",
                [_, _, 3] => "scale it to 0 … 255 and convert it to uint8",
                _ => "see the documentation for what else is accepted",
            };
            Err(bad_request(format!(
                "expected uint8 of shape (height, width, 3), and found {found}; {what_to_do}"
            )))
        }
    }
}

pub(crate) fn dtype(array: &Bound<'_, PyUntypedArray>) -> String {
    array.dtype().to_string()
}

/// A shape as Python writes it.
pub(crate) fn tuple(shape: &[usize]) -> String {
    let numbers: Vec<String> = shape.iter().map(usize::to_string).collect();
    match &numbers[..] {
        [one] => format!("({one},)"),
        _ => format!("({})", numbers.join(", ")),
    }
}

/// The bytes of an array in C order, regardless of its strides.
fn copied(array: &Bound<'_, PyArray3<u8>>) -> Vec<u8> {
    let array = array.readonly();
    let view = array.as_array();
    // `PyReadonlyArray::as_slice` would also accept Fortran order.
    match view.as_slice() {
        Some(slice) => slice.to_vec(),
        None => view.iter().copied().collect(),
    }
}

/// PIL modes whose conversion to RGB keeps 8 bits of every channel.
const PIL_MODES: [&str; 11] =
    ["RGB", "L", "1", "P", "RGBA", "RGBX", "RGBa", "LA", "PA", "CMYK", "YCbCr"];

/// A PIL image in RGB mode; `None` if the object is not a PIL image.
fn pil_pixels<'py>(image: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = image.py();
    // If PIL was never imported, this is not a PIL image.
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let module = modules.call_method1(intern!(py, "get"), (intern!(py, "PIL.Image"),))?;
    if module.is_none() || !image.is_instance(&module.getattr(intern!(py, "Image"))?)? {
        return Ok(None);
    }
    let mode: String = image.getattr(intern!(py, "mode"))?.extract()?;
    if !PIL_MODES.contains(&&*mode) {
        return Err(bad_request(format!(
            "expected a PIL image of 8 bits per channel, and found the mode '{mode}'; scale it to \
             0 … 255 and convert it to 'RGB'"
        )));
    }
    let broken = |error: PyErr| {
        let failure = Failure::new(Status::BrokenImage, format!("PIL cannot read it: {error}"));
        failed(&failure, None)
    };
    warn_of_orientation(py, orientation(image).map_err(broken)?)?;
    if mode == "RGB" {
        // PIL reads files lazily.
        image.call_method0(intern!(py, "load")).map_err(broken)?;
        return Ok(Some(image.clone()));
    }
    Ok(Some(image.call_method1(intern!(py, "convert"), ("RGB",)).map_err(broken)?))
}

/// The EXIF orientation of an image that PIL read from a file, 1 if it has none.
fn orientation(image: &Bound<'_, PyAny>) -> PyResult<u16> {
    const ORIENTATION: u16 = 0x0112;
    let py = image.py();
    // Only an image from a file can have one that was not applied.
    if image.getattr_opt(intern!(py, "filename"))?.is_none() {
        return Ok(1);
    }
    let exif = image.call_method0(intern!(py, "getexif"))?;
    let found = exif.call_method1(intern!(py, "get"), (ORIENTATION, 1))?;
    Ok(found.extract().unwrap_or(1))
}

/// PIL does not apply the orientation, which callers often overlook.
fn warn_of_orientation(py: Python<'_>, orientation: u16) -> PyResult<()> {
    if !(2..=8).contains(&orientation) {
        return Ok(());
    }
    warn(
        py,
        format!(
            "the PIL image has the EXIF orientation {orientation}, which PIL does not apply, so its \
             faces are not upright; use PIL.ImageOps.exif_transpose(image), or pass the path"
        ),
    )
}

/// A shape as an array of known length.
trait IntoPattern {
    fn into_pattern(self) -> [usize; 3];
}

impl IntoPattern for numpy::Ix3 {
    fn into_pattern(self) -> [usize; 3] {
        [self[0], self[1], self[2]]
    }
}
