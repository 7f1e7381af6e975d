# ruff: noqa: E501
"""A story is what card and seeker share: topic, event, hardships, feeling, facts.

Owns the way from the seeker's first person to the card's third person, the invented ("free") stories that teach the
seeker to repeat what its card says whatever it is, and stories read from real card texts.
"""

from __future__ import annotations

import functools
import random
import re
from dataclasses import dataclass

from escl.core.bundled import bundled
from escl.core.card import RoleCard, card_text
from escl.core.card_file import load_cards
from escl.core.dimension import Language
from tools.demo.bank import Bank, Topic, lines
from tools.demo.told import told

LONG_NEUTRAL: dict[Language, tuple[str, ...]] = {
    Language.ENGLISH: lines("""
        There are always two sides to things like {thing}, and it is not easy to say which one is the right one.
        Once upon a time people did not talk about {thing} at all, and today everybody seems to do it.
        The weather has been changing a lot lately, and that is often the case at this time of the year.
        In general one can say that {thing} is a wide field with many different aspects and questions.
        A cousin of a neighbour once had a similar story with {thing}, but that was long ago in another town.
        The topic of {thing} comes up again and again in newspapers, films and books of all kinds.
        On the one hand this is so, and on the other hand one could also see the whole matter differently.
        There is a saying about that, which my grandmother used to repeat whenever somebody came to visit.
    """),
    Language.CHINESE: lines("""
        {thing}这类事情总是有两面，很难说哪一面才是对的。
        从前大家根本不谈{thing}，如今好像人人都在说。
        最近天气变化很大，每年这个时候常常都是这样。
        总的来说，{thing}是个很大的话题，里面有各种各样的方面。
        邻居家的一个亲戚以前也有过{thing}的经历，不过那是很久以前的事了。
        报纸、电影和书里面一次又一次地讲到{thing}。
        一方面是这样，另一方面这整件事也可以换个角度去看。
        关于这个有一句老话，从前家里来了客人，老人总要说上一遍。
    """),
}

_VERBS = [
    "keep",
    "feel",
    "look",
    "cry",
    "lie",
    "talk",
    "hide",
    "snap",
    "check",
    "send",
    "hear",
    "pretend",
    "work",
    "wake",
    "worry",
    "compare",
    "eat",
    "say",
    "hate",
    "love",
    "live",
    "avoid",
    "delete",
    "read",
    "write",
    "begin",
    "sleep",
    "come",
    "envy",
    "carry",
    "need",
    "want",
    "miss",
    "know",
    "take",
    "have",
    "think",
    "still",
    "smile",
    "count",
    "shout",
    "set",
]
_IRREGULAR = {"have": "has", "cry": "cries", "worry": "worries", "carry": "carries", "envy": "envies"}
_SUBJECTS = {"female": ("She", "her", "herself"), "male": ("He", "his", "himself")}
_FREE_ENGLISH = tuple(
    tuple(part.split(", "))
    for part in lines("""
        lost, broke, sold, found, burned, forgot, stole, hid, dropped, ruined, gave away, left behind, missed, spilled, painted, buried, returned, borrowed, destroyed, locked away, kept, threw away, inherited, repaired
        the, my, an old, a blue, the only, a small, the broken, a wooden, the last, my favourite, a heavy, the wrong, a secret, the silver, an ugly, a green, the expensive, a foreign
        ring, letter, violin, key, camera, bicycle, ticket, recipe, garden, photo, watch, boat, lamp, coat, book, kite, painting, phone, medal, tent, piano, suitcase, notebook, window, cake, tree, map, chair, guitar, necklace, car, jacket, house, mirror, computer, shoe, drawing, boot, blanket, knife
        of my neighbour, of my aunt, of my grandfather, from the museum, at the airport, in the river, in the church, during the storm, at the wedding, on the train, in the forest, of my teacher, at the market, on the island, in the office, in front of everyone, behind the school, during the holidays, of the choir, at the harbour, in the hotel, of the football team, in the library, on the bridge
    """)
)
_FREE_CHINESE = tuple(
    tuple(part.split(" "))
    for part in lines("""
        弄丢了 打碎了 卖掉了 烧掉了 忘了带 偷拿了 藏起了 摔坏了 送走了 错过了 弄脏了 埋掉了 退回了 借走了 毁了 锁上了 扔掉了 继承了 修好了 留下了
        一枚 那把 唯一的 旧的 蓝色的 很小的 最后的 最喜欢的 很重的 秘密的 银色的 难看的 绿色的 昂贵的 一只 奇怪的
        戒指 信 小提琴 钥匙 相机 自行车 车票 菜谱 花园 照片 手表 小船 台灯 大衣 书 风筝 画 手机 奖牌 帐篷 钢琴 行李箱 笔记本 窗户 蛋糕 树 地图 椅子 吉他 项链 汽车 外套 房子 镜子 电脑 鞋子 毯子 雨伞 帽子 茶壶
        在机场 在河边 在教堂 在暴雨里 在婚礼上 在火车上 在森林里 在市场 在岛上 在办公室 在大家面前 在学校后面 在假期里 在合唱团 在码头 在旅馆 在球队 在图书馆 在桥上 在邻居家 在姑姑家 在爷爷家 在博物馆 在工地
    """)
)
_OTHER_SUBJECT = "婆婆|儿子|女儿|宝宝|父亲|母亲|父母|丈夫|妻子|部门|功劳|升职|朋友|室友|书包|开的|陌生人|起|猫|狗|老师|哥哥|奶奶|论文|没有一个人"
_FREE_HINTS = {
    Language.ENGLISH: lines("""
        Something happened that I can't get over.
        There is something on my mind.
        I don't know how to deal with something.
        Something has been weighing on me for a while.
        I'm not doing well at the moment.
    """),
    Language.CHINESE: lines("""
        发生了一件事，我一直过不去。
        我心里有件事。
        有件事我不知道怎么面对。
        有件事压在我心里好一阵子了。
        我最近过得不太好。
    """),
}
_TAILS = {
    Language.ENGLISH: lines("""
        The seeker does not know what to do.
        It weighs on {her} day and night.
        {She} hopes to find some relief by talking about it.
        {She} wants to be understood.
        Sleep and appetite have suffered.
        {She} would like to know how to go on.
    """),
    Language.CHINESE: lines("""
        不知道该怎么办。
        希望有人能理解。
        为此吃不好也睡不好。
        想找人倾诉。
        想知道以后怎么走下去。
        心里一直放不下。
    """),
}


