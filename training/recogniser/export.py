"""Canonical safetensors: the official names, configuration in the metadata, f16."""

from pathlib import Path

import torch
from network import IMAGE_SIZE, LAYER_NORM_EPS, Recogniser
from safetensors.torch import load_file, save_file

KEY_BIAS = "calibration.key_bias"


def write(net: Recogniser, path: Path) -> None:
    shape = net.shape
    tensors = {
        name: tensor.detach().cpu().half().contiguous()
        for name, tensor in net.state_dict().items()
        if name != "key_bias" and not name.endswith("num_batches_tracked")
    }
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise SystemExit(f"{name}: a weight does not fit float16")
    tensors[KEY_BIAS] = net.key_bias.detach().cpu().float().contiguous()
    metadata = {
        "format": "pt",
        "attn_fiqa.format": "1",
        "attn_fiqa.content": "full",
        "color": "RGB",
        "activation": "relu6",
        "image_size": str(IMAGE_SIZE),
        "layer_norm_eps": f"{LAYER_NORM_EPS:.0e}".replace("e-0", "e-"),
        "num_heads": str(shape.heads),
        "depth": str(shape.depth),
        "patch_size": str(shape.patch),
        "embed_dim": str(shape.dim),
        "mlp_ratio": str(shape.mlp_ratio),
        "embedding_dim": str(shape.embedding_dim),
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata)
    part.chmod(0o644)
    part.rename(path)


def load(*paths: Path) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
    """The weights of a canonical file, or of its parts, in f32, and its key bias. The rest of a
    calibration is skipped."""
    tensors = {name: tensor.float() for path in paths for name, tensor in load_file(path).items()}
    bias = tensors.get(KEY_BIAS)
    # The part for scores has only the queries and keys of the last block, under this name.
    spare = lambda name: name.startswith("calibration.") or name.endswith(".attn.qk.weight")
    return {name: tensor for name, tensor in tensors.items() if not spare(name)}, bias


def read(net: Recogniser, *paths: Path) -> None:
    """Loads all tensors of a canonical file of the same shape, or of its parts."""
    tensors, bias = load(*paths)
    tensors["key_bias"] = torch.zeros_like(net.key_bias) if bias is None else bias
    # The batch counters are not weights and are not in the file.
    tensors |= {k: v for k, v in net.state_dict().items() if k.endswith("num_batches_tracked")}
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        named = " and ".join(map(str, paths))
        raise SystemExit(f"{named}: expected the whole network of this size: {error}") from None
