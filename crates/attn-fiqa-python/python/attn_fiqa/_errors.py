"""The exceptions of the package."""

from __future__ import annotations

__all__ = [
    "AttnFiqaError",
    "AttnFiqaWarning",
    "ImageError",
    "ModelError",
    "NoFaceError",
    "RequestError",
]


class AttnFiqaError(Exception):
    """The base class of every error of this package."""

    __module__ = "attn_fiqa"


class ModelError(AttnFiqaError):
    """A model or a detector that cannot be loaded."""

    __module__ = "attn_fiqa"


class ImageError(AttnFiqaError):
    """An image that cannot be scored."""

    __module__ = "attn_fiqa"

    #: The reason, in one word: ``not-found``, ``broken-image``, ``too-large``…
    status: str
    #: Its file, if it has one.
    path: str | None

    def __init__(self, message: str, status: str, path: str | None = None) -> None:
        super().__init__(message, status, path)
        self.status = status
        self.path = path

    def __str__(self) -> str:
        message = self.args[0]
        return message if self.path is None else f"{message}: '{self.path}'"


class NoFaceError(ImageError):
    """An image without a face."""

    __module__ = "attn_fiqa"


class RequestError(AttnFiqaError, ValueError):
    """Arguments that are not valid, or that the model does not support."""

    __module__ = "attn_fiqa"


class AttnFiqaWarning(UserWarning):
    """Input that is probably not what was meant."""

    __module__ = "attn_fiqa"
