"""What the cases of this folder share: random weights and images, and the files of a case."""

import json
import pathlib
import shutil

import numpy
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
IMAGES = 2


def randomise(model, seed):
    """A model with weights by `fill`."""
    fill(model.state_dict(), seed)
    return model.eval()


def fill(state, seed):
    """Weights large enough that attention is far from uniform, and no scale is 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in sorted(state.items()):
        if not weight.is_floating_point() or weight.ndim == 0:
            continue
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith("running_var"):
            weight.copy_(0.5 + noise.abs())
        elif weight.ndim == 1 and ("norm" in name or "ln_" in name) and name.endswith("weight"):
            weight.copy_(1 + 0.3 * noise)
        elif "gamma" in name or "lambda1" in name:
            weight.copy_(0.7 + 0.3 * noise)
        elif weight.ndim >= 2 and "token" not in name and "embed" not in name.split(".")[-1]:
            weight.copy_(noise * (1.5 / weight[0].numel() ** 0.5))
        else:
            weight.copy_(0.3 * noise)
        weight.copy_(weight.half().float())


def images(side, seed):
    """Smooth colours with some noise."""
    generator = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:side, 0:side] / side
    made = []
    for _ in range(IMAGES):
        a, b, c = generator.uniform(-3, 3, (3, 3))
        waves = [numpy.sin(a[i] * 3 * x + b[i] * 3 * y + c[i]) for i in range(3)]
        levels = 127.5 + 100 * numpy.stack(waves, -1) + generator.normal(0, 15, (side, side, 3))
        made.append(levels.clip(0, 255).astype(numpy.uint8))
    return numpy.stack(made)


def normalised(pixels, mean, std):
    levels = torch.from_numpy(pixels).float().div(255)
    return ((levels - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)


def statistics(logits, prefix_tokens=0):
    """Of `[image, head, query token, key token]`."""
    patches = logits[:, :, prefix_tokens:, prefix_tokens:]
    return {
        "score": logits.mean((1, 2, 3)),
        "max": logits.flatten(1).max(1).values,
        "median": logits.flatten(1).median(1).values,
        "heads": logits.mean((2, 3)),
        "patches": patches.mean((1, 2, 3)),
        "received": logits.mean((1, 2))[:, prefix_tokens:],
    }


def write(name, state, config, pixels, query, key, embedding, prefix_tokens, extra=None, more=None):
    """`query` and `key` are `[image, head, token, D/H]`; `extra` are further JSON files, `more`
    further expected values."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    halved = lambda value: value.half() if value.is_floating_point() else value
    state = {key: halved(value).contiguous().clone() for key, value in state.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    for file, content in {"config.json": config, **(extra or {})}.items():
        if content is not None:
            (folder / file).write_text(json.dumps(content, indent=2) + "\n")
    logits = query.double() @ key.double().transpose(-2, -1) / query.shape[-1] ** 0.5
    expected = {
        "images": torch.from_numpy(pixels),
        **statistics(logits, prefix_tokens),
        "embedding": embedding,
        **(more or {}),
    }
    expected = {
        key: value if value.dtype == torch.uint8 else value.float().contiguous()
        for key, value in expected.items()
    }
    save_file(expected, folder / "expected.safetensors")
    print(name, [round(score, 4) for score in expected["score"].tolist()])
