"""PEFT LoRA adapters: what adapter_config.json may say, and where the two factors of each module go.

The matrix B takes the same rows as the module's weight does, so a fused wqkv adapter splits into q, k and v with the
same A. What this scheme cannot carry is refused by its name in adapter_config.json.

Sources: peft's LoraConfig; llama.cpp 0c1e57098, src/llama-adapter.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from escl.convert.architectures import Architecture, Rule
from escl.convert.dimensions import Dimensions
from escl.convert.folder import Fields, read_json, required_file_in
from escl.convert.outcome import OutType
from escl.convert.plan import Plan, Route, Target, readable_type, stored_type, tensors_by_name
from escl.convert.shards import Shard, SourceTensor
from escl.errors import ConvertError

# What these say changes nothing about the adapted weights.
_HARMLESS: Final = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "inference_mode",
        "layers_pattern",
        "lora_alpha",
        "lora_dropout",
        "megatron_core",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
    }
)
_OFF: Final[tuple[object, ...]] = (None, False, "", [], {}, "none")
_PREFIX: Final = "base_model.model."
_NAME: Final = re.compile(r"(?P<module>.+)\.lora_(?P<factor>[AB])(?:\.default)?\.weight")
_FAST_RANK: Final = 16
"""llama.cpp's fast matrix products on a CPU take factors of a multiple of this only (half the time at rank 8)."""
_LAYER: Final = re.compile(r"\.layers\.(?P<layer>\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """What adapter_config.json says that matters.

    Attributes:
        modules: Module names that were adapted, None when the file gives a pattern instead of a list.
    """

    rank: int
    alpha: float
    modules: tuple[str, ...] | None
    base_model: str | None

    @property
    def stored_rank(self) -> int:
        """The rank in the GGUF file: rounded up by columns and rows of zeros, which change no product."""
        return -(-self.rank // _FAST_RANK) * _FAST_RANK

    @property
    def stored_alpha(self) -> float:
        """The alpha that goes with the stored rank: llama.cpp scales by alpha over the rank that it finds."""
        return self.alpha * self.stored_rank / self.rank


def read_lora_config(folder: Path) -> tuple[LoraConfig, Path]:
    """Return the checked configuration of the adapter in `folder`, and its file.

    Raises:
        ConvertError: Not a LoRA adapter, or a setting that cannot be carried over faithfully; it is named.
    """
    path = required_file_in(folder, "adapter_config.json", why="a PEFT adapter folder has one")
    config = Fields(read_json(path), where=str(path))
    if (kind := config.text("peft_type")) != "LORA":
        raise ConvertError(f"{path}: peft_type is {kind!r}; only LORA can be carried over")
    if (task := config.text("task_type")) not in (None, "CAUSAL_LM"):
        raise ConvertError(f"{path}: task_type is {task!r}, not CAUSAL_LM")
    # Other initializations (pissa, olora, loftq, corda, ...) change the base model's weights as well.
    if config.entries.get("init_lora_weights", True) not in (True, False, "gaussian"):
        raise ConvertError(
            f"{path}: init_lora_weights {config.entries['init_lora_weights']!r} changed the base model too"
        )
    for key, value in config.entries.items():
        if key not in _HARMLESS and key != "init_lora_weights" and value not in _OFF:
            raise ConvertError(f"{path}: {key} is {value!r}, which cannot be carried over faithfully")
    targets = config.entries.get("target_modules")
    modules = tuple(str(module) for module in targets) if isinstance(targets, list) else None
    return LoraConfig(
        rank=config.integer("r"),
        alpha=config.number("lora_alpha"),
        modules=modules,
        base_model=config.text("base_model_name_or_path"),
    ), path


def plan_adapter(
    architecture: Architecture, dimensions: Dimensions, *, config: LoraConfig, shards: Sequence[Shard], outtype: OutType
) -> Plan:
    """Return the plan for an adapter's tensors.

    Raises:
        ConvertError: A module is unknown to the architecture, lacks a factor or a layer, or has the wrong shape.
    """
    rules = {rule.source.removesuffix(".weight"): rule for rule in architecture.rules if rule.linear}
    factors: dict[tuple[str, int], dict[str, SourceTensor]] = {}
    for name, tensor in tensors_by_name(shards).items():
        module, layer, factor = _parsed(name, rules, architecture, dimensions)
        if factor in factors.setdefault((module, layer), {}):
            raise ConvertError(f"adapter tensor {name} stands twice")
        factors[module, layer][factor] = tensor
    _check_modules(factors, config, dimensions)
    routes: dict[str, Route] = {}
    for (module, layer), pair in factors.items():
        for route in _routes(rules[module], layer, pair, dimensions=dimensions, config=config, outtype=outtype):
            routes[route.source.name] = route
    padded = f"rank {config.rank} is stored as rank {config.stored_rank}, with zeros, which is faster and the same"
    return Plan(shards=tuple(shards), routes=routes, notes=(padded,) if config.stored_rank != config.rank else ())


def _parsed(
    name: str, rules: dict[str, Rule], architecture: Architecture, dimensions: Dimensions
) -> tuple[str, int, str]:
    match = _NAME.fullmatch(name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else None
    if match is None:
        raise ConvertError(f"adapter tensor {name} is not a LoRA factor")
    path = match["module"]
    layer = _LAYER.search(path)
    module = _LAYER.sub(".layers.{layer}.", path, count=1)
    if layer is None or module not in rules:
        known = ", ".join(sorted(rule.rpartition(".")[2] for rule in rules))
        raise ConvertError(
            f"adapter tensor {name}: {architecture.name} has no adaptable module {path}", hint=f"it has {known}"
        )
    if int(layer["layer"]) >= dimensions.layers:
        raise ConvertError(f"adapter tensor {name}: the base model has {dimensions.layers} layers", hint="wrong base?")
    return module, int(layer["layer"]), match["factor"]


def _check_modules(
    factors: dict[tuple[str, int], dict[str, SourceTensor]], config: LoraConfig, dimensions: Dimensions
) -> None:
    if not factors:
        raise ConvertError("the adapter holds no tensors")
    for (module, layer), pair in factors.items():
        for factor in "AB":
            if factor not in pair:
                raise ConvertError(f"the adapter lacks lora_{factor} of {module.format(layer=layer)}")
    if config.modules is not None:
        _check_listed(config.modules, factors, dimensions)


def _check_listed(
    modules: tuple[str, ...], factors: dict[tuple[str, int], dict[str, SourceTensor]], dimensions: Dimensions
) -> None:
    there = {module for module, _ in factors}
    for module in there:
        if not any(_ends_with(module, wanted) for wanted in modules):
            raise ConvertError(f"the adapter changes {module.format(layer=0)}, which target_modules does not name")
    for wanted in modules:
        named = [module for module in there if _ends_with(module, wanted)]
        if not named:
            raise ConvertError(f"target_modules names {wanted}, but the adapter has no tensors for it")
        for module in named:
            missing = [layer for layer in range(dimensions.layers) if (module, layer) not in factors]
            if missing:
                raise ConvertError(f"the adapter lacks {module.format(layer=missing[0])}", hint="is the file complete?")


def _ends_with(module: str, wanted: str) -> bool:
    return module == wanted or module.endswith("." + wanted)


def _routes(
    rule: Rule,
    layer: int,
    pair: dict[str, SourceTensor],
    *,
    dimensions: Dimensions,
    config: LoraConfig,
    outtype: OutType,
) -> list[Route]:
    out_rows, in_columns = (dimensions.size(size) for size in rule.shape)
    stored_as, rank = stored_type(outtype), config.stored_rank
    for factor, shape in {"A": (config.rank, in_columns), "B": (out_rows, config.rank)}.items():
        if pair[factor].shape != shape:
            found = list(pair[factor].shape)
            raise ConvertError(
                f"adapter tensor {pair[factor].name} has the shape {found}, not {list(shape)}", hint="wrong base?"
            )
    a_parts, b_parts = [], []
    for part in rule.parts:
        name = part.target.format(layer=layer)
        rows = part.rows(dimensions) if part.rows is not None else None
        n_rows = out_rows if rows is None else len(rows)
        a_parts.append((Target(name=name + ".lora_a", shape=(rank, in_columns), stored_as=stored_as), None))
        b_parts.append((Target(name=name + ".lora_b", shape=(n_rows, rank), stored_as=stored_as), rows))
    unit = dimensions.head if any(rows is not None for _, rows in b_parts) else 1
    a, b = pair["A"], pair["B"]
    return [
        Route(source=a, dtype=readable_type(a), parts=tuple(a_parts)),
        Route(source=b, dtype=readable_type(b), parts=tuple(b_parts), row_unit=unit),
    ]
