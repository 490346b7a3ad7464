"""The package itself: types, command, models, documents."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tarfile

import attn_fiqa
import numpy as np
import pytest
from conftest import FACES, PHOTO, ROOT


def test_public_names_and_exception_hierarchy():
    for name in attn_fiqa.__all__:
        assert hasattr(attn_fiqa, name)
    assert issubclass(attn_fiqa.NoFaceError, attn_fiqa.ImageError)
    for error in (attn_fiqa.ModelError, attn_fiqa.ImageError, attn_fiqa.RequestError):
        assert issubclass(error, attn_fiqa.AttnFiqaError) and error.__module__ == "attn_fiqa"
    assert attn_fiqa.Scorer.__module__ == attn_fiqa.Face.__module__ == "attn_fiqa"


def test_stubs_match_module(tmp_path):
    allowed = tmp_path / "allowed"
    # The checker treats an alias of Literal as a Union.
    aliases = ("Band", "Color", "CropOrigin", "Precision")
    allowed.write_text("attn_fiqa.__main__\n" + "".join(f"attn_fiqa.types.{a}\n" for a in aliases))
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "attn_fiqa", "--allowlist", str(allowed),
         "--ignore-unused-allowlist"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(pathlib.Path(attn_fiqa.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_command_line_entry_point(command):
    assert command("--version").split()[1] == attn_fiqa.__version__
    assert "quality" in command("score", PHOTO, "--format", "csv").splitlines()[0]
    done = subprocess.run(
        [sys.executable, "-m", "attn_fiqa", "score", "no-such-file.png"], capture_output=True, check=False
    )
    assert done.returncode == 1
    done = subprocess.run([sys.executable, "-m", "attn_fiqa", "scores"], capture_output=True, check=False)
    assert done.returncode == 2


def test_console_script_loads():
    try:
        [script] = importlib.metadata.entry_points(group="console_scripts", name="attn-fiqa")
    except ValueError:
        pytest.skip("the package is not installed from a wheel")
    assert callable(script.load())


def test_list_models_and_pull_unknown_model():
    models = attn_fiqa.models.list_models()
    assert any("built" in str(model) for model in models)
    with pytest.raises(attn_fiqa.ModelError, match="no-such-model"):
        attn_fiqa.models.pull("no-such-model")


def test_calibrate_writes_a_usable_model(tmp_path, crops):
    from PIL import Image

    faces = tmp_path / "faces"
    faces.mkdir()
    rng = np.random.default_rng(0)
    for index in range(24):
        crop = crops[0].astype(int) + rng.integers(-20, 20, (1, 1, 3)) + index
        Image.fromarray(np.clip(np.roll(crop, index % 5, axis=1), 0, 255).astype(np.uint8)).save(
            faces / f"{index}.png"
        )
    output = tmp_path / "mine.safetensors"
    table = attn_fiqa.calibrate(faces, output, limit=24, fmr=0.1)
    assert table.splitlines()[0].startswith("kind")
    [face] = attn_fiqa.Scorer(output).score(PHOTO)
    assert face.quality is not None
    with pytest.raises(attn_fiqa.RequestError):
        attn_fiqa.calibrate(tmp_path / "none", output)


def test_import_loads_no_optional_packages():
    program = "import attn_fiqa, sys; print(sorted({'PIL', 'cv2', 'torch', 'tqdm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_memory_stays_flat(scorer, photo, crops):
    """20,000 calls with ATTN_FIQA_LONG=1; otherwise as many as a short test has time for."""
    resource = pytest.importorskip("resource")
    calls = 20_000 if "ATTN_FIQA_LONG" in os.environ else 300
    small = np.ascontiguousarray(photo[40:220, 130:310])

    def call(index: int) -> None:
        if index % 4 == 0:
            [face] = scorer.score(small, color="rgb", maps=True)
            face.map, face.crop, face.landmarks, face.to_dict()
        else:
            scorer.score_aligned(crops[:1], color="rgb", maps=True)
        if index % 10 == 0:
            scorer.score(small, color="rgb", landmarks=face.landmarks if index % 4 == 0 else np.ones((5, 2)))
        if index % 25 == 0:
            list(scorer.score_files(FACES / "blur-1.png"))
            with pytest.raises(attn_fiqa.ImageError):
                scorer.score(b"no image")

    def resident() -> int:
        pages = pathlib.Path("/proc/self/statm")
        if pages.exists():
            return int(pages.read_text().split()[1]) * resource.getpagesize()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    for index in range(100):
        call(index)
    before = resident()
    for index in range(calls):
        call(index)
    grown = resident() - before
    assert grown < 8 << 20, f"{grown} bytes more after {calls} calls"


def test_python_examples_in_docs_run(tmp_path, monkeypatch, scorer, photo):
    """In one session per page, as a reader would."""
    cv2 = pytest.importorskip("cv2")
    stand_ins(monkeypatch, scorer)
    monkeypatch.chdir(tmp_path)
    blue = photo[..., ::-1]
    cv2.imwrite("photo.jpg", blue)
    cv2.imwrite("group.jpg", np.concatenate([blue, blue[:, ::-1]], axis=1))
    os.mkdir("photos")
    cv2.imwrite("photos/good.png", blue)
    (tmp_path / "photos/broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    video = cv2.VideoWriter("video.avi", cv2.VideoWriter_fourcc(*"MJPG"), 5, (512, 512))
    for blur in (9, 1, 15):
        video.write(np.ascontiguousarray(cv2.blur(blue, (blur, blur))))
    video.release()
    os.mkdir("shards")
    for shard in range(2):
        with tarfile.open(f"shards/faces-{shard:03}.tar", "w") as tar:
            tar.add(FACES / "blur-1.png", "a.png")
            tar.add(tmp_path / "photos/broken.jpg", "b.jpg")
    pages = ("docs/python.md", "docs/clusters.md", "crates/attn-fiqa-python/README.md")
    for page in map(ROOT.joinpath, pages):
        session: dict[str, object] = {"__name__": "__main__"}
        lines = page.read_text(encoding="utf-8").splitlines()
        starts = [number for number, line in enumerate(lines) if line == "```python"]
        assert starts
        for start in starts:
            length = lines[start + 1 :].index("```")
            code = "\n" * (start + 1) + "\n".join(lines[start + 1 : start + 1 + length])
            exec(compile(code, str(page), "exec"), session)
        if page.name == "python.md":
            check_results(session, tmp_path, photo)
        if page.name == "clusters.md":
            assert session["report"].rows == 4 and session["report"].failed == 2
            assert session["table"].num_rows == 4


def check_results(session, folder, photo):
    assert [path.name for path in (folder / "kept").iterdir()] == ["good.png"]
    assert (folder / "faces.png").exists() and (folder / "best.png").exists()
    assert len(session["result"].score) == 2 and len(session["found"]) == 2
    # The sharp frame.
    import cv2

    best = cv2.imread(str(folder / "best.png"))
    assert cv2.Laplacian(best, cv2.CV_64F).var() > cv2.Laplacian(cv2.blur(best, (5, 5)), cv2.CV_64F).var() * 2
    gate = session["gate"]
    assert gate((folder / "photo.jpg").read_bytes())[0] == 200
    assert gate(b"no image")[0] == 422
    import io

    from PIL import Image

    wall = io.BytesIO()
    Image.new("RGB", (200, 200)).save(wall, "PNG")
    assert gate(wall.getvalue())[0] == 404
    answers = []
    body = session["application"](
        {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}, lambda *a: answers.append(a)
    )
    assert answers[0][0].startswith("422") and b"error" in body[0]


def stand_ins(monkeypatch, scorer):
    """insightface and uniface download models: these stand-ins find faces with our detector and
    return them in the shapes of the two packages."""
    import types

    class FaceAnalysis:
        def prepare(self, ctx_id):
            pass

        def get(self, image):
            return [
                types.SimpleNamespace(bbox=face.bbox, kps=face.landmarks, det_score=face.confidence)
                for face in scorer.score(image, color="bgr")
            ]

    class RetinaFace:
        def detect(self, image):
            return [
                types.SimpleNamespace(landmarks=face.landmarks, bbox=face.bbox)
                for face in scorer.score(image, color="bgr")
            ]

    insightface = types.ModuleType("insightface")
    app = types.ModuleType("insightface.app")
    app.FaceAnalysis = FaceAnalysis
    uniface = types.ModuleType("uniface")
    uniface.RetinaFace = RetinaFace
    for name, module in [("insightface", insightface), ("insightface.app", app), ("uniface", uniface)]:
        monkeypatch.setitem(sys.modules, name, module)
