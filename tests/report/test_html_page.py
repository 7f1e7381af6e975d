"""The page shows what the run holds, in either language, and whatever the run holds stays text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import msgspec
import pytest

from escl.core.card import Category, CrisisKind, RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.settings import JudgingSettings, SpeakerSettings, fingerprint
from escl.core.wording import Rubric
from escl.errors import StorageError, UsageError
from escl.evaluation.arena_results import ArenaResults
from escl.evaluation.calibration import CalibratedCell, Calibration
from escl.evaluation.judged_runs import judged_by
from escl.evaluation.validity import Validity, validity_of
from escl.report.html.arena_file import read_arena
from escl.report.html.page import render_page
from escl.report.html.sections.transcripts import evenly
from escl.report.html.subject import Choices, reported_run, subject_of
from escl.report.html.words import words_of
from escl.stats.cluster import clustered_mean
from escl.stats.recalibration import Recalibrated
from escl.store.database import Database
from escl.store.records import FailureRow, ModelRow, OwnReading, Reading, TurnRow
from escl.store.run import RunStore
from escl.text.seeker_checks import Check, Finding
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.report.test_arena import FIRST, SECOND
from tests.report.test_arena import results as arena_results
from tests.rubrics import PATIENCE
from tests.runs import CARD, PROTOCOL, card, rated, reading, settings

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><script>alert(3)</script>',
    "'><script>alert(4)</script>",
    "</title><script>alert(5)</script>",
    "</style><script>alert(6)</script>",
    "</details></section><script>alert(7)</script>",
    "<img src=x onerror=alert(8)>",
    '"><img src=x onerror=alert(9)>',
    '" onmouseover="alert(10)',
    "' onmouseover='alert(11)",
    '" autofocus onfocus="alert(12)',
    '" style="background:url(http://example.org/13)',
    "<svg onload=alert(14)>",
    "<svg><script>alert(15)</script></svg>",
    '<svg><a href="javascript:alert(16)"><text>x</text></a></svg>',
    "<svg><animate onbegin=alert(17) attributeName=x dur=1s>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(18)>",
    "<iframe src=javascript:alert(19)></iframe>",
    '<iframe srcdoc="<script>alert(20)</script>"></iframe>',
    "<object data=javascript:alert(21)></object>",
    "<embed src=http://example.org/22>",
    "<base href=http://example.org/23/>",
    '<meta http-equiv="refresh" content="0;url=http://example.org/24">',
    '<link rel="stylesheet" href="http://example.org/25.css">',
    '<link rel="prefetch" href="http://example.org/26">',
    "<style>@import url(http://example.org/27)</style>",
    "<style>body{display:none}</style>28",
    "<form action=http://example.org/29><input name=q><button>go</button></form>",
    "<input autofocus onfocus=alert(30)>",
    "<video><source onerror=alert(31)></video>",
    "<audio src=x onerror=alert(32)>",
    "<body onload=alert(33)>",
    "<details open ontoggle=alert(34)>",
    "<marquee onstart=alert(35)>",
    "<a href=javascript:alert(36)>x</a>",
    '<a href="data:text/html,<script>alert(37)</script>">x</a>',
    "<template><script>alert(38)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(39)>'>",
    "<textarea><script>alert(40)</script>",
    "<xmp><script>alert(41)</script>",
    "<plaintext>42",
    "<!--><script>alert(43)</script>-->",
    "<!-- 44",
    "<![CDATA[<script>alert(45)</script>]]>",
    "<?php alert(46) ?>",
    "<!DOCTYPE html><script>alert(47)</script>",
    "&lt;script&gt;alert(48)&lt;/script&gt;",
    "&#60;script&#62;alert(49)&#60;/script&#62;",
    "&amp;lt;img src=x onerror=alert(50)&amp;gt;",
    "\u003cscript\u003ealert(51)\u003c/script\u003e",
    "<scr\x00ipt>alert(52)</scr\x00ipt>",
    "<script\x0c>alert(53)</script>",
    "<\u200bscript>alert(54)</script>",
    "＜script＞alert(55)＜/script＞",
    "{{ 7 * 7 }}{{ subject }}56",
    "{% raw %}{% include 'page.html' %}57",
    "{name.__class__.__mro__}{0}{n}58",
    "$\\frac{59}{0}$ \\begin{x}",
    "\x1b]8;;http://example.org/60\x1b\\x\x1b]8;;\x1b\\ \u202e<b>",
)


class _Elements(HTMLParser):
    """Counts the elements of a page, and each attribute's names by element."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, tuple(sorted(name for name, _ in attrs))] += 1
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"style", "src", "srcset", "action"}
            if name == "href":
                assert (value or "").startswith("#")
            # Shown by the stylesheet as text, where a row stands alone on a phone.
            if name != "data-label":
                assert "example.org" not in (value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: str) -> _Elements:
    parser = _Elements()
    parser.feed(page)
    parser.close()
    return parser


