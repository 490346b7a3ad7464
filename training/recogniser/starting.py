"""Initialises a run from a trained file, with training-only layers fitted to it."""

import math

import hints
import numpy as np
import torch
from validation import to_input


@torch.no_grad()
def fit_score_scale(verdict, net, judged, device, count=256):
    """Sets the gains and offsets that bring the scores closest to their target."""
    images = torch.from_numpy(np.array(judged.images[:count]))
    last_input = net.eval().trunk(to_input(images, device))
    per_patch, added = (part.cpu() for part in net.received(last_input))
    published, target = per_patch.mean(1), judged.quality[:count]
    for which, score in enumerate(((published + added).numpy(), published.numpy())):
        covariance = np.cov(score, target)
        # A score that does not yet follow its target starts with a small gain.
        gain = max(covariance[0, 1] / max(covariance[0, 0], 1e-9), 1e-2 / max(score.std(), 1e-6))
        verdict.gain[which] = math.log(gain)
        verdict.offset[which] = float(target.mean() - gain * score.mean())


@torch.no_grad()
def fit_hint_layer(verdict, net, batch):
    """Fits the layer that predicts the teacher's map by least squares on the fresh images of a batch:
    an untrained layer would disturb the first steps of a trained network."""
    fresh = len(batch["hints"])
    tokens = net.eval()(batch["images"][:fresh])[3].flatten(0, 1)
    there = hints.hints_at_patches(batch["hints"], batch["ways"], math.isqrt(net.shape.tokens)).flatten(0, 1)
    mean, goal = tokens.mean(0), there.mean(0)
    x = tokens - mean
    gram = x.T @ x
    gram += 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    weight = torch.linalg.solve(gram, x.T @ (there - goal)).T
    verdict.hint.weight.copy_(weight)
    verdict.hint.bias.copy_(goal - weight @ mean)


@torch.no_grad()
def measure_batch_norms(net, judged, device, count=256):
    """Sets the statistics of each batch norm of a trained file to those of the current images, and
    its weight and bias so that the network's outputs stay the same: a file may contain an identity
    batch norm, which training would otherwise undo."""
    last_input = net.eval().trunk(to_input(torch.from_numpy(np.array(judged.images[:count])), device))
    x = net.norm(net.blocks[-1](last_input)).flatten(1)
    for layer in net.feature:
        if isinstance(layer, torch.nn.BatchNorm1d):
            var, mean = torch.var_mean(x, 0)
            old = layer.weight / (layer.running_var + layer.eps).sqrt()
            layer.bias.add_(old * (mean - layer.running_mean))
            layer.weight.copy_(old * (var + layer.eps).sqrt())
            layer.running_mean.copy_(mean), layer.running_var.copy_(var)
        x = layer(x)
