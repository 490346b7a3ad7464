"""The driver: which shards are left, and whether all are done."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Sequence

from .._errors import AttnFiqaError, RequestError
from . import _store
from ._job import Job
from ._shards import Shard
from ._work import Summary, part_name, try_score_shard

__all__ = ["Plan", "Report", "Summary", "finish", "prepare", "run"]

#: The settings of the run whose parts are in a folder.
SETTINGS = "_attn_fiqa.json"
#: Written when every part is there. Spark and others also write a file of this name.
SUCCESS = "_SUCCESS"


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run did."""

    #: Number of shards of the run; each has its part.
    shards: int
    #: Number of shards whose part already existed.
    found: int
    #: Number of rows written now.
    rows: int
    #: Number of rows written now that have no score.
    failed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is left to do in a run."""

    #: Resolved.
    job: Job
    shards: tuple[Shard, ...]
    #: Shards without a part.
    left: tuple[Shard, ...]


def run(
    shards: Sequence[Shard],
    job: Job,
    *,
    threads: int | None = None,
    on_shard: Callable[[Summary], None] | None = None,
) -> Report:
    """Processes shards in this process, one after another, and skips those whose part exists.

    :param threads: worker threads; ``None`` is one per core.
    :param on_shard: called after each shard.
    :raises RequestError: if the folder holds parts of another job or of other shards, or the
        arguments are not valid.
    :raises ModelError: if the model cannot be loaded.
    :raises AttnFiqaError: after the last shard, if some have no part; start the run again to retry
        them.
    """
    plan = prepare(shards, job)

    def results() -> Iterable[Summary]:
        for shard in plan.left:
            summary = try_score_shard(shard, plan.job, threads)
            if on_shard is not None:
                on_shard(summary)
            yield summary

    return finish(plan, results())


def prepare(shards: Sequence[Shard], job: Job) -> Plan:
    """Determines what is left to do from what is in the folder. Also checks that parts of different
    jobs do not mix."""
    if not shards:
        raise RequestError("there are no shards")
    job = job.resolved()
    output = os.fspath(job.output)
    _store.make_folder(output)
    there = _store.list_folder(output)
    if SETTINGS in there:
        _check_same(job, json.loads(_store.read(_store.join(output, SETTINGS))))
    names = {part_name(shard, job.fingerprint): shard for shard in shards}
    if len(names) != len(shards):
        raise RequestError("a shard is listed twice")
    others = sorted(name for name in there if name.endswith(".parquet") and name not in names)
    if others:
        raise RequestError(
            f"'{output}' has {len(others)} parts that belong to no shard of this run, such as "
            f"'{others[0]}': a shard whose file has changed gets a new part, so delete the old "
            "one, or write to another folder"
        )
    if SETTINGS not in there:
        text = json.dumps(job.settings(), sort_keys=True, indent=1)
        _store.write_atomic(output, SETTINGS, text.encode())
    left = tuple(shard for name, shard in names.items() if name not in there)
    return Plan(job, tuple(shards), left)


def finish(plan: Plan, summaries: Iterable[Summary]) -> Report:
    """Waits for all shards, and marks the folder as complete if every part is there."""
    rows = failed = 0
    errors: list[Summary] = []
    for summary in summaries:
        if summary.error is not None:
            errors.append(summary)
        rows += summary.rows
        failed += summary.failed
    output = os.fspath(plan.job.output)
    there = _store.list_folder(output)
    missing = [s for s in plan.shards if part_name(s, plan.job.fingerprint) not in there]
    if missing:
        why = {summary.shard: summary.error for summary in errors}
        reason = why.get(missing[0].name) or "its worker did not finish"
        raise AttnFiqaError(
            f"{len(missing)} of {len(plan.shards)} shards have no part; start the run again to "
            f"retry them. The first is '{missing[0].location}': {reason}"
        )
    for name in filter(_store.is_temporary, there):
        _store.delete(output, name)
    if SUCCESS not in there:
        about = {"shards": len(plan.shards), "fingerprint": plan.job.fingerprint}
        _store.write_atomic(output, SUCCESS, json.dumps(about).encode())
    return Report(len(plan.shards), len(plan.shards) - len(plan.left), rows, failed)


def _check_same(job: Job, found: dict[str, object]) -> None:
    wanted = json.loads(json.dumps(job.settings()))
    if wanted == found:
        return
    keys = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    changes = ", ".join(f"{key} was {found.get(key)!r} and is {wanted.get(key)!r}" for key in keys)
    raise RequestError(
        f"'{os.fspath(job.output)}' holds parts of another job: {changes}. Use the earlier "
        "settings, or write to another folder"
    )