def page_of(
    *paths: Path,
    language: Language = Language.ENGLISH,
    choices: Choices | None = None,
    arenas: Sequence[ArenaResults] = (),
) -> str:
    choices = choices or Choices()
    runs = [reported_run(path, Database.reader(path), calibration=choices.calibration) for path in paths]
    subject = subject_of(runs, choices, arenas=arenas)
    return render_page(subject, language=language, made_utc="2026-01-02T03:04:05")


def full(path: Path, say: Callable[[str], str]) -> Path:
    """Write a run in which every text that comes from outside is what `say` makes of the field's name."""
    played = RoleCard(
        id=say("card id"),
        language=Language.ENGLISH,
        text=say("card text"),
        category=Category.FAMILY,
        subcategory=say("subcategory"),
        source=say("source"),
        crisis=None,
    )
    crisis = msgspec.structs.replace(played, id=say("crisis card id"), crisis=CrisisKind.SELF_HARM)
    supporter = SpeakerSettings(name=say("supporter"), sha256=say("hash"), sampling=settings().seeker.sampling)
    made = msgspec.structs.replace(settings(), supporters=(supporter,))
    store = RunStore.begin(
        Database.writer(path),
        made,
        msgspec.structs.replace(PROTOCOL, name=say("protocol")),
        command=say("command"),
        versions={say("package"): say("version")},
    )
    # No power cut ends a test, and waiting for the disk is most of the time of sixty runs.
    store.database.rows("PRAGMA synchronous = OFF")
    store.add_cards([played, crisis])
    store.add_models(
        [
            ModelRow(role="seeker", name=say("seeker"), sha256=say("hash"), size_bytes=1, notice=say("notice")),
            ModelRow(role="supporter", name=say("supporter"), sha256=say("hash"), size_bytes=None),
        ]
    )
    store.add_load(say("loaded"), {"device": say("device"), "slots": 1, "load_s": 0.5}, peak_bytes=1 << 20)
    judging = JudgingSettings(
        generation_fingerprint=fingerprint(made),
        protocol_sha256=PROTOCOL.sha256(),
        scorer=say("scorer"),
        sha256="0" * 64,
        adapters={},
        llama_cpp="0",
    )
    judging_id = store.add_judging(judging)
    own_id = store.add_judging(msgspec.structs.replace(judging, own=own_dimension(say)))
    store.plan_dialogues((one.id, one.language, say("supporter"), n) for one in (played, crisis) for n in (0, 1))
    for dialogue in store.dialogues():
        store.set_state(dialogue.id, "speaking")
        for at, speaker in enumerate((Speaker.SUPPORTER, Speaker.SEEKER)):
            store.add_turn(dialogue.id, at, TurnRow(turn=Turn(speaker=speaker, text=say("turn"))))
        # An empty turn is flagged, so that what is said of flags does not depend on the words.
        store.add_turn(dialogue.id, 2, TurnRow(turn=Turn(speaker=Speaker.SEEKER, text="")), last=True)
        _read(store, judging_id, dialogue.id, say)
        of_own = msgspec.structs.asdict(reading(dialogue.id, Dimension.OVERALL, 3.5))
        store.add_reading(own_id, OwnReading(own="own", **{k: v for k, v in of_own.items() if k != "dimension"}))
    store.finish("finished")
    store.close()
    return path


def own_dimension(say: Callable[[str], str]) -> OwnDimension:
    rubric = Rubric(
        name=say("own name"),
        definition=say("definition"),
        levels=(say("level 0"), say("level 1"), say("level 2"), say("level 3"), say("level 4")),
    )
    return OwnDimension(key="own", languages={Language.ENGLISH: rubric})


