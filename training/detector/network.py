"""The detector: a small convolutional pyramid with one head per stride."""

import sys
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[1]))

from blocks import INPUT_SCALE, Separable, conv_norm, stage, top_down
from decode import STRIDES

# Score (a logit), box (4), five landmarks (10).
OUTPUTS = 15
STEM = 16
STAGE4, STAGE8, STAGE16, STAGE32 = 32, 64, 96, 128
PYRAMID = 64


class Head(nn.Module):
    """Maps pyramid features to score, box and landmarks of each cell."""

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
        self.stage4 = stage(STEM, STAGE4, 1)
        self.stage8 = stage(STAGE4, STAGE8, 3)
        self.stage16 = stage(STAGE8, STAGE16, 3)
        self.stage32 = stage(STAGE16, STAGE32, 2, kernel=5)
        self.lateral = nn.ModuleList(conv_norm(c, PYRAMID, 1) for c in (STAGE8, STAGE16, STAGE32))
        self.heads = nn.ModuleList(Head() for _ in STRIDES)

    def forward(self, x):
        """`[B, 3, H, W]` RGB 0..255 to three maps `[B, 15, H/s, W/s]`."""
        x8 = self.stage8(self.stage4(self.stem(x * INPUT_SCALE)))
        x16 = self.stage16(x8)
        pyramid = top_down(self.lateral, (x8, x16, self.stage32(x16)))
        return [head(p) for head, p in zip(self.heads, pyramid)]
