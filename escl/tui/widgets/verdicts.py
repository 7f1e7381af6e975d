"""What a comparison says in words: who against whom, better or worse in what, and what must be known besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from escl.tui.plain import line
from escl.tui.strings import told
from escl.tui.widgets.differences import ends_of, lines_of, named, verdict_word

if TYPE_CHECKING:
    from escl.evaluation.compare import Group, Pairing, Row
    from escl.tui.strings import Strings

_NAME = 34


def heading(found: Pairing, group: Group, words: Strings) -> Content:
    """Return who is compared with whom, and on which cards."""
    one, other = found.supporter, found.against
    names = [line(one.supporter, _NAME), line(other.supporter, _NAME)]
    if one.run != other.run:
        names = [
            f"{name} ({line(run.rpartition('/')[2], 20)})"
            for name, run in zip(names, (one.run, other.run), strict=True)
        ]
    language = "compare.pooled" if group.language is None else f"language.{group.language.value}"
    cards = words(language) + (f" · {words('compare.crisis')}" if group.crisis else "")
    return Content.assemble(
        (names[0], "bold $primary"),
        f" {words('compare.against')} ",
        (names[1], "bold $secondary"),
        (f"   {cards}", "$muted"),
    )


def sentence(group: Group, words: Strings) -> Content:
    """Return the verdicts over the dimensions in a sentence."""
    from escl.evaluation.sides import AVERAGE
    from escl.report.compare import MARKS

    rows = [row for row in lines_of(group) if row.dimension != AVERAGE]
    said = []
    for verdict in MARKS:
        names = [named(row, words) for row in rows if row.comparison.verdict == verdict]
        if names:
            every = words("compare.all", n=len(rows)) if len(names) == len(rows) else words("list.items").join(names)
            key = "compare.in." + verdict_word(verdict).rpartition(".")[2]
            said.append(words(key, dimensions=every))
    return Content(words("list.clauses").join(said))


def detail(row: Row, words: Strings) -> Content:
    """Return a dimension's numbers, and below them why the verdict is what it is and what cards are shown."""
    from escl.report.compare import detectable_shown, p_shown, reserves_of

    found = row.comparison
    asked = found.n_cards + sum(found.left_out.values())
    numbers = words(
        "compare.detail",
        interval=ends_of(row, words),
        p=p_shown(found.p_holm),
        effect="-" if found.effect is None else f"{found.effect + 0.0:+.1f}",
        detectable=detectable_shown(found.detectable),
        cards=found.n_cards if asked == found.n_cards else f"{found.n_cards}/{asked}",
    )
    verdict = words(verdict_word(found.verdict))
    why = words("list.clauses").join(told(one, words) for one in dict.fromkeys([found.reason, *reserves_of(found)]))
    return Content.assemble(
        (named(row, words), "bold $primary"),
        f"   {numbers}",
        (f" · {verdict}: {line(why, 300)}", "$muted"),
    )


def notes(found: Pairing, group: Group, words: Strings) -> Content:
    """Return what must be known besides: forced comparisons, other differences, cards that are left out."""
    said = [words("compare.forced", why=line(told(one, words), 300)) for one in found.forced]
    if found.anytime is not None and found.n_cards is not None:
        known = found.anytime
        ends = {"low": f"{known.low:+.2f}", "high": f"{known.high:+.2f}"}
        said.append(words("compare.looked", n=known.n, all=found.n_cards, **ends))
    said += [line(told(one, words), 300) for one in found.notes]
    most: dict[str, int] = {}
    for row in lines_of(group):
        for reason, n in row.comparison.left_out.items():
            most[reason] = max(n, most.get(reason, 0))
    if most:
        reasons = [words("compare.of_cards", n=n, reason=line(told(one, words), 100)) for one, n in most.items()]
        said.append(words("compare.left_out", reasons=words("list.clauses").join(reasons)))
    return Content("\n").join(Content.styled(one, "$warning") for one in said)
