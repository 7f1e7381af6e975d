"""What a supporter outside the engines is: an endpoint, Python code or a person, as values.

Owns their settings and what of them goes into a run's fingerprint. Opens no connection and runs no code.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from escl.core.sampling import Sampling
from escl.core.settings import SpeakerKind

Dialect = Literal["plain", "llama.cpp", "vllm", "openai"]

DIALECTS: Final[dict[Dialect, dict[str, str]]] = {
    "plain": {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens"},
    "llama.cpp": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_tokens": "max_tokens",
        "top_k": "top_k",
        "repeat_penalty": "repeat_penalty",
    },
    "vllm": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_tokens": "max_tokens",
        "top_k": "top_k",
        "repeat_penalty": "repetition_penalty",
    },
    "openai": {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_completion_tokens"},
}
"""Which sampling settings a server is told, and what it calls them. Servers refuse or ignore what they do not know."""

DEFAULT_TIMEOUT_S: Final = 300.0
HUMAN: Final = "human"
"""What the command line and the run call the person who answers."""


class EndpointSupporter(msgspec.Struct, frozen=True, kw_only=True):
    """A model behind an OpenAI-compatible chat endpoint.

    Attributes:
        url: Base address, without "/chat/completions", credentials, query or fragment.
        model: As the server names it.
        key_env: The environment variable that holds the key; None when there is none.
        concurrency: Requests in flight.
        timeout_s: From a request's first byte to its answer's last.
        sampling: None leaves it to the protocol.
    """

    name: str
    url: str
    model: str
    dialect: Dialect = "plain"
    key_env: str | None = None
    concurrency: int = 4
    timeout_s: float = DEFAULT_TIMEOUT_S
    sampling: Sampling | None = None
    system_prompt: str | None = None
    notice: str | None = None

    @property
    def kind(self) -> SpeakerKind:
        return "endpoint"

    @property
    def address(self) -> str:
        """Who is asked, in one line."""
        return f"{self.url}#{self.model}"

    @property
    def target(self) -> str:
        """Who is asked, and in which dialect: two dialects may tell a server the same settings in other words."""
        return self.address if self.dialect == "plain" else f"{self.dialect} {self.address}"

    @property
    def sha256(self) -> str:
        """Hash of `target`: nobody can hash weights that are elsewhere."""
        return hashlib.sha256(self.target.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def at_once(self) -> int:
        """How many dialogues it can be asked about at once."""
        return self.concurrency

    def with_at_most(self, parallel: int) -> EndpointSupporter:
        """Return the same, asked about at most so many dialogues at once."""
        return msgspec.structs.replace(self, concurrency=min(self.concurrency, parallel))

    @property
    def told(self) -> tuple[str, ...]:
        """The sampling settings that its dialect has words for."""
        return tuple(DIALECTS[self.dialect])


class PythonSupporter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python function or class: called with the messages, it returns the reply.

    Attributes:
        target: "package.module:Name".
        sha256: Of the file that the module is in; what that imports is not covered.
        processes: Child processes that answer side by side.
        timeout_s: Of one call.
        sampling: Kept with the run only where the manifest states it; code is told nothing.
    """

    name: str
    target: str
    sha256: str
    processes: int = 1
    timeout_s: float = DEFAULT_TIMEOUT_S
    sampling: Sampling | None = None
    system_prompt: str | None = None
    notice: str | None = None

    @property
    def kind(self) -> SpeakerKind:
        return "python"

    @property
    def at_once(self) -> int:
        """How many dialogues it can be asked about at once."""
        return self.processes

    def with_at_most(self, parallel: int) -> PythonSupporter:
        """Return the same, asked about at most so many dialogues at once."""
        return msgspec.structs.replace(self, processes=min(self.processes, parallel))

    @property
    def told(self) -> tuple[str, ...]:
        """Nothing: code is called with the messages only."""
        return ()


class HumanSupporter(msgspec.Struct, frozen=True, kw_only=True):
    """The person who sits here and answers as the supporter.

    Attributes:
        sampling: Nothing is drawn; of the protocol's, `max_tokens` bounds a reply (`escl.supporters.person`).
    """

    name: str = HUMAN
    target: str | None = None
    sampling: Sampling | None = None
    system_prompt: str | None = None
    notice: str | None = None

    @property
    def kind(self) -> SpeakerKind:
        return "human"

    @property
    def sha256(self) -> str:
        """Hash of the name: who it was is not recorded."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def at_once(self) -> int:
        """One dialogue at a time."""
        return 1

    def with_at_most(self, parallel: int) -> HumanSupporter:
        """Return the same."""
        return self

    @property
    def told(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


OutsideSupporter = EndpointSupporter | PythonSupporter | HumanSupporter


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A reply from outside; numbers are None where nobody says them.

    Attributes:
        reasoning: What was thought aloud; None when nothing was.
        n_reused: Prompt tokens that the server says it had cached.
        busy_s: From asking, retries included, to the answer.
    """

    text: str
    reasoning: str | None
    finish: Literal["stop", "length"] | None
    n_prompt: int | None = None
    n_reused: int | None = None
    n_generated: int | None = None
    busy_s: float = 0.0


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a supporter outside was asked; as `escl.store.records.RequestRow`, which adds for which turn.

    Attributes:
        again: Whether it will be asked again.
    """

    number: int
    waited_s: float
    elapsed_s: float
    status: int | None = None
    model: str | None = None
    error: str | None = None
    again: bool = False
