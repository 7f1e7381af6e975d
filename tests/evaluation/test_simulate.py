"""Dialogues are committed turn by turn, resume where they were, and fail one by one."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.wire import Generated, Progress, Ready
from escl.errors import ContextOverflowError, EngineError, ModelLoadError, StorageError
from escl.evaluation.observer import Phase
from escl.evaluation.simulate import Stage, Voice, simulate
from escl.store.records import DialogueRow, FailureRow, LabelReading, TurnRow
from escl.store.run import RunStore
from tests.runs import CARD, PROTOCOL, begin


class Echo:
    """A handle whose reply states the seed and how many messages it saw."""

    def __init__(
        self, name: str, before: Callable[[int], None] = lambda seen: None, *, reasoning: str | None = None
    ) -> None:
        self.name = name
        self.reasoning = reasoning
        self.asked: list[list[Message]] = []
        self.seeds: list[int] = []
        self._before = before

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Generated:
        self.asked.append(list(messages))
        self._before(len(self.asked) - 1)
        self.seeds.append(seed)
        await asyncio.sleep(0)
        return Generated(
            id=0,
            text=f"{self.name} after {len(messages)}",
            reasoning=self.reasoning,
            finish="stop",
            n_prompt=9,
            n_reused=0,
            n_generated=3,
            queue_s=0.0,
            busy_s=0.1,
        )

    async def preload(self) -> None: ...

    async def release(self) -> None: ...


class Silent:
    """An observer that keeps only failures."""

    def __init__(self) -> None:
        self.failures: list[FailureRow] = []

    def started(self, phase: Phase, *, done: int, total: int) -> None: ...

    def said(self, dialogue: DialogueRow, position: int, row: TurnRow) -> None: ...

    def read(self, dialogue: DialogueRow, reading: LabelReading) -> None: ...

    def failed(self, dialogue: DialogueRow, failure: FailureRow) -> None:
        self.failures.append(failure)

    def asked_again(self, supporter: str, why: str) -> None: ...

    def paused(self, *, is_paused: bool) -> None: ...

    def finished(self, phase: Phase) -> None: ...

    def loaded(self, name: str, ready: Ready) -> None: ...

    def unloaded(self, name: str) -> None: ...

    def progressed(self, name: str, progress: Progress) -> None: ...

    def restarted(self, name: str, error: EngineError) -> None: ...


def stage(store: RunStore, seeker: Echo, supporter: Echo, *, stop: asyncio.Event | None = None) -> Stage:
    return Stage(
        store=store,
        protocol=PROTOCOL,
        cards={CARD.id: CARD},
        seeker=Voice(handle=seeker, sampling=Sampling()),
        supporters=dict.fromkeys(("supporter", "another"), Voice(handle=supporter, sampling=Sampling())),
        rounds=2,
        run_seed=0,
        observer=Silent(),
        stop=stop or asyncio.Event(),
    )


def waiting(store: RunStore) -> list[DialogueRow]:
    return [dialogue for dialogue in store.dialogues() if dialogue.state in ("pending", "speaking")]


def test_a_dialogue_alternates_from_the_greeting_to_the_supporters_last_turn(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    seeker, supporter = Echo("seeker"), Echo("supporter")
    asyncio.run(simulate(stage(store, seeker, supporter), waiting(store), parallel=2))
    turns = store.turns(1)
    assert [turn.speaker.value for turn in turns] == ["supporter", "seeker", "supporter", "seeker", "supporter"]
    assert turns[0].text == PROTOCOL.wording(CARD.language).greeting
    assert store.dialogues()[0].state == "complete"
    assert [message.role for message in seeker.asked[0]] == ["system", "user"]
    assert CARD.text in seeker.asked[0][0].content
    # The supporter never sees the greeting: its first message is the seeker's.
    assert [message.role for message in supporter.asked[0]] == ["system", "user"]
    assert supporter.asked[0][1].content == turns[1].text


def test_a_dialogue_resumes_after_the_last_committed_turn_with_the_same_seeds(tmp_path: Path) -> None:
    def whole(path: Path) -> tuple[list[int], list[str]]:
        store = begin(path)
        seeker, supporter = Echo("seeker"), Echo("supporter")
        asyncio.run(simulate(stage(store, seeker, supporter), waiting(store), parallel=2))
        texts = [turn.text for turn in store.turns(1)]
        store.close()
        return seeker.seeds, texts

    def broken_off(path: Path) -> tuple[list[int], list[str]]:
        def die(seen: int) -> None:
            if seen == 1:
                raise KeyboardInterrupt

        store = begin(path)
        first = Echo("seeker", die)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(simulate(stage(store, first, Echo("supporter")), waiting(store), parallel=2))
        assert len(store.turns(1)) == 3
        second = Echo("seeker")
        asyncio.run(simulate(stage(store, second, Echo("supporter")), waiting(store), parallel=2))
        texts = [turn.text for turn in store.turns(1)]
        store.close()
        return first.seeds + second.seeds, texts

    assert broken_off(tmp_path / "b.db") == whole(tmp_path / "a.db")


def test_a_failed_dialogue_is_stored_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.plan_dialogues([(CARD.id, CARD.language, "supporter", 1)])

    def overflow(seen: int) -> None:
        if seen == 0:
            raise ContextOverflowError("4100 tokens do not fit 4096")

    asyncio.run(simulate(stage(store, Echo("seeker"), Echo("supporter", overflow)), waiting(store), parallel=2))
    assert sorted(dialogue.state for dialogue in store.dialogues()) == ["complete", "failed"]
    (failure,) = store.failures()
    assert (failure.error, failure.position) == ("ContextOverflowError", 2)
    assert "4100" in failure.message


def test_a_model_that_cannot_be_loaded_stops_the_simulation_and_fails_no_dialogue(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")

    def missing(seen: int) -> None:
        raise ModelLoadError("no such file")

    with pytest.raises(ModelLoadError):
        asyncio.run(simulate(stage(store, Echo("seeker", missing), Echo("supporter")), waiting(store), parallel=2))
    assert [dialogue.state for dialogue in store.dialogues()] == ["speaking"]
    assert store.failures() == []


def test_a_full_disk_stops_the_simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = begin(tmp_path / "run.db")

    def full(self: RunStore, *_: object, **__: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(RunStore, "add_turn", full)
    with pytest.raises(StorageError):
        asyncio.run(simulate(stage(store, Echo("seeker"), Echo("supporter")), waiting(store), parallel=2))


def test_the_stop_finishes_the_turn_in_flight_and_begins_no_other(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")

    async def main() -> None:
        stop = asyncio.Event()

        def request_stop(seen: int) -> None:
            stop.set()

        await simulate(
            stage(store, Echo("seeker", request_stop), Echo("supporter"), stop=stop), waiting(store), parallel=2
        )

    asyncio.run(main())
    assert len(store.turns(1)) == 2
    assert store.dialogues()[0].state == "speaking"


def test_the_seeker_draws_the_same_seeds_for_every_supporter(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.plan_dialogues([(CARD.id, CARD.language, "another", 0)])
    seeker, supporter = Echo("seeker"), Echo("supporter")
    asyncio.run(simulate(stage(store, seeker, supporter), waiting(store), parallel=2))
    assert len(seeker.seeds) == 4
    assert len(set(seeker.seeds)) == 2
    assert len(set(supporter.seeds)) == 4


def test_what_is_thought_aloud_is_kept_and_nobody_hears_it(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    seeker, supporter = Echo("seeker"), Echo("supporter", reasoning="She is sad.")
    asyncio.run(simulate(stage(store, seeker, supporter), waiting(store), parallel=2))
    kept = store._database.rows("SELECT reasoning FROM turn ORDER BY position")
    assert [row["reasoning"] for row in kept] == [None, None, "She is sad.", None, "She is sad."]
    heard = [message.content for messages in (*seeker.asked, *supporter.asked) for message in messages]
    heard += [PROTOCOL.transcript(CARD.language, store.turns(1))]
    assert not any("She is sad." in text for text in heard)


@pytest.mark.parametrize(("finish", "said"), [("length", "cut at 3 tokens"), ("stop", "nothing but reasoning")])
def test_a_reply_that_is_only_reasoning_is_a_failure_that_says_so(tmp_path: Path, finish: str, said: str) -> None:
    class Thinker(Echo):
        async def generate(self, **asked: object) -> Generated:
            found = await super().generate(**asked)  # type: ignore[arg-type]
            return msgspec.structs.replace(found, text=" ", finish=finish)

    store = begin(tmp_path / "run.db")
    supporter = Thinker("supporter", reasoning="She is")
    asyncio.run(simulate(stage(store, Echo("seeker"), supporter), waiting(store), parallel=2))
    (failure,) = store.failures()
    assert (failure.error, failure.position) == ("OnlyReasoningError", 2)
    assert said in failure.message


def test_a_supporters_own_system_prompt_stands_in_place_of_the_protocols(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    seeker, supporter = Echo("seeker"), Echo("supporter")
    plain = stage(store, seeker, supporter)
    voice = dataclasses.replace(plain.supporters["supporter"], system_prompt="Be brief.")
    own = dataclasses.replace(plain, supporters={"supporter": voice})
    asyncio.run(simulate(own, waiting(store), parallel=2))
    assert [message.role for message in supporter.asked[1]] == ["system", "user", "assistant", "user"]
    assert {messages[0].content for messages in supporter.asked} == {"Be brief."}
    assert all("Be brief." not in message.content for messages in seeker.asked for message in messages)
