"""Validation on the held-out faces during training."""

import numpy as np
import torch
from losses import map_gaps, to_patches
from torch.nn import functional as F

COLUMNS = ["agreement", "spearman", "spearman_published", "map_gap", "clean", "first"]


def to_input(images, device):
    """u8 `[B, 112, 112, 3]` to -1..1 `[B, 3, 112, 112]`."""
    return (images.to(device).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def spearman(a, b):
    rank = lambda x: np.argsort(np.argsort(x)).astype(float)
    return float(np.corrcoef(rank(a), rank(b))[0, 1])


def autocast(device):
    """bf16 on a GPU, and on a processor with bf16 instructions."""
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def parts(count, size=64):
    return (slice(start, start + size) for start in range(0, count, size))


@torch.no_grad()
def validate_clean(net, faces, targets, device):
    """On clean faces: mean cosine to their targets, and the fraction of faces whose own target
    is the nearest of all."""
    embeddings = []
    for part in parts(len(faces)):
        with autocast(device):
            embeddings.append(net(to_input(torch.from_numpy(np.array(faces[part])), device))[0])
    cosines = F.normalize(torch.cat(embeddings)) @ torch.from_numpy(targets).to(device).T
    first = (cosines.argmax(1) == torch.arange(len(cosines), device=device)).float().mean()
    return cosines.diagonal().mean().item(), first.item()


@torch.no_grad()
def validate_degraded(net, held, targets, device):
    """On degraded faces: agreement; rank correlation of the score and of the published score with
    the target; and the fraction of partly occluded faces whose occluded patches receive less
    attention, which does not depend on the scale of the score."""
    cosines, scores, published, gaps = [], [], [], []
    for part in parts(len(held.face)):
        images = torch.from_numpy(np.array(held.images[part]))
        with autocast(device):
            embedding, per_patch, added, _ = net(to_input(images, device))
        target = torch.from_numpy(targets[held.face[part]]).to(device)
        cosines.append(F.cosine_similarity(embedding, target).cpu())
        published.append(per_patch.mean(1).cpu())
        scores.append((per_patch.mean(1) + added).cpu())
        masks = torch.from_numpy(np.asarray(held.masks[part], np.float32)).to(device)
        gap, both = map_gaps(per_patch, to_patches(masks, net.shape.tokens))
        gaps.append(gap[both].cpu())
    score, raw = torch.cat(scores).numpy(), torch.cat(published).numpy()
    gap = (torch.cat(gaps) > 0).float().mean().item()
    return (torch.cat(cosines).mean().item(), spearman(score, held.quality), spearman(raw, held.quality), gap)


def validate(net, held, held_faces, targets, held_targets, device):
    """The values of `COLUMNS`."""
    net.eval()
    values = (
        *validate_degraded(net, held, targets, device),
        *validate_clean(net, held_faces, held_targets, device),
    )
    net.train()
    return values
