"""What tuning finds for each model on this machine, beside llama.cpp's own settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from escl.bench.evaluate import MachineUse
from escl.bench.result import Row, Table, faster
from escl.core.dimension import adapter_name
from escl.engine.wire import EngineSpec
from escl.memory.tune import tune
from escl.memory.tuning_store import EngineSettings, Tuned, stored_tuning
from escl.shelf.manifest import Model


def tuning_of(model: Model, use: MachineUse) -> Tuned:
    """Return what is known about a model on this machine; what is not known is measured and kept, as `escl run` does.

    Raises:
        EngineError: The model cannot be measured.
    """
    known = stored_tuning(model.sha256, hardware=use.hardware, device=use.device, gpu_layers=use.gpu_layers)
    if known is not None:
        return known
    return tune(
        model.path,
        model.sha256,
        hardware=use.hardware,
        device=use.device,
        gpu_layers=use.gpu_layers,
        budget=use.budget,
        at_most_s=use.tune_s,
        adapter=next((path for path, _ in model.adapters.values()), None),
    )


def best_prefill_tps(tuned: Tuned) -> float:
    """Return the most prompt tokens a second that bare llama.cpp evaluated in any trial, without adapters."""
    return max(trial.prefill_tps for trial in tuned.trials if trial.prefill_tps is not None and not trial.adapter)


def show_tuning(models: Sequence[Model], use: MachineUse) -> Table:
    """Return how much faster bare llama.cpp evaluates prompts with the settings found than with its own."""
    found = [(model, tuning_of(model, use)) for model in models]
    return Table(
        key="tuning",
        title="Tuning to the machine: prompt tokens a second of bare llama.cpp",
        other="llama.cpp's own settings",
        rows=tuple(_row(model, tuned) for model, tuned in found),
        facts={model.name: in_words(tuned.label_settings) for model, tuned in found}
        | {f"{model.name}, seconds": round(tuned.seconds, 1) for model, tuned in found},
        notes=("The longest prompt that was measured with both settings; measured once for a file and a machine.",),
    )


def _row(model: Model, tuned: Tuned) -> Row:
    rates = {
        settings: {
            trial.prompt_tokens: trial.prefill_tps
            for trial in tuned.trials
            if trial.settings == settings and trial.prefill_tps is not None and not trial.adapter
        }
        for settings in (tuned.label_settings, EngineSettings())
    }
    best, default = rates[tuned.label_settings], rates[EngineSettings()]
    both = best.keys() & default.keys()
    if not both:
        return Row(what=model.name, unit="tokens/s", escl=tuned.label_rates.prefill_tps)
    longest = max(both)
    return faster(model.name, "tokens/s", [(best[longest], default[longest])])


def in_words(settings: EngineSettings) -> str:
    """Return settings as people say them."""
    attention = {None: "llama.cpp's choice", True: "on", False: "off"}[settings.flash_attention]
    return (
        f"repack {'on' if settings.repack else 'off'}, n_ubatch {settings.n_ubatch}, "
        f"threads {settings.threads or 'all cores'}, flash attention {attention}"
    )


def tuned_spec(model: Model, use: MachineUse, *, purpose: Literal["dialogue", "labels"] = "dialogue") -> EngineSpec:
    """Return a spec of an engine by itself, with all the model's adapters and the settings found for its work."""
    spec = EngineSpec(
        model=str(model.path),
        adapters={adapter_name(*key): str(path) for key, (path, _) in model.adapters.items()},
        purpose=purpose,
        slots=use.slots,
        ctx_per_slot=use.ctx,
        gpu_layers=use.gpu_layers,
        device=use.device,
    )
    settings = tuning_of(model, use).settings_for(purpose)
    return msgspec.structs.replace(settings.applied_to(spec), threads=settings.threads or use.threads)
