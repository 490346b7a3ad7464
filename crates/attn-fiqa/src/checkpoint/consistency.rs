//! Checks that the sources of a configuration agree with each other and with the tensor shapes.

use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::error::CheckpointProblem;
use super::infer::Shapes;
use super::metadata::DeclaredConfig;
use super::preset::Preset;
use super::provenance::Provenance;

/// The first value, if all others equal it.
pub(super) fn consistent<T: PartialEq>(
    what: &'static str,
    candidates: impl Iterator<Item = (T, Provenance)>,
    text: impl Fn(&T) -> String,
) -> Result<Option<(T, Provenance)>, CheckpointProblem> {
    let mut first: Option<(T, Provenance)> = None;
    for (value, from) in candidates {
        match &first {
            None => first = Some((value, from)),
            Some((chosen, _)) if *chosen == value => {}
            Some((chosen, chosen_from)) => {
                return Err(CheckpointProblem::Contradiction {
                    what,
                    first: text(chosen),
                    first_from: chosen_from.clone(),
                    second: text(&value),
                    second_from: from,
                });
            }
        }
    }
    Ok(first)
}

/// Checks that metadata agree with everything that shapes already determine.
pub(super) fn check_metadata(
    metadata: &DeclaredConfig,
    shapes: &Shapes,
) -> Result<(), CheckpointProblem> {
    let kernel = "patch_embed.proj.weight";
    let checks = [
        ("depth", metadata.depth, Some(shapes.depth), "blocks.*"),
        ("patch_size", metadata.patch_size, Some(shapes.patch_size), kernel),
        ("embed_dim", metadata.embed_dim, Some(shapes.embed_dim), kernel),
        (
            "embedding_dim",
            metadata.embedding_dim,
            shapes.head.map(|head| head.output()),
            shapes.head_tensor(),
        ),
    ];
    for (what, declared, found, tensor) in checks {
        if let (Some(declared), Some(found)) = (declared, found) {
            let sources = [(declared, Provenance::Metadata), (found, Provenance::Shape(tensor))];
            consistent(what, sources.into_iter(), ToString::to_string)?;
        }
    }
    if let Some(content) = metadata.content {
        let sources =
            [(content, Provenance::Metadata), (shapes.content, Provenance::Shape("blocks.*"))];
        consistent("content", sources.into_iter(), |content| content.name().to_owned())?;
    }
    Ok(())
}

/// Checks that `pos_embed` has one row for each token of the image; in a family that is `open`, the
/// tokens before the patches may have none.
pub(super) fn check_positions(
    shapes: &Shapes,
    image_size: usize,
    from: &Provenance,
    open: bool,
) -> Result<(), CheckpointProblem> {
    let grid = image_size / shapes.patch_size;
    let patches = grid.checked_mul(grid);
    let with = |leading: usize| patches.and_then(|patches| patches.checked_add(leading));
    let class_token = usize::from(shapes.class_token);
    let leading = match open {
        // The class token may have no position, nor the class token and the registers.
        true => [class_token, shapes.prefix_tokens(), 0],
        false => [class_token; 3],
    };
    if grid > 0 && leading.iter().any(|&leading| with(leading) == Some(shapes.positions)) {
        return Ok(());
    }
    let tokens = with(class_token);
    let Shapes { patch_size, embed_dim, .. } = *shapes;
    let class_token = match shapes.class_token {
        true => ", with a class token",
        false => ", without class token",
    };
    let tokens = tokens.map_or_else(|| "N".to_owned(), |tokens| tokens.to_string());
    Err(CheckpointProblem::Layout(Box::new(LayoutMismatch {
        shape_mismatches: vec![ShapeMismatch {
            tensor: "pos_embed".to_owned(),
            expected: format!(
                "[1, {tokens}, {embed_dim}] for a {image_size}×{image_size} image ({from}) in \
                 patches of {patch_size}{class_token}"
            ),
            found: vec![1, shapes.positions, embed_dim],
        }],
        ..LayoutMismatch::default()
    })))
}

/// Checks that the network has exactly the dimensions of the preset.
pub(super) fn check_preset(
    preset: Preset,
    shapes: &Shapes,
    mlp_dim: usize,
) -> Result<(), CheckpointProblem> {
    let shape = preset.shape();
    let checks = [
        ("patch size", shape.patch_size, shapes.patch_size),
        ("width", shape.embed_dim, shapes.embed_dim),
        ("depth", shape.depth, shapes.depth),
        ("MLP width", shape.embed_dim * shape.mlp_ratio, mlp_dim),
    ];
    for (what, expected, found) in checks {
        if expected != found {
            return Err(CheckpointProblem::PresetMismatch { preset, what, expected, found });
        }
    }
    Ok(())
}
