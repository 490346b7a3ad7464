"""The losses of a batch: distillation, and how well attention follows utility.

A batch contains first the fresh images, then the assessed ones (README.md).
`quality` is the target of the score (`--target`), NaN for images that do not count for it.
"""

import math

import hints
import torch
from torch import nn
from torch.nn import functional as F

CONTRAST_WEIGHT = 0.1
CONTRAST_SCALE = 16.0
HINT_WEIGHT = 1.0
QUALITY_WEIGHT = 3.0
MAP_WEIGHT = 0.3
# Margin by which occluded patches should receive less attention, on the scale of the target.
MAP_MARGIN = 0.3
NAMES = ["distil", "contrast", "hint", "quality", "published", "map"]


class AuxiliaryHeads(nn.Module):
    """Layers used only in training, not part of the model: from the last tokens to the teacher's
    feature map, and from scores to the scale of their target, `exp(gain) * score + offset`,
    with and without the key bias."""

    def __init__(self, dim: int):
        super().__init__()
        self.hint = nn.Linear(dim, hints.DIRECTIONS)
        self.gain = nn.Parameter(torch.zeros(2))
        self.offset = nn.Parameter(torch.zeros(2))


def to_patches(masks, tokens):
    """Occluded fraction of each patch, `[B, N]`."""
    return F.adaptive_avg_pool2d(masks[:, None], math.isqrt(tokens)).flatten(1)


def map_gaps(per_patch, hidden):
    """Mean over visible minus mean over occluded patches, and which images have both."""
    fraction = hidden.mean(1)
    shown = 1 - hidden
    gap = (per_patch * shown).sum(1) / shown.sum(1).clamp_min(1e-6) - (per_patch * hidden).sum(
        1
    ) / hidden.sum(1).clamp_min(1e-6)
    return gap, (fraction > 0.03) & (fraction < 0.85)


def losses(net, verdict, batch, precision):
    """The total loss and its unweighted parts `[6]` (`NAMES`)."""
    target, utility, quality = batch["targets"], batch["utility"], batch["quality"]
    fresh = len(target) - len(utility)
    with precision:
        embedding, per_patch, added, tokens = net(batch["images"])
        foretold = verdict.hint(tokens[:fresh]).float()
    # Images that the teacher itself does not recognise carry no information.
    weight = torch.cat([torch.ones(fresh, device=target.device), utility.clamp(0, 1)])
    fraction = weight / weight.sum()
    embedding = F.normalize(embedding)
    cosine = (embedding * target).sum(1)
    distil = ((1 - cosine) * fraction).sum()
    same = target @ batch["strangers"].T > 0.999
    others = (embedding @ batch["strangers"].T).masked_fill(same, -1.0)
    logits = CONTRAST_SCALE * torch.cat([cosine[:, None], others], 1)
    contrast = -(logits.log_softmax(1)[:, 0] * fraction).sum()
    there = hints.hints_at_patches(batch["hints"], batch["ways"], math.isqrt(net.shape.tokens))
    hinted = (foretold - there).square().mean()
    published = per_patch.mean(1)
    scores = torch.stack([published + added, published], 1)
    gain = verdict.gain.exp()
    known = quality.isfinite()
    away = (gain * scores + verdict.offset - quality.nan_to_num()[:, None]).square()
    followed, raw = (away * known[:, None]).sum(0) / known.sum()
    gap, both = map_gaps(per_patch[fresh:], to_patches(batch["masks"], net.shape.tokens))
    shape = (F.relu(MAP_MARGIN - gain[0] * gap) * both).sum() / both.sum().clamp_min(1)
    loss = (
        distil
        + CONTRAST_WEIGHT * contrast
        + HINT_WEIGHT * hinted
        + QUALITY_WEIGHT * (followed + raw)
        + MAP_WEIGHT * shape
    )
    return loss, torch.stack([distil, contrast, hinted, followed, raw, shape]).detach()