_KIN: dict[Language, tuple[tuple[str, list[str]], ...]] = {
    Language.ENGLISH: (
        (
            "wife|girlfriend|daughter|and",
            [
                "Anna",
                "Maria",
                "Lucy",
                "Nina",
                "Sara",
                "Grace",
                "Ella",
                "Ruth",
                "Julia",
                "Mona",
                "Clara",
                "Rosa",
                "Lena",
                "Vera",
                "Iris",
            ],
        ),
        (
            "husband|boyfriend|son|brother|called",
            [
                "Daniel",
                "Tom",
                "Paul",
                "Omar",
                "Leo",
                "Victor",
                "Jonas",
                "Karim",
                "Peter",
                "Simon",
                "Ivan",
                "Ben",
                "Felix",
                "Amir",
                "Hugo",
            ],
        ),
    ),
    Language.CHINESE: (
        (
            "妻子|女朋友|女儿|闺蜜",
            ["小雨", "小芳", "丽丽", "小梅", "思思", "晓燕", "雪儿", "阿玲", "婷婷", "静静", "佳佳", "阿兰"],
        ),
        (
            "丈夫|男朋友|儿子|弟弟|哥哥|表哥|叫",
            ["志强", "建国", "浩然", "阿明", "大伟", "子涵", "小军", "文杰", "小北", "国华", "阿勇", "小虎"],
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a card tells and its seeker says.

    Attributes:
        card: The card's text.
        topic: What it is about; for a free story any topic, used by the supporter only.
        hint: The seeker's first words about it.
        event: What happened, in the first person, one sentence.
        hards: What makes it hard, one sentence each.
        facts: Sentences about age or job, empty when the card has neither.
    """

    card: str
    topic: Topic
    hint: str
    event: str
    hards: tuple[str, ...]
    feel: str
    facts: tuple[str, ...]


def third(text: str, gender: str) -> str:
    """Return a first-person sentence as a card tells it: I -> she, my -> her, I keep -> she keeps."""
    she, her, herself = _SUBJECTS.get(gender, ("The seeker", "their", "themselves"))
    low = she.lower()
    text = re.sub(r"\bI(?:'m| am)\b", f"{low} is", text)
    text = re.sub(r"\bI(?:'ve)\b", f"{low} has", text)
    text = re.sub(r"\bI don't\b", f"{low} does not", text)
    text = re.sub(r"\bI haven't\b", f"{low} has not", text)

    def finite(match: re.Match[str]) -> str:
        verb = match["verb"]
        return f"{low}{match['adverb'] or ''} " + _IRREGULAR.get(
            verb, verb + ("es" if verb.endswith(("s", "sh", "ch")) else "s")
        )

    text = re.sub(rf"\bI(?P<adverb> still| only| even| just)? (?P<verb>{'|'.join(_VERBS)})\b", finite, text)
    me = {"her": "her", "his": "him"}.get(her, "them")
    for first, other in (("myself", herself), ("my", her), ("me", me), ("I", low)):
        text = re.sub(rf"\b{first}\b", other, text)
    return text


def sentence(text: str, language: Language) -> str:
    """Return the clause as a sentence."""
    end = "." if language is Language.ENGLISH else "。"
    text = text.rstrip(".。")
    return text[:1].upper() + text[1:] + end


def told_story(rng: random.Random, card: RoleCard, bank: Bank, words: tuple[str, ...]) -> Story:
    """Return the story that `words` (see tools.demo.told) tell of one of our own cards."""
    topic_key, hint, event, first, second, feel = words
    topic = next(topic for topic in bank.topics if topic.key == topic_key)
    facts = []
    head = dict(zip(("age", "gender", "job"), (line for line in card.text.splitlines()), strict=False))
    age = re.search(r"\d+", head["age"])
    if age:
        facts = [line.replace("{age}", age[0]) for line in bank.fact_line if "{age}" in line]
    hards = [first, second] if rng.random() < 0.7 else [second, first]
    return Story(card=card.text, topic=topic, hint=hint, event=event, hards=tuple(hards), feel=feel, facts=tuple(facts))


def story(rng: random.Random, language: Language, bank: Bank, *, free: float = 0.15) -> Story:
    """Return a story and its card: one in four one of our own cards, and of the others a share `free` invented freely."""
    if rng.random() < 0.25:
        card, words = rng.choice(_told_cards(language))
        return told_story(rng, card, bank, words)
    return invented(rng, language, bank, free=rng.random() < free)


@functools.cache
def _told_cards(language: Language) -> list[tuple[RoleCard, tuple[str, ...]]]:
    words = told()
    cards = load_cards(bundled("role_cards") / f"{language.value}.toml")
    return [(card, words[card.id]) for card in cards if card.id in words]


def invented(rng: random.Random, language: Language, bank: Bank, *, free: bool) -> Story:
    """Return a story made from the bank, and its card."""
    topic = rng.choice(bank.topics)
    job, name, age = rng.choice(bank.jobs), rng.choice(bank.names), str(rng.randint(15, 79))
    gender = rng.choice(("female", "male", ""))
    fill = {"{ago}": rng.choice(bank.agos), "{span}": rng.choice(bank.spans), "{job}": job, "{age}": age}

    def filled(text: str) -> str:
        if job[0] in "aeiou":
            text = text.replace(" a {job}", " an {job}")
        for marker, value in fill.items():
            text = text.replace(marker, value)
        return _named(rng, text, name, language)

    events = [_free(rng, language, filled) for _ in range(2)] if free else []
    hards = rng.sample(topic.hard, 3)
    # A card may only name its worry; the seeker then fills in what belongs to it.
    named_only = not free and rng.random() < 0.25
    event = events[0] if free else hards[2] if named_only else filled(rng.choice(topic.events))
    hards = hards[:2]
    if free and rng.random() < 0.6:
        hards = [events[1]]
    hards = [filled(hard) for hard in hards]
    hint = rng.choice(_FREE_HINTS[language] if free else topic.hints)
    feel = rng.choice(topic.feels)
    has_age, has_job = rng.random() < 0.6, rng.random() < 0.6
    problem = (
        _worry(rng, language, topic, feel)
        if named_only
        else _problem(rng, language, topic=None if free else topic, event=event, hards=hards, feel=feel, gender=gender)
    )
    facts = [line for line in bank.fact_line if ("{age}" in line and has_age) or ("{job}" in line and has_job)]
    missing = "not mentioned" if language is Language.ENGLISH else "未提及"
    shown = {"female": "女", "male": "男"} if language is Language.CHINESE else {"female": "female", "male": "male"}
    card = card_text(
        language,
        age=age if has_age else missing,
        gender=shown.get(gender, missing),
        occupation=job if has_job else missing,
        problem=problem,
    )
    spoken = event if named_only or language is Language.ENGLISH else _spoken(event)
    return Story(
        card=card,
        topic=topic,
        hint=hint,
        event=sentence(spoken, language),
        hards=tuple(sentence(hard, language) for hard in hards),
        feel=feel,
        facts=tuple(filled(line) for line in facts),
    )


def _named(rng: random.Random, text: str, name: str, language: Language) -> str:
    # A wife is not called Peter.
    for words, names in _KIN[language]:
        if re.search(rf"(?:{words}) ?{{name}}", text):
            name = rng.choice(names)
    return text.replace("{name}", name)


def _free(rng: random.Random, language: Language, filled: object) -> str:
    assert callable(filled)
    if language is Language.ENGLISH:
        verb, article, noun, place = (rng.choice(words) for words in _FREE_ENGLISH)
        return str(filled(f"I {verb} {article} {noun} {place}" + rng.choice(("", " {ago}"))))
    verb, article, noun, place = (rng.choice(words) for words in _FREE_CHINESE)
    return str(filled(rng.choice(("", "{ago}")) + place + verb + article + noun))


def _spoken(event: str) -> str:
    # An event that names its own subject needs no "I".
    return event if re.search(_OTHER_SUBJECT, event[:9]) else "我" + event


def _worry(rng: random.Random, language: Language, topic: Topic, feel: str) -> str:
    first, second, third_word = rng.sample(topic.words, 3)
    if language is Language.CHINESE:
        text = rng.choice(
            (f"{first}，{second}，感到{feel}", f"因为{first}和{second}而{feel}", f"{first}，{second}，{third_word}")
        )
        return text + "。" + rng.choice(("", *_TAILS[language]))
    text = rng.choice(
        (
            f"Worries about {first} and {second}, feels {feel}.",
            f"{first.capitalize()}, {second}, {third_word}.",
            f"The seeker is {feel} because of {first} and {second}.",
        )
    )
    return text + rng.choice(("", f" The seeker feels {feel}."))


def _problem(
    rng: random.Random, language: Language, *, topic: Topic | None, event: str, hards: list[str], feel: str, gender: str
) -> str:
    words = rng.sample(topic.words, 3) if topic else []
    tail = rng.choice(_TAILS[language])
    if language is Language.CHINESE:
        parts = [event, *hards, f"感到{feel}"]
        if rng.random() < 0.4 and words:
            parts.insert(
                0, rng.choice((f"因{words[0]}而苦恼", f"{words[0]}和{words[1]}的烦恼", f"关于{words[0]}的困扰"))
            )
        if rng.random() < 0.2:
            parts.remove(hards[-1])
        text = "，".join(parts) + "。"
        if rng.random() < 0.2:
            text = "求助者" + text
        return text + (tail if rng.random() < 0.4 else "")
    she, her, _ = _SUBJECTS.get(gender, ("The seeker", "their", ""))
    told = [third(event, gender), *(third(hard, gender) for hard in hards)]
    if rng.random() < 0.5:
        told[0] = re.sub(rf"^{she.lower()}\b", "The seeker", told[0], flags=re.IGNORECASE)
    text = ". ".join(clause[:1].upper() + clause[1:] for clause in told)
    if rng.random() < 0.3:
        text = f"{told[0][:1].upper()}{told[0][1:]}, and {', and '.join(told[1:])}"
    text += rng.choice(
        (f". {she} feels {feel}.", f", which makes {her if her != 'his' else 'him'} feel {feel}.", f". Feels {feel}.")
    )
    if rng.random() < 0.4 and words:
        text = rng.choice((f"Troubled by {words[0]} and {words[1]}. ", f"{words[0].capitalize()}, {words[1]}. ")) + text
    return text + (" " + tail.replace("{She}", she).replace("{her}", her) if rng.random() < 0.4 else "")