def _read(store: RunStore, judging_id: int, dialogue_id: int, say: Callable[[str], str]) -> None:
    for dimension in Dimension:
        if dimension is Dimension.OVERALL:
            failure = FailureRow(
                dialogue_id=dialogue_id, error=say("error"), message=say("message"), dimension=dimension
            )
            store.add_failure(failure, judging_id=judging_id)
        elif dimension is Dimension.SKILLFUL:
            found: Reading = msgspec.structs.replace(reading(dialogue_id, dimension, None), reply=say("reply"))
            store.add_reading(judging_id, found)
        else:
            store.add_reading(judging_id, reading(dialogue_id, dimension, 2.5))


@cache
def _arena() -> ArenaResults:
    return arena_results([(FIRST, SECOND)] * 4 + [(FIRST, FIRST)])


def fought(say: Callable[[str], str]) -> ArenaResults:
    """An arena in which every text that comes from outside is what `say` makes of the field's name."""
    shown = _arena()
    board, name = shown.boards[0], say("arena supporter")
    board = msgspec.structs.replace(
        board,
        failed={say("reason"): 1},
        ratings=[msgspec.structs.replace(one, supporter=name) for one in board.ratings],
        against=[msgspec.structs.replace(one, supporter=name) for one in board.against],
    )
    settings = msgspec.structs.replace(shown.settings, judge=say("judge"), rubric=say("rubric"))
    return msgspec.structs.replace(
        shown,
        boards=[board],
        settings=settings,
        reference=say("reference"),
        runs=[say("run")],
        forced=[say("forced")],
        notices=[say("notice")],
    )


def everything(path: Path, say: Callable[[str], str] = str) -> Choices:
    """Choose all that a page shows on demand; the calibration's file has the name that `say` gives it."""
    with Database.reader(path) as database:
        store = RunStore.read(database)
        by = judged_by(store, store.judging_settings(store.judgings()[-1][0]))
    refused = Recalibrated(
        map=None,
        n_fit_cards=1,
        n_check_cards=1,
        error_before=None,
        error_after=None,
        gain=clustered_mean([], []),
        helps=False,
        reason=say("calibration reason"),
    )
    made = Calibration(
        made_utc="2026-01-02T03:04:05",
        escl=say("calibration version"),
        judged_by=by,
        ratings=say("ratings file"),
        ratings_sha256="0" * 64,
        n_raters=2,
        runs=(say("calibration run"),),
        seed=0,
        cells=tuple(
            CalibratedCell(language=Language.ENGLISH, dimension=dimension, found=refused) for dimension in Dimension
        ),
    )
    return Choices(published=True, metrics=True, calibration=(made, say("calibration file")))


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take most of a page's time and hold no text from outside: `draw` is given none."""
    for name in ("draw_forest", "draw_radar"):
        monkeypatch.setattr(f"escl.report.html.draw.{name}", lambda *_, **__: "<svg></svg>")


