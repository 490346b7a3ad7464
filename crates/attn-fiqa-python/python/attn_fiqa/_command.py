"""Commands that run in a separate process, because they take long or access a network."""

from __future__ import annotations

import subprocess
import sys

from ._errors import AttnFiqaError


def run(arguments: list[str], error: type[AttnFiqaError]) -> str:
    """Runs a command and returns its standard output; raises `error` with its message if it
    fails."""
    command = [sys.executable, "-m", "attn_fiqa", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise error("\n".join(lines) or f"the command ended with status {done.returncode}")
    return done.stdout
