#!/usr/bin/env python3
"""Reads a data set with pyarrow, DuckDB and polars, and compares it with CSV rows.

    read_data_set.py FOLDER SCORES.csv

FOLDER was written by `attn-fiqa score … --columns map,embedding --output FOLDER/`, and SCORES.csv
has the rows of the same inputs. Needs `pip install pyarrow duckdb polars`.
"""

import csv
import glob
import pathlib
import sys

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet


def main(folder, scores):
    with open(scores, newline="", encoding="utf-8") as file:
        expected = [(row["path"], row["status"]) for row in csv.DictReader(file)]
    assert pathlib.Path(folder, "_SUCCESS").exists(), "no _SUCCESS"

    table = pyarrow.dataset.dataset(folder, format="parquet").to_table()
    rows = list(zip(table["path"].to_pylist(), table["status"].to_pylist()))
    assert rows == expected, "pyarrow: other rows"
    embedding, received = table.schema.field("embedding").type, table.schema.field("map").type
    assert pyarrow.types.is_fixed_size_list(embedding), embedding
    assert pyarrow.types.is_list(received), received
    lengths = {len(value) for value in table["embedding"].to_pylist() if value is not None}
    assert lengths == {embedding.list_size}, lengths

    files = sorted(glob.glob(f"{folder}/*.parquet"))
    for file in files:
        metadata = pyarrow.parquet.read_metadata(file)
        about = {key.decode(): value.decode() for key, value in metadata.metadata.items()}
        names = ["version", "model", "calibration", "precision", "instruction_set"]
        missing = [name for name in names if not about.get(f"attn_fiqa.{name}")]
        assert not missing, f"{file}: {missing} are not in the metadata"
        assert metadata.row_group(0).column(0).compression == "ZSTD", file

    found = duckdb.sql(f"SELECT path, status FROM '{folder}/*.parquet'").fetchall()
    assert sorted(found) == sorted(expected), "DuckDB: other rows"

    frame = polars.read_parquet(f"{folder}/*.parquet")
    assert frame.select("path", "status").rows() == expected, "polars: other rows"
    assert frame.schema["embedding"] == polars.Array(polars.Float32, embedding.list_size)
    print(
        f"{len(expected)} rows in {len(files)} files: pyarrow {pyarrow.__version__}, "
        f"DuckDB {duckdb.__version__}, polars {polars.__version__}; {embedding}, {received}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
