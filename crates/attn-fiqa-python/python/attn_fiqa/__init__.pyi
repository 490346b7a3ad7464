"""Face image quality from the attention of a face-recognition Vision Transformer.

    import attn_fiqa

    scorer = attn_fiqa.Scorer()
    for face in scorer.score("photo.jpg"):
        print(face.bbox, face.quality)

Arrays are ``uint8`` of shape (height, width, 3). The caller states the order of their channels:
``color="rgb"`` (PIL, imageio, matplotlib) or ``color="bgr"`` (OpenCV, insightface, uniface).
Coordinates are in pixels of the upright image; the centre of its top-left pixel is (0, 0).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import evaluation as evaluation
from . import models as models
from . import types as types
from ._calibrate import calibrate as calibrate
from ._errors import AttnFiqaError as AttnFiqaError
from ._errors import AttnFiqaWarning as AttnFiqaWarning
from ._errors import ImageError as ImageError
from ._errors import ModelError as ModelError
from ._errors import NoFaceError as NoFaceError
from ._errors import RequestError as RequestError
from .types import Band, Color, CropOrigin, Image, Path, PilImage, Pixels, Precision

__all__ = [
    "AlignedScores",
    "ArrowTable",
    "AttnFiqaError",
    "AttnFiqaWarning",
    "Face",
    "FileScore",
    "FileScores",
    "ImageError",
    "ModelError",
    "NoFaceError",
    "RequestError",
    "Scorer",
    "__version__",
    "align",
    "calibrate",
    "draw",
    "evaluation",
    "models",
    "overlay",
    "types",
]

__version__: str

@final
class Scorer:
    """A model and its threads. Create it once; every thread of a program can use it.

    Calls release the GIL. A scorer is pickled by its arguments. It also works in a forked or
    spawned child process, where it starts its own threads; pass ``threads=1`` if there is one
    worker per core.

    :param model: a checkpoint (``.safetensors``, the index of a sharded one, or PyTorch
        ``.pt``/``.pth`` in the zip format) or the name of a model; ``None`` for the built-in one.
    :param detector: an ONNX face detector with the outputs of YuNet or SCRFD; ``None`` for the
        built-in one.
    :param precision: the precision of the networks' matrix products; ``"auto"`` selects the fastest
        one on this machine that keeps the scores, and may differ between machines.
    :param threads: number of worker threads; ``None`` for one per core.
    :param methods: the scores of each face, such as ``["attn", "attn-max@block=3"]``; the first is
        ``Face.score``. ``None`` for the model's own.
    :param preset: the published network that the file must be, such as ``"cvlface-vit-s"``.
    :param heads: the number of attention heads, which cannot be inferred from the weights.
    :param activation: the MLP's activation function, if it is not the usual one of its family.
    :param tokens: the tokens that a score is averaged over, in a network with a class token or
        registers; ``None`` for the file's own choice, or else ``"all"``.
    :param landmark_bias: where the bias that landmarks add to the attention of a KP-RPE network is
        used; ``"score"`` also uses it for scores and maps. ``None`` for the file's own choice, or
        else ``"softmax"``. Aligned crops are assumed to have the template's landmarks.
    :raises ModelError: if the model or the detector cannot be loaded.
    :raises RequestError: if the arguments are not valid.
    """

    def __new__(
        cls,
        model: Path | None = None,
        *,
        detector: Path | None = None,
        precision: Precision = "f32",
        threads: int | None = None,
        methods: Sequence[str] | None = None,
        preset: str | None = None,
        heads: int | None = None,
        activation: Literal["relu6", "gelu", "quick-gelu", "swiglu"] | None = None,
        tokens: Literal["all", "patches"] | None = None,
        landmark_bias: Literal["softmax", "score"] | None = None,
    ) -> Scorer: ...
    def __getnewargs_ex__(self) -> tuple[tuple[Path | None], dict[str, Any]]: ...
    @property
    def model(self) -> str:
        """The model's file, or the name of the built-in model."""

    @property
    def methods(self) -> list[str]:
        """The names of the scores of each face; the first is ``Face.score``."""

    @property
    def precision(self) -> str:
        """The precision of the network's matrix products: ``f32``, ``bf16x2``, ``bf16`` or
        ``int8``."""

    @property
    def threads(self) -> int:
        """Number of worker threads."""

    @property
    def crop_size(self) -> int:
        """Side of the network's input in pixels, 112 for the published networks."""

    @property
    def backend(self) -> str:
        """The backend that runs the network, such as ``cpu avx512``."""

    def score(
        self,
        image: Image,
        *,
        color: Color | None = None,
        landmarks: ArrayLike | None = None,
        maps: bool = False,
        embeddings: bool = False,
        strict: bool = False,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        min_inter_eye_distance: float = 0.0,
    ) -> list[Face]:
        """Every face of one image with its quality, the largest face first.

        An image of exactly the network's input size is treated as an aligned face. A file's EXIF
        orientation is applied; the pixels of an array or a PIL image are used as they are.

        :param image: a path, an encoded file as bytes or as a file object, a PIL image, or a
            ``uint8`` array of shape (height, width, 3) on the CPU.
        :param color: the order of an array's channels; required for arrays, refused otherwise.
        :param landmarks: the five landmarks of each face, of shape (5, 2) or (faces, 5, 2),
            ``[x, y]`` in pixels: the eye on the image's left, the other eye, the nose, the mouth
            corner on the left, the other one. Faces are then aligned by these landmarks instead of
            being detected, and are returned in their order.
        :param maps: whether faces have a ``map``.
        :param embeddings: whether faces have an ``embedding``.
        :param strict: whether an image without a face raises `NoFaceError`; otherwise its list
            is empty.
        :param max_faces: maximum number of faces; the largest ones are kept.
        :param min_confidence: minimum confidence of the detector, 0 to 1; ``None`` for its default.
        :param min_inter_eye_distance: minimum distance between the eyes, in pixels.
        :raises ImageError: if the image cannot be read.
        :raises NoFaceError: with ``strict``, if there is no face.
        :raises RequestError: if the arguments are not valid, or the model does not support them.
        """

    def score_aligned(
        self,
        crops: Pixels | Sequence[NDArray[np.uint8]],
        *,
        color: Color,
        maps: bool = False,
        embeddings: bool = False,
    ) -> AlignedScores:
        """The qualities of aligned faces, as arrays.

        :param crops: ``uint8`` of shape (faces, 112, 112, 3).
        :param color: the order of the channels.
        :raises RequestError: if the arguments are not valid.
        """

    def score_files(
        self,
        paths: Path | Iterable[Path],
        *,
        on_error: Literal["row", "skip", "raise"] = "row",
        recursive: bool = True,
        aligned: bool = False,
        maps: bool = False,
        embeddings: bool = False,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        min_inter_eye_distance: float = 0.0,
        batch: int | None = None,
        max_memory: int | None = None,
        progress: bool = False,
    ) -> FileScores:
        """Scores files in bounded memory: an iterator of one row per face.

        :param paths: files, folders, tar and zip archives, and patterns, in this order.
        :param on_error: the result for an image without a score: a row with a status, nothing, or
            an `ImageError`.
        :param recursive: whether folders inside folders are searched.
        :param aligned: whether every image is already an aligned face.
        :param batch: number of images processed together, 32 if ``None``; scores do not depend on
            it.
        :param max_memory: maximum memory for images at any time, in bytes; ``None`` for half of
            what the process may use.
        :param progress: whether to show a progress bar with ``tqdm``, which must be installed.
        :raises RequestError: if there is nothing at a path, or the arguments are not valid.
        """

    def score_list(
        self,
        list: Path,
        *,
        root: Path | None = None,
        on_error: Literal["row", "skip", "raise"] = "row",
        aligned: bool = False,
        maps: bool = False,
        embeddings: bool = False,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        min_inter_eye_distance: float = 0.0,
        batch: int | None = None,
        max_memory: int | None = None,
        progress: bool = False,
    ) -> FileScores:
        """Scores the image files of a list in bounded memory: an iterator of one row per face.

        :param list: a text file with one path per line, in UTF-8 or UTF-16. Anything that follows a
            path after a tab, a comma or a space, such as a label, is ignored.
        :param root: the folder that relative paths are in; ``None`` for the working directory.
        :param on_error: as in `score_files`, like the other arguments.
        :raises RequestError: if the list cannot be read, or the arguments are not valid.
        """

    def score_encoded(
        self,
        images: Iterable[tuple[str, bytes | bytearray | None]],
        *,
        on_error: Literal["row", "skip", "raise"] = "row",
        aligned: bool = False,
        maps: bool = False,
        embeddings: bool = False,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        min_inter_eye_distance: float = 0.0,
        batch: int | None = None,
        max_memory: int | None = None,
    ) -> FileScores:
        """Scores encoded images in memory, such as a column of a table: an iterator of one row
        per face. All images are copied first, so pass a large set in parts.

        :param images: the name of each image, which becomes the ``path`` of its rows, and its
            bytes; ``None`` gives a row with the status ``not-an-image``.
        :param on_error: as in `score_files`, like the other arguments.
        :raises RequestError: if the arguments are not valid.
        """

