"""Large sets in shards: one shard in, one Parquet part out.

    from attn_fiqa import batch

    job = batch.Job("s3://bucket/scores", precision="f32", aligned=True)
    report = batch.run(batch.find_shards("s3://bucket/faces-{000..999}.tar"), job)

A shard is a tar or zip archive, a Parquet file with a column of encoded images, or a part of a
list of paths. Its part is named by the shard and by a fingerprint of everything that decides
scores, and appears only when it is complete. So a run that was killed is continued by starting it
again: what is there is not computed again, and nothing is double.

`run` works through shards in this process. `attn_fiqa.batch.ray`, `attn_fiqa.batch.daft` and
`attn_fiqa.batch.spark` have the same function on a cluster; only names of shards and counts pass
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
