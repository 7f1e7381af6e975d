"""Which files of a repository a model needs. Decides by names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from escl.errors import DownloadError, UsageError
from escl.shelf.reference import quantization_in
from escl.shelf.repository import Listing, RemoteFile

_CHECKPOINT: Final = re.compile(
    r"config\.json|generation_config\.json|tokenizer(_config)?\.json|tokenizer\.model|special_tokens_map\.json|"
    r"added_tokens\.json|vocab\.json|merges\.txt|chat_template\.jinja|modeling_internlm2\.py|"
    r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
)
"""What escl.convert reads. The Python file is parsed for a default, never run."""
_LICENCE: Final = re.compile(r"readme\.md|(licen[cs]e|notice|copying|use_policy)([ _.-][\w .-]{0,60})?", re.IGNORECASE)
_MAX_LICENCE_BYTES: Final = 1 << 20
_ADAPTER: Final = re.compile(r"adapter_config\.json|adapter_model\.safetensors")
_PICKLE: Final = re.compile(r"(pytorch_model|consolidated).*\.(bin|pth|pt)")
_NO_MODEL: Final = re.compile(r"mmproj|imatrix", re.IGNORECASE)
_PART: Final = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
NO_QUANT: Final = "GGUF"
"""In place of a quantization, for a file whose name says none."""
_DEFAULT_QUANT: Final = "Q4_K_M"
_SHOWN: Final = 12


def has_gguf(listing: Listing) -> bool:
    """Return whether a repository offers GGUF models."""
    return any(_is_gguf_model(file) for file in listing.files)


def gguf_file(listing: Listing, quant: str | None) -> RemoteFile:
    """Return the GGUF file of the quantization `quant`; with None the only one, or llama.cpp's default.

    Raises:
        UsageError: There is none of that quantization, or several; the hint says what there is.
        DownloadError: It comes in parts.
    """
    models = [file for file in listing.files if _is_gguf_model(file)]
    if quant is None:
        default = [file for file in models if quant_of(file) == _DEFAULT_QUANT]
        found, what = (models if len(models) == 1 else default), "default"
    else:
        found, what = [file for file in models if (quant_of(file) or NO_QUANT) == quant], quant
    if not found:
        raise UsageError(f"hf.co/{listing.repo} has no {what} GGUF file", hint=_offer(models))
    if any(_PART.search(file.path) for file in found):
        raise DownloadError(
            f"hf.co/{listing.repo} has {what} in {len(found)} parts, which escl does not load",
            hint=f"choose one in a single file ({_offer(one for one in models if not _PART.search(one.path))}), or "
            "merge the parts with llama-gguf-split --merge and give the path",
        )
    if len(found) > 1:
        raise UsageError(
            f"hf.co/{listing.repo} has several {what} files: {', '.join(file.path for file in found[:_SHOWN])}",
            hint="download the one you mean and give its path",
        )
    return found[0]


def checkpoint_files(listing: Listing) -> list[RemoteFile]:
    """Return the files of a checkpoint, the small ones first.

    Raises:
        DownloadError: The repository holds none that escl converts; the message says what is missing.
    """
    files = [file for file in listing.files if _CHECKPOINT.fullmatch(file.path)]
    names = {file.path for file in files}
    if "config.json" not in names:
        is_adapter = any(file.path == "adapter_config.json" for file in listing.files)
        what = "a LoRA adapter, not a model" if is_adapter else "neither a GGUF file nor a checkpoint (config.json)"
        raise DownloadError(f"hf.co/{listing.repo} holds {what}")
    if not any(name.endswith(".safetensors") for name in names):
        pickled = any(_PICKLE.fullmatch(file.path) for file in listing.files)
        raise DownloadError(
            f"hf.co/{listing.repo} has no safetensors weights" + (", only pickled ones" if pickled else ""),
            hint="pickle files can run code, so they are never opened; look for a revision with safetensors "
            "(hf.co/owner/repo@refs/pr/N), or for ready GGUF files; --chat-template gives a chat format",
        )
    return sorted(files, key=lambda file: file.size_bytes)


def licence_files(listing: Listing) -> list[RemoteFile]:
    """Return the texts of the licence that a repository has at its top, and its card."""
    return [file for file in listing.files if _LICENCE.fullmatch(file.path) and file.size_bytes <= _MAX_LICENCE_BYTES]


def weights_bytes(files: Iterable[RemoteFile]) -> int:
    """Return the bytes of the weights among a checkpoint's files."""
    return sum(file.size_bytes for file in files if file.path.endswith(".safetensors"))


def adapter_files(listing: Listing, folder: str) -> list[RemoteFile]:
    """Return the files of the adapter in `folder`.

    Raises:
        DownloadError: One is missing.
    """
    prefix = f"{folder}/"
    files = [
        file
        for file in listing.files
        if file.path.startswith(prefix) and _ADAPTER.fullmatch(file.path.removeprefix(prefix))
    ]
    if len(files) != 2:
        raise DownloadError(
            f"hf.co/{listing.repo} at {listing.revision[:12]}: {folder} lacks adapter_config.json or "
            "adapter_model.safetensors"
        )
    return files


def quant_of(file: RemoteFile) -> str | None:
    """Return the quantization that a GGUF file's name states, or else its folder's; None when neither does."""
    path = PurePosixPath(file.path)
    return quantization_in(file.path) or quantization_in(f"{path.parent.name}.gguf")


def _is_gguf_model(file: RemoteFile) -> bool:
    return file.path.lower().endswith(".gguf") and not _NO_MODEL.search(file.path)


def _offer(models: Iterable[RemoteFile]) -> str:
    sizes: dict[str, int] = {}
    for file in models:
        quant = quant_of(file) or NO_QUANT
        sizes[quant] = sizes.get(quant, 0) + file.size_bytes
    ordered = sorted(sizes.items(), key=lambda pair: pair[1])
    return "there is " + (", ".join(f":{quant} ({size / 1e9:.1f} GB)" for quant, size in ordered) or "none")
