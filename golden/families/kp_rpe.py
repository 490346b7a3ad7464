"""A small random network of KP-RPE (arXiv 2403.14852), and what its mathematics give.

    python3 -m pip install torch safetensors numpy
    python3 golden/families/kp_rpe.py

No package contains it, so every element is written out by its definition here, in float64, and
nothing is factored or reused as an engine would. Beside the values of `make.py` there are

    landmarks                          [image, landmark, (x, y)] in pixels of the crop
    biased_score, biased_heads, …      the same statistics of the logits that softmax is given

The first two images differ in their landmarks alone; the last one has those of ArcFace's template.
"""

import math

import torch
from cases import fill, images, normalised, statistics, write

SIDE, PATCH, DIM, HEADS, DEPTH, HIDDEN, EMBEDDING = 112, 16, 40, 5, 3, 80, 20
GRID = SIDE // PATCH
TOKENS = GRID * GRID
# iRPE's product method: ratio 1.9 of the coefficients 1, 2 and 8.
ALPHA, BETA, GAMMA = 1.9, 3.8, 15.2
AXIS = 2 * int(BETA) + 1
TEMPLATE = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
]
# A turned head, another one, and landmarks that a detector has put partly outside the crop.
TURNED = [[30.0, 47.5], [60.25, 50.0], [35.5, 70.0], [33.0, 95.0], [55.0, 93.5]]
OTHER = [[41.0, 55.0], [80.5, 44.25], [63.0, 68.0], [50.0, 96.0], [81.0, 88.75]]
OUTSIDE = [[-6.0, 40.0], [50.0, 20.5], [30.0, 61.0], [22.0, 101.0], [68.0, 119.0]]


