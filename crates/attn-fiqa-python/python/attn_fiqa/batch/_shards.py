"""What a run is divided into."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from .._errors import RequestError
from . import _store

#: Extensions of archives, as recognised by `Scorer.score_files`.
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_TABLES = (".parquet",)
#: Maximum length of a line of a list in bytes, longer than any path.
_MAX_LINE = 64 << 10
#: Maximum number of names that the braces of a pattern may expand to.
_MAX_EXPANDED = 10_000_000


@dataclasses.dataclass(frozen=True)
class Shard:
    """One unit of work: an archive, a Parquet file, or a part of a list. It takes a few hundred
    bytes, regardless of the size of what it names.

    Two shards are the same if all their fields are equal, so a file whose size has changed gives
    another part."""

    #: A path or URI.
    location: str
    #: The size of the file in bytes.
    size: int
    #: For a Parquet file, the column of encoded images.
    column: str | None = None
    #: For a Parquet file, the column of the images' names; ``None`` for the ``path`` next to the
    #: image's bytes, as in Hugging Face data sets, or the number of the row.
    name_column: str | None = None
    #: For a list, the first byte and the number of bytes.
    span: tuple[int, int] | None = None
    #: For a list, the folder that relative paths are in.
    root: str | None = None

    @property
    def name(self) -> str:
        """A name that is safe as a file name and differs from that of every other shard."""
        base = re.sub(r"[^A-Za-z0-9._-]", "_", self.location.rstrip("/").rsplit("/", 1)[-1])
        start = "" if self.span is None else f"-{self.span[0]:012}"
        digest = hashlib.sha256(repr(dataclasses.astuple(self)).encode("utf-8", "surrogatepass"))
        return f"{base[:60]}{start}-{digest.hexdigest()[:10]}"


def find_shards(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    column: str | None = None,
    name_column: str | None = None,
) -> list[Shard]:
    """Finds the archives or Parquet files named by some patterns, one shard each.

    :param sources: paths or URIs (``s3://``, ``gs://``, ``abfs://``, ``hdfs://``) of files and
        folders. Braces as in WebDataset may be anywhere, ``faces-{000..999}.tar``; ``*``, ``?`` and
        ``[…]`` only in the last component. A folder stands for the archives in it or, with `column`, for its
        Parquet files.
    :param column: the column of encoded images: ``binary``, or a struct with ``bytes``, as in
        Hugging Face data sets. Without it, shards are archives.
    :param name_column: the column of the images' names.
    :returns: the shards, in the order of the sources; the files of a folder are sorted by name.
    :raises RequestError: if a file is missing, a pattern matches nothing, or a file is named
        twice.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if name_column is not None and column is None:
        raise RequestError("name_column is for Parquet files: give column too")
    endings = _ARCHIVES if column is None else _TABLES
    folders: dict[str, dict[str, int]] = {}
    shards = []
    for source in sources:
        for location in _expand_braces(_store.absolute_location(source)):
            for name, size in _find_files(location, endings, folders):
                if not name.lower().endswith(endings):
                    what = "an archive" if column is None else "a Parquet file"
                    raise RequestError(f"'{name}' is not {what}: expected {', '.join(endings)}")
                shards.append(Shard(name, size, column, name_column))
    _check_distinct(shards)
    return shards


def split_list(
    path: str | os.PathLike[str],
    images: int = 10_000,
    *,
    root: str | os.PathLike[str] | None = None,
) -> list[Shard]:
    """Splits a list of image files into shards: one path per line, UTF-8, of any length. A shard
    holds the position of its lines, not the paths; its worker reads them.

    :param path: the list, which every worker can read.
    :param images: the number of images per shard.
    :param root: the folder that relative paths are in; ``None`` for the working directory.
    :raises RequestError: if the list cannot be read, is empty, or names an object store.
    """
    if images < 1:
        raise RequestError(f"images is {images}; expected a whole number of at least 1")
    location, base = _store.absolute_location(path), os.path.abspath(root or os.getcwd())
    size = _store.size_of(location)
    if size is None:
        raise RequestError(f"there is no list '{location}'")
    shards, start, place, count = [], 0, 0, 0
    store, inner = _store.open_store(location)
    with store.open_input_stream(inner) as stream:
        for line in _lines(stream):
            place += len(line)
            text = line.strip()
            if b"\0" in text:
                raise RequestError(f"'{location}' is not a list of paths in UTF-8")
            if b"://" in text[:16]:
                raise RequestError(
                    f"'{location}' names '{text.decode(errors='replace')}': a list names files on "
                    "a disk that every worker can read; pack objects of a store into archives"
                )
            count += bool(text)
            if count == images:
                shards.append(Shard(location, size, span=(start, place - start), root=base))
                start, count = place, 0
    if count > 0:
        shards.append(Shard(location, size, span=(start, place - start), root=base))
    if not shards:
        raise RequestError(f"the list '{location}' is empty")
    return shards


def _lines(stream: Any) -> Iterator[bytes]:
    """The lines of a stream, including line ends."""
    rest = b""
    while chunk := stream.read(1 << 20):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MAX_LINE:
            raise RequestError(f"the list has a line of more than {_MAX_LINE} bytes")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _expand_braces(pattern: str) -> list[str]:
    """WebDataset braces: ``{000..012}`` and ``{a,b}``."""
    if not re.search(r"\{[^{}]*(\.\.|,)[^{}]*\}", pattern):
        return [pattern]
    pieces: list[list[str]] = []
    expected = 1
    for piece in re.split(r"(\{[^{}]*\})", pattern):
        numbers = re.fullmatch(r"\{(\d+)\.\.(\d+)\}", piece)
        if numbers is None:
            inner = piece[1:-1].split(",") if piece.startswith("{") and "," in piece else [piece]
            pieces.append(inner)
        else:
            low, high = numbers.groups()
            width = len(low) if low.startswith("0") or len(low) == len(high) else 0
            count = int(high) - int(low) + 1
            if not 0 < count <= _MAX_EXPANDED:
                raise RequestError(f"'{piece}' of '{pattern}' is not a range of 1 to {_MAX_EXPANDED}")
            pieces.append([f"{n:0{width}}" for n in range(int(low), int(high) + 1)])
        expected *= len(pieces[-1])
        if expected > _MAX_EXPANDED:
            raise RequestError(f"'{pattern}' expands to more than {_MAX_EXPANDED} files")
    return ["".join(choice) for choice in itertools.product(*pieces)]


def _find_files(
    location: str, endings: tuple[str, ...], folders: dict[str, dict[str, int]]
) -> Iterator[tuple[str, int]]:
    """The files of one path, and their sizes. A folder is listed once for all of its files."""
    folder, _, last = location.rstrip("/").rpartition("/")
    if folder not in folders:
        # A bucket is in no folder.
        is_bucket = folder.endswith(":/")
        folders[folder] = {} if is_bucket else _store.list_folder(folder or "/")
    files = folders[folder]
    if last in files:
        yield location, files[last]
        return
    if any(character in last for character in "*?["):
        matching = sorted(name for name in files if fnmatch.fnmatchcase(name, last))
        if not matching:
            raise RequestError(f"no file matches '{location}'")
        for name in matching:
            yield _store.join(folder or "/", name), files[name]
        return
    inside = _store.list_folder(location)
    chosen = sorted(
        name for name in inside if name.lower().endswith(endings) and not name.startswith((".", "_"))
    )
    if not chosen:
        raise RequestError(
            f"there is no file '{location}', and no folder of that name with {', '.join(endings)}"
        )
    for name in chosen:
        yield _store.join(location, name), inside[name]


def _check_distinct(shards: list[Shard]) -> None:
    names: set[str] = set()
    for shard in shards:
        if shard.name in names:
            raise RequestError(f"'{shard.location}' is listed twice")
        names.add(shard.name)
