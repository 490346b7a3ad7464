"""Models that have a name: built in, added, fetched or known."""

from __future__ import annotations

import json
from typing import TypedDict, cast

from ._command import run
from ._errors import ModelError

__all__ = ["Model", "list_models", "pull"]


class Model(TypedDict, total=False):
    """A model as ``attn-fiqa model list`` shows it."""

    name: str
    state: str
    licence: str
    title: str


def list_models() -> list[Model]:
    """Every model that has a name."""
    lines = run(["model", "list", "--format", "jsonl"], ModelError).splitlines()
    return [cast(Model, json.loads(line)) for line in lines]


def pull(name: str, *, accept_licence: bool = False) -> str:
    """Fetches a model into the cache that all clients of the Hugging Face hub share.

    :param name: a name from `list_models`; `Scorer` accepts it afterwards.
    :param accept_licence: whether you accept its licence, which `list_models` names.
    :returns: the path of the file.
    :raises ModelError: if the licence was not accepted, or the model cannot be fetched.
    """
    arguments = ["model", "pull", name, "--quiet"]
    if accept_licence:
        arguments.append("--accept-licence")
    return run(arguments, ModelError).strip()
