#!/usr/bin/env python3
"""Splits the built-in model into the two files that the crates of `models/` embed.

    training/recogniser/split.py FULL.safetensors QUALITY.safetensors EMBEDDING.safetensors

QUALITY is the output of `attn-fiqa model convert --quality-only` for FULL. EMBEDDING receives every
tensor of FULL that is not in QUALITY, bit for bit: the rest of the last block, the final norm and
the embedding head. Together they are the full model again.
"""

import json
import struct
import sys
from pathlib import Path


def read(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    return header.pop("__metadata__"), header, data[8 + length :]


def main(full, quality, embedding):
    metadata, tensors, data = read(full)
    _, held, _ = read(quality)
    header = {
        "__metadata__": {
            "attn_fiqa.content": metadata["attn_fiqa.content"],
            "attn_fiqa.format": metadata["attn_fiqa.format"],
            "embedding_dim": metadata["embedding_dim"],
            "format": metadata["format"],
        }
    }
    body = bytearray()
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
        if name in held:
            continue
        start, end = tensor["data_offsets"]
        header[name] = {**tensor, "data_offsets": [len(body), len(body) + end - start]}
        body += data[start:end]
    text = json.dumps(header, separators=(",", ":")).encode()
    # Tensors start at a multiple of eight bytes, as in every safetensors file.
    text += b" " * (-len(text) % 8)
    Path(embedding).write_bytes(struct.pack("<Q", len(text)) + text + body)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
