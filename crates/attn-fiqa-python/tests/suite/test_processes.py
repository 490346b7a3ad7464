"""Children of a process that has loaded a model."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings

import attn_fiqa
import numpy as np
import pytest
from attn_fiqa import evaluation
from conftest import FACES, PHOTO

#: For children that inherit it by fork, without the parent's threads.
INHERITED = attn_fiqa.Scorer(threads=2)


def score_with_inherited(index: int) -> tuple[float, list[float]]:
    crops = np.stack([INHERITED.score(PHOTO)[0].crop] * 3)
    return INHERITED.score(PHOTO)[0].score, INHERITED.score_aligned(crops, color="rgb").score.tolist()


def score_with_pickled(arguments: tuple[attn_fiqa.Scorer, str]) -> attn_fiqa.Face:
    scorer, path = arguments
    return scorer.score(path)[0]


def count_file_rows(scorer: attn_fiqa.Scorer) -> int:
    return len(scorer.score_files(FACES).to_arrow())


class Photos:
    """A PyTorch data set."""

    def __init__(self) -> None:
        self.scorer = attn_fiqa.Scorer(threads=1)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> float:
        return self.scorer.score(PHOTO)[0].score


def area(seed: int) -> float | None:
    rng = np.random.default_rng(seed)
    mated = rng.random(1000) < 0.5
    return evaluation.pauc(rng.random(1000), rng.uniform(-1, 1, 1000), mated, fmr=0.01)


@pytest.fixture(autouse=True)
def quiet_forks():
    """Python warns about every fork with threads, which is what is tested here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_processes_match_parent_scores(method):
    expected = INHERITED.score(PHOTO)[0]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        faces = pool.map_async(score_with_pickled, [(INHERITED, str(PHOTO))] * 4).get(timeout=120)
        rows = pool.map_async(count_file_rows, [INHERITED] * 2).get(timeout=120)
    assert [face.score for face in faces] == [expected.score] * 4
    assert faces[0].to_dict() == expected.to_dict()
    assert rows == [36, 36]


def test_forked_child_uses_inherited_scorer():
    expected = score_with_inherited(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(score_with_inherited, range(4)).get(timeout=120)
    assert found == [expected] * 4
    assert score_with_inherited(0) == expected, "the parent goes on"


def from_child(work) -> tuple[object, int | None]:
    """What a forked child sends, and its exit code; fails if it hangs."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work()))
    process.start()
    try:
        assert receiver.poll(120), "the child hangs"
        found = receiver.recv()
        process.join(60)
        return found, process.exitcode
    finally:
        process.kill()


def test_nested_fork_works():
    def child():
        return score_with_inherited(0), from_child(lambda: score_with_inherited(0))

    expected = score_with_inherited(0)
    assert from_child(child) == ((expected, (expected, 0)), 0)


def test_fork_during_scoring_does_not_hang():
    ended = threading.Event()

    def work():
        while not ended.is_set():
            INHERITED.score(PHOTO)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                assert pool.map_async(score_with_inherited, [0]).get(timeout=120) == [score_with_inherited(0)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_evaluation_works_after_fork():
    expected = area(1)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(area, [1, 1, 1]).get(timeout=120) == [expected] * 3


def test_process_pool_executor(crops):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        scores = list(pool.map(score_with_pickled, [(INHERITED, str(PHOTO))] * 3, timeout=120))
    assert len({face.score for face in scores}) == 1


def test_rows_cannot_be_read_in_another_process():
    rows = INHERITED.score_files([FACES] * 20)
    next(rows)

    def child():
        with pytest.raises(attn_fiqa.RequestError) as refusal:
            next(rows)
        rows.close()
        return str(refusal.value)

    message, exitcode = from_child(child)
    assert "belong to the process" in message
    assert exitcode == 0
    assert next(rows).status == "ok"
    rows.close()
    with pytest.raises(TypeError):
        pickle.dumps(rows)


def test_a_scorer_is_pickled_by_its_arguments():
    scorer = attn_fiqa.Scorer(precision="bf16", threads=1, methods=["attn", "attn-calibrated"])
    copy = pickle.loads(pickle.dumps(scorer))
    assert repr(copy) == repr(scorer) and "bf16" in repr(copy)
    assert copy.score(PHOTO)[0].scores == scorer.score(PHOTO)[0].scores


def test_interpreter_exits_with_unfinished_run():
    program = f"""
import attn_fiqa
scorer = attn_fiqa.Scorer()
rows = scorer.score_files([{str(FACES)!r}] * 1000)
next(rows)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sub-interpreters came with Python 3.12")
def test_subinterpreters_are_rejected():
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    inner = interpreters.create()
    try:
        failure = interpreters.run_string(inner, "import attn_fiqa._native")
        assert failure is not None and "interpreter" in str(failure)
    except interpreters.RunFailedError as error:
        assert "interpreter" in str(error)
    finally:
        interpreters.destroy(inner)


@pytest.mark.skipif(
    "ATTN_FIQA_TORCH" not in os.environ,
    reason="ATTN_FIQA_TORCH is not set: PyTorch is large, so its DataLoader is tested on request",
)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_torch_data_loader_workers(method):
    import torch
    from torch.utils.data import DataLoader

    expected = np.float32(INHERITED.score(PHOTO)[0].score)
    loader = DataLoader(Photos(), batch_size=2, num_workers=2, multiprocessing_context=method)
    found = [value for batch in loader for value in batch.tolist()]
    assert np.float32(found).tolist() == [expected] * 8
    tensor = torch.from_numpy(np.stack([INHERITED.score(PHOTO)[0].crop]))
    assert INHERITED.score_aligned(tensor, color="rgb").score[0] == expected
