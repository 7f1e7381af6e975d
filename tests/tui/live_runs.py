"""Runs at work to look at: this process holds the file, and has said, loaded and told what a run would have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from escl.core.dialogue import Speaker, Turn
from escl.store import beside
from escl.store.beside import Now, Speech
from escl.store.records import TurnRow
from escl.store.run import RunStore
from tests.fake_engine import ready
from tests.runs import PROTOCOL, card, settings
from tests.tui.driving import quick_writer

_GIB = 2**30
CARDS = ("night-shift", "money", "exam", "breakup", "moving")


@contextmanager
def run_at_work(
    path: Path, *, text: str = "I cannot sleep before a night shift.", device: bool = True
) -> Iterator[RunStore]:
    """Give a run in which five dialogues are under way, three turns each, with two models in memory."""
    store = RunStore.begin(quick_writer(path), settings(), PROTOCOL, command="escl run warm", versions={})
    store.add_cards([card(name) for name in CARDS])
    store.plan_dialogues((name, "en", supporter, 0) for supporter in ("warm", "curt") for name in CARDS)
    store.add_plan(_plan(device=device))
    for at, (name, left) in enumerate((("curt", True), ("seeker", False), ("warm", False))):
        _load(store, name, second=at, left=left)
    for dialogue in store.dialogues()[: len(CARDS)]:
        store.set_state(dialogue.id, "speaking")
        for position in range(3):
            say(store, dialogue.id, position, text)
    tell(store, text)
    try:
        yield store
    finally:
        store.close()


def say(store: RunStore, dialogue_id: int, position: int, text: str) -> None:
    """Let the side whose turn it is say `text`."""
    speaker = Speaker.SEEKER if position % 2 else Speaker.SUPPORTER
    store.add_turn(dialogue_id, position, TurnRow(turn=Turn(speaker=speaker, text=text)))


def tell(store: RunStore, text: str, *, n_generated: int = 0, of: tuple[int, ...] = (1, 2, 3)) -> None:
    """Let the run tell that `text` is being said in the dialogues `of`."""
    speaking = tuple(Speech(dialogue_id=one, text=text) for one in of)
    now = Now(attempt=store.attempt, n_evaluated=10 * n_generated, n_generated=n_generated, speaking=speaking)
    beside.tell(store.database.path, now)


def _plan(*, device: bool) -> object:
    def engine(role: str, name: str) -> object:
        host = {"weights": 0 if device else 5 * _GIB, "compute": _GIB // 4, "process": _GIB // 8}
        on_device = {"weights": 5 * _GIB, "kv": 2 * _GIB, "compute": _GIB // 2}
        return {"role": role, "name": name, "need": {"host": host, "device": on_device if device else None}}

    budget = {
        "host_bytes": 60 * _GIB,
        "device_bytes": 22 * _GIB if device else None,
        "device": "CUDA0" if device else None,
        "shares_ram": False,
    }
    engines = [engine("seeker", "seeker"), engine("supporter", "warm"), engine("supporter", "curt")]
    return {"budget": budget, "candidates": [{"engines": engines}], "chosen": 0}


def _load(store: RunStore, name: str, *, second: int, left: bool) -> None:
    shown = msgspec.structs.replace(ready(), device="CUDA0", load_s=4.25)
    number = store.add_load(name, shown, peak_bytes=700 * 2**20)
    came, went = f"2026-01-01T10:00:0{second}.000+00:00", "2026-01-01T10:01:30.000+00:00" if left else None
    with store.database.transaction() as connection:
        connection.execute("UPDATE load SET loaded_utc = ?, left_utc = ? WHERE id = ?", (came, went, number))
