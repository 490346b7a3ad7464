//! The configuration declared by JSON files next to a checkpoint: our own keys, and those of
//! `config.json` and `preprocessor_config.json` by timm and transformers.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::error::CheckpointProblem;
use super::metadata::{
    DeclaredConfig, activation, bad, deviations, epsilon, pooling, three, whole,
};
use super::provenance::Provenance;
use crate::regular_file::{OpenError, ReadError, read_regular_file};
use crate::vit::config::Activation;

/// Largest JSON file that is parsed, in bytes.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// Sizes in the names of timm's ViTs, with their width and number of heads.
const TIMM_SIZES: [(&str, usize, usize); 12] = [
    ("vit_tiny_", 192, 3),
    ("vit_wee_", 256, 4),
    ("vit_pwee_", 256, 4),
    ("vit_little_", 320, 5),
    ("vit_small_", 384, 6),
    ("vit_medium_", 512, 8),
    ("vit_betwixt_", 640, 10),
    ("vit_base_", 768, 12),
    ("vit_large_", 1024, 16),
    ("vit_so400m_", 1152, 16),
    ("vit_huge_", 1280, 16),
    ("vit_giant_", 1408, 16),
];

/// The values in `<stem>.json`, or else `config.json`, next to the checkpoint, and the pixel values
/// in `preprocessor_config.json`, each with the path of its file.
pub(super) fn beside(
    checkpoint: &Path,
) -> Result<Vec<(DeclaredConfig, Provenance)>, CheckpointProblem> {
    let candidates = [checkpoint.with_extension("json"), checkpoint.with_file_name("config.json")];
    let mut found = Vec::new();
    for path in candidates {
        if path == checkpoint {
            continue;
        }
        if let Some(file) = JsonFile::read(&path)? {
            found.push((file.config()?, file.provenance()));
            break;
        }
    }
    if let Some(file) = JsonFile::read(&checkpoint.with_file_name("preprocessor_config.json"))? {
        found.push((file.preprocessor()?, file.provenance()));
    }
    Ok(found)
}

/// A JSON object and the path that it was read from.
struct JsonFile {
    object: Map<String, Value>,
    path: String,
}

impl JsonFile {
    /// `None` if there is no such file.
    fn read(path: &Path) -> Result<Option<Self>, CheckpointProblem> {
        let shown = path.display().to_string();
        let unusable =
            |detail: String| CheckpointProblem::JsonConfig { path: shown.clone(), detail };
        let bytes = match read_regular_file(path, MAX_JSON_BYTES) {
            Ok(bytes) => bytes,
            Err(ReadError::Open(OpenError::Folder | OpenError::Special)) => return Ok(None),
            Err(ReadError::Open(OpenError::Io(error)))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(ReadError::Open(OpenError::Io(error))) => {
                return Err(unusable(format!("cannot be read: {error}")));
            }
            Err(ReadError::TooLong(size) | ReadError::NoMemory(size)) => {
                return Err(unusable(format!(
                    "has {size} bytes, more than the limit of {MAX_JSON_BYTES} for a configuration"
                )));
            }
        };
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| unusable(format!("is not valid JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(unusable("is not a JSON object of keys and values".to_owned()));
        };
        Ok(Some(Self { object, path: shown }))
    }

    fn provenance(&self) -> Provenance {
        Provenance::Json(self.path.clone())
    }

    fn config(&self) -> Result<DeclaredConfig, CheckpointProblem> {
        let from = self.provenance();
        let own = Section { object: &self.object, from: &from };
        if own.object.contains_key("pretrained_cfg") || own.object.contains_key("architecture") {
            return own.timm();
        }
        if let Some(vision) = own.section("vision_config") {
            return vision.transformers();
        }
        if own.object.contains_key("num_attention_heads") {
            return own.transformers();
        }
        let (num_heads, heads) = (own.whole("num_heads")?, own.whole("heads")?);
        if let (Some(one), Some(other)) = (num_heads, heads)
            && one != other
        {
            return Err(CheckpointProblem::JsonConfig {
                path: self.path.clone(),
                detail: format!("says both `num_heads` {one} and `heads` {other}"),
            });
        }
        Ok(DeclaredConfig {
            num_heads: num_heads.or(heads),
            activation: own.with("activation", activation)?,
            image_size: own.whole("image_size")?,
            layer_norm_eps: own.with("layer_norm_eps", epsilon)?,
            ..DeclaredConfig::default()
        })
    }

    /// Empty unless both mean and standard deviation are present.
    fn preprocessor(&self) -> Result<DeclaredConfig, CheckpointProblem> {
        let from = self.provenance();
        let own = Section { object: &self.object, from: &from };
        let (mean, std) = (own.channels("image_mean")?, own.deviations("image_std")?);
        Ok(match (mean, std) {
            (Some(mean), Some(std)) => DeclaredConfig {
                pixel_mean: Some(mean),
                pixel_std: Some(std),
                ..DeclaredConfig::default()
            },
            _ => DeclaredConfig::default(),
        })
    }
}

/// An object within a JSON file.
struct Section<'a> {
    object: &'a Map<String, Value>,
    from: &'a Provenance,
}

