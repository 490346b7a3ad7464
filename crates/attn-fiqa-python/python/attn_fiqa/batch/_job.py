"""What is computed for every shard, and its fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

from .._errors import RequestError
from .._native import Scorer, __version__
from ..types import Path, Precision
from . import _store

#: The same on every machine, so that whether an image is too large does not depend on it.
_DEFAULT_MAX_MEMORY = 1 << 30


@dataclasses.dataclass(frozen=True)
class Job:
    """Where parts are written, and what determines their rows. It is small and can be pickled: a
    model is passed as a path or a name, and every worker loads it.

    Arguments are those of `Scorer` and `Scorer.score_files`. `precision` is the same on every
    machine: ``"auto"`` is resolved once, when the run is started."""

    #: The folder of the parts: a path or URI.
    output: Path
    model: Path | None = None
    detector: Path | None = None
    precision: Precision = "f32"
    methods: Sequence[str] | None = None
    preset: str | None = None
    heads: int | None = None
    activation: Literal["relu6", "gelu"] | None = None
    aligned: bool = False
    maps: bool = False
    embeddings: bool = False
    max_faces: int | None = None
    min_confidence: float | None = None
    min_inter_eye_distance: float = 0.0
    #: Bytes that the images of one worker may hold at once. A larger image gives a row with the
    #: status ``too-large``.
    max_memory: int = _DEFAULT_MAX_MEMORY
    #: The SHA-256 of the files of the model and the detector, and the version of this package:
    #: filled in when the run is started, and checked by every worker.
    digests: tuple[tuple[str, str], ...] = ()

    def resolved(self) -> Job:
        """This job with absolute paths, a precision that is not ``"auto"``, and digests.

        :raises ModelError: if the model cannot be loaded here.
        :raises RequestError: if the arguments are not valid.
        """
        job = dataclasses.replace(
            self,
            output=_store.absolute_location(self.output),
            model=_absolute_file(self.model),
            detector=_absolute_file(self.detector),
            methods=None if self.methods is None else tuple(self.methods),
        )
        scorer = job.scorer(threads=1)
        # Wrong arguments are reported before any work.
        scorer.score_encoded([], **job.options()).to_arrow()
        precision: Any = scorer.precision
        return dataclasses.replace(job, precision=precision, digests=job.found_digests())

    def scorer(self, threads: int | None) -> Scorer:
        """A scorer for this process."""
        return Scorer(
            self.model,
            detector=self.detector,
            precision=self.precision,
            threads=threads,
            methods=self.methods,
            preset=self.preset,
            heads=self.heads,
            activation=self.activation,
        )

    def options(self) -> dict[str, Any]:
        """The arguments of `Scorer.score_files` and `Scorer.score_encoded`."""
        return {
            "aligned": self.aligned,
            "maps": self.maps,
            "embeddings": self.embeddings,
            "max_faces": self.max_faces,
            "min_confidence": self.min_confidence,
            "min_inter_eye_distance": self.min_inter_eye_distance,
            "max_memory": self.max_memory,
        }

    def found_digests(self) -> tuple[tuple[str, str], ...]:
        """The digests of this machine's files."""
        files = [("model", self.model), ("detector", self.detector)]
        digests = [(what, _digest(path)) for what, path in files if path and os.path.isfile(path)]
        return (*digests, ("version", __version__))

    def settings(self) -> dict[str, Any]:
        """Everything that affects scores, in readable form: what `fingerprint` stands for."""
        settings = dataclasses.asdict(self)
        del settings["output"]
        digests = dict(settings.pop("digests"))
        for what in ("model", "detector"):
            if what in digests:
                # The same file in another place counts as the same.
                settings[what] = f"sha256:{digests[what]}"
        settings["version"] = digests.get("version", __version__)
        methods = settings["methods"]
        settings["methods"] = None if methods is None else list(methods)
        return settings

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ if scores could differ."""
        text = json.dumps(self.settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _absolute_file(path: Path | None) -> str | None:
    """A file's absolute path; the name of a model is returned unchanged."""
    if path is None:
        return None
    path = os.fspath(path)
    if _store.is_uri(path):
        raise RequestError(
            f"'{path}' is not a path on disk: copy models and detectors to a path all workers can read"
        )
    return os.path.abspath(path) if os.path.isfile(path) else path


def _digest(path: Path) -> str:
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
