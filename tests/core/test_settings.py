"""Settings that decide what is said are in the fingerprint; a difference is named as the command line names it."""

from __future__ import annotations

import msgspec
from msgspec import structs

from escl.core.sampling import Sampling
from escl.core.settings import JudgingSettings, differences, fingerprint
from tests.runs import settings


def test_equal_settings_have_equal_fingerprints_and_other_ones_others() -> None:
    before = settings()
    assert fingerprint(before) == fingerprint(settings())
    changed = structs.replace(before.supporters[0], sampling=Sampling(temperature=0.1))
    after = structs.replace(before, supporters=(changed,))
    assert fingerprint(before) != fingerprint(after)
    assert differences(before, after) == ["supporter supporter.sampling.temperature: 0.7 -> 0.1"]


def test_a_supporter_that_goes_is_one_line() -> None:
    before = settings()
    more = structs.replace(before, supporters=(*before.supporters, structs.replace(before.seeker, name="b")))
    assert differences(more, before) == ["supporters: supporter, b -> supporter"]


def test_other_cards_are_named_by_the_options_that_choose_them() -> None:
    (line,) = differences(settings(), structs.replace(settings(), cards_sha256="1" * 64))
    assert line.startswith("cards (--cards, --lang, --limit, --sample and the like)")


def test_a_kv_type_is_in_the_fingerprint_only_where_it_was_asked_for() -> None:
    judging = JudgingSettings(
        generation_fingerprint="g", protocol_sha256="p", scorer="s", sha256="h", adapters={}, llama_cpp="0"
    )
    assert b"kv_type" not in msgspec.json.encode(judging)
    assert fingerprint(structs.replace(judging, kv_type="f16")) != fingerprint(judging)
