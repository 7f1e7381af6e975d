"""Whether a seeker's turn falls out of its role: it supports, says that it is a machine, or speaks of its card.

The phrases are ours, read off what chat models say when they slip; docs/validity.md has the limits. Each pattern is a
plain alternation of literal words, so that matching takes one pass over a text whatever it holds.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from escl.core.dimension import Language
from escl.text.words import plain

_EXCERPT_CHARS: Final = 60


class RoleBreak(StrEnum):
    """How a seeker falls out of its role."""

    SUPPORTS = "speaks as the supporter"
    MACHINE = "says it is a machine"
    CARD = "speaks of its card or label"


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases))


_PATTERNS: Final[dict[Language, dict[RoleBreak, re.Pattern[str]]]] = {
    Language.ENGLISH: {
        RoleBreak.SUPPORTS: _any(
            r"\bhow (?:can|may) i (?:help|assist|support) you\b",
            r"\bi(?:'m| am) here (?:to (?:help|support) you|to listen|for you)\b",
            r"\bi(?:'m| am) (?:so |really |very )?sorry to hear\b",
            r"\bsorry (?:that )?you(?:'re| are) (?:going|feeling|dealing)\b",
            r"\bit sounds like you(?:'re| are| have| feel)\b",
            r"\byou(?:'re| are) not alone\b",
            r"\byour feelings are (?:valid|normal|understandable)\b",
            r"\bthank you for (?:sharing|opening up|trusting me)\b",
            r"\bi (?:would |'d )?(?:suggest|recommend|encourage) (?:that )?you\b",
            r"\bhave you (?:considered|tried|thought about) (?:talking|speaking|seeing|seeking|reaching)\b",
        ),
        RoleBreak.MACHINE: _any(
            r"\b(?:i(?:'m| am)|as) (?:just |only )?an? (?:ai|artificial intelligence|(?:large )?language model"
            r"|chat ?bot|virtual assistant|computer program)\b",
            r"\bi (?:do not|don't) have (?:feelings|emotions|personal experiences)\b",
            r"\bas an assistant\b",
        ),
        RoleBreak.CARD: _any(
            r"\b(?:my|the) (?:role card|character card|character description|system prompt)\b",
            r"\bi(?:'m| am) (?:playing|pretending to be|role-?playing) (?:the |a )?(?:role|character|person|seeker)\b",
            r"\bas the seeker\b",
            r"^\W{0,3}(?:supporter|assistant|ai assistant|seeker|esc-role)\s?:",
            r"\n\W{0,3}(?:supporter|assistant|ai assistant|seeker|esc-role|user)\s?:",
            r"\bage: .{0,40}\ngender: ",
        ),
    },
    Language.CHINESE: {
        RoleBreak.SUPPORTS: _any(
            "(?:我|有什么)(?:能|可以|能够)(?:怎么|为|怎样)?(?:帮|帮助|帮到)(?:你|您)",
            "我(?:会|一直)?(?:在这里|在这儿)(?:支持|倾听|陪伴?|听)(?:着)?(?:你|您)",
            "(?:很抱歉|很遗憾)听到(?:你|您)",
            "听起来(?:你|您)",
            "(?:你|您)(?:并)?不是(?:一个人|孤单)",
            "(?:你|您)的(?:感受|情绪)是(?:正常|合理|可以理解)",
            "(?:谢谢|感谢)(?:你|您)(?:的分享|愿意(?:分享|告诉|倾诉|相信))",
            "我(?:建议|鼓励|推荐)(?:你|您)",
            "我(?:很|非常)?理解(?:你|您)的(?:感受|困扰|心情|处境|痛苦)",
        ),
        RoleBreak.MACHINE: _any(
            "(?:我(?:只)?是|作为)(?:一个|一名|一款)?(?:人工智能|ai|语言模型|大模型|聊天机器人|机器人|智能助手|虚拟助手)(?!程序员|工程师|专业)",
            "我没有(?:感情|情感|情绪|个人经历)",
        ),
        RoleBreak.CARD: _any(
            "(?:我的|这张)?(?:角色卡|角色设定|人物设定|系统提示)",
            "我(?:在|正在)?(?:扮演|假装)(?:一个|一名|这个)?(?:角色|求助者|来访者)",
            r"(?:^|\n)\W{0,3}(?:支持者|咨询师|助手|求助者|来访者|ai助手)\s?:",
            r"年龄: ?.{0,40}\n性别: ?",
        ),
    },
}


def role_breaks(text: str, language: Language) -> dict[RoleBreak, str]:
    """Return how a seeker's turn falls out of its role, each way with the first words that show it."""
    lowered = plain(text).lower()
    return {
        kind: found.group().strip()[:_EXCERPT_CHARS]
        for kind, pattern in _PATTERNS[language].items()
        if (found := pattern.search(lowered))
    }
