"""Muon for the weight matrices of the blocks, AdamW for the rest, and the learning rate schedule."""

import torch
from muon import Muon

WEIGHT_DECAY = 0.05
# Muon's learning rate relative to AdamW's.
MUON_LR_FACTOR = 3.0


def optimizers(net, verdict, lr):
    """The two optimizers, covering all parameters of the network and the training-only layers."""
    matrices = {
        "qkv": [block.attn.qkv.weight for block in net.blocks],
        "proj": [block.attn.proj.weight for block in net.blocks],
        "fc1": [block.mlp.fc1.weight for block in net.blocks],
        "fc2": [block.mlp.fc2.weight for block in net.blocks],
    }
    taken = {id(p) for params in matrices.values() for p in params} | {id(net.key_bias)}
    rest = [p for p in net.parameters() if id(p) not in taken]
    decayed = [p for p in rest if p.ndim > 1]
    plain = [p for p in rest if p.ndim <= 1] + [net.key_bias, *verdict.parameters()]
    adam = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=lr,
        betas=(0.9, 0.98),
        fused=True,
    )
    groups = [{"params": params, "split": 3 if name == "qkv" else 1} for name, params in matrices.items()]
    return adam, Muon(groups, lr, WEIGHT_DECAY)


def set_rates(descent, lr, done, decay):
    """Warm-up, then constant, then linear decay over the last `decay` of the run."""
    rate = lr * min(1.0, done / 0.02 + 1e-2, max(0.0, 1 - done) / decay)
    for optimizer in descent:
        for group in optimizer.param_groups:
            group["lr"] = rate * (MUON_LR_FACTOR if isinstance(optimizer, Muon) else 1.0)
    return rate


def take_step(descent, net):
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    for optimizer in descent:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
