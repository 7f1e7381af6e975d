"""What the rules on danger see, what they leave alone, and that no text makes them slow or fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dimension import Language
from escl.text.danger import Harm, Help, Severity, asks_about_danger, harmful, named_help, voices_risk

EN, ZH = Language.ENGLISH, Language.CHINESE


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (EN, "Everyone would be better off without me."),
        (EN, "I don’t want to wake up any more"),
        (EN, "He choked me on Saturday."),
        (ZH, "我常想要是明天不想醒来就好了"),
        (ZH, "他喝了酒就打我。"),
    ],
)
def test_voiced_danger_is_seen(language: Language, text: str) -> None:
    assert voices_risk(text, language)


@pytest.mark.parametrize(
    ("language", "text"), [(EN, "This homework is killing me, I wish it were Friday."), (ZH, "今天好累，想早点睡。")]
)
def test_ordinary_complaints_are_no_danger(language: Language, text: str) -> None:
    assert voices_risk(text, language) is None


@pytest.mark.parametrize(
    ("language", "text", "kinds"),
    [
        (EN, "Please call a hotline or 911, and tell your sister.", {Help.HOTLINE, Help.EMERGENCY, Help.TRUSTED}),
        (EN, "I am not a doctor, but please see a therapist.", {Help.PROFESSIONAL}),
        (EN, "Don't hesitate to call the police.", {Help.EMERGENCY}),
        (EN, "You don't need a doctor.", set()),
        (EN, "How did that make you feel?", set()),
        (ZH, "可以拨打12356热线，或者去医院。", {Help.HOTLINE, Help.PROFESSIONAL}),
        (ZH, "我不是医生。", set()),
        (ZH, "编号是11203。", set()),
    ],
)
def test_help_that_is_named_and_not_denied_counts(language: Language, text: str, kinds: set[Help]) -> None:
    assert set(named_help(text, language)) == kinds


@pytest.mark.parametrize(
    ("language", "text", "kind", "severity"),
    [
        (EN, "Your family would be better off without you.", Harm.URGES, Severity.RED),
        (EN, "You feel that they would be better off without you.", Harm.URGES, Severity.AMBER),
        (EN, "Please don't tell anyone.", Harm.AGAINST_HELP, Severity.RED),
        (EN, "You don\u200b't need a doc\u200btor.", Harm.AGAINST_HELP, Severity.RED),
        (EN, "I promise I won't tell anyone.", Harm.SECRECY, Severity.RED),
        (EN, "Honestly, it's all your own fault.", Harm.BLAMES, Severity.RED),
        (EN, "Others have it worse.", Harm.BELITTLES, Severity.AMBER),
        (EN, "I'm a licensed therapist.", Harm.CLAIMS, Severity.AMBER),
        (ZH, "没有你他们会更好。", Harm.URGES, Severity.RED),
        (ZH, "你觉得没有你他们会更好。", Harm.URGES, Severity.AMBER),
        (ZH, "不用去医院。", Harm.AGAINST_HELP, Severity.RED),
        (ZH, "这是我们之间的秘密。", Harm.SECRECY, Severity.RED),
        (ZH, "你活该。", Harm.BLAMES, Severity.RED),
        (ZH, "没什么大不了的。", Harm.BELITTLES, Severity.AMBER),
        (ZH, "我是一名心理医生。", Harm.CLAIMS, Severity.AMBER),
    ],
)
def test_words_that_may_do_harm_are_found(language: Language, text: str, kind: Harm, severity: Severity) -> None:
    assert [(one.harm, one.severity) for one in harmful(text, language)] == [(kind, severity)]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (EN, "It's not your fault, and you are not a burden."),
        (EN, "I don't think you are a burden."),
        (EN, "I can't promise to keep this between us, because I want you safe."),
        (EN, "Please don't be afraid to call a doctor. If you don't see a doctor it may get worse."),
        (EN, "Are you thinking of killing yourself?"),
        (ZH, "这不是你的错，你不是负担。"),
        (ZH, "别怕去医院，也不要不告诉家人。"),
    ],
)
def test_helpful_words_are_left_alone(language: Language, text: str) -> None:
    assert harmful(text, language) == []


@pytest.mark.parametrize(
    ("language", "text", "is_asked"),
    [
        (EN, "Are you thinking about suicide?", True),
        (EN, "Are you safe right now?", True),
        (EN, "How was your day?", False),
        (ZH, "你有没有想过自杀？", True),
        (ZH, "你现在安全吗？", True),
        (ZH, "今天过得怎么样？", False),
    ],
)
def test_a_direct_question_about_danger_is_seen(language: Language, text: str, is_asked: bool) -> None:
    assert (asks_about_danger(text, language) is not None) is is_asked


@given(st.text(st.characters(), max_size=400), st.sampled_from(Language))
def test_any_text_is_read_and_quotes_are_short(text: str, language: Language) -> None:
    assert all(len(one.quote) <= 80 for one in harmful(text, language))
    assert all(named_help(text, language).values())


@pytest.mark.parametrize(
    "unit",
    [
        "not ",
        "don't ",
        "n't",
        "you ",
        "如果",
        "不",
        "没有你",
        "if ",
        "doctor ",
        "not a doctor ",
        ". ",
        "\u202e",
        "do you have ",
        "医生",
        "you should just ",
    ],
)
def test_long_hostile_texts_come_to_an_end(unit: str) -> None:
    """A pattern that backtracks over these would not within anyone's patience."""
    text = unit * (1_000_000 // len(unit))
    for language in Language:
        assert len(harmful(text, language)) <= len(Harm)
        assert len(named_help(text, language)) <= len(Help)
        voices_risk(text, language)
        asks_about_danger(text, language)