impl<'a> Section<'a> {
    /// `config.json` as timm writes it for the hub.
    fn timm(&self) -> Result<DeclaredConfig, CheckpointProblem> {
        let empty = Map::new();
        let section =
            |key| self.section(key).unwrap_or(Section { object: &empty, from: self.from });
        let (pretrained, arguments) = (section("pretrained_cfg"), section("model_args"));
        for key in ["pool_include_prefix", "scale_attn_norm", "scale_mlp_norm", "parallel"] {
            if arguments.object.get(key) == Some(&Value::Bool(true)) {
                return Err(CheckpointProblem::BadValue {
                    key: "model_args",
                    found: format!("`{key}`"),
                    from: self.from.clone(),
                    expected: "a ViT without it, which is not supported".to_owned(),
                });
            }
        }
        let image_size = match arguments.square("img_size")? {
            Some(size) => Some(size),
            None => pretrained.input_side()?,
        };
        let own_pooling = self.with("global_pool", pooling)?;
        Ok(DeclaredConfig {
            num_heads: arguments.whole("num_heads")?,
            heads_of_width: self.timm_size().filter(|_| !arguments.has("num_heads")),
            activation: arguments.with("act_layer", timm_activation)?,
            image_size,
            pixel_mean: pretrained.channels("mean")?,
            pixel_std: pretrained.deviations("std")?,
            pooling: match arguments.with("global_pool", pooling)? {
                Some(pooling) => Some(pooling),
                None => own_pooling,
            },
            ..DeclaredConfig::default()
        })
    }

    /// Width and number of heads of the timm network with this name.
    fn timm_size(&self) -> Option<(usize, usize)> {
        let name = self.object.get("architecture")?.as_str()?;
        let known = TIMM_SIZES.into_iter().find(|(size, ..)| name.starts_with(size));
        known.map(|(_, width, heads)| (width, heads))
    }

    fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    /// `config.json` of transformers, or the part of it that describes the image encoder.
    fn transformers(&self) -> Result<DeclaredConfig, CheckpointProblem> {
        let gated = self.object.get("use_swiglu_ffn") == Some(&Value::Bool(true));
        Ok(DeclaredConfig {
            num_heads: self.whole("num_attention_heads")?,
            activation: match gated {
                true => Some(Activation::SwiGlu),
                false => self.with("hidden_act", transformers_activation)?,
            },
            image_size: self.square("image_size")?,
            layer_norm_eps: self.with("layer_norm_eps", epsilon)?,
            ..DeclaredConfig::default()
        })
    }

    fn section(&self, key: &str) -> Option<Self> {
        let object = self.object.get(key)?.as_object()?;
        Some(Section { object, from: self.from })
    }

