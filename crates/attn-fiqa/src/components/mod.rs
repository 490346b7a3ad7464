//! Component measures: properties of a face image that need no recognition network.
//!
//! ISO/IEC 29794-5:2025 defines measures of single properties of a face image, each with a native
//! value and a mapping to 0 … 100. This module has those that can be computed from five landmarks,
//! the detector's boxes and the pixels, under the names of ISO/IEC 25722 as OFIQ 1.2 writes them.
//! Each states how close it is to the standard ([`Basis`]): none has been tested for conformance,
//! and a [`Basis::Estimate`] approximates inputs that are not available here, such as the outline
//! of the face. Measures of our own have our own names.
//! face. Measures of our own have our own names.
//!
//! They are not part of the quality score: what a standard requires of a passport photo and what a
//! recogniser can use are different questions. Measures of light depend on skin tone
//! (`docs/measures.md` has figures); use them to advise, not to refuse.

mod colour;
mod compression;
mod face_area;
mod geometry;
mod light;
mod mapping;
mod spectrum;

use crate::align::{LandmarkError, Landmarks};
use crate::crop::Crop;
use crate::detect::FaceBox;
use crate::measure::sharpness;
use crate::pixels::Image;

pub use compression::jpeg_quality;

use face_area::FaceArea;

/// A measure of one property of a face image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Component {
    /// Distance between the eye centres in pixels, divided by the cosine of the yaw.
    InterEyeDistance,
    /// Area of the second largest face box divided by that of the largest, 0 if there is only one
    /// face.
    SingleFacePresent,
    /// Intersection of the luminance histograms of two squares below the eyes, 0 to 1.
    IlluminationUniformity,
    /// Distance in the CIELAB a*b* plane from the skin range to the mean colour of the squares; 100
    /// for negative a* or b*.
    NaturalColour,
    /// Distance of the left eye (as seen in the image) from the left edge of the image, divided by
    /// the inter-eye distance.
    LeftwardCropOfTheFaceImage,
    /// Distance of the right eye from the right edge of the image, divided by the inter-eye
    /// distance.
    RightwardCropOfTheFaceImage,
    /// Rotation in the image plane, in degrees.
    HeadPoseRoll,
    /// Turn about the neck, in degrees, from the position of the nose between the eyes.
    HeadPoseYaw,
    /// Mean luminance of the face, 0 to 1.
    LuminanceMean,
    /// Variance of the luminance of the face, for values from 0 to 1.
    LuminanceVariance,
    /// Fraction of the face whose luminance is at most 25 of 255.
    UnderExposurePrevention,
    /// Fraction of the face whose luminance is at least 247 of 255.
    OverExposurePrevention,
    /// Entropy of the luminance histogram of the face, in bits, 0 to 8.
    DynamicRange,
    /// Distance from the eyes to the chin divided by the image height.
    HeadSize,
    /// Distance of the eyes from the top edge of the image, divided by that from the eyes to the
    /// chin.
    MarginAboveOfTheFaceImage,
    /// Distance of the eyes from the bottom edge of the image, divided by that from the eyes to the
    /// chin.
    MarginBelowOfTheFaceImage,
    /// Variance of the Laplacian of the aligned crop: [`sharpness`].
    Sharpness,
    /// The quality setting, 1 to 100, that the quantization tables of a JPEG file correspond to;
    /// absent for other files and decoded pixels.
    JpegQuality,
    /// The spatial frequency, as a fraction of the highest that the pixel grid allows, below which
    /// nine tenths of the energy of the face's luminance gradient lie. An enlarged or blurred image
    /// has nothing above it.
    EffectiveResolution,
    /// The 95th percentile, over the pixels of the face, of the difference between the largest and
    /// the smallest of red, green and blue; near 0 for a grey image.
    ColourRange,
}

/// How a component relates to its definition in ISO/IEC 29794-5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Basis {
    /// The formula of the standard, applied to our landmarks and boxes.
    SameFormula,
    /// The formula of the standard, with part of its input estimated.
    Estimate,
    /// A measure of our own.
    Own,
}

impl Basis {
    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameFormula => "same formula",
            Self::Estimate => "estimate",
            Self::Own => "own",
        }
    }
}

