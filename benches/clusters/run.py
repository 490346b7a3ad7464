"""Checks that a sharded set, scored by an engine whose workers and drivers are killed, gives the same
table as one run of the command line. Called by `benches/clusters/run`."""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
FACES = ROOT / "examples/faces"
FAIRFACE_TAR = ROOT / "../shared/data/fairface-aligned-112.tar"
#: Workers of each engine, with one thread each.
WORKERS = 2
#: Columns that are compared with the table of the command line.
COLUMNS = ["path", "status", "score", "quality"]
#: A small random network, so that most time is spent on starting, killing and resuming.
SMALL = ROOT / "golden/vit/tiny_p14_qkvbias.safetensors"
SMALL_HEADS = 5
#: The longest wait between a new part and the next kill, in seconds.
MAX_PAUSE = 3.0
#: A driver that takes longer than this for one round is considered hung, in seconds.
RUN_TIMEOUT = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--shards", type=int, default=120)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--engines", default="ray,daft,spark")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--builtin", action="store_true", help="score by the built-in model, not by a small one"
    )
    parser.add_argument("--folder", type=pathlib.Path, help="where the set and the parts are kept")
    # How a driver is called; not for users.
    parser.add_argument("--drive", nargs=3, metavar=("ENGINE", "SHARDS", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        engine, shards, output = arguments.drive
        drive(engine, shards, output, model(arguments.builtin))
        return
    with tempfile.TemporaryDirectory(prefix="attn-fiqa-clusters-") as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        print(f"{arguments.images} images in {arguments.shards} shards, {WORKERS} workers of one thread")
        shards = make_set(folder / "shards", arguments.images, arguments.shards)
        expected = reference(shards, folder / "expected.parquet", arguments.builtin)
        for engine in arguments.engines.split(","):
            run_with_kills(engine, shards, folder / engine, expected, arguments)
    print("every engine gave the rows of the command line")


def model(builtin: bool) -> dict[str, object]:
    """Job arguments that name the model."""
    return {} if builtin else {"model": str(SMALL), "heads": SMALL_HEADS}


def make_set(folder: pathlib.Path, images: int, shards: int) -> pathlib.Path:
    """Archives of aligned faces; the last one is cut in the middle, and the one before it contains
    a file that is not an image."""
    if folder.exists():
        return folder
    making = folder.with_name("making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    faces = crops()
    per_shard = -(-images // shards)
    for shard in range(shards):
        path = making / f"faces-{shard:05}.tar"
        with tarfile.open(path, "w") as tar:
            for index in range(min(per_shard, images - shard * per_shard)):
                name, data = next(faces)
                if shard == shards - 2 and index == 1:
                    data = b"\xff\xd8\xff\xe0 no image"
                member = tarfile.TarInfo(f"{index:06}{pathlib.PurePath(name).suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 100])
    making.rename(folder)
    return folder


def crops() -> Iterator[tuple[str, bytes]]:
    """An endless stream of aligned faces: real ones if available, otherwise variants of the examples."""
    while FAIRFACE_TAR.exists():
        with tarfile.open(FAIRFACE_TAR) as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                yield member.name, tar.extractfile(member).read()
    generator = np.random.default_rng(0)
    faces = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(FACES.glob("*.png"))]
    while True:
        face = faces[generator.integers(len(faces))].astype(np.int16)
        face = np.roll(face, generator.integers(-3, 4, 2), (0, 1)) + generator.integers(-20, 20, (1, 1, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(face, 0, 255).astype(np.uint8)).save(
            buffer, "JPEG", quality=int(generator.integers(40, 96))
        )
        yield "face.jpg", buffer.getvalue()


def reference(shards: pathlib.Path, output: pathlib.Path, builtin: bool) -> pa.Table:
    """The rows of one run of the command line."""
    if not output.exists():
        start = time.monotonic()
        paths = [str(path) for path in sorted(shards.iterdir())]
        named = [f"--{name}={value}" for name, value in model(builtin).items()]
        command = [sys.executable, "-m", "attn_fiqa", "score", "--aligned", *named, *paths]
        done = subprocess.run([*command, "--output", str(output), "--quiet"], check=False)
        if done.returncode not in (0, 1):
            sys.exit(f"the command line ended with status {done.returncode}")
        rows = pq.ParquetFile(output).metadata.num_rows
        seconds = time.monotonic() - start
        print(f"command line: {rows} rows in {seconds:.0f} s, {rows / seconds:.0f} images/s", flush=True)
    return ordered(pq.read_table(output))


def ordered(table: pa.Table) -> pa.Table:
    """Rows by path, with one type per column."""
    types = [pa.string(), pa.string(), pa.float32(), pa.int32()]
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    table = table.select(COLUMNS).cast(schema)
    # The command line writes -1 where a quality could not be computed.
    quality = [None if value == -1 else value for value in table["quality"].to_pylist()]
    return table.set_column(3, schema.field(3), pa.array(quality, pa.int32())).sort_by("path")


def run_with_kills(
    engine: str,
    shards: pathlib.Path,
    output: pathlib.Path,
    expected: pa.Table,
    arguments: argparse.Namespace,
) -> None:
    """Kills workers and drivers at random moments, and runs until all is done."""
    kills, generator = arguments.kills, random.Random(f"{engine}{arguments.seed}")
    command = [sys.executable, __file__, *(["--builtin"] if arguments.builtin else [])]
    shutil.rmtree(output, ignore_errors=True)
    left, runs, busy = ["worker" if n % 2 == 0 else "driver" for n in range(kills)], 0, 0.0
    killed = {"worker": 0, "driver": 0}
    log = output.with_suffix(".log")
    log.unlink(missing_ok=True)
    while True:
        runs += 1
        start = time.monotonic()
        with log.open("ab") as file:
            driver = subprocess.Popen(
                [*command, "--drive", engine, str(shards), str(output)],
                stdout=file, stderr=file, env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            )  # fmt: skip
        family: dict[int, psutil.Process] = {}
        try:
            status = watch(driver, output, left, killed, generator, family, start)
        finally:
            kill_descendants(driver, family)
        busy += time.monotonic() - start
        if status == 0:
            break
        if runs > 2 * kills + 2:
            sys.exit(f"{engine}: no run ended well; see {log}\n{log.read_text()[-3000:]}")
    if left:
        sys.exit(f"{engine}: the set was done before {left} could be killed: give more images")
    check(engine, output, expected, shards)
    print(
        f"{engine}: {expected.num_rows} rows as those of the command line, none missing or double; "
        f"killed {killed['worker']} workers and {killed['driver']} drivers, {runs} runs, {busy:.0f} s",
        flush=True,
    )


def watch(
    driver: subprocess.Popen[bytes],
    output: pathlib.Path,
    left: list[str],
    killed: dict[str, int],
    generator: random.Random,
    family: dict[int, psutil.Process],
    start: float,
) -> int:
    """Waits for a driver and starts killing once parts are written; each kill waits for a new part."""
    parts = count(output)
    pause = generator.uniform(0, MAX_PAUSE)
    while driver.poll() is None:
        if time.monotonic() - start > RUN_TIMEOUT:
            sys.exit("a run hangs")
        time.sleep(0.2)
        family.update((process.pid, process) for process in descendants(driver.pid))
        if not left or count(output) <= parts:
            continue
        time.sleep(pause)
        pause = generator.uniform(0, MAX_PAUSE)
        parts = count(output)
        if left[0] == "driver":
            if driver.poll() is None:
                family.update((process.pid, process) for process in descendants(driver.pid))
                driver.kill()
                killed[left.pop(0)] += 1
        elif workers := [p for p in descendants(driver.pid) if is_worker(p, driver.pid)]:
            victim = generator.choice(workers)
            os.kill(victim.pid, signal.SIGKILL)
            killed[left.pop(0)] += 1
    return driver.wait()


def count(output: pathlib.Path) -> int:
    return len(list(output.glob("part-*.parquet")))


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def is_worker(process: psutil.Process, driver: int) -> bool:
    """Whether a process is scoring images: it has loaded the native module and is busy."""
    try:
        maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
        return process.pid != driver and "_native.abi3" in maps and process.cpu_percent(0.3) > 5
    except (OSError, psutil.Error):
        return False


def kill_descendants(driver: subprocess.Popen[bytes], family: dict[int, psutil.Process]) -> None:
    """Ends what a dead driver leaves behind: only processes that it started, identified by process id
    and start time."""
    if driver.poll() is None:
        driver.kill()
        driver.wait()
    for process in family.values():
        try:
            if process.is_running():
                process.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(family.values(), timeout=30)


def check(engine: str, output: pathlib.Path, expected: pa.Table, shards: pathlib.Path) -> None:
    """Checks that the parts form one table with the rows of the command line."""
    about = json.loads((output / "_SUCCESS").read_text())
    if about["shards"] != len(list(shards.iterdir())) or about["shards"] != count(output):
        sys.exit(f"{engine}: {count(output)} parts, and {about} in _SUCCESS")
    found = ordered(pq.read_table(output))
    if found.equals(expected):
        statuses = found["status"].value_counts().to_pylist()
        print(f"{engine}: { ({s['values']: s['counts'] for s in statuses}) }")
        return
    paths = found["path"].to_pylist()
    missing = set(expected["path"].to_pylist()) - set(paths)
    double = len(paths) - len(set(paths))
    sys.exit(
        f"{engine}: {len(paths)} rows and not {expected.num_rows}; {len(missing)} missing, {double} double"
    )


def drive(engine: str, shards: str, output: str, named: dict[str, object]) -> None:
    """The driver: what a user would write."""
    from attn_fiqa import batch

    job = batch.Job(output, aligned=True, **named)
    found = batch.find_shards(shards)
    if engine == "ray":
        import ray
        from attn_fiqa.batch import ray as on_ray

        ray.init(num_cpus=WORKERS, include_dashboard=False, object_store_memory=200 << 20)
        report = on_ray.run(found, job, workers=WORKERS)
    elif engine == "daft":
        from attn_fiqa.batch import daft as on_daft

        report = on_daft.run(found, job, workers=WORKERS)
    elif engine == "spark":
        from attn_fiqa.batch import spark as on_spark
        from pyspark.sql import SparkSession

        # A task may fail three times before the job does.
        master = f"local[{WORKERS},4]"
        session = SparkSession.builder.master(master).config("spark.ui.enabled", "false").getOrCreate()
        report = on_spark.run(session, found, job)
    else:
        sys.exit(f"no engine '{engine}'; expected ray, daft or spark")
    print(report)


if __name__ == "__main__":
    main()
