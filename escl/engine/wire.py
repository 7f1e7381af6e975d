"""What parent and child say to each other: msgpack frames, each with its length in front.

Owns the vocabulary only. It must not import llama_cpp, and knows nothing of dialogues, cards or rubrics.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from escl.core.dialogue import Message
from escl.core.sampling import Sampling

KVType = Literal["f16", "q8_0", "q4_0"]


class EngineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How to load a model; the first frame a child reads.

    Attributes:
        model: Path of the GGUF file.
        adapters: Name -> path of a LoRA GGUF file.
        purpose: "dialogue" keeps one KV stream per slot; "labels" keeps one pool, so that a prefix is shared.
        slots: Sequences decoded side by side.
        ctx_per_slot: Tokens of context for each dialogue slot, or for each labelled prompt.
        n_batch: Tokens per llama_decode call at most.
        n_ubatch: Tokens per computation at most; llama.cpp cuts a batch into pieces of this size.
        kv_type: How keys and values are stored; a quantized one needs flash attention.
        flash_attention: None lets llama.cpp decide.
        repack: Whether llama.cpp rearranges weights for the CPU while loading: a second copy of them in memory.
        device: The accelerator that takes the layers, as ggml names it ("CUDA0"); "cpu" uses none; None lets llama.cpp
            choose.
        gpu_layers: Layers on the device, the last ones first; -1 is all of them, 0 is CPU only.
        threads: Threads for decoding; None lets the child choose the physical cores.
        strict: One slot, KV cleared before every request: the same build then gives the same bytes.
        frozen_time: Seconds since the epoch that a chat template sees as "now".
    """

    model: str
    adapters: dict[str, str] = {}
    purpose: Literal["dialogue", "labels"] = "dialogue"
    slots: int = 8
    ctx_per_slot: int = 4096
    n_batch: int = 512
    n_ubatch: int = 512
    kv_type: KVType = "f16"
    flash_attention: bool | None = None
    repack: bool = True
    device: str | None = None
    gpu_layers: int = -1
    threads: int | None = None
    strict: bool = False
    frozen_time: int = 0

    @property
    def needs_cores(self) -> bool:
        """Whether the processor computes layers, which keeps all of its cores busy."""
        return self.device == "cpu" or self.gpu_layers >= 0


class Generate(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Continue a conversation by one assistant message.

    Attributes:
        session: Requests of one session share a slot while it lasts, so that only new tokens are evaluated.
    """

    id: int
    session: str
    messages: list[Message]
    sampling: Sampling
    seed: int


class ReadLabel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let the scorer answer greedily and read the distribution over the labels where its answer names one.

    Attributes:
        adapter: Name of a loaded adapter, or None for the bare model.
        system: System message; None leaves it to the scorer's own default (GGUF key escl.chat.default_system_prompt,
            no system message when the file has none).
        prefix: Opening of the user message, equal for many requests (a rubric); it is evaluated once and shared.
        rest: What follows the prefix in the user message.
        use_draft: False generates token by token, which is the reference that drafts must agree with.
    """

    id: int
    adapter: str | None
    system: str | None
    prefix: str
    rest: str
    max_tokens: int = 64
    use_draft: bool = True


class CountTokens(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Count the prompt tokens of a conversation, template included."""

    id: int
    messages: list[Message]


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Forget a request; nothing is answered to it any more."""

    id: int


class Watch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tell from now on, or no longer, what is being said; nothing is answered."""

    is_watched: bool


Request = Generate | ReadLabel | CountTokens | Cancel | Watch


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model is loaded."""

    architecture: str
    description: str
    n_vocab: int
    n_ctx_train: int
    n_ctx_per_slot: int
    slots: int
    device: str
    load_s: float
    template_sha256: str
    llama_build: str
    peak_rss_bytes: int


class Generated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A finished reply.

    Attributes:
        text: What is said.
        reasoning: What was thought aloud around it; None when nothing was.
        finish: "stop" when the model ended its turn, "length" when max_tokens cut it.
        n_reused: Prompt tokens whose KV was still there.
        queue_s: Seconds from arrival to the first evaluated token; `busy_s` from then to the end.
    """

    id: int
    text: str
    finish: Literal["stop", "length"]
    n_prompt: int
    n_reused: int
    n_generated: int
    queue_s: float
    busy_s: float
    reasoning: str | None = None


class LabelRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The scorer's greedy reply and, where it names a label, the distribution at that place.

    Attributes:
        reply: The whole reply as plain greedy generation gives it.
        probabilities: Probability of the labels 0..4 at the label's place, over the whole vocabulary (they sum to
            1 - off_label_mass); None when the reply names no label.
        off_label_mass: Probability of everything that is not a label there; None when the reply names no label.
        label: The label at that place; None when the reply names none.
        drafted: Whether a draft was verified up to the label, so that one prefill was enough to reach it.
    """

    id: int
    reply: str
    label: int | None
    probabilities: list[float] | None
    off_label_mass: float | None
    drafted: bool
    n_prompt: int
    n_reused: int
    n_generated: int
    busy_s: float


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer to CountTokens."""

    id: int
    n_tokens: int


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sign of life while the child works, at most a few a second; totals since it was loaded."""

    n_prompt_evaluated: int
    n_reused: int
    n_generated: int
    n_active: int
    n_waiting: int
    peak_rss_bytes: int


class Speaking(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ends of the replies that are being written, by session; beside Progress, and only while somebody watches."""

    texts: dict[str, str]


class Loading(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sign of life while the weights are read; `fraction` runs from 0 to 1."""

    fraction: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A request (or, with id None, the load) failed; `error` is the name of a class in escl.errors."""

    id: int | None
    error: str
    message: str
    hint: str | None = None


Reply = Ready | Generated | LabelRead | Counted | Progress | Speaking | Loading | Failed
