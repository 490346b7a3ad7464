"""``python -m attn_fiqa``: the command line ``attn-fiqa``."""

import sys

from ._native import main


def run() -> None:
    """The console script ``attn-fiqa``."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
