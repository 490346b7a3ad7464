//! The networks of a study, each loaded once and checked against its data sets.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use super::StudyError;
use super::config::{
    ConfigError, EmbeddingsFrom, MethodConfig, ModelConfig, RecogniserConfig, ScoresFrom,
    StudyConfig,
};
use super::inputs::Dataset;
use super::network::{CROP_SIDE, Network, Required, embedding, scores};

/// By their configuration, without `flip`.
pub(super) type Networks = BTreeMap<ModelConfig, Network>;

/// The configuration that identifies a recogniser's network.
pub(super) fn without_flip(model: &ModelConfig) -> ModelConfig {
    ModelConfig { flip: false, ..model.clone() }
}

/// Loads every network, and checks that it supports what is requested from it.
pub(super) fn open_networks(
    config: &StudyConfig,
    threads: Option<NonZeroUsize>,
) -> Result<Networks, StudyError> {
    let mut networks = Networks::new();
    for (model, required) in required(config)? {
        networks.insert(model.clone(), Network::open(&model, required, threads)?);
    }
    for method in &config.methods {
        if let ScoresFrom::Attention(model, of) = &method.from {
            networks[model].check(&method.name, &scores(&[*of]))?;
        }
    }
    for RecogniserConfig { name, from } in &config.recognisers {
        if let EmbeddingsFrom::Model(model) = from {
            networks[&without_flip(model)].check(name, &embedding())?;
        }
    }
    Ok(networks)
}

/// What is requested from each network.
fn required(config: &StudyConfig) -> Result<BTreeMap<ModelConfig, Required>, ConfigError> {
    let mut required: BTreeMap<ModelConfig, Required> = BTreeMap::new();
    for method in &config.methods {
        match &method.from {
            ScoresFrom::Attention(model, method) => {
                let full_forward = &mut required.entry(model.clone()).or_default().full_forward;
                *full_forward |= method.needs_full_forward();
            }
            ScoresFrom::Network(model) => {
                required.entry(model.clone()).or_default().quality = true;
            }
            ScoresFrom::Crop(_) | ScoresFrom::EmbeddingNorm(_) | ScoresFrom::Files(..) => {}
        }
    }
    for recogniser in &config.recognisers {
        if let EmbeddingsFrom::Model(model) = &recogniser.from {
            let required = required.entry(without_flip(model)).or_default();
            required.full_forward = true;
            if required.quality {
                let message = format!(
                    "'{}' is named as a recogniser and as a quality method",
                    model.file.as_ref().map_or_else(String::new, |file| file.display().to_string())
                );
                return Err(ConfigError { file: config.file.clone(), line: None, message });
            }
        }
    }
    Ok(required)
}

/// Checks that images are aligned crops unless the study file says otherwise.
pub(super) fn check_sizes(
    config: &StudyConfig,
    datasets: &[Dataset<'_>],
    networks: &Networks,
) -> Result<(), StudyError> {
    let reads_crops = |method: &MethodConfig| matches!(method.from, ScoresFrom::Crop(_));
    let crops = config.methods.iter().any(reads_crops);
    let sides = networks.values().map(Network::side).chain(crops.then_some(CROP_SIDE));
    for side in sides {
        for dataset in datasets {
            dataset.check_size(side).map_err(|message| {
                let file = config.file.clone();
                ConfigError { file, line: None, message }
            })?;
        }
    }
    Ok(())
}

/// Checks that data sets for networks have images and not only a list of pairs.
pub(super) fn check_images(
    config: &StudyConfig,
    datasets: &[Dataset<'_>],
) -> Result<(), StudyError> {
    let network = config
        .methods
        .iter()
        .filter(|method| {
            matches!(
                method.from,
                ScoresFrom::Attention(..) | ScoresFrom::Network(_) | ScoresFrom::Crop(_)
            )
        })
        .map(|method| &method.name)
        .chain(
            config
                .recognisers
                .iter()
                .filter(|recogniser| matches!(recogniser.from, EmbeddingsFrom::Model(_)))
                .map(|recogniser| &recogniser.name),
        )
        .next();
    let (Some(network), Some(dataset)) =
        (network, datasets.iter().find(|dataset| !dataset.has_images()))
    else {
        return Ok(());
    };
    Err(StudyError::NoImage {
        what: format!("dataset '{}', '{network}'", dataset.config.name),
        images: dataset.benchmark.images.len(),
        first: "the list of pairs was read without a folder of images".to_owned(),
    })
}
