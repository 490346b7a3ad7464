"""The quality score in PyTorch, written from the definitions.

Pre-norm ViT without class token; the score is the mean of q·kT·scale of the last
block over heads and token pairs, computed from the full matrix as in the paper.
"""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads, mlp_ratio):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.norm1 = nn.LayerNorm(dim, eps=1e-5)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.attn.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = nn.Module()
        self.mlp.fc1 = nn.Linear(dim, int(mlp_ratio * dim))
        self.mlp.fc2 = nn.Linear(int(mlp_ratio * dim), dim)

    def logits_and_value(self, x):
        batch, tokens, dim = x.shape
        qkv = self.attn.qkv(self.norm1(x))
        qkv = qkv.view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        return (query @ key.transpose(-2, -1)) * self.scale, value

    def forward(self, x):
        logits, value = self.logits_and_value(x)
        mixed = (logits.softmax(-1) @ value).transpose(1, 2).flatten(2)
        x = x + self.attn.proj(mixed)
        hidden = nn.functional.relu6(self.mlp.fc1(self.norm2(x)))
        return x + self.mlp.fc2(hidden)


class QualityVit(nn.Module):
    """`forward`: u8 RGB `[batch, 112, 112, 3]` to scores `[batch]`."""

    def __init__(self, patch, dim, depth, heads, mlp_ratio):
        super().__init__()
        tokens = (112 // patch) ** 2
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, dim, patch, patch)
        self.pos_embed = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))

    def forward(self, images):
        x = images.permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.5)
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks[:-1]:
            x = block(x)
        logits, _ = self.blocks[-1].logits_and_value(x)
        return logits.mean(dim=(1, 2, 3))

    def official_state(self, embedding=64):
        """Tensors in the official layout, with a small random embedding head."""
        state = dict(self.state_dict())
        dim, tokens = self.pos_embed.shape[2], self.pos_embed.shape[1]
        state["norm.weight"], state["norm.bias"] = torch.ones(dim), torch.zeros(dim)
        state["feature.0.weight"] = torch.randn(embedding, tokens * dim) * 0.01
        state["feature.2.weight"] = torch.randn(embedding, embedding) * 0.1
        for layer in ("feature.1", "feature.3"):
            state[f"{layer}.weight"] = torch.ones(embedding)
            state[f"{layer}.bias"] = torch.zeros(embedding)
            state[f"{layer}.running_mean"] = torch.zeros(embedding)
            state[f"{layer}.running_var"] = torch.ones(embedding)
        return {name: tensor.contiguous() for name, tensor in state.items()}


SHAPES = {
    "vit-s": dict(patch=8, dim=512, depth=12, heads=8, mlp_ratio=5),
    "vit-b": dict(patch=8, dim=512, depth=24, heads=16, mlp_ratio=3),
}


def operations(patch, dim, depth, heads, mlp_ratio):
    """Operations per score, counting a multiply-add as two: patch embedding and all blocks
    except the last, whose mean attention takes only two matrix-vector products."""
    tokens = (112 // patch) ** 2
    linears = tokens * dim * dim * (4 + 2 * mlp_ratio)
    attention = 2 * tokens * tokens * dim
    return 2 * ((depth - 1) * (linears + attention) + tokens * 3 * patch * patch * dim)
