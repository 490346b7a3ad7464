"""Images on the device, and views of many of them at once.

A view matches the result of `geometry.warp`: block average when reducing by two or more, then
bilinear, black outside. Coordinates are relative to the centre of the first pixel.
"""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

# Images with at least this side are also stored at half the side, for views that reduce them.
HALVED = 160
# Number of images transferred to the device and converted at once.
PART = 2000


def read(archive, limit=None):
    """Names and images (u8 RGB `[n, side, side, 3]`) of a tar of square images."""
    names, files = [], []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and (limit is None or len(names) < limit):
                names.append(member.name)
                files.append(tar.extractfile(member).read())
    decode = lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    with ThreadPoolExecutor() as pool:
        return names, np.stack(list(pool.map(decode, files)))


class Images:
    """Square images of one size as u8 `[n, 3, side, side]` on the device."""

    def __init__(self, images, device):
        self.device, self.side = torch.device(device), images.shape[1]
        self.full, self.half = [], []
        for start in range(0, len(images), PART):
            part = np.array(images[start : start + PART])
            part = torch.from_numpy(part).to(device).permute(0, 3, 1, 2).contiguous()
            self.full.append(part)
            if self.side >= HALVED:
                even = part[..., : self.side // 2 * 2, : self.side // 2 * 2].float()
                # OpenCV rounds the mean of four half up.
                self.half.append((functional.avg_pool2d(even, 2) + 0.5).byte())
        self.full = torch.cat(self.full)
        self.half = torch.cat(self.half) if self.half else None

    def __len__(self):
        return len(self.full)

    def views(self, rows, matrices, side, blocks=True, border="zeros"):
        """Views `[n, 3, side, side]` of 0..255, unrounded; `matrices` `[n, 2, 3]` map images to views."""
        back = inverse(matrices)
        if not blocks or self.half is None:
            return sampled(self.full[rows].float(), back, side, border)
        whole = sampled(self.full[rows].float(), back, side, border)
        # In the half-size image, the centre of pixel `x` is at `(x - 0.5) / 2`.
        halved = torch.cat([back[:, :, :2] / 2, (back[:, :, 2:] - 0.5) / 2], 2)
        halved = sampled(self.half[rows].float(), halved, side, border)
        shrink = scale(back)
        return torch.where((shrink >= 2)[:, None, None, None], halved, whole)


def sampled(images, back, side, border="zeros"):
    """Bilinear samples of `[n, 3, h, w]` at the view's pixels mapped by `back` `[n, 2, 3]`."""
    height, width = images.shape[2:]
    size = torch.tensor([width, height], dtype=back.dtype, device=back.device)
    # From pixel centres to the coordinates of `affine_grid`, -1 to 1 between edges.
    linear = back[:, :, :2] * (side / size)[None, :, None]
    middle = back[:, :, :2].sum(2) * ((side - 1) / 2) + back[:, :, 2]
    shift = (2 * middle + 1) / size - 1
    theta = torch.cat([linear, shift[:, :, None]], 2)
    grid = functional.affine_grid(theta, (len(images), 3, side, side), align_corners=False)
    return functional.grid_sample(images, grid, "bilinear", border, align_corners=False)


def apply(matrices, points):
    """Points `[n, k, 2]` transformed by `[n, 2, 3]`."""
    return points @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]


def compose(second, first):
    """The transforms `[n, 2, 3]` that apply `first`, then `second`."""
    linear = second[:, :, :2] @ first[:, :, :2]
    shift = second[:, :, :2] @ first[:, :, 2:] + second[:, :, 2:]
    return torch.cat([linear, shift], 2)


def scale(matrices):
    a, b, c, d = matrices[:, :, :2].reshape(-1, 4).unbind(1)
    return (a * d - b * c).abs().sqrt()


def inverse(matrices):
    a, b, c, d = matrices[:, :, :2].reshape(-1, 4).unbind(1)
    linear = torch.stack([d, -b, -c, a], 1) / (a * d - b * c)[:, None]
    linear = linear.reshape(-1, 2, 2)
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], 2)


def similarity(linear_x, linear_y, shift):
    """Transforms `[n, 2, 3]` with rotation and scale `x + iy` and shift `[n, 2]`."""
    rows = torch.stack([linear_x, -linear_y, linear_y, linear_x], 1).reshape(-1, 2, 2)
    return torch.cat([rows, shift[:, :, None]], 2)


def fit(points, target):
    """The similarities `[n, 2, 3]` that bring points `[n, 5, 2]` closest to the target `[5, 2]`."""
    middle, aim = points.mean(1), target.mean(0)
    p, q = points - middle[:, None], target - aim
    norm = p.square().sum((1, 2))
    x = (p * q).sum((1, 2)) / norm
    y = (p[..., 0] * q[:, 1] - p[..., 1] * q[:, 0]).sum(1) / norm
    turned = similarity(x, y, torch.zeros_like(middle))
    return similarity(x, y, aim - (turned[:, :, :2] @ middle[:, :, None])[:, :, 0])
