"""The landmark network: maps an upright view of a face to five points.

Built from the same blocks as the detector. Outputs five heat maps at a quarter of the view's
resolution; a point is the mean position under the softmax of its map, which is equivariant to
shifts and more precise than the cells of the map.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[1]))

from blocks import INPUT_SCALE, Separable, conv_norm, stage, top_down
from geometry import VIEW

POINTS = 5
STRIDE = 4


@dataclass(frozen=True)
class Widths:
    """Channels of the three stages (the first also for the stem) and of the pyramid."""

    stages: tuple[int, int, int]
    pyramid: int


# The program's `landmark_network.rs` has the widths of the network in `models/`.
WIDTHS = {"narrow": Widths((48, 64, 96), 48), "wide": Widths((64, 128, 192), 64)}


def cells():
    """Centres `[cells, 2]` of heat map cells in pixels of the view, row by row."""
    centre = torch.arange(VIEW // STRIDE) * float(STRIDE) + (STRIDE - 1) / 2
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)


class Network(nn.Module):
    def __init__(self, widths=WIDTHS["narrow"]):
        super().__init__()
        first, second, third = widths.stages
        self.stem = nn.Sequential(conv_norm(3, first, STRIDE, STRIDE, padding=0), nn.ReLU())
        self.stage4 = nn.Sequential(*(Separable(first, first) for _ in range(3)))
        self.stage8 = stage(first, second, 3)
        self.stage16 = stage(second, third, 2)
        self.lateral = nn.ModuleList(conv_norm(c, widths.pyramid, 1) for c in widths.stages)
        self.mix = Separable(widths.pyramid, widths.pyramid)
        self.out = nn.Conv2d(widths.pyramid, POINTS, 1)
        nn.init.normal_(self.out.weight, std=0.05)
        self.register_buffer("cells", cells(), persistent=False)

    def forward(self, x):
        """`[B, 3, VIEW, VIEW]` RGB 0..255 to `[B, 5, 2]`: x, y in pixels of the view."""
        x4 = self.stage4(self.stem(x * INPUT_SCALE))
        x8 = self.stage8(x4)
        p4, _, _ = top_down(self.lateral, (x4, x8, self.stage16(x8)))
        heat = self.out(self.mix(p4)).flatten(2).softmax(-1)
        return heat @ self.cells
