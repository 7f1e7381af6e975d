"""Chat templates for checkpoints that bring none: a few formats by name, or a file of the user's.

A template here states a format and nothing else: no system prompt, no courtesies. Knows no tokenizer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from escl.errors import UsageError

MAX_TEMPLATE_BYTES: Final = 256 << 10
"""No longer template is compiled (escl.engine.template)."""

TEMPLATE_GIVEN: Final = "escl.chat.template_given"
"""The GGUF key, with the value true, of a file whose chat template came from --chat-template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTemplate:
    """A chat format.

    Attributes:
        marks: The control tokens that it writes by their texts, besides bos_token and eos_token.
    """

    source: str
    marks: tuple[str, ...] = ()


# USER: and ASSISTANT: with a blank between all parts, </s> after an answer: conversation template "vicuna_v1.1" of
# lm-sys/FastChat (fastchat/conversation.py, separator style ADD_COLON_TWO).
_VICUNA: Final = NamedTemplate(
    source="{{ bos_token }}"
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content + ' ' }}"
    "{% elif m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}"
    "{% else %}{{ 'ASSISTANT: ' + m.content + eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

# Every exchange between <s> and </s>, the system message inside the first [INST]: chat_completion of
# meta-llama/llama (llama/generation.py).
_LLAMA2: Final = NamedTemplate(
    source="{% set ns = namespace(system='') %}"
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{% set ns.system = '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' %}"
    "{% elif m.role == 'user' %}{{ bos_token + '[INST] ' + ns.system + m.content + ' [/INST]' }}"
    "{% set ns.system = '' %}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
)

# What `build_inputs` of modeling_internlm2.py writes: a system message first when there is one, then turns.
_INTERNLM2: Final = NamedTemplate(
    source="{{ bos_token }}{% for m in messages %}"
    "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    marks=("<|im_start|>", "<|im_end|>"),
)

NAMED: Final[Mapping[str, NamedTemplate]] = {"internlm2": _INTERNLM2, "llama-2": _LLAMA2, "vicuna": _VICUNA}


def chosen_template(choice: str) -> tuple[str, Path | None]:
    """Return the template that --chat-template names, and its file when it is one.

    Raises:
        UsageError: `choice` is neither a name nor a file, or the file is empty, too long or no UTF-8.
    """
    if choice in NAMED:
        return NAMED[choice].source, None
    path = Path(choice)
    try:
        if not path.is_file():
            raise UsageError(
                f"no chat template is called {choice}, and it is no file",
                hint=f"known names: {', '.join(NAMED)}; or give a file with a Jinja template",
            )
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise UsageError(f"{path} has more than {MAX_TEMPLATE_BYTES:,} bytes; that is no chat template")
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{choice}: {error}") from error
    if not source.strip() or "\0" in source:
        raise UsageError(f"{path} holds no chat template")
    return source, path


def check_marks(choice: str, texts: Collection[str]) -> None:
    """Refuse a named template whose control tokens the vocabulary lacks: they would be written as plain text.

    Raises:
        UsageError: `choice` is the name of a template that needs a token which is not in `texts`.
    """
    if choice in NAMED and (missing := set(NAMED[choice].marks) - set(texts)):
        raise UsageError(f"the chat template {choice} writes {min(missing)}, which this vocabulary does not have")
