"""An evaluation as it happens: what is loaded, how far each phase is, how fast, how long still.

`LiveObserver` redraws on a terminal; `LineObserver` writes a plain line now and then elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from escl.core.printable import printable
from escl.engine.wire import Progress as EngineProgress
from escl.engine.wire import Ready
from escl.errors import EngineError
from escl.evaluation.observer import Phase
from escl.store.records import DialogueRow, FailureRow, LabelReading, TurnRow

_UNIT = {
    Phase.SIMULATION: "turns",
    Phase.SCORING: "readings",
    Phase.COMPARING: "readings",
    Phase.ASKING: "questions",
}
_GIVEN_UP = {**_UNIT, Phase.SIMULATION: "dialogues"}
_LINE_EVERY_S = 10.0


@dataclass(slots=True)
class _Gauge:
    """How fast one engine works: totals now and a while ago."""

    ready: Ready
    tokens: int = 0
    peak_rss_bytes: int = 0
    marks: list[tuple[float, int]] = field(default_factory=list)

    def update(self, progress: EngineProgress) -> None:
        self.tokens = progress.n_generated + progress.n_prompt_evaluated
        self.peak_rss_bytes = progress.peak_rss_bytes
        self.marks = [*self.marks[-40:], (time.monotonic(), self.tokens)]

    @property
    def tokens_per_s(self) -> float | None:
        if len(self.marks) < 2 or self.marks[-1][0] <= self.marks[0][0]:
            return None
        (since, before), (now, tokens) = self.marks[0], self.marks[-1]
        return (tokens - before) / (now - since)


@dataclass(slots=True)
class _Count:
    """How far one phase is. `done` begins with what earlier attempts did; speed counts only this one."""

    total: int
    done: int
    first: int
    started: float
    failed: int = 0

    @property
    def per_s(self) -> float | None:
        elapsed = time.monotonic() - self.started
        return (self.done - self.first) / elapsed if elapsed > 0.5 and self.done > self.first else None

    @property
    def eta_s(self) -> float | None:
        return (self.total - self.done) / self.per_s if self.per_s else None


class LineObserver:
    """Progress as plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts: dict[Phase, _Count] = {}
        self._last_line = 0.0
        self._phase: Phase | None = None
        self._paused_at: float | None = None

    def started(self, phase: Phase, *, done: int, total: int) -> None:
        self._phase = phase
        self._counts[phase] = _Count(total=total, done=done, first=done, started=time.monotonic())
        resumed = f", {done} done before" if done else ""
        self.note(f"{phase.value}: {total} {_UNIT[phase]}{resumed}")

    def said(self, dialogue: DialogueRow, position: int, row: TurnRow) -> None:
        if position > 0:
            self._advance(Phase.SIMULATION)

    def read(self, dialogue: DialogueRow, reading: LabelReading) -> None:
        self._advance(Phase.SCORING)

    def failed(self, dialogue: DialogueRow, failure: FailureRow) -> None:
        asked = failure.own if failure.dimension is None else failure.dimension.shown
        phase = Phase.SIMULATION if asked is None else Phase.SCORING
        self._counts[phase].failed += 1
        self._changed(phase)
        where = f"turn {failure.position}" if asked is None else asked
        self.note(
            f"failed: card {dialogue.card_id}, {dialogue.supporter}, {where}: {failure.error}: {failure.message}",
            style="red",
        )

    def compared(self) -> None:
        self._advance(Phase.COMPARING)

    def settled(self, n: int) -> None:
        self._advance(Phase.ASKING, n)

    def given_up(self, what: str) -> None:
        assert self._phase is not None
        self._counts[self._phase].failed += 1
        self._changed(self._phase)
        self.note(f"failed: {what}", style="red")

    def finished(self, phase: Phase) -> None:
        count = self._counts[phase]
        speed = f", {count.per_s:.1f} {_UNIT[phase]}/s" if count.per_s else ""
        failed = f", {count.failed} {_GIVEN_UP[phase]} given up" if count.failed else ""
        self.note(f"{phase.value}: {count.done}/{count.total} {_UNIT[phase]}{speed}{failed}")

    def loaded(self, name: str, ready: Ready) -> None:
        self.note(
            f"loaded {name} in {ready.load_s:.1f} s: {ready.description.replace('?B ', '')}, {ready.device},"
            f" {ready.slots} x {ready.n_ctx_per_slot} tokens, {ready.peak_rss_bytes / 2**20:,.0f} MiB"
        )

    def unloaded(self, name: str) -> None:
        self.note(f"unloaded {name}")

    def progressed(self, name: str, progress: EngineProgress) -> None:
        pass

    def restarted(self, name: str, error: EngineError) -> None:
        self.note(f"{name} was lost and is started again: {error.message}", style="yellow")

    def asked_again(self, supporter: str, why: str) -> None:
        self.note(f"{supporter} gave no reply and is asked again: {why}", style="yellow")

    def paused(self, *, is_paused: bool) -> None:
        if is_paused:
            self._paused_at = time.monotonic()
            self.note("paused: what was begun is finished, and nothing new begins", style="yellow")
            return
        # The wait is no part of anybody's speed.
        if self._paused_at is not None:
            waited = time.monotonic() - self._paused_at
            for count in self._counts.values():
                count.started += waited
        self._paused_at = None
        self.note("goes on")

    def note(self, line: str, *, style: str = "") -> None:
        """Write one line above whatever is shown."""
        self._console.print(Text(printable(line), style=style), soft_wrap=True)

    def _advance(self, phase: Phase, n: int = 1) -> None:
        self._counts[phase].done += n
        self._changed(phase)

    def _changed(self, phase: Phase) -> None:
        count = self._counts[phase]
        if time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            eta = f", {_clock(count.eta_s)} left" if count.eta_s is not None else ""
            self.note(f"{phase.value}: {count.done}/{count.total} {_UNIT[phase]}{eta}")


