//! Opens quality methods by name: those of the model, and others.

use attn_fiqa::engine::Engine;
use attn_fiqa::measure::{Measure, MeasureName, QualityNetwork};
use attn_fiqa::onnx::OnnxModel;
use attn_fiqa::pipeline::Scorer;
use attn_fiqa::score::Method;

use crate::args::QualityName;

/// The named methods, or the model's default.
pub(super) fn names(asked: &[QualityName], engine: &Engine) -> Vec<QualityName> {
    match asked {
        [] => vec![QualityName::Method(engine.default_method())],
        names => names.to_vec(),
    }
}

/// Refuses two methods with the same column; two specifications of one ONNX file share it.
pub(super) fn refuse_named_twice(asked: &[QualityName]) -> anyhow::Result<()> {
    let names: Vec<String> = asked.iter().map(QualityName::to_string).collect();
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => anyhow::bail!("method '{name}' was named twice"),
        None => Ok(()),
    }
}

/// The source of every score, in the order of the names, and the methods to request from the
/// engine. There are no scorers if all names are such methods.
pub(super) fn open(
    names: &[QualityName],
    engine: &Engine,
) -> anyhow::Result<(Vec<Scorer>, Vec<Method>)> {
    let mut methods = Vec::new();
    let mut scorers = Vec::new();
    for name in names {
        scorers.push(match name {
            QualityName::Method(method) => {
                methods.push(*method);
                Scorer::Method(*method)
            }
            QualityName::Measure(name) => Scorer::Measure(open_measure(name, engine)?),
        });
    }
    if methods.len() == names.len() {
        scorers.clear();
    }
    Ok((scorers, methods))
}

fn open_measure(name: &MeasureName, engine: &Engine) -> anyhow::Result<Measure> {
    Ok(match name {
        MeasureName::Laplacian => Measure::Laplacian,
        MeasureName::InterEyeDistance => Measure::InterEyeDistance,
        MeasureName::DetectionScore => Measure::DetectionScore,
        MeasureName::Onnx(file, spec) => {
            let (model, side) = (OnnxModel::open(file)?, engine.config().image_size);
            let network = QualityNetwork::new(model, *spec, side, engine.threads())?;
            Measure::Network(network.into())
        }
    })
}
