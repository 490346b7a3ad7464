"""Shards on a Spark cluster, with ``mapInArrow``: ``pip install attn-fiqa[spark]``."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ._arrow import load
from ._job import Job
from ._run import Report, finish, prepare
from ._shards import Shard
from ._work import Summary, as_arrow, try_score_shard

__all__ = ["run"]

_SCHEMA = "shard string, rows long, failed long, seconds double, error string"


def run(spark: Any, shards: Sequence[Shard], job: Job) -> Report:
    """Processes shards, one per Spark task. A worker has as many threads as a task has CPUs:
    ``spark.task.cpus``.

    If a task fails, Spark gives it to another executor. If the driver dies, start it again.

    :param spark: a `SparkSession`.
    :raises AttnFiqaError: as `attn_fiqa.batch.run`.
    """
    plan = prepare(shards, job)

    def results() -> Iterator[Summary]:
        if not plan.left:
            return
        rows = [(bytearray(pickle.dumps(shard)),) for shard in plan.left]
        data = spark.createDataFrame(rows, "shard binary").repartition(len(rows))
        done = data.mapInArrow(_mapper(plan.job), _SCHEMA)
        # An iterator over partitions would run them one by one.
        for row in done.collect():
            yield Summary(row.shard, row.rows, row.failed, row.seconds, row.error)

    return finish(plan, results())


def _mapper(job: Job) -> Callable[[Iterator[Any]], Iterator[Any]]:
    def score(batches: Iterator[Any]) -> Iterator[Any]:
        context = load("pyspark", "spark").TaskContext.get()
        for batch in batches:
            for packed in batch.column("shard").to_pylist():
                summary = try_score_shard(pickle.loads(packed), job, context.cpus())
                yield as_arrow([summary]).to_batches()[0]

    return score
