"""The detector: a small convolutional pyramid with one head for each stride."""

import torch
from torch import nn

from decode import STRIDES

# Score (a logit), box (4), five landmarks (10).
OUTPUTS = 15
STEM = 16
STAGE4, STAGE8, STAGE16, STAGE32 = 32, 64, 96, 128
PYRAMID = 64
# The network takes 0..255. The factor is folded into the first convolution on export.
INPUT_SCALE = 1 / 64


def conv_norm(inputs, outputs, kernel, stride=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
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


class Head(nn.Module):
    """Pyramid features to score, box and landmarks of each cell."""

    def __init__(self):
        super().__init__()
        self.mix = Separable(PYRAMID, PYRAMID)
        self.out = nn.Conv2d(PYRAMID, OUTPUTS, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[0] = -4.0
            self.out.bias[3:5] = 1.0

    def forward(self, x):
        return self.out(self.mix(x))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, STEM, 3, 2), nn.ReLU())
        self.stage4 = nn.Sequential(Separable(STEM, STAGE4, 3, 2), Separable(STAGE4, STAGE4))
        self.stage8 = nn.Sequential(
            Separable(STAGE4, STAGE8, 3, 2), *(Separable(STAGE8, STAGE8) for _ in range(3))
        )
        self.stage16 = nn.Sequential(
            Separable(STAGE8, STAGE16, 3, 2), *(Separable(STAGE16, STAGE16) for _ in range(3))
        )
        self.stage32 = nn.Sequential(
            Separable(STAGE16, STAGE32, 3, 2), *(Separable(STAGE32, STAGE32, 5) for _ in range(2))
        )
        self.lateral = nn.ModuleList(conv_norm(c, PYRAMID, 1) for c in (STAGE8, STAGE16, STAGE32))
        self.heads = nn.ModuleList(Head() for _ in STRIDES)

    def forward(self, x):
        """`[B, 3, H, W]` RGB 0..255 to three maps `[B, 15, H/s, W/s]`."""
        x8 = self.stage8(self.stage4(self.stem(x * INPUT_SCALE)))
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)
        p32 = torch.relu(self.lateral[2](x32))
        p16 = torch.relu(self.lateral[1](x16) + double(p32))
        p8 = torch.relu(self.lateral[0](x8) + double(p16))
        return [head(p) for head, p in zip(self.heads, (p8, p16, p32))]


def double(x):
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")
