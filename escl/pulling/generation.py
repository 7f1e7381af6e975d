"""How a checkpoint's own makers sample from it: generation_config.json as our settings."""

from __future__ import annotations

from pathlib import Path

from escl.convert.folder import Fields, file_in, read_json
from escl.core.sampling import Sampling
from escl.errors import ConvertError


def sampling_of(folder: Path) -> Sampling | None:
    """Return the sampling that a checkpoint asks for; None when it has no generation_config.json or a malformed one.

    What the file leaves out is what Hugging Face's `generate` does without it: no sampling at all, or with sampling
    temperature 1, top-k 50, no top-p and no penalty. The length of a reply is the protocol's matter, not the file's.
    """
    path = file_in(folder, "generation_config.json")
    if path is None:
        return None
    try:
        fields = Fields(read_json(path), where=str(path))
        penalty = fields.number("repetition_penalty", default=1.0)
        if not fields.flag("do_sample", default=False):
            return Sampling(temperature=0.0, top_p=1.0, top_k=0, repeat_penalty=penalty)
        return Sampling(
            temperature=fields.number("temperature", default=1.0),
            top_p=min(1.0, fields.number("top_p", default=1.0)),
            top_k=fields.integer("top_k", default=50),
            repeat_penalty=penalty,
        )
    except ConvertError:
        return None
