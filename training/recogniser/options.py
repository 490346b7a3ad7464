"""Options that both training programs have."""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        choices=["recognition", "cosine"],
        default="recognition",
        help="what the score is to follow: recognition, the teacher's probability of a match by the norm "
        "of its embedding; cosine, that of its embeddings of an assessed image and of the clean face",
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="canonical safetensors of the same size to start from, one file or its two parts "
        "(models/, models/embedding/); with a lower --lr",
    )
