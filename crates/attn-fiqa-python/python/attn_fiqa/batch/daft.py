"""Shards with Daft, on this machine or on its Ray runner: ``pip install attn-fiqa[daft]``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ._arrow import load
from ._job import Job
from ._run import Report, finish, prepare
from ._shards import Shard
from ._work import Summary, process_scorer, try_score_shard

__all__ = ["run"]


class _Worker:
    """An instance of a Daft class, in its own process and with its own scorer."""

    def __init__(self, job: Job, shards: Sequence[Shard], threads: int) -> None:
        self.job, self.shards, self.threads = job, shards, threads
        # Loads the model. A machine that cannot compute the job is refused before it gets a shard.
        process_scorer(job, threads)

    def __call__(self, index: int) -> str:
        return json.dumps(vars(try_score_shard(self.shards[index], self.job, self.threads)))


def run(shards: Sequence[Shard], job: Job, *, workers: int, threads: int = 1) -> Report:
    """Processes shards with Daft's runner.

    If a worker dies, the query ends; start the run again. Existing parts are kept.

    :param workers: number of processes.
    :param threads: threads per process, which requests this many CPUs from Daft.
    :raises AttnFiqaError: as `attn_fiqa.batch.run`.
    """
    daft = load("daft", "daft")
    plan = prepare(shards, job)

    def results() -> Iterator[Summary]:
        if not plan.left:
            return
        worker: Any = daft.cls(
            _Worker,
            cpus=threads,
            use_process=True,
            max_concurrency=min(workers, len(plan.left)),
        )(plan.job, plan.left, threads)
        data = daft.from_pydict({"id": list(range(len(plan.left)))})
        data = data.into_batches(1).select(worker(data["id"]).alias("summary"))
        for row in data.iter_rows():
            yield Summary(**json.loads(row["summary"]))

    return finish(plan, results())