@pytest.fixture
def one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one and the same thing be found in every dialogue, with text from outside in it, whatever was said there."""

    def found(store: RunStore) -> Validity:
        real = validity_of(store)
        dialogues = [
            msgspec.structs.replace(
                one,
                checked=msgspec.structs.replace(
                    one.checked, findings=(Finding(check=Check.ECHO, turn=1, what=one.card),)
                ),
            )
            for one in real.dialogues
        ]
        by_check = {check: int(check is Check.ECHO) for check in Check}
        seekers = [msgspec.structs.replace(one, by_check=by_check) for one in real.supporters]
        return msgspec.structs.replace(real, dialogues=dialogues, supporters=seekers)

    monkeypatch.setattr("escl.report.html.sections.validity.validity_of", found)


@pytest.fixture
def harmless(
    tmp_path_factory: pytest.TempPathFactory, no_drawing: None, one_finding: None
) -> Counter[tuple[str, tuple[str, ...]]]:
    """The elements of a page on which every field holds a word."""
    path = full(tmp_path_factory.mktemp("harmless") / "run.db", lambda field: f"{field} a word")
    return parsed(page_of(path, choices=everything(path), arenas=[fought(lambda field: f"{field} a word")])).found


@pytest.mark.parametrize("first", range(0, len(PAYLOADS), 12))
def test_no_text_from_anywhere_becomes_an_element(
    first: int, tmp_path: Path, harmless: Counter[tuple[str, tuple[str, ...]]]
) -> None:
    for number, payload in enumerate(PAYLOADS[first : first + 12]):

        def say(field: str, payload: str = payload) -> str:
            return f"{field} {payload}"

        path = full(tmp_path / f"{number}.db", say)
        page = page_of(path, choices=everything(path, say), arenas=[fought(say)])
        found = parsed(page)
        assert found.found == harmless, payload
        assert "�" in page or all(part in "".join(found.text) for part in payload.split())


def test_there_are_sixty_different_payloads() -> None:
    assert len(set(PAYLOADS)) == 60


def test_the_policy_allows_nothing_but_the_one_stylesheet(tmp_path: Path) -> None:
    page = page_of(rated(tmp_path / "r.db", {"a": {"c1": [3]}}))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].replace("&#39;", "'").split(";"))
    assert rules.pop("style-src").startswith("'sha256-")
    assert set(rules.values()) == {"'none'"}
    assert "default-src" in rules
    assert page.count("<style") == 1
    assert "<script" not in page


def two_supporters(folder: Path) -> Path:
    levels = {"kind": (3.0, 3.2, 2.9, 3.1), "curt": (1.0, 1.3, 0.8, 1.1)}
    cards = {name: f"c{name}" for name in "abcdefgh"}
    labels = {
        who: {one: [level[at % 4] + at / 100] for at, one in enumerate(cards.values())} for who, level in levels.items()
    }
    return rated(folder / "two.db", labels)


def test_the_page_says_who_is_better_and_by_how_much(tmp_path: Path) -> None:
    text = " ".join(" ".join(parsed(page_of(two_supporters(tmp_path))).text).split())
    assert "curt against" in text
    assert "Average −50.0 points of 100" in text
    assert "not about people, and not about clinical efficacy" in text


def test_every_number_of_the_leaderboard_is_the_results(tmp_path: Path) -> None:
    path = two_supporters(tmp_path)
    run = reported_run(path, Database.reader(path))
    text = "".join(parsed(page_of(path)).text)
    for cell in run.results.cells:
        score = cell.score
        assert score.mean is not None
        assert score.low is not None
        assert score.high is not None
        assert f"{score.mean:.1f}" in text
        assert f"{score.low:.1f}–{score.high:.1f}" in text


def test_crisis_cards_have_no_score_on_the_page_but_a_section_of_findings(tmp_path: Path) -> None:
    crisis = card("x", crisis=CrisisKind.VIOLENCE)
    path = rated(tmp_path / "r.db", {"a": {"c1": [4], "c2": [4], "x": [0]}}, cards=[crisis])
    page = page_of(path)
    assert 'id="crisis_track"' in page
    (board,) = re.findall(r'<table class="board">.*?</table>', page, re.S)
    assert "100.0" in board
    assert ">0.0<" not in board


def test_own_dimensions_have_a_section_with_what_was_asked_and_rows_under_each_dialogue(tmp_path: Path) -> None:
    path = two_supporters(tmp_path)
    without = page_of(path)
    assert 'id="own_dimensions"' not in without
    ask(path, Answers(), [PATIENCE])
    page = page_of(path)
    (section,) = re.findall(r'<section[^>]*id="own_dimensions".*?</section>', page, re.S)
    text = " ".join("".join(parsed(section).text).split())
    for said in ("Patience", "read by s", "4: Gives room throughout", "耐心", "93.8", "saturated", "8/8", "+0.0"):
        assert said in text
    assert page.count('<th scope="row" class="long">Patience</th>') == 16
    board = re.compile(r'<table class="board">.*?</table>', re.S)
    assert board.findall(page) == board.findall(without)


def test_an_arena_that_was_printed_stands_on_the_page(tmp_path: Path) -> None:
    run = two_supporters(tmp_path)
    (tmp_path / "arena.json").write_bytes(msgspec.json.encode({"arena": "a.db", "results": fought(str)}))
    page = page_of(run, arenas=[read_arena(tmp_path / "arena.json")])
    assert "arena supporter" in page
    assert "5 of 5 pairs judged" in page
    (shown,) = re.findall(r'<section[^>]*id="arena".*?</section>', page, re.S)
    assert "one imaginary comparison each" in shown
    assert re.search(r"different dialogues in \d+ % \(\d+–\d+\) of the pairs", shown)


def test_a_clean_sweep_on_the_page_leaves_open_what_the_terminal_leaves_open(tmp_path: Path) -> None:
    swept = arena_results([(FIRST, SECOND)] * 12)
    (shown,) = re.findall(
        r'<section[^>]*id="arena".*?</section>', page_of(two_supporters(tmp_path), arenas=[swept]), re.S
    )
    assert "&gt; 99 %" in shown
    assert "&lt; 1 %" in shown
    assert re.search(r"every card came out the same; win rate within [\d.]+ to [\d.]+ %", shown)
    assert re.search(r"in 0 % \(0–\d+\) of the pairs", shown)


def test_only_a_run_with_an_arena_has_its_section(tmp_path: Path) -> None:
    run = two_supporters(tmp_path)
    assert 'id="arena"' not in page_of(run)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"results": {"boards": 1}}', b"[" * 100_000])
def test_what_is_no_arena_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "arena.json").write_bytes(content)
    with pytest.raises(StorageError, match="holds no arena"):
        read_arena(tmp_path / "arena.json")


def test_a_run_that_nobody_scored_shows_its_dialogues(tmp_path: Path) -> None:
    store = RunStore.begin(Database.writer(tmp_path / "r.db"), settings(), PROTOCOL, command="test", versions={})
    store.add_cards([CARD])
    store.plan_dialogues([(CARD.id, CARD.language, "supporter", 0)])
    (dialogue,) = store.dialogues()
    store.set_state(dialogue.id, "speaking")
    said = TurnRow(turn=Turn(speaker=Speaker.SUPPORTER, text="Nobody has read this."))
    store.add_turn(dialogue.id, 0, said, last=True)
    store.close()
    page = page_of(tmp_path / "r.db")
    assert "Nothing was scored yet" in page
    assert "Nobody has read this." in page


def test_runs_that_are_not_comparable_are_refused_and_when_forced_the_page_says_so(tmp_path: Path) -> None:
    one = rated(tmp_path / "one.db", {"a": {"c1": [3], "c2": [2]}})
    longer = msgspec.structs.replace(settings(), rounds=7)
    other = rated(tmp_path / "other.db", {"b": {"c1": [3], "c2": [1]}}, run=longer)
    with pytest.raises(UsageError, match="rounds: 7 against 2"):
        page_of(one, other)
    forced = page_of(one, other, choices=Choices(force=True))
    assert "Forced although not comparable:" in forced
    assert "other.db: rounds: 7 against 2" in forced


def test_supporters_of_one_name_are_told_apart_by_their_runs(tmp_path: Path) -> None:
    one = rated(tmp_path / "one.db", {"a": {"c1": [3], "c2": [2]}})
    other = rated(tmp_path / "other.db", {"a": {"c1": [3], "c2": [1]}})
    page = page_of(one, other)
    assert "a (one.db)" in page
    assert "a (other.db)" in page


def test_as_many_cards_are_shown_as_asked_for_evenly_spaced(tmp_path: Path) -> None:
    path = rated(tmp_path / "r.db", {"a": {f"c{n:02}": [2] for n in range(20)}})
    for wanted, n in ((None, 20), (5, 5), (0, 0), (50, 20)):
        page = page_of(path, choices=Choices(transcripts=wanted))
        assert page.count('<details class="card">') == n
    assert evenly(5, 20) == [0, 4, 8, 12, 16]
    assert evenly(12, 655)[-1] > 590


def test_a_second_page_of_the_same_run_is_the_same(tmp_path: Path) -> None:
    path = two_supporters(tmp_path)
    assert page_of(path) == page_of(path)


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    english, chinese = (words_of(language).page for language in Language)
    assert english.keys() == chinese.keys()
    for key in english:
        one, other = (words_of(language).section(key) for language in Language)
        assert one.keys() == other.keys(), key
        for name, said in one.items():
            fields = [{field for _, field, _, _ in Formatter().parse(each) if field} for each in (said, other[name])]
            assert fields[0] == fields[1], (key, name)


def test_a_page_in_chinese_has_no_english_headings(tmp_path: Path) -> None:
    page = page_of(two_supporters(tmp_path), language=Language.CHINESE)
    assert '<html lang="zh">' in page
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert headings
    for heading in headings:
        assert re.search(r"[\u4e00-\u9fff]", heading), heading
    figures = "".join(re.findall(r"<svg[^>]*\"figure\".*?</svg>", page, re.S))
    assert "流畅性" in figures
    assert "fluency" not in figures


def test_no_id_stands_twice_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    page = page_of(two_supporters(tmp_path))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)
