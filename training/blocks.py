"""The blocks of the detector and the landmark network."""

import torch
from torch import nn

# Network inputs are 0..255. The factor is folded into the first convolution on export.
INPUT_SCALE = 1 / 64


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, padding=None):
    """Convolution and batch norm; keeps the resolution, except for the stride, unless `padding` is given."""
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, momentum=0.03))


class Separable(nn.Module):
    """Depthwise then pointwise convolution; adds its input where the shapes allow."""

    def __init__(self, inputs, outputs, kernel=3, stride=1):
        super().__init__()
        self.depthwise = conv_norm(inputs, inputs, kernel, stride, groups=inputs)
        self.pointwise = conv_norm(inputs, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.pointwise(torch.relu(self.depthwise(x)))
        return torch.relu(x + y if self.residual else y)


def stage(inputs, outputs, more, kernel=3):
    """Halves the resolution, then applies `more` blocks of one shape."""
    rest = (Separable(outputs, outputs, kernel) for _ in range(more))
    return nn.Sequential(Separable(inputs, outputs, 3, 2), *rest)


def top_down(lateral, features):
    """Feature pyramid: maps of decreasing resolution, each with the coarser ones added."""
    pyramid = []
    for conv, x in zip(reversed(lateral), reversed(features)):
        x = conv(x)
        pyramid.append(torch.relu(x + double(pyramid[-1]) if pyramid else x))
    return pyramid[::-1]


def double(x):
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")
