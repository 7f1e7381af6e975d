"""A hostile template ends as a ChatTemplateError, soon, without having done anything."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from escl.core.dialogue import Message
from escl.engine.template import ChatTemplate
from escl.errors import ChatTemplateError
from tests.engine.hostile import HOSTILE, SSTI

MESSAGES = [Message("user", "hello")]


def render(source: str, *, frozen_time: int = 0) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>", frozen_time=frozen_time).render(MESSAGES)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_refused_in_time(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(ChatTemplateError):
        render(HOSTILE[name])
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", SSTI)
def test_no_template_reaches_python(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    try:
        text = render(SSTI[name].replace("CANARY", str(canary)))
    except ChatTemplateError:
        text = ""
    assert not canary.exists()
    assert "object at 0x" not in text
    assert "<class" not in text


def test_the_clock_is_frozen() -> None:
    assert render("{{ strftime_now('%Y-%m-%d %H:%M') }}", frozen_time=1_750_000_000) == "2025-06-15 15:06"


def test_nothing_is_random() -> None:
    for source in ("{{ lipsum() }}", "{{ [1, 2, 3] | random }}"):
        with pytest.raises(ChatTemplateError):
            render(source)


def test_what_templates_need_is_there() -> None:
    assert (
        render("{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m['content'] | trim }}{% endfor %}")
        == "<s>user:hello"
    )
    assert (
        render("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}")
        == "1"
    )
    assert render("{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}x{% endfor %}") == ""
    assert render("{% generation %}a{{ eos_token }}{% endgeneration %}") == "a</s>"
    assert render("{{ {'a': 'é'} | tojson }}") == '{"a": "é"}'
    assert render("{{ 'ab' * 3 }}{{ 2 ** 10 }}{{ tools is none }}") == "ababab1024True"


def test_a_refusal_says_what_the_template_said() -> None:
    with pytest.raises(ChatTemplateError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


def test_a_huge_source_is_refused() -> None:
    with pytest.raises(ChatTemplateError, match="characters"):
        render("x" * 300_000)
