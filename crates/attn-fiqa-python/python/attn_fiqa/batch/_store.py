"""Files and folders on this machine or in an object store, through `pyarrow.fs`."""

from __future__ import annotations

import contextlib
import os
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

from .._errors import RequestError
from ._arrow import fs

#: Stores in which an object appears only when its upload is complete.
_ATOMIC = {"s3", "gcs", "abfs"}


def is_uri(location: str) -> bool:
    """Whether a location is ``scheme://…`` rather than a path on this machine."""
    scheme, found, _ = location.partition("://")
    return bool(found) and scheme.replace("+", "").isalnum()


def absolute_location(location: str | os.PathLike[str]) -> str:
    """A URI as it is, or a path made absolute, which is valid in every working directory."""
    location = os.fspath(location)
    return location if is_uri(location) else os.path.abspath(location)


def open_store(location: str) -> tuple[Any, str]:
    """The file system of a location, and its path there."""
    if not is_uri(location):
        return fs.LocalFileSystem(), location
    try:
        store, path = fs.FileSystem.from_uri(location)
        return store, path
    except (ValueError, NotImplementedError) as error:
        raise RequestError(f"'{location}' is not in a store that pyarrow reads: {error}") from error


def list_folder(location: str) -> dict[str, int]:
    """The names of a folder's files and their sizes in bytes; empty if there is no folder."""
    store, path = open_store(location)
    found = store.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return {info.base_name: info.size for info in found if info.type == fs.FileType.File}


def size_of(location: str) -> int | None:
    """The size of a file in bytes; ``None`` if there is none."""
    store, path = open_store(location)
    info = store.get_file_info(path)
    return info.size if info.type == fs.FileType.File else None


def join(folder: str, name: str) -> str:
    """A file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_uri(folder) else os.path.join(folder, name)


def read(location: str) -> bytes:
    """All bytes of a small file."""
    store, path = open_store(location)
    with store.open_input_stream(path) as stream:
        return bytes(stream.read())


def make_folder(location: str) -> None:
    """Creates a folder if it does not exist."""
    store, path = open_store(location)
    if store.type_name not in _ATOMIC:
        store.create_dir(path, recursive=True)


def write_atomic(folder: str, name: str, data: Any) -> None:
    """Writes a file atomically: under a temporary name that is then renamed, or as one object.
    Another writer of the same name writes the same bytes, so the last one may win."""
    store, path = open_store(join(folder, name))
    if store.type_name in _ATOMIC:
        with store.open_output_stream(path) as stream:
            stream.write(data)
        return
    temporary = temporary_name(name)
    beside = join(folder, temporary)
    _, hidden = open_store(beside)
    try:
        if store.type_name == "local":
            with open(hidden, "wb") as file:
                file.write(data)
                file.flush()
                # Otherwise, after a power loss, the name may exist without the bytes.
                os.fsync(file.fileno())
        else:
            with store.open_output_stream(hidden) as stream:
                stream.write(data)
        store.move(hidden, path)
    except OSError:
        with contextlib.suppress(OSError):
            store.delete_file(hidden)
        # If another writer, such as one presumed dead, has already finished, this one is not
        # needed.
        if size_of(join(folder, name)) is None:
            raise


def temporary_name(name: str) -> str:
    """A name in the same folder as the final one, which readers of a data set ignore."""
    return f".{name}.{uuid.uuid4().hex[:8]}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a name is that of a file that was never completed."""
    return name.startswith(".part-") and name.endswith(".tmp")


def delete(folder: str, name: str) -> None:
    """Deletes a file that may no longer exist."""
    store, path = open_store(join(folder, name))
    with contextlib.suppress(FileNotFoundError):
        store.delete_file(path)


@contextlib.contextmanager
def local_copy(location: str, size: int, folder: str) -> Iterator[pathlib.Path]:
    """A file on this machine with the bytes of a location: the file itself, or a copy in `folder`
    that is deleted afterwards.

    :param size: the size that it must have, in bytes; if it does not, an `OSError` is raised.
    """
    store, path = open_store(location)
    if store.type_name == "local":
        found = os.stat(path).st_size
        check_size(location, size, found)
        yield pathlib.Path(path)
        return
    copy = pathlib.Path(folder) / pathlib.PurePosixPath(path).name
    with store.open_input_stream(path) as stream, open(copy, "wb") as file:
        while chunk := stream.read(1 << 20):
            file.write(chunk)
    check_size(location, size, copy.stat().st_size)
    yield copy
    copy.unlink()


def check_size(location: str, expected: int, found: int | None) -> None:
    """Raises an `OSError` if a file does not have the size that it had when the run was planned."""
    if expected != found:
        raise OSError(
            f"'{location}' had {expected} bytes when the run was planned and has {found or 'none'} now: "
            "start the run again when the file no longer changes"
        )