@final
class Face:
    """One face of an image. Its arrays are created on access."""

    @property
    def index(self) -> int:
        """Its index in the image's list of faces, from 0."""

    @property
    def crop_origin(self) -> CropOrigin:
        """How its crop was made: the image itself, or aligned by landmarks."""

    @property
    def bbox(self) -> NDArray[np.float32] | None:
        """``[x1, y1, x2, y2]`` in pixels; ``None`` if the face was not detected."""

    @property
    def landmarks(self) -> NDArray[np.float32] | None:
        """Of shape (5, 2); ``None`` if the image was an aligned face."""

    @property
    def confidence(self) -> float | None:
        """The detector's confidence, 0 to 1."""

    @property
    def score(self) -> float:
        """The raw score; higher is better. Only comparable between scores of the same model. NaN if
        there is none."""

    @property
    def scores(self) -> dict[str, float]:
        """The raw score of every method of the scorer, by name."""

    @property
    def quality(self) -> int | None:
        """0 (worst) to 100 (best); ``None`` if the model is not calibrated for its first
        method, or there is no score."""

    @property
    def band(self) -> Band | None:
        """The quality in one word."""

    @property
    def match_probability(self) -> float | None:
        """Probability, 0 to 1, that the recogniser of the calibration matches a face like this."""

    @property
    def causes(self) -> list[tuple[str, float]] | None:
        """The causes that cost the face quality, such as ``("blur", 0.4)``: names and strengths, 0
        to 1, the strongest first. Empty if there are none; ``None`` if the model has no causes or
        there is no score."""

    @property
    def main_cause(self) -> str | None:
        """The cause that costs the most quality; ``None`` if there is none."""

    @property
    def roll(self) -> float | None:
        """In-plane rotation in degrees, clockwise."""

    @property
    def yaw(self) -> float | None:
        """Rotation about the neck in degrees, positive towards the image's right; coarse."""

    @property
    def inter_eye_distance(self) -> float | None:
        """Distance between the eyes in pixels."""

    @property
    def map(self) -> NDArray[np.float32] | None:
        """Attention received by each patch, of shape (14, 14), in units of the score; with
        ``maps=True``."""

    @property
    def embedding(self) -> NDArray[np.float32] | None:
        """The recogniser's embedding, not normalised; with ``embeddings=True``."""

    @property
    def crop(self) -> NDArray[np.uint8] | None:
        """The network's input, RGB, of shape (112, 112, 3)."""

    @property
    def status(self) -> str:
        """``ok``, or why there is no score, such as ``bad-landmarks``."""

    @property
    def message(self) -> str | None:
        """What is wrong, if there is no score."""

    @property
    def notes(self) -> list[str]:
        """What was ignored or changed in the image on the way."""

    def to_dict(self) -> dict[str, Any]:
        """Everything except the crop, with plain lists instead of arrays."""

    def _repr_html_(self) -> str: ...
    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]: ...

