"""Shards on a Ray cluster, with Ray Data: ``pip install attn-fiqa[ray]``."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

from ._arrow import load, pa
from ._job import Job
from ._run import Report, finish, prepare
from ._shards import Shard
from ._work import Summary, as_arrow, process_scorer, try_score_shard

__all__ = ["run"]


class _Worker:
    """An actor of `map_batches`: it has its own scorer and gets one shard at a time."""

    def __init__(self, job: Job, threads: int) -> None:
        self.job, self.threads = job, threads
        # Loads the model. A machine that cannot compute the job is refused before it gets a shard.
        process_scorer(job, threads)

    def __call__(self, batch: Any) -> Any:
        shards = map(pickle.loads, batch.column("shard").to_pylist())
        return as_arrow([try_score_shard(shard, self.job, self.threads) for shard in shards])


def run(shards: Sequence[Shard], job: Job, *, workers: int, threads: int = 1) -> Report:
    """Processes shards on the cluster that Ray is connected to, or on this machine.

    If an actor dies, Ray restarts it and gives its shard to another one. If the driver dies, start
    it again.

    :param workers: number of actors.
    :param threads: threads per actor, which requests this many CPUs from Ray.
    :raises AttnFiqaError: as `attn_fiqa.batch.run`.
    """
    data = load("ray.data", "ray")
    plan = prepare(shards, job)

    def results() -> Iterator[Summary]:
        if not plan.left:
            return
        # Blocks in memory: a read stage would wait for a CPU that the actors hold.
        blocks = [pa.table({"shard": [pickle.dumps(shard)]}) for shard in plan.left]
        done = data.from_arrow(blocks).map_batches(
            _Worker,
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=threads,
            compute=data.ActorPoolStrategy(size=min(workers, len(plan.left))),
            fn_constructor_args=(plan.job, threads),
        )
        for row in done.iter_rows():
            yield Summary(**row)

    return finish(plan, results())
