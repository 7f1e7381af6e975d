"""What a plain script does, as a yardstick: one chat completion after another, with llama-cpp-python's own class.

`speak` has both models resident and goes through the dialogues one by one, turn by turn, as ESC-Eval's own script does;
`read` asks for a whole reply for each dialogue and dimension, switching adapters as seldom as can be. Both are
given what escl has: the file, the threads, the prompts, the sampling. Nothing of a run uses this module; run it as a
child process, with a Job on stdin.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.engine.child import peak_rss_bytes
from escl.errors import EngineError

_LAST_WORDS = 1500


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """How the models are loaded; `gpu_layers` and `threads` as escl uses them."""

    ctx: int
    threads: int
    gpu_layers: int


class Speak(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Simulate a dialogue for each card, one after the other."""

    seeker: str
    supporter: str
    seeker_sampling: Sampling
    supporter_sampling: Sampling
    protocol: Protocol
    cards: list[RoleCard]
    rounds: int
    loading: Loading


class Dialogue(msgspec.Struct, frozen=True, kw_only=True):
    """A finished dialogue."""

    language: Language
    turns: list[Turn]


class Read(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Score finished dialogues in every dimension.

    Attributes:
        adapters: LoRA files by "language/dimension"; empty for a scorer without adapters.
        reuse: Whether llama-cpp-python may keep the KV of the prompt's opening from one call to the next.
        max_tokens: Of a reply.
    """

    scorer: str
    adapters: dict[str, str]
    protocol: Protocol
    dialogues: list[Dialogue]
    reuse: bool
    max_tokens: int
    loading: Loading


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One chat completion."""

    n_prompt: int
    n_generated: int
    seconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a job took.

    Attributes:
        total_s: From the beginning of loading to the last reply.
        load_s: The part of it before the first prompt.
        replies: Texts, in the order of the calls.
    """

    total_s: float
    load_s: float
    calls: list[Call]
    replies: list[str]
    peak_rss_bytes: int


Job = Speak | Read


def run_in_sequence(job: Job) -> Outcome:
    """Return what `job` takes in a child process of its own.

    Raises:
        EngineError: The child failed; its last words are in the message.
    """
    # The plain script's own environment: escl's settings for its engines are not forced on it.
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        input=msgspec.json.encode(job),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", errors="replace")[-_LAST_WORDS:]
        raise EngineError(f"the loop over llama-cpp-python ended with code {done.returncode}: {said}")
    return msgspec.json.decode(done.stdout, type=Outcome)


class _Script:
    """The calls of one job and the time they take."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self._started = time.perf_counter()
        self._loaded = self._started
        self._calls: list[Call] = []
        self._replies: list[str] = []

    def load(self, path: str) -> Any:  # noqa: ANN401
        """Return a model as llama-cpp-python's high-level class."""
        # Loads llama.cpp, which only a child process may.
        import llama_cpp

        llm = llama_cpp.Llama(
            path,
            n_ctx=self._loading.ctx,
            n_threads=self._loading.threads,
            n_threads_batch=self._loading.threads,
            n_gpu_layers=self._loading.gpu_layers,
            verbose=False,
        )
        self._loaded = time.perf_counter()
        return llm

    def ask(self, llm: Any, messages: list[dict[str, str]], sampling: Sampling) -> str:  # noqa: ANN401
        """Return the model's reply."""
        began = time.perf_counter()
        completion = llm.create_chat_completion(
            messages,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=0.0,
            repeat_penalty=sampling.repeat_penalty,
            max_tokens=sampling.max_tokens,
        )
        usage = completion["usage"]
        seconds = time.perf_counter() - began
        self._calls.append(
            Call(n_prompt=usage["prompt_tokens"], n_generated=usage["completion_tokens"], seconds=seconds)
        )
        self._replies.append(completion["choices"][0]["message"]["content"])
        return self._replies[-1]

    def outcome(self) -> Outcome:
        """Return what it all took."""
        return Outcome(
            total_s=time.perf_counter() - self._started,
            load_s=self._loaded - self._started,
            calls=self._calls,
            replies=self._replies,
            peak_rss_bytes=peak_rss_bytes(),
        )


def _speak(job: Speak) -> Outcome:
    script = _Script(job.loading)
    seeker, supporter = script.load(job.seeker), script.load(job.supporter)
    for card in job.cards:
        turns = [job.protocol.greeting(card.language)]
        for _ in range(job.rounds):
            messages = [msgspec.structs.asdict(m) for m in job.protocol.seeker_messages(card, turns)]
            turns.append(Turn(speaker=Speaker.SEEKER, text=script.ask(seeker, messages, job.seeker_sampling)))
            messages = [msgspec.structs.asdict(m) for m in job.protocol.supporter_messages(card.language, turns)]
            turns.append(Turn(speaker=Speaker.SUPPORTER, text=script.ask(supporter, messages, job.supporter_sampling)))
    return script.outcome()


def _read(job: Read) -> Outcome:
    # Imports llama.cpp.
    from escl.engine.labels import DEFAULT_SYSTEM_KEY

    script = _Script(job.loading)
    scorer = script.load(job.scorer)
    system = scorer.metadata.get(DEFAULT_SYSTEM_KEY)
    greedy = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=job.max_tokens)
    for language in sorted({dialogue.language for dialogue in job.dialogues}):
        chosen = [dialogue for dialogue in job.dialogues if dialogue.language is language]
        for dimension in Dimension:
            # What was cached under another adapter says something else.
            scorer.reset()
            with _Adapter(scorer, job.adapters.get(f"{language.value}/{dimension.value}")):
                for dialogue in chosen:
                    if not job.reuse:
                        scorer.reset()
                    script.ask(scorer, _question(job, dialogue, dimension, system), greedy)
    return script.outcome()


def _question(job: Read, dialogue: Dialogue, dimension: Dimension, system: str | None) -> list[dict[str, str]]:
    prompt = job.protocol.scorer_prompt(dialogue.language, dimension, dialogue.turns)
    opening = prompt.system if prompt.system is not None else system
    before = [] if opening is None else [{"role": "system", "content": opening}]
    return [*before, {"role": "user", "content": prompt.prefix + prompt.rest}]


class _Adapter:
    """A LoRA adapter that is on while the context lasts; None is the bare model."""

    def __init__(self, llm: Any, path: str | None) -> None:  # noqa: ANN401
        self._llm, self._path = llm, path
        self._pointer: Any = None

    def __enter__(self) -> None:
        if self._path is None:
            return
        import llama_cpp

        self._pointer = llama_cpp.llama_adapter_lora_init(self._llm.model, self._path.encode())
        if not self._pointer:
            raise EngineError(f"{self._path} cannot be loaded as an adapter")
        self._set([self._pointer])

    def __exit__(self, *_: object) -> None:
        if self._pointer:
            import llama_cpp

            self._set([])
            llama_cpp.llama_adapter_lora_free(self._pointer)

    def _set(self, adapters: Sequence[Any]) -> None:
        import llama_cpp

        n = len(adapters)
        array = (llama_cpp.llama_adapter_lora_p_ctypes * n)(*adapters)
        llama_cpp.llama_set_adapters_lora(self._llm.ctx, array, n, (ctypes.c_float * n)(*[1.0] * n))


def main() -> None:
    """Do the job on stdin and write its outcome to stdout."""
    job: Job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    # llama.cpp may print; the outcome must be all there is on stdout.
    out = os.dup(1)
    os.dup2(2, 1)
    outcome = _speak(job) if isinstance(job, Speak) else _read(job)
    with os.fdopen(out, "wb") as stream:
        stream.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