impl Component {
    /// All components, in output order.
    pub const ALL: [Self; 20] = [
        Self::SingleFacePresent,
        Self::InterEyeDistance,
        Self::HeadSize,
        Self::LeftwardCropOfTheFaceImage,
        Self::RightwardCropOfTheFaceImage,
        Self::MarginAboveOfTheFaceImage,
        Self::MarginBelowOfTheFaceImage,
        Self::HeadPoseYaw,
        Self::HeadPoseRoll,
        Self::IlluminationUniformity,
        Self::LuminanceMean,
        Self::LuminanceVariance,
        Self::UnderExposurePrevention,
        Self::OverExposurePrevention,
        Self::DynamicRange,
        Self::NaturalColour,
        Self::Sharpness,
        Self::EffectiveResolution,
        Self::JpegQuality,
        Self::ColourRange,
    ];

    /// The name in outputs: that of ISO/IEC 25722 as OFIQ 1.2 writes it, or our own in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::InterEyeDistance => "InterEyeDistance",
            Self::SingleFacePresent => "SingleFacePresent",
            Self::IlluminationUniformity => "IlluminationUniformity",
            Self::NaturalColour => "NaturalColour",
            Self::LeftwardCropOfTheFaceImage => "LeftwardCropOfTheFaceImage",
            Self::RightwardCropOfTheFaceImage => "RightwardCropOfTheFaceImage",
            Self::HeadPoseRoll => "HeadPoseRoll",
            Self::HeadPoseYaw => "HeadPoseYaw",
            Self::LuminanceMean => "LuminanceMean",
            Self::LuminanceVariance => "LuminanceVariance",
            Self::UnderExposurePrevention => "UnderExposurePrevention",
            Self::OverExposurePrevention => "OverExposurePrevention",
            Self::DynamicRange => "DynamicRange",
            Self::HeadSize => "HeadSize",
            Self::MarginAboveOfTheFaceImage => "MarginAboveOfTheFaceImage",
            Self::MarginBelowOfTheFaceImage => "MarginBelowOfTheFaceImage",
            Self::Sharpness => "sharpness",
            Self::JpegQuality => "jpeg_quality",
            Self::EffectiveResolution => "effective_resolution",
            Self::ColourRange => "colour_range",
        }
    }

    /// The component with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.name() == name)
    }

    /// How the component relates to the standard.
    pub fn basis(self) -> Basis {
        match self {
            Self::InterEyeDistance
            | Self::SingleFacePresent
            | Self::IlluminationUniformity
            | Self::NaturalColour
            | Self::LeftwardCropOfTheFaceImage
            | Self::RightwardCropOfTheFaceImage
            | Self::HeadPoseRoll => Basis::SameFormula,
            Self::HeadPoseYaw
            | Self::LuminanceMean
            | Self::LuminanceVariance
            | Self::UnderExposurePrevention
            | Self::OverExposurePrevention
            | Self::DynamicRange
            | Self::HeadSize
            | Self::MarginAboveOfTheFaceImage
            | Self::MarginBelowOfTheFaceImage => Basis::Estimate,
            Self::Sharpness | Self::JpegQuality | Self::EffectiveResolution | Self::ColourRange => {
                Basis::Own
            }
        }
    }
}

/// A component's value for one face.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ComponentValue {
    /// The native value, in the unit of its [`Component`].
    pub native: f32,
    /// The native value mapped to 0 … 100, higher being better; `None` for measures of our own that
    /// have no such scale.
    pub scalar: Option<u8>,
}

/// The input of component measures.
#[derive(Debug, Clone, Copy)]
pub struct ComponentInput<'a> {
    /// The upright image that contains the face.
    pub photo: &'a Image,
    /// The landmarks of the face in that image.
    pub landmarks: &'a Landmarks,
    /// The face as the network sees it.
    pub crop: &'a Crop,
    /// The boxes of all faces in the image; empty if nothing was detected.
    pub faces: &'a [FaceBox],
    /// [`jpeg_quality`] of the image file, if it has one.
    pub jpeg_quality: Option<u8>,
}

