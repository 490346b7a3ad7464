"""Shards to parts, without an engine; `benches/clusters/run` covers the engines."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile

import attn_fiqa
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attn_fiqa import batch
from attn_fiqa.batch import _store
from conftest import FACES, ROOT


@pytest.fixture
def images(names) -> list[tuple[str, bytes]]:
    return [(f"{index}-{path.name}", path.read_bytes()) for index, path in enumerate(names[:6])]


def write_tar(path: pathlib.Path, images) -> pathlib.Path:
    with tarfile.open(path, "w") as tar:
        for name, data in images:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def tars(tmp_path, images) -> pathlib.Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(3):
        write_tar(folder / f"faces-{shard:03}.tar", images[2 * shard : 2 * shard + 2])
    return folder


def table(folder: pathlib.Path) -> pa.Table:
    """All parts, as a reader of data sets sees them."""
    return pq.read_table(folder)


def names_of(shards) -> list[str]:
    return [pathlib.Path(shard.location).name for shard in shards]


def test_shards_are_scored_into_one_dataset(tmp_path, tars, scorer):
    output = tmp_path / "out"
    job = batch.Job(output, aligned=True)
    shards = batch.find_shards(tars / "faces-{000..002}.tar")
    seen = []
    report = batch.run(shards, job, threads=1, on_shard=seen.append)
    assert report == batch.Report(shards=3, found=0, rows=6, failed=0)
    assert [summary.rows for summary in seen] == [2, 2, 2]
    found = table(output).sort_by("path")
    expected = pa.table(scorer.score_files([s.location for s in shards], aligned=True).to_arrow())
    assert found.to_pylist() == expected.sort_by("path").to_pylist()
    assert duckdb.sql(f"SELECT count(*) FROM '{output}/*.parquet'").fetchall() == [(6,)]
    part = sorted(output.glob("part-*.parquet"))[0]
    metadata = pq.read_schema(part).metadata
    assert metadata[b"attn_fiqa.version"].decode() == attn_fiqa.__version__
    assert metadata[b"attn_fiqa.precision"] == b"f32"
    assert pq.ParquetFile(part).metadata.row_group(0).column(0).compression == "ZSTD"
    assert json.loads((output / "_SUCCESS").read_text())["shards"] == 3


def test_resumed_run_rewrites_only_missing_parts(tmp_path, tars):
    output, job = tmp_path / "out", batch.Job(tmp_path / "out", aligned=True)
    shards = batch.find_shards(tars)
    assert names_of(shards) == [f"faces-00{index}.tar" for index in range(3)]
    batch.run(shards, job)
    before = {path.name: path.read_bytes() for path in output.glob("part-*")}
    (output / "_SUCCESS").unlink()
    sorted(output.glob("part-*"))[1].unlink()
    (output / ".part-x.parquet.0123.tmp").write_bytes(b"half")
    report = batch.run(shards, job)
    assert (report.found, report.rows) == (2, 2)
    assert {path.name: path.read_bytes() for path in output.glob("part-*")} == before
    assert {path.name for path in output.iterdir()} - set(before) == {"_SUCCESS", "_attn_fiqa.json"}
    assert batch.run(shards, job).found == 3


def test_filter_command_reads_parts(tmp_path, tars, command):
    batch.run(batch.find_shards(tars), batch.Job(tmp_path / "out", aligned=True))
    listed = command("filter", tmp_path / "out", "--top", 2, "--group-by", "all").splitlines()
    rows = table(tmp_path / "out").sort_by([("quality", "descending"), ("score", "descending")])
    assert sorted(listed) == sorted(rows["path"].to_pylist()[:2])


def test_killed_run_keeps_completed_parts(tmp_path, tars):
    program = (
        "import sys, os, signal\n"
        "from attn_fiqa import batch\n"
        "shards = batch.find_shards(sys.argv[1])\n"
        "job = batch.Job(sys.argv[2], aligned=True)\n"
        "die = lambda summary: os.kill(os.getpid(), signal.SIGKILL)\n"
        "batch.run(shards, job, threads=1, on_shard=die)\n"
    )
    output = tmp_path / "out"
    for killed in range(1, 4):
        arguments = [sys.executable, "-c", program, str(tars), str(output)]
        ended = subprocess.run(arguments, capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert len(list(output.glob("part-*.parquet"))) == killed
    report = batch.run(batch.find_shards(tars), batch.Job(output, aligned=True))
    assert (report.found, report.rows) == (3, 0)
    assert table(output).num_rows == 6


def test_mismatched_settings_are_rejected(tmp_path, tars):
    shards, job = batch.find_shards(tars), batch.Job(tmp_path / "out", aligned=True)
    batch.run(shards, job)
    with pytest.raises(attn_fiqa.RequestError, match="aligned was True and is False"):
        batch.run(shards, dataclasses.replace(job, aligned=False))
    with pytest.raises(attn_fiqa.RequestError, match="belong to no shard of this run"):
        batch.run(shards[:2], job)
    write_tar(tars / "faces-001.tar", [("a.png", (FACES / "blur-1.png").read_bytes())] * 9)
    with pytest.raises(attn_fiqa.RequestError, match="faces-001.tar"):
        batch.run(batch.find_shards(tars), job)
    assert job.resolved().fingerprint != dataclasses.replace(job, maps=True).resolved().fingerprint
    assert job.resolved().fingerprint == dataclasses.replace(job, output="x").resolved().fingerprint


def test_corrupt_archives_and_images_become_rows(tmp_path, tars, images):
    whole = (tars / "faces-001.tar").read_bytes()
    (tars / "faces-001.tar").write_bytes(whole[: 512 + len(images[2][1]) // 2])
    (tars / "faces-003.tar").write_bytes(b"no archive")
    write_tar(tars / "faces-004.tar", [("a.jpg", b"\xff\xd8\xff no image"), images[0]])
    report = batch.run(batch.find_shards(tars), batch.Job(tmp_path / "out", aligned=True))
    assert report.shards == 5 and report.failed >= 3
    rows = table(tmp_path / "out").to_pylist()
    statuses = {}
    for row in rows:
        statuses.setdefault(pathlib.Path(row["path"].split(".tar")[0]).name, []).append(row["status"])
    assert statuses["faces-000"] == statuses["faces-002"] == ["ok", "ok"]
    assert statuses["faces-001"][-1] == statuses["faces-003"][0] == "broken-archive"
    assert statuses["faces-004"] == ["broken-image", "ok"]


def test_unreadable_shard_is_retried_on_rerun(tmp_path, tars):
    shards, job = batch.find_shards(tars), batch.Job(tmp_path / "out", aligned=True)
    hidden = tars / "faces-001.tar"
    hidden.rename(tmp_path / "away")
    with pytest.raises(attn_fiqa.AttnFiqaError, match="1 of 3 shards have no part.*faces-001.tar"):
        batch.run(shards, job)
    assert not (tmp_path / "out/_SUCCESS").exists()
    (tmp_path / "away").rename(hidden)
    hidden.write_bytes(hidden.read_bytes() + b"\0" * 512)
    with pytest.raises(attn_fiqa.AttnFiqaError, match="bytes when the run was planned"):
        batch.run(shards, job)
    hidden.write_bytes(hidden.read_bytes()[:-512])
    assert batch.run(shards, job).found == 2


def hugging_face(images, **more) -> pa.Table:
    cells = [{"bytes": data, "path": name} for name, data in images]
    return pa.table({"image": cells, **more})


def test_parquet_image_column_is_scored(tmp_path, images, scorer):
    cells = [*images, ("none.png", None)]
    pq.write_table(hugging_face(cells), tmp_path / "a.parquet", row_group_size=3)
    plain = pa.table({"jpg": [data for _, data in images], "id": [f"id{i}" for i in range(6)]})
    pq.write_table(plain, tmp_path / "b.parquet")
    job = batch.Job(tmp_path / "out", aligned=True)
    report = batch.run(batch.find_shards(tmp_path / "a.parquet", column="image"), job)
    assert (report.rows, report.failed) == (7, 1)
    rows = table(tmp_path / "out")
    expected = pa.table(scorer.score_encoded(cells, aligned=True).to_arrow())
    assert rows.to_pylist() == expected.to_pylist()
    assert rows["path"].to_pylist() == [name for name, _ in cells]

    other = dataclasses.replace(job, output=tmp_path / "other")
    batch.run(batch.find_shards(tmp_path / "b.parquet", column="jpg"), other)
    paths = table(tmp_path / "other")["path"].to_pylist()
    assert [path.rsplit("b.parquet", 1)[1] for path in paths] == [f"#{i}" for i in range(6)]
    named = batch.find_shards(tmp_path / "b.parquet", column="jpg", name_column="id")
    batch.run(named, dataclasses.replace(job, output=tmp_path / "named"))
    assert table(tmp_path / "named")["path"].to_pylist() == [f"id{i}" for i in range(6)]


def test_corrupt_parquet_files_become_rows(tmp_path, images):
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(hugging_face(images), folder / "a.parquet", row_group_size=2, compression="none")
    whole = (folder / "a.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(whole[:-100])
    (folder / "c.parquet").write_bytes(b"")
    pq.write_table(pa.table({"x": [1]}), folder / "d.parquet")
    pq.write_table(pa.table({"image": [1, 2]}), folder / "e.parquet")
    middle = bytearray(whole)
    start = pq.ParquetFile(folder / "a.parquet").metadata.row_group(1).column(0).data_page_offset
    middle[start : start + 20] = b"\xff" * 20
    (folder / "f.parquet").write_bytes(middle)
    job = batch.Job(tmp_path / "out", aligned=True)
    report = batch.run(batch.find_shards(folder, column="image"), job)
    assert report.shards == 6
    rows = table(tmp_path / "out").to_pylist()
    ok = [row for row in rows if row["status"] == "ok"]
    broken = {pathlib.Path(r["path"]).name: r for r in rows if r["status"] == "broken-archive"}
    assert len(ok) == 6 + 4 and sorted(broken) == [f"{letter}.parquet" for letter in "bcdef"]
    assert "there are: x" in broken["d.parquet"]["message"]
    assert "holds int64" in broken["e.parquet"]["message"]
    assert "2 images of row group 1" in broken["f.parquet"]["message"]


def test_image_list_is_split_into_shards(tmp_path, names, command):
    lines = [f"faces/{name.name}" for name in names[:7]] + ["faces/none*.png", "faces/missing.png 3"]
    shutil.copytree(FACES, tmp_path / "faces")
    text = "\ufeff" + "\r\n".join(lines[:4]) + "\n\n" + "\n".join(lines[4:])
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    shards = batch.split_list(tmp_path / "list.txt", 4, root=tmp_path)
    assert len(shards) == 3 and len(pickle.dumps(shards[0])) < 1000
    batch.run(shards, batch.Job(tmp_path / "out"))
    rows = table(tmp_path / "out").to_pylist()
    listed = command("score", "--list", tmp_path / "list.txt", "--root", tmp_path, "--format", "jsonl")
    expected = [json.loads(line) for line in listed.splitlines()]
    assert [(r["path"], r["status"]) for r in rows] == [(r["path"], r["status"]) for r in expected]
    assert [r["status"] for r in rows[-2:]] == ["not-found", "not-found"]
    (tmp_path / "bad.txt").write_text("s3://bucket/a.jpg\n")
    with pytest.raises(attn_fiqa.RequestError, match="pack objects of a store"):
        batch.split_list(tmp_path / "bad.txt")
    (tmp_path / "bad.txt").write_text("a.jpg\n", encoding="utf-16")
    with pytest.raises(attn_fiqa.RequestError, match="UTF-8"):
        batch.split_list(tmp_path / "bad.txt")
    (tmp_path / "bad.txt").write_text("\n\n")
    with pytest.raises(attn_fiqa.RequestError, match="empty"):
        batch.split_list(tmp_path / "bad.txt")


def test_shard_patterns_are_expanded(tmp_path):
    for name in ["a-0.tar", "a-1.tar", "a-10.tar", "b x.tar", "{0..1}.tar", "c.zip", "no.txt"]:
        (tmp_path / name).write_bytes(b"")

    def found(*patterns):
        return names_of(batch.find_shards([tmp_path / pattern for pattern in patterns]))

    assert found("a-{0..1}.tar") == ["a-0.tar", "a-1.tar"]
    assert found("a-{1,10}.tar", "c.zip") == ["a-1.tar", "a-10.tar", "c.zip"]
    assert found("a-?.tar") == ["a-0.tar", "a-1.tar"]
    assert found("a-*.tar") == ["a-0.tar", "a-1.tar", "a-10.tar"]
    assert names_of(batch.find_shards(tmp_path)) == sorted(set(os.listdir(tmp_path)) - {"no.txt"})
    for wrong, why in [("a-{0..2}.tar", "a-2.tar"), ("x*.tar", "matches"), ("no.txt", "archive")]:
        with pytest.raises(attn_fiqa.RequestError, match=why):
            found(wrong)
    with pytest.raises(attn_fiqa.RequestError, match="listed twice"):
        found("a-0.tar", "a-*.tar")
    with pytest.raises(attn_fiqa.RequestError, match="range"):
        found("a-{5..1}.tar")
    with pytest.raises(attn_fiqa.RequestError, match="column"):
        batch.find_shards(tmp_path, name_column="x")
    parts = {shard.name for shard in batch.find_shards(tmp_path)}
    assert len(parts) == 6 and all("/" not in name and " " not in name for name in parts)


def test_worker_rejects_unresolved_or_mismatched_job(tmp_path, tars, monkeypatch):
    [shard, *_] = batch.find_shards(tars)
    job = batch.Job(tmp_path / "out", aligned=True)
    with pytest.raises(attn_fiqa.RequestError, match="not resolved"):
        batch.score_shard(shard, job)
    job = job.resolved()
    assert job == pickle.loads(pickle.dumps(job))
    with pytest.raises(attn_fiqa.RequestError, match="different version.*expected 0.0"):
        batch.score_shard(shard, dataclasses.replace(job, digests=(("version", "0.0"),)))
    model = ROOT / "models/detector.onnx"
    shutil.copy(model, tmp_path / "d.onnx")
    job = batch.Job(tmp_path / "out", detector=tmp_path / "d.onnx").resolved()
    (tmp_path / "d.onnx").write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(attn_fiqa.RequestError, match="different file of the detector"):
        batch.score_shard(shard, job)


def test_resolving_a_job_fixes_auto_precision(tmp_path):
    job = batch.Job(tmp_path / "out", precision="auto").resolved()
    assert job.precision == attn_fiqa.Scorer(precision="auto").precision != "auto"
    assert job.settings()["precision"] == job.precision


def test_invalid_jobs_are_rejected_before_any_work(tmp_path, tars):
    shards = batch.find_shards(tars)
    for wrong in [{"precision": "f16"}, {"max_faces": 0}, {"methods": ["no"]}, {"model": "s3://a/b"}]:
        with pytest.raises((attn_fiqa.RequestError, attn_fiqa.ModelError)):
            batch.run(shards, batch.Job(tmp_path / "out", **wrong))
    with pytest.raises(attn_fiqa.RequestError, match="no shards"):
        batch.run([], batch.Job(tmp_path / "out"))
    with pytest.raises(attn_fiqa.RequestError, match="not in a store"):
        batch.run(shards, batch.Job("nowhere://out"))
    assert not (tmp_path / "out").exists()


def test_failed_write_keeps_existing_part(tmp_path, monkeypatch):
    folder = str(tmp_path)
    _store.write_atomic(folder, "a", b"one")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space")))
    _store.write_atomic(folder, "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    with pytest.raises(OSError, match="no space"):
        _store.write_atomic(folder, "b", b"two")
    assert os.listdir(tmp_path) == ["a"]


def test_batch_imports_without_engines(tmp_path):
    program = (
        "import sys; sys.modules['ray'] = sys.modules['daft'] = sys.modules['pyspark'] = None\n"
        "import attn_fiqa.batch.ray, attn_fiqa.batch.daft, attn_fiqa.batch.spark\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    program = "import sys; sys.modules['pyarrow'] = None; import attn_fiqa.batch"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install attn-fiqa[batch]" in done.stderr


def test_encoded_images_are_scored(scorer, images, photo):
    rows = list(scorer.score_encoded(images, aligned=True, embeddings=True))
    assert [row.path for row in rows] == [name for name, _ in images]
    assert all(row.face.embedding.shape == (128,) for row in rows)
    assert [r.status for r in scorer.score_encoded([("a", None), ("b", b"x")])] == ["not-an-image"] * 2
    assert list(scorer.score_encoded([])) == []
    assert list(scorer.score_encoded([("a", None)], on_error="skip")) == []
    for wrong in [5, [5], [("a", 5)], [("a", photo)], [(5, b"x")], ["ab"]]:
        with pytest.raises((attn_fiqa.RequestError, TypeError)):
            scorer.score_encoded(wrong)
    array = np.frombuffer(images[0][1], np.uint8).tobytes()
    assert next(scorer.score_encoded([("a", bytearray(array))])).status == "ok"
