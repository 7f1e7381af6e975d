"""Where a model's files come from, and how much of that is pinned. Values only: reads no file and no network."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Final

import msgspec

from escl.core.dimension import Dimension, Language

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Revision = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40}$")]
Repository = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")]
SizeBytes = Annotated[int, msgspec.Meta(ge=0)]

_MAX_PATH_CHARS: Final = 400


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a model; size and hash are checked when they are stated."""

    path: str
    size_bytes: SizeBytes | None = None
    sha256: Sha256 | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository on the Hugging Face Hub.

    Attributes:
        repo: "owner/name".
        revision: The commit; None takes what the main branch has on the day of the pull.
        files: What is known of the files beforehand: sizes and hashes that a pull insists on.
    """

    repo: Repository
    revision: Revision | None = None
    files: tuple[ModelFile, ...] = ()


class AdapterSource(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository of LoRA adapters.

    Attributes:
        folders: The folder of each language and dimension.
    """

    folders: dict[Language, dict[Dimension, str]]


class Making(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the files on the shelf came to be, written when they are pulled.

    Attributes:
        quantization: "Q4_K_M" for example; None where a file's name does not say.
        converted: Whether escl made the GGUF file from a checkpoint; else it was taken as it is.
        escl: The version that pulled it.
        pulled_on: The day, YYYY-MM-DD in UTC.
        template_sha256: Of the model's chat template; None where it has none.
    """

    quantization: str | None = None
    converted: bool
    escl: str
    pulled_on: str
    template_sha256: str | None = None


def unpinned_fields(source: Source | None, adapters: AdapterSource | None) -> tuple[str, ...]:
    """Return what of the sources is left open, as a manifest lists it under `unpinned`."""
    found = []
    for name, place in (("source", source), ("adapter_source", adapters)):
        if place is not None:
            found += [f"{name}.revision"] if place.revision is None else []
            found += [f"{name}.files"] if not place.files else []
    return tuple(found)


def leaves_its_folder(path: str) -> bool:
    """Return whether a relative path could lead anywhere but into its folder, on any system."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    parts = (*posix.parts, *windows.parts)
    return (
        not path
        or len(path) > _MAX_PATH_CHARS
        or posix.is_absolute()
        or bool(windows.anchor)
        or ".." in parts
        or any(":" in part or "\0" in part for part in parts)
    )
