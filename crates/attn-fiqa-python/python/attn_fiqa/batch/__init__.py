"""Large sets in shards: one shard in, one Parquet part out.

    from attn_fiqa import batch

    job = batch.Job("s3://bucket/scores", precision="f32", aligned=True)
    report = batch.run(batch.find_shards("s3://bucket/faces-{000..999}.tar"), job)

A shard is a tar or zip archive, a Parquet file with a column of encoded images, or a part of a list
of paths. Its part is named after the shard and a fingerprint of everything that affects scores, and
appears only when it is complete. To continue a run that was killed, start it again: existing parts
are not recomputed, and nothing is duplicated.

`run` processes shards in this process. `attn_fiqa.batch.ray`, `attn_fiqa.batch.daft` and
`attn_fiqa.batch.spark` have the same function for a cluster; only shard names and counts pass
through the engine, never images. The package needs pyarrow: ``pip install attn-fiqa[batch]``.
"""

from ._job import Job
from ._run import Report, Summary, run
from ._shards import Shard, find_shards, split_list
from ._work import score_shard

__all__ = [
    "Job",
    "Report",
    "Shard",
    "Summary",
    "find_shards",
    "run",
    "score_shard",
    "split_list",
]
