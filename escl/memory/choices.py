"""What a plan chooses from: each model's files with what their headers say, and how fast they work here.

Owns reading headers for a plan and finding a model's other quantizations. Reads no weights and hashes nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from escl.core.dimension import Dimension, Language, adapter_name
from escl.core.sampling import Sampling
from escl.errors import GGUFError
from escl.memory.devices import Budget, Hardware
from escl.memory.estimate import adapter_rank
from escl.memory.model_shape import shape_of
from escl.memory.rates import Place, Rates, assumed_rates
from escl.memory.tuning_store import EngineSettings, Purpose, stored_tuning
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from escl.shelf.manifest import LocatedModel, Model, known_sha256
from escl.shelf.model_check import check_model

Role = Literal["seeker", "supporter", "scorer"]

UNTUNED: Final = EngineSettings(repack=False, n_ubatch=512, threads=None, flash_attention=None)
"""Where nothing was measured. Weights are not rearranged for the CPU: that takes their bytes a second time."""

_QUANTIZED_NAME: Final = re.compile(
    r"(?P<stem>.+)[-._](?:i1-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|NVFP4|BF16|F16|F32)\.gguf", re.IGNORECASE
)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine is set up in one place, the CPU or the device, and how fast it is there."""

    settings: EngineSettings
    rates: Rates


class FileOption(msgspec.Struct, frozen=True, kw_only=True):
    """One file that could serve as the model.

    Attributes:
        adapters: Name -> path and header of the LoRA files that go with it.
        on_device: None without an accelerator.
    """

    path: Path
    header: GGUFHeader
    adapters: dict[str, tuple[Path, GGUFHeader]]
    on_cpu: Pace
    on_device: Pace | None

    @property
    def n_layers(self) -> int:
        """Layers that can be offloaded: the blocks and the output."""
        return n_layers(self.header)

    def sizes(self) -> dict[Path, int]:
        """Return the bytes of the file and of its adapters."""
        return {self.path: self.header.size_bytes} | {path: own.size_bytes for path, own in self.adapters.values()}

    @property
    def n_ctx_train(self) -> int | None:
        """The longest context the model was made for; None when the file does not say."""
        value = self.header.metadata.get(f"{self.header.architecture}.context_length")
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the run and the files it could be.

    Attributes:
        files: The file that the user or the manifest names comes first; the others differ only in quantization.
        max_tokens: The longest reply it may give.
    """

    role: Role
    name: str
    files: tuple[FileOption, ...]
    max_tokens: int

    @property
    def key(self) -> str:
        """What tells it from the run's other models: one file may be seeker and supporter at once."""
        return f"{self.role} {self.name}"


def choose_from(
    model: Model | LocatedModel,
    role: Role,
    *,
    languages: Collection[Language],
    budget: Budget,
    hardware: Hardware,
    max_tokens: int | None = None,
) -> ModelChoice:
    """Return what there is to choose for one model.

    Args:
        model: Its named file and adapters.
        role: What it does in the run.
        languages: Of the dialogues; a scorer loads the adapters of these.
        budget: Decides the device.
        hardware: Whose measured rates are used, where there are any.
        max_tokens: Of a reply; None takes the manifest's, or the default.

    Raises:
        GGUFError: A header is malformed, no model's, or states sizes that cannot be.
    """
    adapters = {
        adapter_name(language, dimension): (path, _adapter_header(path))
        for (language, dimension), path in _adapter_paths(model).items()
        if role == "scorer" and language in languages
    }
    header = _model_header(model.path)
    found = [(model.path, header, model.sha256)]
    found += [
        (path, other, known_sha256(path)) for path in other_quantizations(model.path) if (other := _alike(path, header))
    ]
    files = tuple(
        FileOption(
            path=path,
            header=own,
            adapters=adapters,
            on_cpu=_pace(own, sha256, role, device=None, place="cpu", hardware=hardware),
            on_device=None
            if budget.device is None
            else _pace(own, sha256, role, device=budget.device, place=_place(budget), hardware=hardware),
        )
        for path, own, sha256 in found
    )
    sampling = model.sampling or Sampling()
    return ModelChoice(role=role, name=model.name, files=files, max_tokens=max_tokens or sampling.max_tokens)


def other_quantizations(path: Path) -> list[Path]:
    """Return the files beside `path` whose names differ from its own only in the quantization at the end."""
    named = _QUANTIZED_NAME.fullmatch(path.name)
    if named is None:
        return []
    alike = (
        (other, _QUANTIZED_NAME.fullmatch(other.name)) for other in sorted(path.parent.glob("*.gguf")) if other != path
    )
    return [other for other, match in alike if match and match["stem"] == named["stem"]]


def _alike(path: Path, header: GGUFHeader) -> GGUFHeader | None:
    """Return the header of `path` if it is the same model in other types, None for anything else, broken or not."""
    try:
        other = _model_header(path)
    except GGUFError:
        return None
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    return other if {tensor.name: tensor.shape for tensor in other.tensors} == shapes else None


def _model_header(path: Path) -> GGUFHeader:
    """Return the header of a model whose sizes can be planned with."""
    header = read_gguf_header(path)
    check_model(header, path=path)
    with _naming(path):
        shape_of(header)
    return header


def _adapter_header(path: Path) -> GGUFHeader:
    """Return the header of a LoRA file whose matrices are matrices."""
    header = read_gguf_header(path)
    with _naming(path):
        adapter_rank(header)
    return header


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in an error which file it is about."""
    try:
        yield
    except GGUFError as error:
        raise GGUFError(f"{path}: {error.message}", hint=error.hint) from error


def _adapter_paths(model: Model | LocatedModel) -> dict[tuple[Language, Dimension], Path]:
    if isinstance(model, LocatedModel):
        return model.adapters
    return {key: path for key, (path, _) in model.adapters.items()}


def _place(budget: Budget) -> Place:
    return "integrated" if budget.shares_ram else "gpu"


def _pace(
    header: GGUFHeader, sha256: str | None, role: Role, *, device: str | None, place: Place, hardware: Hardware
) -> Pace:
    tuned = None if sha256 is None else stored_tuning(sha256, hardware=hardware, device=device)
    if tuned is None:
        return Pace(settings=UNTUNED, rates=assumed_rates(header, place=place, cores=hardware.physical_cores))
    purpose: Purpose = "labels" if role == "scorer" else "dialogue"
    return Pace(settings=tuned.settings_for(purpose), rates=tuned.rates_for(purpose))


def n_layers(header: GGUFHeader) -> int:
    """Return how many layers can be offloaded: the blocks and the output."""
    return header.integer(f"{header.architecture}.block_count") + 1