def random_weights(seed):
    shapes = {
        "patch_embed.proj.weight": (DIM, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (DIM,),
        "pos_embed": (1, TOKENS, DIM),
        "norm.weight": (DIM,),
        "norm.bias": (DIM,),
        "feature.0.weight": (DIM, TOKENS * DIM),
        "feature.2.weight": (EMBEDDING, DIM),
        "keypoint_linear.weight": (AXIS * AXIS * HEADS * DEPTH, 10),
        "keypoint_linear.bias": (AXIS * AXIS * HEADS * DEPTH,),
    }
    for norm, width in (("feature.1", DIM), ("feature.3", EMBEDDING)):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (width,)
    for block in range(DEPTH):
        for name, shape in {
            "norm1.weight": (DIM,),
            "norm1.bias": (DIM,),
            "attn.qkv.weight": (3 * DIM, DIM),
            "attn.proj.weight": (DIM, DIM),
            "attn.proj.bias": (DIM,),
            "norm2.weight": (DIM,),
            "norm2.bias": (DIM,),
            "mlp.fc1.weight": (HIDDEN, DIM),
            "mlp.fc1.bias": (HIDDEN,),
            "mlp.fc2.weight": (DIM, HIDDEN),
            "mlp.fc2.bias": (DIM,),
        }.items():
            shapes[f"blocks.{block}.{name}"] = shape
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    fill(state, seed)
    return state


def bucket(offset):
    """Offsets up to ALPHA as they are, larger ones by their logarithm, at most int(BETA)."""
    if abs(offset) <= ALPHA:
        return offset
    index = ALPHA + math.log(abs(offset) / ALPHA) / math.log(GAMMA / ALPHA) * (BETA - ALPHA)
    return int(math.copysign(min(round(index), int(BETA)), offset))


def place(patch):
    return patch // GRID, patch % GRID


def bias_of(weights, block, landmarks):
    """`[head, query, key]`: the row of the linear layer that the pair's offset chooses, applied to
    the five vectors from the landmarks to the query's centre."""
    weight, shift = weights["keypoint_linear.weight"], weights["keypoint_linear.bias"]
    bias = torch.zeros(HEADS, TOKENS, TOKENS, dtype=torch.float64)
    for query in range(TOKENS):
        row, column = place(query)
        centre = ((column + 0.5) / GRID, (row + 0.5) / GRID)
        seen = [centre[axis] - point[axis] / SIDE for point in landmarks for axis in (0, 1)]
        outputs = weight @ torch.tensor(seen, dtype=torch.float64) + shift
        for key in range(TOKENS):
            key_row, key_column = place(key)
            down, right = bucket(row - key_row), bucket(column - key_column)
            chosen = (down + AXIS // 2) * AXIS + right + AXIS // 2
            for head in range(HEADS):
                bias[head, query, key] = outputs[(block * HEADS + head) * AXIS * AXIS + chosen]
    return bias


def normed(rows, weights, name):
    variance, mean = torch.var_mean(rows, -1, correction=0, keepdim=True)
    unit = (rows - mean) / (variance + 1e-5).sqrt()
    return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def batch_normed(row, weights, name):
    unit = row - weights[f"{name}.running_mean"]
    unit = unit / (weights[f"{name}.running_var"] + 2e-5).sqrt()
    return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def forward(weights, image, landmarks):
    """Queries and keys `[head, token, D/H]` of the last block, its bias, and the embedding."""
    kernel = weights["patch_embed.proj.weight"]
    tokens = torch.stack(
        [
            torch.einsum(
                "cyx,dcyx->d",
                image[:, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH],
                kernel,
            )
            for row, column in map(place, range(TOKENS))
        ]
    )
    x = tokens + weights["patch_embed.proj.bias"] + weights["pos_embed"][0]
    for block in range(DEPTH):
        own = {
            name.removeprefix(f"blocks.{block}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{block}.")
        }
        qkv = normed(x, own, "norm1") @ own["attn.qkv.weight"].T
        parts = qkv.reshape(TOKENS, 3, HEADS, DIM // HEADS)
        query, key, value = (parts[:, part].transpose(0, 1) for part in range(3))
        bias = bias_of(weights, block, landmarks)
        mixed = torch.empty(TOKENS, DIM, dtype=torch.float64)
        for head in range(HEADS):
            logits = query[head] @ key[head].T / (DIM // HEADS) ** 0.5 + bias[head]
            columns = slice(head * DIM // HEADS, (head + 1) * DIM // HEADS)
            mixed[:, columns] = logits.softmax(-1) @ value[head]
        x = x + mixed @ own["attn.proj.weight"].T + own["attn.proj.bias"]
        hidden = normed(x, own, "norm2") @ own["mlp.fc1.weight"].T + own["mlp.fc1.bias"]
        x = x + hidden.clamp(0, 6) @ own["mlp.fc2.weight"].T + own["mlp.fc2.bias"]
    flat = normed(x, weights, "norm").flatten()
    inner = batch_normed(weights["feature.0.weight"] @ flat, weights, "feature.1")
    embedding = batch_normed(weights["feature.2.weight"] @ inner, weights, "feature.3")
    return query, key, bias, embedding


@torch.no_grad()
def case(name, seed):
    state = random_weights(seed)
    weights = {key: value.double() for key, value in state.items()}
    pixels = images(SIDE, seed)[[0, 0, 1, 1]]
    landmarks = [TURNED, OTHER, OUTSIDE, TEMPLATE]
    inputs = normalised(pixels, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).double()
    outputs = [forward(weights, *one) for one in zip(inputs, landmarks, strict=True)]
    query, key, bias, embedding = (torch.stack(each) for each in zip(*outputs, strict=True))
    biased = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5 + bias
    more = {f"biased_{what}": values for what, values in statistics(biased).items()}
    more["landmarks"] = torch.tensor(landmarks)
    stored = {f"model.net.{key}": value for key, value in state.items()}
    write(name, stored, None, pixels, query, key, embedding, 0, more=more)


if __name__ == "__main__":
    case("kp-rpe", 12)
