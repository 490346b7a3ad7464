//! The pixel format that a recognition network expects.

use std::fmt;
use std::str::FromStr;

use crate::pixels::ChannelOrder;

/// The preprocessing of each pixel: `(level − mean) / std` with levels of 0 to 255, in the
/// network's channel order. Size and layout are read from the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputSpec {
    /// The channel order.
    pub order: ChannelOrder,
    /// Subtracted, in levels of 0 to 255; one value per channel, in the order above.
    pub mean: [f32; 3],
    /// Divisor; never 0.
    pub std: [f32; 3],
}

/// Published recognition networks, with the preprocessing used in their own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecogniserPreset {
    /// ArcFace and other InsightFace models exported from PyTorch: RGB, −1 to 1.
    ArcFace,
    /// ElasticFace: RGB, −1 to 1.
    ElasticFace,
    /// MagFace: BGR, 0 to 1.
    MagFace,
    /// CurricularFace: RGB, −1 to 1.
    CurricularFace,
    /// OpenCV's SFace: RGB, 0 to 255.
    SFace,
    /// MobileFaceNet as trained by foamliu: RGB, ImageNet's mean and standard deviation.
    MobileFaceNet,
}

impl RecogniserPreset {
    /// Every preset.
    pub const ALL: [Self; 6] = [
        Self::ArcFace,
        Self::ElasticFace,
        Self::MagFace,
        Self::CurricularFace,
        Self::SFace,
        Self::MobileFaceNet,
    ];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ArcFace => "arcface",
            Self::ElasticFace => "elasticface",
            Self::MagFace => "magface",
            Self::CurricularFace => "curricularface",
            Self::SFace => "sface",
            Self::MobileFaceNet => "mobilefacenet",
        }
    }

    /// Its preprocessing.
    pub fn spec(self) -> InputSpec {
        let rgb = |mean, std| InputSpec { order: ChannelOrder::Rgb, mean, std };
        match self {
            Self::ArcFace | Self::ElasticFace | Self::CurricularFace => rgb([127.5; 3], [127.5; 3]),
            Self::MagFace => {
                InputSpec { order: ChannelOrder::Bgr, mean: [0.0; 3], std: [255.0; 3] }
            }
            Self::SFace => rgb([0.0; 3], [1.0; 3]),
            Self::MobileFaceNet => rgb(
                [0.485, 0.456, 0.406].map(|m| m * 255.0),
                [0.229, 0.224, 0.225].map(|s| s * 255.0),
            ),
        }
    }
}

/// An input specification that could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an input specification; expected one of {names}, or rgb:MEAN:STD or bgr:MEAN:STD \
     for levels of 0 to 255, each MEAN and STD one number or three separated by '/'",
    names = names()
)]
pub struct InputSpecError(String);

/// The presets' names, for messages.
pub(super) fn names() -> String {
    RecogniserPreset::ALL.map(RecogniserPreset::name).join(", ")
}

impl FromStr for InputSpec {
    type Err = InputSpecError;

    fn from_str(text: &str) -> Result<Self, InputSpecError> {
        if let Some(preset) = RecogniserPreset::ALL.into_iter().find(|p| p.name() == text) {
            return Ok(preset.spec());
        }
        parse(text).ok_or_else(|| InputSpecError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<InputSpec> {
    let mut parts = text.split(':');
    let order = match parts.next()? {
        "rgb" => ChannelOrder::Rgb,
        "bgr" => ChannelOrder::Bgr,
        _ => return None,
    };
    let (mean, std) = (numbers(parts.next()?)?, numbers(parts.next()?)?);
    let sound = parts.next().is_none() && std.iter().all(|&std| std != 0.0);
    sound.then_some(InputSpec { order, mean, std })
}

fn numbers(text: &str) -> Option<[f32; 3]> {
    let values: Vec<f32> = text.split('/').map(str::parse).collect::<Result<_, _>>().ok()?;
    let values = match values[..] {
        [one] => [one; 3],
        [a, b, c] => [a, b, c],
        _ => return None,
    };
    values.iter().all(|value| value.is_finite()).then_some(values)
}

impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            ChannelOrder::Rgb => "RGB",
            ChannelOrder::Bgr => "BGR",
        };
        write!(f, "{order}, (level − {:?}) / {:?}", self.mean, self.std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_read() {
        let spec: InputSpec = "bgr:1/2/3:4".parse().expect("a specification");
        let expected = InputSpec { order: ChannelOrder::Bgr, mean: [1.0, 2.0, 3.0], std: [4.0; 3] };
        assert_eq!(spec, expected);
        for preset in RecogniserPreset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset.spec()));
        }
        for wrong in ["", "arc", "rgb", "rgb:1", "rgb:1:0", "rgb:1:nan", "rgb:1/2:1", "rgb:1:1:1"] {
            let error = wrong.parse::<InputSpec>().expect_err(wrong).to_string();
            assert!(error.contains("mobilefacenet"), "{error}");
        }
    }
}
