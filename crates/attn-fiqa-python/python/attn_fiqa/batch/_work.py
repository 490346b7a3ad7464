"""What a worker does: one shard in, one part out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .._errors import RequestError
from .._native import Scorer, __version__
from . import _store
from ._arrow import pa, pq
from ._job import Job
from ._shards import Shard

#: Number of encoded images of a table held at once.
_IMAGES_AT_ONCE = 256


@dataclasses.dataclass(frozen=True)
class Summary:
    """The outcome of one shard."""

    #: The shard's name.
    shard: str
    #: Number of rows of its part.
    rows: int
    #: Number of rows without a score.
    failed: int
    #: Seconds of the work; for the first shard of a process, loading the model may be part of it.
    seconds: float
    #: Why there is no part; ``None`` if there is one.
    error: str | None = None


def part_name(shard: Shard, fingerprint: str) -> str:
    """The file name of a shard's part."""
    return f"part-{shard.name}-{fingerprint}.parquet"


def score_shard(shard: Shard, job: Job, *, threads: int | None = None) -> Summary:
    """Scores the images of one shard and writes its part. The rows of the part are held in
    memory; images are read one after another, within `Job.max_memory`.

    A problem with an image, an archive or a table becomes a row with a status. An `OSError` is a
    problem that may not occur another time, such as a store that does not answer.

    :param job: as returned by `Job.resolved`.
    :param threads: what the engine grants; ``None`` for one per core.
    :raises OSError: if the shard cannot be read or the part cannot be written.
    :raises RequestError: if this machine cannot compute the job: it has another version of the
        package or another model, or lacks the precision.
    """
    start = time.monotonic()
    scorer = process_scorer(job, threads)
    with tempfile.TemporaryDirectory(prefix="attn-fiqa-") as folder:
        table = _table(shard, job, scorer, folder)
    about = {
        "version": __version__,
        "model": scorer.model,
        "methods": " ".join(scorer.methods),
        "precision": scorer.precision,
        "backend": scorer.backend,
        "fingerprint": job.fingerprint,
        "settings": json.dumps(job.settings(), sort_keys=True),
        "shard": shard.location,
    }
    metadata = {f"attn_fiqa.{name}": value for name, value in about.items()}
    table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    name = part_name(shard, job.fingerprint)
    _store.write_atomic(os.fspath(job.output), name, sink.getvalue())
    scored = sum(1 for status in table["status"].to_pylist() if status == "ok")
    rows, seconds = table.num_rows, time.monotonic() - start
    return Summary(shard.name, rows, rows - scored, seconds)


def try_score_shard(shard: Shard, job: Job, threads: int | None) -> Summary:
    """Like `score_shard`, but an `OSError` becomes part of the summary: one shard that cannot be
    read does not stop the others."""
    try:
        return score_shard(shard, job, threads=threads)
    except OSError as error:
        return Summary(shard.name, 0, 0, 0.0, f"{type(error).__name__}: {error}")


