"""How a reply is drawn from a model's distribution."""

from __future__ import annotations

import msgspec


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Sampling settings of one speaker. The defaults are ESC-Role's own generation settings.

    Source: the effective generation configuration of haidequanbu/ESC-Role with upstream's `max_new_tokens=512`.

    Attributes:
        temperature: 0 means greedy: the most likely token, no randomness.
        top_p: Nucleus mass, after top-k.
        top_k: Candidates kept; 0 keeps all.
        repeat_penalty: Divides (multiplies, when negative) the logit of every token in prompt and reply; 1 is off.
        max_tokens: New tokens at most; a reply cut there is recorded as cut.
    """

    temperature: float = 0.7
    top_p: float = 0.8
    top_k: int = 20
    repeat_penalty: float = 1.05
    max_tokens: int = 512