/// The components of one face.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// In the order of [`Component::ALL`]; `None` if this image does not allow it, for example
    /// because a square lies outside the image.
    values: [Option<ComponentValue>; Component::ALL.len()],
}

impl Components {
    /// Measures all components.
    ///
    /// # Errors
    ///
    /// If the landmarks are not those of a face in this image.
    ///
    /// # Examples
    ///
    /// ```
    /// use attn_fiqa::align::{Landmarks, TEMPLATE_112, align};
    /// use attn_fiqa::components::{Component, ComponentInput, Components};
    /// use attn_fiqa::pixels::Image;
    ///
    /// let photo = Image::from_rgb(400, 400, vec![90; 400 * 400 * 3]).ok_or("wrong size")?;
    /// let landmarks =
    ///     Landmarks(TEMPLATE_112.map(|[x, y]| [(2.0 * x + 90.0) as f32, (2.0 * y + 90.0) as f32]));
    /// let crop = align(&photo, &landmarks, 112)?.crop;
    /// let components = Components::measure(&ComponentInput {
    ///     photo: &photo,
    ///     landmarks: &landmarks,
    ///     crop: &crop,
    ///     faces: &[],
    ///     jpeg_quality: None,
    /// })?;
    /// let value = components.get(Component::InterEyeDistance).ok_or("no value")?;
    /// assert!((value.native - 70.5).abs() < 0.5 && value.scalar == Some(51));
    /// assert!(components.get(Component::JpegQuality).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn measure(input: &ComponentInput<'_>) -> Result<Self, LandmarkError> {
        input.landmarks.check_within(input.photo.width(), input.photo.height())?;
        let area = FaceArea::new(input.photo, input.landmarks)?;
        let light = light::Light::of(&area);
        let native = |component| -> Option<f64> {
            let (size, points) = ((input.photo.width(), input.photo.height()), input.landmarks);
            match component {
                Component::InterEyeDistance => geometry::inter_eye_distance(points),
                Component::SingleFacePresent => geometry::second_face(input.faces),
                Component::HeadSize => geometry::head_size(points, size),
                Component::LeftwardCropOfTheFaceImage => {
                    geometry::crops(points, size).map(|c| c[0])
                }
                Component::RightwardCropOfTheFaceImage => {
                    geometry::crops(points, size).map(|c| c[1])
                }
                Component::MarginAboveOfTheFaceImage => {
                    geometry::margins(points, size).map(|m| m[0])
                }
                Component::MarginBelowOfTheFaceImage => {
                    geometry::margins(points, size).map(|m| m[1])
                }
                Component::HeadPoseYaw => Some(points.pose().yaw.into()),
                Component::HeadPoseRoll => Some(points.pose().roll.into()),
                Component::IlluminationUniformity => light::uniformity(&area),
                Component::LuminanceMean => light.as_ref().map(|light| light.mean()),
                Component::LuminanceVariance => light.as_ref().map(|light| light.variance()),
                Component::UnderExposurePrevention => {
                    light.as_ref().map(|light| light.fraction(0..=25))
                }
                Component::OverExposurePrevention => {
                    light.as_ref().map(|light| light.fraction(247..=255))
                }
                Component::DynamicRange => light.as_ref().map(|light| light.entropy()),
                Component::NaturalColour => colour::distance_from_skin(&area),
                Component::Sharpness => Some(sharpness(input.crop).into()),
                Component::EffectiveResolution => spectrum::extent(input.photo, points),
                Component::JpegQuality => input.jpeg_quality.map(f64::from),
                Component::ColourRange => colour::range(&area),
            }
        };
        let value = |component| {
            let native = native(component)?;
            let scalar = mapping::scalar(component, native);
            Some(ComponentValue { native: native as f32, scalar })
        };
        Ok(Self { values: Component::ALL.map(value) })
    }

    /// The value of one component.
    pub fn get(&self, component: Component) -> Option<ComponentValue> {
        let place = Component::ALL.iter().position(|&other| other == component)?;
        self.values[place]
    }

    /// All values, in the order of [`Component::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Component, Option<ComponentValue>)> {
        Component::ALL.into_iter().zip(self.values)
    }
}

#[cfg(test)]
mod tests;
