//! Guesses the architecture of a file that is not a face ViT from the parameter names of common
//! libraries.

/// A windowed transformer; its names resemble those of several families.
pub(super) const SWIN: &str = "a Swin transformer";

/// The architecture that uses these names.
pub(super) fn guess<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let names: Vec<&str> = names.collect();
    let any = |part: &str| names.iter().any(|name| name.contains(part));
    let ends = |part: &str| names.iter().any(|name| name.ends_with(part));

    if any("exp_avg") || any("param_groups") {
        return Some("the state of an optimizer");
    }
    if any("lora_A") || any("lora_up") {
        return Some("a LoRA adapter without its base network");
    }
    if any("relative_position_bias_table") && any("layers.0.blocks") {
        return Some(SWIN);
    }
    if any(".rpe") || any("rpe_") || any("lookup_table_weight") || any("relative_position") {
        return Some(
            "a ViT with relative position encoding (iRPE), which adds tensors to every attention",
        );
    }
    if any("layer1.0.") && any("prelu") {
        return Some("an IResNet (ArcFace or AdaFace ResNet)");
    }
    if any("body.0.res_layer") || any("input_layer.0.weight") {
        return Some("an IResNet (ArcFace or AdaFace ResNet)");
    }
    if any("layer1.0.conv1.weight") {
        return Some("a torchvision ResNet");
    }
    if any("conv_6_dw") || any("conv2_dw") || any("conv_6_sep") {
        return Some("a MobileFaceNet");
    }
    if any("vision_model.") || any("visual.transformer") || any("text_model.") {
        return Some("a CLIP model");
    }
    if any("encoder_layer_0") || ends("conv_proj.weight") {
        return Some("a torchvision ViT");
    }
    if any("decoder_blocks") {
        return Some("a masked autoencoder");
    }
    if any("ls1.gamma") {
        return Some("a timm or DINOv2 ViT");
    }
    None
}
