"""JPEG artefacts for many images at once on the device: 4:2:0, 8x8 DCT blocks, quantized."""

import numpy as np
import torch
from torch.nn import functional

# Annex K of ITU-T T.81: quantization tables at quality 50.
LUMA = [
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
]  # fmt: skip
CHROMA = [
    [17, 18, 24, 47, 99, 99, 99, 99], [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99], [47, 66, 99, 99, 99, 99, 99, 99],
    *[[99] * 8] * 4,
]  # fmt: skip
TO_YCC = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]


class Jpeg:
    def __init__(self, device):
        tensor = lambda values: torch.tensor(np.asarray(values), dtype=torch.float32, device=device)
        k, n = np.mgrid[:8, :8]
        cosine = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
        self.cosine = tensor(cosine)
        self.to_ycc, self.to_rgb = tensor(TO_YCC), tensor(np.linalg.inv(TO_YCC))
        self.steps = tensor(LUMA), tensor(CHROMA)

    def __call__(self, views, quality):
        """Compresses views `[n, 3, h, w]` of 0..255, sides multiples of 16, at qualities `[n]` of 1..99."""
        factor = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        y, chroma = torch.einsum("oc,nchw->nohw", self.to_ycc, views).split([1, 2], 1)
        y = self.quantize(y - 128, self.steps[0], factor) + 128
        chroma = self.quantize(functional.avg_pool2d(chroma, 2), self.steps[1], factor)
        chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
        rgb = torch.einsum("oc,nchw->nohw", self.to_rgb, torch.cat([y, chroma], 1))
        return rgb.round().clamp(0, 255)

    def quantize(self, planes, steps, factor):
        steps = ((steps * factor[:, None, None] + 50) / 100).floor().clamp(1, 255)[:, None, None, None]
        n, c, h, w = planes.shape
        blocks = planes.reshape(n, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
        values = self.cosine @ blocks @ self.cosine.T
        values = (values / steps).round() * steps
        blocks = self.cosine.T @ values @ self.cosine
        return blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)