@final
class AlignedScores:
    """Qualities of aligned faces; row i of every array belongs to crop i."""

    @property
    def score(self) -> NDArray[np.float32]:
        """Raw scores; NaN where there is none."""

    @property
    def quality(self) -> NDArray[np.float32] | None:
        """0 to 100, whole numbers, NaN where there is no score; ``None`` if the model is not
        calibrated for its first method."""

    @property
    def scores(self) -> dict[str, NDArray[np.float32]]:
        """The raw scores of every method, by name."""

    @property
    def map(self) -> NDArray[np.float32] | None:
        """Of shape (faces, 14, 14); with ``maps=True``."""

    @property
    def embedding(self) -> NDArray[np.float32] | None:
        """Of shape (faces, dimension), not normalised; with ``embeddings=True``."""

    def __len__(self) -> int: ...

@final
class FileScore:
    """One face of a file, or a file without a score."""

    @property
    def path(self) -> str:
        """The file; inside an archive, ``archive.tar/member``."""

    @property
    def face(self) -> Face | None:
        """The face; ``None`` if there is none."""

    @property
    def status(self) -> str:
        """``ok``, or why there is no score: ``no-face``, ``broken-image``, ``not-found``…"""

    @property
    def message(self) -> str | None:
        """What is wrong, if there is no score."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the upright image in pixels, if it was decoded."""

    @property
    def notes(self) -> list[str]:
        """What was ignored or changed in the image on the way."""

    def to_dict(self) -> dict[str, Any]:
        """One row of a table, with the column names of `FileScores.to_arrow`."""

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]: ...

