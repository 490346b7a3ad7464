//! Mapping of native values to 0 … 100, as in ISO/IEC 29794-5.

use std::f64::consts::PI;

use super::Component;

/// The logistic function centred at `middle`, of width `width`.
fn sigmoid(value: f64, middle: f64, width: f64) -> f64 {
    1.0 / (1.0 + ((middle - value) / width).exp())
}

/// The component's value on a scale of 0 … 100, higher being better, rounded; `None` if it has no
/// such scale.
pub(super) fn scalar(component: Component, native: f64) -> Option<u8> {
    let falling = |distance: f64, width: f64| 200.0 * (1.0 - sigmoid(distance, 0.0, width));
    let scalar = match component {
        Component::InterEyeDistance => 100.0 * sigmoid(native, 70.0, 20.0),
        Component::SingleFacePresent => 100.0 * (1.0 - native),
        Component::IlluminationUniformity => 100.0 * native.powf(0.3),
        Component::NaturalColour => falling(native, 10.0),
        Component::LeftwardCropOfTheFaceImage | Component::RightwardCropOfTheFaceImage => {
            100.0 * sigmoid(native, 0.9, 0.1)
        }
        Component::HeadPoseRoll | Component::HeadPoseYaw => {
            100.0 * native.to_radians().cos().max(0.0).powi(2)
        }
        Component::LuminanceMean => {
            100.0 * sigmoid(native, 0.2, 0.05) * (1.0 - sigmoid(native, 0.8, 0.05))
        }
        Component::LuminanceVariance => 100.0 * (60.0 * native / (60.0 * native + 1.0) * PI).sin(),
        Component::UnderExposurePrevention => 120.0 * (0.832 - sigmoid(native, 0.92, 0.05)),
        Component::OverExposurePrevention => 1.0 / (native + 0.01),
        Component::DynamicRange => 12.5 * native,
        Component::HeadSize => falling((native - 0.45).abs(), 0.05),
        Component::MarginAboveOfTheFaceImage => 100.0 * sigmoid(native, 1.4, 0.1),
        Component::MarginBelowOfTheFaceImage => 100.0 * sigmoid(native, 1.8, 0.1),
        Component::JpegQuality => native,
        Component::EffectiveResolution => 100.0 * native,
        Component::Sharpness | Component::ColourRange => return None,
    };
    Some(scalar.round().clamp(0.0, 100.0) as u8)
}