def as_arrow(summaries: Sequence[Summary]) -> Any:
    """Summaries as a table, for an engine."""
    columns = [
        ("shard", pa.string()),
        ("rows", pa.int64()),
        ("failed", pa.int64()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
    ]
    return pa.Table.from_pylist([vars(summary) for summary in summaries], pa.schema(columns))


#: The scorer of this process; a worker has one job at a time.
_loaded: tuple[tuple[str, int | None, int], Scorer] | None = None


def process_scorer(job: Job, threads: int | None) -> Scorer:
    """Like `checked_scorer`, but the model is loaded only once per process."""
    global _loaded
    key = (job.fingerprint, threads, os.getpid())
    if _loaded is None or _loaded[0] != key:
        _loaded = (key, checked_scorer(job, threads))
    return _loaded[1]


def checked_scorer(job: Job, threads: int | None) -> Scorer:
    """A scorer that computes what the job specifies; raises a `RequestError` if there is none."""
    host = platform.node()
    if not job.digests or job.precision == "auto":
        raise RequestError("the job is not resolved: pass what Job.resolved() returns")
    own = dict(job.found_digests())
    for what, expected in job.digests:
        found = own.get(what, "none")
        if expected != found:
            kind = "version" if what == "version" else f"file of the {what}"
            raise RequestError(
                f"{host} has a different {kind} from the machine that started the run: expected "
                f"{expected}, found {found}; install the same on every machine"
            )
    scorer = job.scorer(threads)
    if scorer.precision != job.precision:
        raise RequestError(
            f"{host} computes in {scorer.precision}, but the run uses {job.precision}: leave the "
            "machine out, or start again with precision='f32'"
        )
    return scorer


def _table(shard: Shard, job: Job, scorer: Scorer, folder: str) -> Any:
    """The rows of a shard."""
    options = job.options()
    if shard.span is not None:
        part = _list_part(shard, folder)
        return pa.table(scorer.score_list(part, root=shard.root, **options).to_arrow())
    with _store.local_copy(shard.location, shard.size, folder) as path:
        if shard.column is not None:
            return _score_column(shard, os.fspath(path), scorer, options)
        table = pa.table(scorer.score_files(path, **options).to_arrow())
    if os.fspath(path) == shard.location:
        return table
    # The rows of a copy are named after the original.
    names = [shard.location + name.removeprefix(os.fspath(path)) for name in table["path"].to_pylist()]
    place = table.schema.get_field_index("path")
    return table.set_column(place, table.schema.field(place), pa.array(names, pa.string()))


def _list_part(shard: Shard, folder: str) -> str:
    """Writes the lines of one part of a list as a list of its own."""
    assert shard.span is not None
    store, inner = _store.open_store(shard.location)
    _store.check_size(shard.location, shard.size, _store.size_of(shard.location))
    start, length = shard.span
    with store.open_input_file(inner) as file:
        file.seek(start)
        lines = file.read(length)
    part = os.path.join(folder, "list.txt")
    with open(part, "wb") as copy:
        copy.write(lines)
    return part


def _score_column(shard: Shard, path: str, scorer: Scorer, options: dict[str, Any]) -> Any:
    """The rows of a Parquet file with a column of encoded images."""
    empty = pa.table(scorer.score_encoded([], **options).to_arrow())

    def broken(message: str) -> Any:
        row = {"path": shard.location, "status": "broken-archive", "message": message}
        return pa.Table.from_pylist([row], schema=empty.schema)

    tables = [empty]
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        _reraise_io_error(error)
        return broken(f"not a Parquet file: {error}")
    with contextlib.closing(file):
        wanted = [name for name in (shard.column, shard.name_column) if name is not None]
        for name in wanted:
            if name not in file.schema_arrow.names:
                there = ", ".join(file.schema_arrow.names)
                return broken(f"no column '{name}'; there are: {there}")
        first = 0
        for group in range(file.num_row_groups):
            at = first
            try:
                batches = file.iter_batches(_IMAGES_AT_ONCE, [group], wanted)
                for batch in batches:
                    images = _images(shard, batch, at)
                    at += batch.num_rows
                    tables.append(pa.table(scorer.score_encoded(images, **options).to_arrow()))
            except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
                _reraise_io_error(error)
                lost = file.metadata.row_group(group).num_rows - (at - first)
                tables.append(broken(f"{lost} images of row group {group} cannot be read: {error}"))
            first += file.metadata.row_group(group).num_rows
    return pa.concat_tables(tables)


def _images(shard: Shard, batch: Any, first: int) -> Iterator[tuple[str, bytes | None]]:
    """Names and bytes; `first` is the number of the first row, from 0."""
    column = batch.column(shard.column)
    names: Any = None
    if shard.name_column is not None:
        names = batch.column(shard.name_column)
    if pa.types.is_struct(column.type):
        inner = [field.name for field in column.type]
        if names is None and "path" in inner:
            names = column.field("path")
        valid, column = column.is_valid(), column.field("bytes") if "bytes" in inner else column
    else:
        valid = column.is_valid()
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise pa.ArrowTypeError(
            f"the column '{shard.column}' holds {column.type}; expected binary or a struct with 'bytes'"
        )
    for index in range(batch.num_rows):
        name = None if names is None else names[index].as_py()
        image = column[index].as_py() if valid[index].as_py() else None
        yield f"{shard.location}#{first + index}" if name is None else str(name), image


def _reraise_io_error(error: Exception) -> None:
    """Re-raises an error reported by the system rather than caused by the contents of the file."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
