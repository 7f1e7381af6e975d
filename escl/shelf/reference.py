"""Names of models on the Hugging Face Hub: `hf.co/owner/repo[:QUANT][@revision]`. Parses text and nothing else."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from escl.errors import UsageError

_PREFIX: Final = re.compile(r"(?:https?://)?(?:hf\.co|huggingface\.co)/", re.ASCII)
_REFERENCE: Final = re.compile(
    r"(?P<owner>[A-Za-z0-9][\w.-]{0,95})/(?P<name>[A-Za-z0-9][\w.-]{0,95})"
    r"(?::(?P<quant>[A-Za-z0-9][\w.-]{0,31}))?(?:@(?P<revision>[A-Za-z0-9][\w./-]{0,99}))?/?",
    re.ASCII,
)
_QUANT: Final = re.compile(
    r"(?:^|[-._/])(?P<quant>(?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|NVFP4|BF16|F16|F32))(?:-\d{5}-of-\d{5})?\.gguf$",
    re.IGNORECASE | re.ASCII,
)


class HubReference(msgspec.Struct, frozen=True, kw_only=True):
    """A model on the hub.

    Attributes:
        repo: "owner/name".
        quant: In capitals, as file names have it; None leaves the choice to the pull.
        revision: A commit, branch or tag; None is the main branch.
    """

    repo: str
    quant: str | None = None
    revision: str | None = None

    @property
    def folder(self) -> str:
        """Where on the shelf everything of this repository lies."""
        return f"hf.co/{self.repo}"

    @property
    def shelf_name(self) -> str | None:
        """The name of its manifest on the shelf; None without a quantization."""
        return None if self.quant is None else f"{self.folder}/{self.quant}"


def hub_reference(text: str) -> HubReference | None:
    """Return the reference that `text` is; None when it is not of that kind at all.

    Raises:
        UsageError: It begins as one and is malformed.
    """
    prefix = _PREFIX.match(text)
    if prefix is None:
        return None
    match = _REFERENCE.fullmatch(text[prefix.end() :])
    if match is None or ".." in text or "--" in match["owner"] + "/" + match["name"]:
        raise UsageError(f"{text} names no repository", hint="write hf.co/owner/repo, :QUANT and @revision if wanted")
    quant = match["quant"]
    return HubReference(
        repo=f"{match['owner']}/{match['name']}", quant=quant and quant.upper(), revision=match["revision"]
    )


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is a commit, and no branch or tag, which may mean another commit tomorrow."""
    return revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def reference_of(shelf_name: str) -> str:
    """Return what names a model of the shelf on a command line: `hf.co/owner/repo:QUANT` for what the hub gave."""
    if not shelf_name.startswith("hf.co/"):
        return shelf_name
    folder, _, quant = shelf_name.rpartition("/")
    return f"{folder}:{quant}"


def quantization_in(file_name: str) -> str | None:
    """Return the quantization that a GGUF file's name ends in, in capitals; None when it says none."""
    match = _QUANT.search(file_name)
    return match["quant"].upper() if match else None
