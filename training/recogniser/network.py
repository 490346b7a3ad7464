"""The recogniser: a Vision Transformer in the official layout, and its score.

Module names are the tensor names of the checkpoint, so that `state_dict` matches the
file. No class token, LayerNorm (eps 1e-5), ReLU6, qkv without bias.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

IMAGE_SIZE = 112
LAYER_NORM_EPS = 1e-5
BATCH_NORM_EPS = 2e-5


@dataclass(frozen=True)
class Shape:
    """The dimensions of the network."""

    patch: int
    dim: int
    depth: int
    heads: int
    mlp_ratio: int
    embedding_dim: int = 128
    # Outputs of the first linear layer of the embedding head; `dim` if None.
    hidden_dim: int | None = None

    @property
    def tokens(self) -> int:
        return (IMAGE_SIZE // self.patch) ** 2


SIZES = {
    # 64 tokens; can be trained on two CPU cores.
    "attn-fiqa-s": Shape(patch=14, dim=192, depth=6, heads=6, mlp_ratio=3),
    # 196 tokens, with maps as fine as the paper's; for a GPU.
    "attn-fiqa-t": Shape(patch=8, dim=192, depth=8, heads=6, mlp_ratio=3, hidden_dim=128),
}


class Attention(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=False)
        self.proj = nn.Linear(shape.dim, shape.dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if x.device.type == "cpu":
            # PyTorch's fused attention is slow for so few tokens: in bf16 it takes half of a step.
            scores = (q * k.shape[-1] ** -0.5) @ k.transpose(-1, -2)
            mixed = scores.softmax(-1).to(v.dtype) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.fc1 = nn.Linear(shape.dim, shape.mlp_ratio * shape.dim)
        self.fc2 = nn.Linear(shape.mlp_ratio * shape.dim, shape.dim)

    def forward(self, x):
        return self.fc2(F.relu6(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(shape)
        self.norm2 = nn.LayerNorm(shape.dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(shape)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Embed(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.proj = nn.Conv2d(3, shape.dim, shape.patch, stride=shape.patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Recogniser(nn.Module):
    """Images `[B, 3, 112, 112]`, RGB, -1 to 1, to embedding and attention."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.patch_embed = Embed(shape)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, shape.tokens, shape.dim))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.dim, eps=LAYER_NORM_EPS)
        hidden = shape.hidden_dim or shape.dim
        self.feature = nn.Sequential(
            nn.Linear(shape.tokens * shape.dim, hidden, bias=False),
            nn.BatchNorm1d(hidden, eps=BATCH_NORM_EPS),
            nn.Linear(hidden, shape.embedding_dim, bias=False),
            nn.BatchNorm1d(shape.embedding_dim, eps=BATCH_NORM_EPS),
        )
        self.key_bias = nn.Parameter(torch.zeros(shape.heads, shape.dim // shape.heads))

    def trunk(self, x):
        """The input `[B, N, D]` of the last block."""
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks[:-1]:
            x = block(x)
        return x

    def received(self, last_input):
        """Mean pre-softmax attention that each patch receives, over heads and queries: published
        `[B, N]`, and the contribution of the key bias to every patch `[B]`. The mean of the
        first over patches is the published score."""
        attention = self.blocks[-1].attn
        batch, tokens, dim = last_input.shape
        head_dim = dim // attention.heads
        weights = attention.qkv.weight[: 2 * dim]
        qk = F.linear(self.blocks[-1].norm1(last_input), weights).float()
        q, k = qk.reshape(batch, tokens, 2, attention.heads, head_dim).unbind(2)
        mean_query = q.mean(1)
        factor = head_dim**-0.5 / attention.heads
        # Scores differ only in the third digit, which bf16 cannot represent.
        with torch.autocast(last_input.device.type, enabled=False):
            per_patch = factor * torch.einsum("bhd,bnhd->bn", mean_query, k)
            added = factor * (mean_query * self.key_bias).sum((1, 2))
        return per_patch, added

    def forward(self, x):
        """Embedding `[B, E]`, attention received `[B, N]` and `[B]` (see `received`),
        and the last tokens `[B, N, D]`."""
        last_input = self.trunk(x)
        tokens = self.norm(self.blocks[-1](last_input))
        return self.feature(tokens.flatten(1)).float(), *self.received(last_input), tokens
