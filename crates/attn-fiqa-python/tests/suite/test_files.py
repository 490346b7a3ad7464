"""Files to rows and tables."""

from __future__ import annotations

import pathlib
import shutil
import signal
import subprocess
import sys
import time

import attn_fiqa
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import FACES, PHOTO


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    shutil.copy(PHOTO, tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    shutil.copy(FACES / "blur-3.png", tmp_path / "c.png")
    return tmp_path


def test_rows_are_in_file_order(scorer, folder):
    paths = [folder, folder / "missing.png", str(FACES / "blur-1.png")]
    rows = list(scorer.score_files(paths))
    assert [row.status for row in rows] == ["ok", "broken-image", "ok", "not-found", "ok"]
    assert rows[0].face.bbox is not None and rows[0].size == (512, 512)
    assert rows[1].face is None and rows[1].message and rows[1].size is None
    assert rows[2].face.crop_origin == "aligned"
    assert "quality=" in repr(rows[0]) and "broken-image" in repr(rows[1])
    assert rows[0].face.score == scorer.score(PHOTO)[0].score


def test_errors_can_be_skipped_or_raised(scorer, folder):
    assert [row.status for row in scorer.score_files(folder, on_error="skip")] == ["ok", "ok"]
    rows = scorer.score_files(folder, on_error="raise")
    assert next(rows).status == "ok"
    with pytest.raises(attn_fiqa.ImageError) as caught:
        next(rows)
    assert caught.value.status == "broken-image" and caught.value.path.endswith("b.jpg")
    assert "b.jpg" in str(caught.value)
    assert list(rows) == []


def test_score_files_options(scorer, folder):
    aligned = list(scorer.score_files(folder, aligned=True))
    assert [row.status for row in aligned] == ["wrong-size", "broken-image", "ok"]
    inner = folder / "inner"
    inner.mkdir()
    shutil.copy(FACES / "blur-2.png", inner)
    assert len(list(scorer.score_files(folder))) == 4
    assert len(list(scorer.score_files(folder, recursive=False))) == 3
    rows = list(scorer.score_files(folder, batch=1, max_memory=200 << 20))
    assert [row.status for row in rows] == ["ok", "broken-image", "ok", "ok"]
    rows = list(scorer.score_files(folder, max_memory=1 << 16))
    assert "too-large" in {row.status for row in rows}


def test_arrow_table_converts_to_other_packages(scorer, folder):
    def table(**named):
        return scorer.score_files(folder, **named).to_arrow()

    own = table(maps=True, embeddings=True)
    assert len(own) == 3 and own.column_names[:4] == ["path", "face", "status", "score"]
    arrow = pa.table(own)
    assert arrow.column_names == own.column_names
    assert arrow["status"].to_pylist() == ["ok", "broken-image", "ok"]
    assert arrow["quality"].type == pa.int8() and arrow["quality"].null_count == 1
    assert len(arrow["map"][0].as_py()) == 196 and arrow["map"][1].as_py() is None
    assert len(arrow["embedding"][0].as_py()) == 128
    assert len(arrow["landmarks"][0].as_py()) == 10 and arrow["landmarks"][2].as_py() is None
    assert pa.schema(own) == arrow.schema
    # It can be read more than once.
    frame = pl.DataFrame(own)
    assert frame["score"][1] is None
    assert np.float32(frame["score"][0]) == np.float32(scorer.score(PHOTO)[0].score)
    pandas = pd.DataFrame.from_arrow(own)
    assert list(pandas["path"]) == frame["path"].to_list()
    assert duckdb.sql("select path from arrow where quality >= 0").fetchall() == [
        (path,) for path, quality in zip(arrow["path"].to_pylist(), [1, None, 1]) if quality
    ]
    assert "map" not in table().column_names
    rows = [row.to_dict() for row in scorer.score_files(folder)]
    assert [row["status"] for row in rows] == arrow["status"].to_pylist()
    assert set(rows[0]) == set(table().column_names)


def test_empty_table_has_columns(scorer, folder):
    rows = scorer.score_files(folder / "b.jpg", on_error="skip")
    table = pa.table(rows.to_arrow())
    assert table.num_rows == 0 and "quality" in table.column_names
    assert len(pl.DataFrame(scorer.score_files(folder / "b.jpg").to_arrow())) == 1


def test_table_spans_several_record_batches(scorer, tmp_path):
    """More than one record batch."""
    table = scorer.score_files([tmp_path / "missing.png"] * 4100).to_arrow()
    assert len(table) == len(pl.DataFrame(table)) == pa.table(table).num_rows == 4100


def test_run_can_be_closed_early(scorer):
    rows = scorer.score_files([FACES] * 50)
    assert next(rows).status == "ok"
    rows.close()
    assert list(rows) == []
    for _ in range(3):
        next(scorer.score_files([FACES] * 50))


def test_progress_counts_images(scorer, folder, capsys):
    rows = list(scorer.score_files(folder, progress=True))
    assert len(rows) == 3
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize("paths", [3, [3], None, [], [None], b"a.png", "no/such/folder/*.png"])
def test_invalid_paths_are_rejected(scorer, paths):
    with pytest.raises(attn_fiqa.RequestError):
        list(scorer.score_files(paths))


def test_ctrl_c_ends_a_run(tmp_path):
    program = f"""
import attn_fiqa, sys
scorer = attn_fiqa.Scorer()
rows = scorer.score_files([{str(FACES)!r}] * 1000)
print(next(rows).status, flush=True)
try:
    print(len(rows.to_arrow()))
except KeyboardInterrupt:
    print("interrupted", len(list(rows)), flush=True)
    sys.exit(7)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ok"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 7 and out.strip() == "interrupted 0"


def test_ctrl_c_ends_a_long_batch():
    program = """
import attn_fiqa, numpy, sys
scorer = attn_fiqa.Scorer()
crops = numpy.broadcast_to(numpy.full((112, 112, 3), 128, numpy.uint8), (10**6, 112, 112, 3))
print("ready", flush=True)
try:
    scorer.score_aligned(crops, color="rgb")
except KeyboardInterrupt:
    sys.exit(7)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 7
