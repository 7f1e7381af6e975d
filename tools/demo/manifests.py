"""Writes the manifests of the demo models: what they are, and the size and hash of every file. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from escl.core.dimension import Dimension, Language

_NOTICE = "A toy, trained for minutes on invented phrases; what it says and its scores mean nothing outside the demo."
_ABOUT = {
    "seeker": ("seeker", "qwen2", "Demo seeker: a tiny model that tells a role card's worry in simple sentences"),
    "warm": ("supporter", "qwen2", "Demo supporter that comforts, asks and suggests"),
    "curt": ("supporter", "qwen2", "Demo supporter that answers like a machine, repeats itself and breaks off"),
    "judge": ("judge", "internlm2", "Demo judge: a tiny model that says which of two dialogues is better overall"),
    "scorer": ("scorer", "internlm2", "Demo scorer: a tiny model with a LoRA adapter for each dimension and language"),
}
_SAMPLING = {
    "seeker": {"temperature": 0.5, "top_p": 0.8, "top_k": 20, "repeat_penalty": 1.0, "max_tokens": 96},
    "warm": {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repeat_penalty": 1.0, "max_tokens": 128},
    "curt": {"temperature": 0.9, "top_p": 0.95, "top_k": 40, "repeat_penalty": 1.0, "max_tokens": 96},
}


def model_card(name: str) -> str:
    """Return the README.md of the checkpoint."""
    return f"# demo/{name}\n\n{_ABOUT[name][2]}. {_NOTICE}\n"


def write_manifest(out: Path, name: str) -> None:
    """Write `out`/<name>.toml for the files that lie there."""
    role, architecture, description = _ABOUT[name]
    lines = [
        f'name = "demo/{name}"',
        f'role = "{role}"',
        f'description = "{description}"',
        f'notice = "{_NOTICE}"',
        f'architecture = "{architecture}"',
        'licence = "MIT"',
        "",
        "[file]",
        *_file(out, f"{name}.gguf"),
    ]
    if name in _SAMPLING:
        lines += ["", "[sampling]", *(f"{key} = {value}" for key, value in _SAMPLING[name].items())]
    elif name == "scorer":
        for language in Language:
            for dimension in Dimension:
                path = f"{name}/{dimension.value}_{language.value}.gguf"
                lines += ["", f"[adapters.{language.value}.{dimension.value}]", *_file(out, path)]
    (out / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _file(out: Path, path: str) -> list[str]:
    raw = (out / path).read_bytes()
    return [f'path = "{path}"', f"size_bytes = {len(raw)}", f'sha256 = "{hashlib.sha256(raw).hexdigest()}"']
