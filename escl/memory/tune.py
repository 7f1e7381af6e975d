"""Finds out how a model file runs fastest on this machine: a short, greedy search by measuring, once per file.

Owns what is tried, in which order and how large; `escl.engine.measure` measures, `escl.memory.tuning_store` keeps.
What matters most comes first, so that a search that runs out of time has missed what matters least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from escl.engine.devices import CPU_ONLY
from escl.engine.trial import Measured, Probe, Setting, Stand
from escl.engine.wire import EngineSpec
from escl.errors import EngineError, EngineHungError, OutOfMemoryError, UsageError
from escl.memory.devices import Budget, Hardware, budget_of, in_size
from escl.memory.estimate import estimate
from escl.memory.rates import ADAPTER_SHARE, Place, Rates, assumed_cached_s
from escl.memory.tuning_store import (
    EngineSettings,
    Trial,
    Tuned,
    device_key,
    machine_of,
    store_tuning,
    stored_tuning,
)
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header

__all__ = ["EngineSettings", "Trial", "Tuned", "stored_tuning", "tune"]

SEQUENCES: Final = (1, 32, 16, 4, 8)
"""Numbers of dialogues side by side whose rates are wanted, the most telling first."""
_AT_LEAST: Final = SEQUENCES[:2]
"""What a plan cannot do without: between them and the number that settings are judged by it can tell the others."""

_FIRST_PROMPTS: Final = (16, 64)
_PROMPTS: Final = (1024, 512, 256, 128, 64, 32, 16)
_CONTEXT: Final = 128
_LONG_CONTEXT: Final = 1024
_SEQUENCES_BEHIND_IT: Final = 4
"""As many cached tokens then as 32 dialogues have behind the short context: what fits there fits here."""
_BATCHED: Final = (16, 8, 4, 1)
"""Settings for dialogue are judged by so many side by side, the first of these that there is room for."""
_STEPS: Final = (2, 16)
# Of the time allowed, what one measurement may take.
_SHARE: Final = 1 / 9
_BETTER: Final = 1.03
"""What changes a setting must be faster by this: measurements of less differ by chance."""

_TURN: Final = (120, 60)
"""Prompt tokens and new tokens of a turn, about: what a setting for dialogue is judged by."""


def tune(
    model: Path,
    sha256: str,
    *,
    hardware: Hardware,
    device: str | None,
    gpu_layers: int = -1,
    budget: Budget | None = None,
    at_most_s: float = 20.0,
    adapter: Path | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Tuned:
    """Measure a model file in a child process, keep what was found and return it.

    Args:
        model: The GGUF file.
        sha256: Its hash.
        hardware: The machine.
        device: The accelerator that takes the layers; None and "cpu" are the CPU.
        gpu_layers: Layers on the device; -1 is all, and 0 is the CPU whatever the device.
        budget: What a measurement may take; more is not tried. None is what is free, where that is known.
        at_most_s: When this is over, the search ends with what is known.
        adapter: One of the model's LoRA files, whose cost is measured; without one it is assumed.
        on_trial: Called after each measurement.
        on_note: Called with a line when the result cannot be kept.

    Raises:
        EngineError: The model cannot be loaded or run, or was too slow to be seen decoding in time.
        OutOfMemoryError: The budget has no room for it.
        GGUFError: The file is no model, or its header lacks a size.
    """
    started = time.monotonic()
    device = device_key(device) if gpu_layers else None
    limit = budget or _free(hardware, device)
    with Stand(model) as stand:
        search = _Search(stand, read_gguf_header(model), hardware, on_trial or (lambda _: None))
        search.place(device, gpu_layers, limit)
        search.adapter = adapter
        search.run(until=started + at_most_s)
    tuned = search.result(sha256, seconds=time.monotonic() - started)
    store_tuning(tuned, hardware=hardware, on_note=on_note)
    return tuned


def _free(hardware: Hardware, device: str | None) -> Budget | None:
    try:
        return budget_of(hardware, memory=None, device=device or CPU_ONLY)
    except UsageError:
        return None


class _TimeIsUp(Exception):  # noqa: N818
    """The search ends here with what it has."""


class _Search:
    """The trials so far, and what follows from them."""

    def __init__(self, stand: Stand, header: GGUFHeader, hardware: Hardware, on_trial: Callable[[Trial], None]) -> None:
        self.adapter: Path | None = None
        self._stand, self._hardware, self._on_trial = stand, hardware, on_trial
        self._header = header
        self._budget: Budget | None = None
        self._device: str | None = None
        self._gpu_layers = 0
        self._until = 0.0
        self._at_most_s = 0.0
        self._trials: list[Trial] = []
        self._dialogue = self._labels = EngineSettings(repack=False)
        self._complete = False
        self._long = _PROMPTS[-1]
        self._batched = _BATCHED[0]
        self._failure: EngineError | None = None
        self._start_s = 0.0

    def place(self, device: str | None, gpu_layers: int, budget: Budget | None) -> None:
        """Say where the layers go, and how much room there is; a budget of None sets no limit."""
        self._device, self._gpu_layers = device, gpu_layers if device is not None else 0
        self._budget = budget

    def run(self, *, until: float) -> None:
        """Search until everything was tried or the clock says `until`.

        Raises:
            EngineError: The first measurement failed, or none says how fast the model decodes.
        """
        self._until, self._at_most_s = until, until - time.monotonic()
        try:
            self._first()
            self._side_by_side(_AT_LEAST)
            self._weights()
            self._side_by_side(_AT_LEAST)
            self._longer_context()
            self._micro_batch()
            self._with_adapter()
            self._side_by_side(SEQUENCES)
            self._attention()
            self._complete = True
        except _TimeIsUp:
            self._failure = EngineHungError(
                f"it is too slow to be measured within {self._at_most_s:.0f} s",
                hint=f"`escl tune --seconds {max(120, 4 * self._at_most_s):.0f}` allows more",
            )
        rates = self._rates(self._dialogue)
        if rates is None or not rates.decode_tps:
            raise self._failure or EngineError("no measurement says how fast the model decodes")

    # What is tried, in this order

    def _first(self) -> None:
        """Measure the plainest setting; small prompts say how large the others may be."""
        for at_most in _FIRST_PROMPTS:
            started = time.monotonic()
            trial = self._measure(self._dialogue, prompt_tokens=self._prompt_tokens(at_most))
            if self._failure is not None:
                raise self._failure
            if trial.load_s is not None and trial.prefill_tps is not None:
                # The first answer comes from a process that had to start, as an engine's does.
                work_s = trial.load_s + trial.prompt_tokens / trial.prefill_tps
                self._start_s = time.monotonic() - started - work_s
        self._long = self._prompt_tokens(512)
        self._prefill(self._dialogue, self._long)
        for self._batched in _BATCHED:
            self._decode(self._dialogue, self._batched)
            if self._best_decode(self._dialogue, self._batched) is not None:
                return

    def _weights(self) -> None:
        """Try rearranged weights; with all layers on a device there is nothing for it to do."""
        if self._gpu_layers < 0:
            return
        repacked = EngineSettings(repack=True)
        self._prefill(repacked, self._long)
        self._decode(repacked, self._batched)
        self._choose(repacked)

    def _micro_batch(self) -> None:
        """Try other micro-batches for prefill; dialogues' prompts are too short to fill a larger one."""
        start = self._labels
        if self._prompt_tokens(1024) == 1024:
            self._long = 1024
            self._prefill(start, self._long)
        for n_ubatch in (1024, 256):
            # A prompt that one micro-batch holds either way shows no difference.
            if self._long > min(n_ubatch, start.n_ubatch):
                other = msgspec.structs.replace(start, n_ubatch=n_ubatch)
                self._prefill(other, self._long)
                self._take_for_labels(other)

    def _longer_context(self) -> None:
        """Measure decoding behind a short and a long context: what the tokens between them cost."""
        if self._prompt_tokens(_LONG_CONTEXT) >= 4 * _CONTEXT:
            self._decode(self._dialogue, _SEQUENCES_BEHIND_IT)
            self._decode(self._dialogue, _SEQUENCES_BEHIND_IT, behind=_LONG_CONTEXT)

    def _with_adapter(self) -> None:
        if self.adapter is not None:
            for _ in range(2):
                self._measure(self._labels, prompt_tokens=self._long, adapter=self.adapter)

    def _side_by_side(self, counts: Sequence[int]) -> None:
        for sequences in counts:
            if self._best_decode(self._dialogue, sequences) is None:
                self._decode(self._dialogue, sequences)

    def _attention(self) -> None:
        without = msgspec.structs.replace(self._labels, flash_attention=False)
        self._prefill(without, self._long)
        self._take_for_labels(without)

    # What follows

    def _choose(self, other: EngineSettings) -> None:
        self._take_for_labels(other)
        if self._turn_s(self._dialogue) > _BETTER * self._turn_s(other):
            self._dialogue = other

    def _take_for_labels(self, other: EngineSettings) -> None:
        """Take `other` if it is faster, also after what is taken so far was measured once more.

        Other work may have slowed that: half the micro-batch, taken for 21 % that were chance, made scoring a fifth
        slower.
        """
        if self._is_faster(other, self._labels):
            self._measure(self._labels, prompt_tokens=self._long)
            if self._is_faster(other, self._labels):
                self._labels = other

    def _is_faster(self, one: EngineSettings, other: EngineSettings) -> bool:
        """Return whether `one` prefills clearly faster than `other` at the longest prompt that both were given."""
        sizes = [self._prefills(settings).keys() for settings in (one, other)]
        common = max(sizes[0] & sizes[1], default=None)
        if common is None:
            return False
        return self._prefills(one)[common] > _BETTER * self._prefills(other)[common]

    def _turn_s(self, settings: EngineSettings) -> float:
        prefill, decode = self._best_prefill(settings), self._best_decode(settings, self._batched)
        if prefill is None or decode is None:
            return float("inf")
        prompt_tokens, new_tokens = _TURN
        return prompt_tokens / prefill + new_tokens / decode

    def _done(self, settings: EngineSettings) -> list[Trial]:
        """Return what was measured with these settings, without adapter."""
        return [one for one in self._trials if one.settings == settings and one.failed is None and not one.adapter]

    def _prefills(self, settings: EngineSettings) -> dict[int, float]:
        """Return the best prefill rate for each length of prompt."""
        best: dict[int, float] = {}
        for trial in self._done(settings):
            if trial.prefill_tps is not None:
                best[trial.prompt_tokens] = max(trial.prefill_tps, best.get(trial.prompt_tokens, 0.0))
        return best

    def _best_prefill(self, settings: EngineSettings) -> float | None:
        rates = self._prefills(settings)
        return rates[max(rates)] if rates else None

    def _best_decode(self, settings: EngineSettings, sequences: int) -> float | None:
        rates = self._decode_behind(settings, sequences)
        return max((rate for context, rate in rates.items() if context <= _CONTEXT), default=None)

    def _decode_behind(self, settings: EngineSettings, sequences: int) -> dict[int, float]:
        """Return the best decoding rate for each length of context."""
        best: dict[int, float] = {}
        for trial in self._done(settings):
            if trial.sequences == sequences and trial.decode_tps is not None:
                best[trial.prompt_tokens] = max(trial.decode_tps, best.get(trial.prompt_tokens, 0.0))
        return best

    def _cached_s(self) -> float:
        """Return what each cached token adds to a decoded one."""
        rates = self._decode_behind(self._dialogue, _SEQUENCES_BEHIND_IT)
        short, long = min(rates, default=0), max(rates, default=0)
        if short == long:
            place: Place = "gpu" if self._gpu_layers else "cpu"
            return assumed_cached_s(self._header, place=place, cores=self._hardware.physical_cores)
        return max(0.0, (1 / rates[long] - 1 / rates[short]) / (long - short))

    def _adapter_share(self) -> float:
        """Return what an adapter leaves of prefill."""
        trials = [one for one in self._trials if one.adapter and one.prefill_tps]
        if not trials:
            return ADAPTER_SHARE
        settings, size = trials[0].settings, trials[0].prompt_tokens
        best = max(one.prefill_tps or 0.0 for one in trials)
        return min(1.0, best / self._prefills(settings)[size])

    def _rates(self, settings: EngineSettings) -> Rates | None:
        prefill = self._best_prefill(settings)
        decode = {count: rate for count in sorted(SEQUENCES) if (rate := self._best_decode(settings, count))}
        loads = [trial.load_s for trial in self._trials if trial.load_s and trial.settings.repack == settings.repack]
        if prefill is None or not loads:
            return None
        decoded = [trial for trial in self._trials if trial.decode_tps is not None]
        draws = [trial.draw_s for trial in self._trials if trial.draw_s is not None]
        return Rates(
            prefill_tps=prefill,
            decode_tps=decode,
            load_s=self._start_s + min(loads),
            source="measured",
            context=max((one.prompt_tokens for one in decoded if one.prompt_tokens <= _CONTEXT), default=0),
            cached_s=self._cached_s(),
            draw_s=min(draws, default=0.0),
            adapter_share=self._adapter_share(),
        )

    def result(self, sha256: str, *, seconds: float) -> Tuned:
        """Return what was found."""
        rates, label_rates = self._rates(self._dialogue), self._rates(self._labels)
        assert rates is not None
        assert label_rates is not None
        # A scorer hardly decodes: where only prefill was measured with its settings, the dialogue's rates stand in.
        decode_tps = rates.decode_tps | label_rates.decode_tps
        return Tuned(
            sha256=sha256,
            machine=machine_of(self._hardware),
            device=self._device,
            gpu_layers=self._gpu_layers,
            llama_build=self._hardware.llama_build,
            measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            settings=self._dialogue,
            rates=rates,
            label_settings=self._labels,
            label_rates=msgspec.structs.replace(label_rates, decode_tps=decode_tps),
            trials=tuple(self._trials),
            seconds=seconds,
            complete=self._complete,
        )

    # Measuring

    def _prompt_tokens(self, at_most: int) -> int:
        """Return the longest prompt up to `at_most` that takes its share of the time, by the rates so far."""
        rate = max((trial.prefill_tps or 0.0 for trial in self._trials), default=0.0)
        affordable = rate * self._at_most_s * _SHARE
        return next((size for size in _PROMPTS if size <= min(at_most, affordable)), _PROMPTS[-1])

    def _prefill(self, settings: EngineSettings, prompt_tokens: int) -> None:
        """Measure a prompt, a second time if it is short: the better one of two is less of a guess."""
        while len([one for one in self._done(settings) if one.prompt_tokens == prompt_tokens and not one.steps]) < 2:
            trial = self._measure(settings, prompt_tokens=prompt_tokens)
            rate = trial.prefill_tps
            if rate is None or prompt_tokens / rate > self._at_most_s * _SHARE / 2:
                return

    def _decode(self, settings: EngineSettings, sequences: int, *, behind: int = _CONTEXT) -> None:
        """Measure decoding behind a context, that of a dialogue's first turns, as far as memory and time allow."""
        prompt_tokens = self._prompt_tokens(behind)
        if not any(trial.decode_tps for trial in self._trials):
            first = self._measure(settings, prompt_tokens=prompt_tokens, sequences=sequences, steps=_STEPS[0])
            if first.failed is not None or self._steps(sequences) == _STEPS[0]:
                return
        steps = self._steps(sequences)
        self._measure(settings, prompt_tokens=prompt_tokens, sequences=sequences, steps=steps)

    def _steps(self, sequences: int) -> int:
        """Return how many tokens of each sequence take their share of the time, by the rates so far."""
        rate = max((trial.decode_tps or 0.0 for trial in self._trials), default=0.0)
        affordable = int(rate * self._at_most_s * _SHARE / 2 / sequences)
        return max(_STEPS[0], min(_STEPS[1], affordable))

    def _measure(
        self,
        settings: EngineSettings,
        *,
        prompt_tokens: int,
        sequences: int = 1,
        steps: int = 0,
        adapter: Path | None = None,
    ) -> Trial:
        threads = settings.threads or self._hardware.physical_cores
        setting = Setting(
            threads=threads,
            repack=settings.repack,
            n_ubatch=settings.n_ubatch,
            flash_attention=settings.flash_attention,
            gpu_layers=self._gpu_layers,
            device=self._device if self._device is not None else CPU_ONLY,
        )
        trial = Trial(
            settings=settings,
            threads=threads,
            prompt_tokens=prompt_tokens,
            sequences=sequences,
            steps=steps,
            adapter=adapter is not None,
        )
        probe = Probe(
            setting=setting,
            prompt_tokens=prompt_tokens,
            sequences=sequences,
            steps=steps,
            adapter=None if adapter is None else str(adapter),
        )
        trial = self._with_numbers(trial, probe)
        self._trials.append(trial)
        self._on_trial(trial)
        return trial

    def _with_numbers(self, trial: Trial, probe: Probe) -> Trial:
        left_s = self._until - time.monotonic()
        if left_s <= self._expected_s(trial):
            raise _TimeIsUp
        if lacking := self._lacking(probe):
            self._failure = OutOfMemoryError(lacking, hint="a smaller quantization takes less")
            return msgspec.structs.replace(trial, failed=lacking)
        try:
            measured = self._stand.probe(probe, within_s=left_s)
        except EngineHungError:
            raise _TimeIsUp from None
        except EngineError as error:
            # The child may be gone; what one setting cannot do does not spoil what others did.
            self._failure = error
            self._stand.restart()
            return msgspec.structs.replace(trial, failed=error.message)
        return msgspec.structs.replace(
            trial,
            prefill_tps=trial.prompt_tokens / measured.prefill_s,
            decode_tps=_per_second(trial.sequences * trial.steps, measured),
            load_s=measured.load_s,
            draw_s=measured.draw_s,
        )

    def _lacking(self, probe: Probe) -> str | None:
        """Return what a probe needs more than there is, in words; None when it fits."""
        budget = self._budget
        if budget is None:
            return None
        need = estimate(self._header, _spec_of(probe))
        on_device = need.device.total if need.device is not None else 0
        host = need.host.total + (on_device if budget.shares_ram else 0)
        if budget.device_bytes is not None and on_device > budget.device_bytes:
            return f"{in_size(on_device)} of {budget.device} needed, {in_size(budget.device_bytes)} there"
        if host > budget.host_bytes:
            return f"{in_size(host)} of RAM needed, {in_size(budget.host_bytes)} there"
        return None

    def _expected_s(self, trial: Trial) -> float:
        """Return what a trial takes at least, by the best rates so far: one that cannot end in time is not begun."""
        prefill = max((one.prefill_tps or 0.0 for one in self._trials), default=0.0)
        decode = max((one.decode_tps or 0.0 for one in self._trials), default=0.0)
        expected = trial.prompt_tokens / prefill if prefill else 0.0
        return expected + (trial.sequences * trial.steps / decode if decode else 0.0)


def _per_second(tokens: int, measured: Measured) -> float | None:
    return tokens / measured.decode_s if tokens else None


def _spec_of(probe: Probe) -> EngineSpec:
    """Return the engine that takes as much memory as a probe; a context holds one token more than is decoded."""
    setting = probe.setting
    return EngineSpec(
        model="",
        slots=probe.sequences,
        ctx_per_slot=probe.prompt_tokens + probe.steps + 1,
        n_batch=max(setting.n_ubatch, probe.sequences),
        n_ubatch=setting.n_ubatch,
        kv_type=setting.kv_type,
        flash_attention=setting.flash_attention,
        repack=setting.repack,
        device=setting.device,
        gpu_layers=setting.gpu_layers,
    )