@final
class FileScores(Iterator[FileScore]):
    """The rows of `Scorer.score_files`, `Scorer.score_list` and
    `Scorer.score_encoded`, in the order of the images."""

    def __iter__(self) -> FileScores: ...
    def __next__(self) -> FileScore: ...
    def close(self) -> None:
        """Stops the run; there are no further rows."""

    def to_arrow(self) -> ArrowTable:
        """All remaining rows as a table that pyarrow, pandas, polars and DuckDB can read."""

@final
class ArrowTable:
    """A table with Arrow's PyCapsule interface, which ``pyarrow.table(t)`` and
    ``polars.DataFrame(t)``, for example, can read."""

    @property
    def column_names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def align(
    image: Image, landmarks: ArrayLike, *, color: Color | None = None, size: int | None = None
) -> NDArray[np.uint8]:
    """Crops faces from an image, rotated and scaled to the ArcFace template.

    :param landmarks: as in `Scorer.score`.
    :param size: side of a crop in pixels, 112 if ``None``.
    :returns: of shape (size, size, 3) or (faces, size, size, 3); crops of an array have the channel
        order of the array, all others are RGB.
    :raises ImageError: if the image cannot be read, or the landmarks are not those of a face.
    :raises RequestError: if the arguments are not valid.
    """

def draw(image: Image, faces: Face | Sequence[Face], *, color: Color | None = None) -> NDArray[np.uint8]:
    """A copy of the image with the boxes and landmarks of faces drawn on it, in the channel order
    of an array or in RGB."""

def overlay(
    crop: Pixels | PilImage,
    map: ArrayLike,
    *,
    color: Color | None = None,
    colormap: Literal["viridis", "jet"] = "viridis",
    alpha: float = 0.4,
    range: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """An aligned face with its map over it, in the channel order of an array or in RGB.

    :param range: the map values of the first and the last colour; ``None`` for the map's own range.
        To compare maps, use the same range for all.
    """