class LiveObserver(LineObserver):
    """Progress redrawn in place: a bar for each phase and a line for each model in memory."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = Progress(
            TextColumn("[bold]{task.description:<11}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]:>16}"),
            TextColumn("{task.fields[speed]:>16}", style="dim"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", style="dim"),
            console=console,
        )
        self._tasks: dict[Phase, TaskID] = {}
        self._gauges: dict[str, _Gauge] = {}
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveObserver:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def started(self, phase: Phase, *, done: int, total: int) -> None:
        super().started(phase, done=done, total=total)
        # A run that looks in between begins each phase several times.
        if phase in self._tasks:
            self._bars.remove_task(self._tasks[phase])
        self._tasks[phase] = self._bars.add_task(phase.value, total=total, completed=done, amount="", speed="", left="")

    def finished(self, phase: Phase) -> None:
        self._changed(phase)
        self._bars.stop_task(self._tasks[phase])
        super().finished(phase)

    def loaded(self, name: str, ready: Ready) -> None:
        self._gauges[name] = _Gauge(ready=ready, peak_rss_bytes=ready.peak_rss_bytes)
        super().loaded(name, ready)

    def unloaded(self, name: str) -> None:
        self._gauges.pop(name, None)

    def progressed(self, name: str, progress: EngineProgress) -> None:
        if name in self._gauges:
            self._gauges[name].update(progress)

    def _changed(self, phase: Phase) -> None:
        count = self._counts[phase]
        self._bars.update(
            self._tasks[phase],
            completed=count.done,
            amount=f"{count.done}/{count.total} {_UNIT[phase]}",
            speed=f"{count.per_s:.1f} {_UNIT[phase]}/s" if count.per_s else "",
            left=f"{_clock(count.eta_s)} left" if count.eta_s else "",
        )

    def _draw(self) -> Group:
        models = Table.grid(padding=(0, 2))
        for name, gauge in self._gauges.items():
            speed = gauge.tokens_per_s
            models.add_row(
                Text("in memory", style="dim"),
                Text(printable(name), style="bold"),
                Text(printable(gauge.ready.device)),
                Text(f"{gauge.peak_rss_bytes / 2**20:,.0f} MiB at most"),
                Text("" if speed is None else f"{speed:,.0f} tokens/s"),
            )
        paused = [Text("paused: p in `escl tui` lets it go on", style="bold yellow")] if self._paused_at else []
        return Group(models, *paused, self._bars)


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
