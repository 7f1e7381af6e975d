from __future__ import annotations

import pytest

from escl.core.dimension import Language
from escl.text.role_break import RoleBreak, role_breaks

EN, ZH = Language.ENGLISH, Language.CHINESE


@pytest.mark.parametrize(
    ("language", "text", "kind"),
    [
        (EN, "How can I help you today?", RoleBreak.SUPPORTS),
        (EN, "I’m so sorry to hear that. You are not alone.", RoleBreak.SUPPORTS),
        (EN, "As an AI language model I cannot feel that.", RoleBreak.MACHINE),
        (EN, "Sure.\nSupporter: tell me more", RoleBreak.CARD),
        (EN, "According to my role card I lost my job.", RoleBreak.CARD),
        (ZH, "你好，有什么可以帮助你？", RoleBreak.SUPPORTS),
        (ZH, "我理解您的感受，您不是一个人。", RoleBreak.SUPPORTS),
        (ZH, "作为一个人工智能，我没有感情。", RoleBreak.MACHINE),
        (ZH, "支持者：请继续说", RoleBreak.CARD),
    ],
)
def test_falling_out_of_the_role_is_seen(language: Language, text: str, kind: RoleBreak) -> None:
    assert kind in role_breaks(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (EN, "Are you an AI? I was hoping for a person."),
        (EN, "I'm sorry, I don't know how to say this. Thank you for listening."),
        (EN, "He said I am here for the money. It sounds like a form letter."),
        (EN, "My mother told me that I should see a doctor."),
        (ZH, "你到底是不是机器人？谢谢你听我说。"),
        (ZH, "我不知道该怎么帮助我妈妈，听起来很傻吧。"),
        (ZH, "我是一名人工智能工程师，压力很大。"),
    ],
)
def test_a_seeker_that_speaks_as_one_is_left_alone(language: Language, text: str) -> None:
    assert role_breaks(text, language) == {}
