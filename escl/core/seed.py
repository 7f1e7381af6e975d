"""Seeds, derived so that any turn can be made again alone, in any order, after any interruption."""

from __future__ import annotations

import hashlib

from escl.core.dialogue import Speaker


def turn_seed(*, run_seed: int, card_id: str, supporter: str, repeat: int, turn: int, speaker: Speaker) -> int:
    """Return the sampler seed of one turn, an unsigned 32-bit integer.

    It depends on nothing but the arguments. 0xFFFFFFFF, which llama.cpp reads as "random", is never returned.
    """
    fields = (str(run_seed), card_id, supporter, str(repeat), str(turn), speaker.value)
    # Length-prefixed, so that no two field lists share an encoding. A supporter may be a path that is not UTF-8.
    raws = [field.encode("utf-8", "surrogatepass") for field in fields]
    encoded = b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)
    digest = hashlib.blake2b(encoded, digest_size=8, person=b"escl-turn-seed").digest()
    return int.from_bytes(digest, "big") % 0xFFFFFFFF
