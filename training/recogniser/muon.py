"""Muon: momentum with orthogonalized steps (Jordan et al., 2024), for the matrices of the
blocks; it learns more per image than AdamW.

For a momentum of the gradient `U S V'` the step is approximately `U V'`: a Newton-Schulz iteration
on the matrix, scaled to a Frobenius norm of 1, drives all singular values close to 1.
The step size matches AdamW's (Liu et al., 2025), so that both can share a learning rate.
"""

import torch

# Quintic coefficients: steep at 0, and within 0.7 to 1.2 after five iterations.
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


def orthogonal(matrices):
    """Approximates the nearest orthogonal matrices of `[K, M, N]`."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.transpose(1, 2)
        x = A * x + (B * square + C * square @ square) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Each group contains matrices of one shape. `split` divides the rows of each into that many
    matrices: queries, keys and values are three matrices in one."""

    def __init__(self, groups, lr, weight_decay=0.05, momentum=0.95):
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "split": 1})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            params = group["params"]
            state = self.state[params[0]]
            gradients = torch.stack([p.grad for p in params])
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradients)
            held = state["momentum"].mul_(group["momentum"]).add_(gradients)
            step = gradients + group["momentum"] * held
            rows, columns = step.shape[1] // group["split"], step.shape[2]
            made = orthogonal(step.reshape(-1, rows, columns)).reshape(step.shape)
            made *= 0.2 * max(rows, columns) ** 0.5 * group["lr"]
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_sub_(params, list(made.unbind(0)))