    /// The value of a key as text; `None` if it is absent or null.
    fn text(&self, key: &str) -> Option<String> {
        match self.object.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn with<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&'static str, &str, &Provenance) -> Result<T, CheckpointProblem>,
    ) -> Result<Option<T>, CheckpointProblem> {
        self.text(key).map(|text| parse(key, &text, self.from)).transpose()
    }

    fn whole(&self, key: &'static str) -> Result<Option<usize>, CheckpointProblem> {
        self.with(key, whole)
    }

    /// A single side, or two equal ones.
    fn square(&self, key: &'static str) -> Result<Option<usize>, CheckpointProblem> {
        match self.object.get(key) {
            Some(Value::Array(sides)) => match &sides[..] {
                [height, width] if height == width => {
                    whole(key, &height.to_string(), self.from).map(Some)
                }
                _ => Err(bad(key, &self.text(key).unwrap_or_default(), self.from, "a square")),
            },
            _ => self.whole(key),
        }
    }

    /// The side of timm's `input_size`, `[3, side, side]`.
    fn input_side(&self) -> Result<Option<usize>, CheckpointProblem> {
        let key = "input_size";
        let Some(text) = self.text(key) else { return Ok(None) };
        match self.object.get(key).and_then(Value::as_array).map(Vec::as_slice) {
            Some([channels, height, width]) if channels == &Value::from(3) && height == width => {
                whole(key, &height.to_string(), self.from).map(Some)
            }
            _ => Err(bad(key, &text, self.from, "[3, side, side]")),
        }
    }

    /// A list of one number per channel.
    fn channels(&self, key: &'static str) -> Result<Option<[f32; 3]>, CheckpointProblem> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let list = text.trim_start_matches('[').trim_end_matches(']');
        three(key, list, self.from).map(Some)
    }

    fn deviations(&self, key: &'static str) -> Result<Option<[f32; 3]>, CheckpointProblem> {
        let Some(values) = self.channels(key)? else { return Ok(None) };
        let text = self.text(key).unwrap_or_default();
        deviations(key, values, &text, self.from).map(Some)
    }
}

fn timm_activation(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<Activation, CheckpointProblem> {
    match text {
        "gelu" => Ok(Activation::Gelu),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu6" => Ok(Activation::Relu6),
        // A gated MLP is recognised by its shapes; this is the activation of its gate.
        "silu" | "swish" => Ok(Activation::SwiGlu),
        _ => Err(bad(key, text, from, "`gelu`, `quick_gelu`, `relu6` or, for a gated MLP, `silu`")),
    }
}

fn transformers_activation(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<Activation, CheckpointProblem> {
    match text {
        "gelu" => Ok(Activation::Gelu),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu6" => Ok(Activation::Relu6),
        _ => Err(bad(key, text, from, "`gelu`, `quick_gelu` or `relu6`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timm_heads_are_inferred_from_architecture_name() {
        let from = Provenance::Json("config.json".to_owned());
        let size = |text: &str| {
            let Ok(Value::Object(object)) = serde_json::from_str(text) else { return None };
            let section = Section { object: &object, from: &from };
            let config = section.timm().ok()?;
            Some((config.num_heads, config.heads_of_width))
        };
        let tiny = r#"{"architecture": "vit_tiny_patch16_224"}"#;
        assert_eq!(size(tiny), Some((None, Some((192, 3)))));
        let given = r#"{"architecture": "vit_tiny_patch16_224", "model_args": {"num_heads": 12}}"#;
        assert_eq!(size(given), Some((Some(12), None)));
        assert_eq!(size(r#"{"architecture": "convnext_tiny"}"#), Some((None, None)));
        // Heads of 64 dimensions, except for the largest.
        for (name, width, heads) in TIMM_SIZES {
            assert!(width == 64 * heads || width > 1024, "{name}");
        }
    }
}
