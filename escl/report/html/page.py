"""The page: its sections put into one file of HTML under a policy that lets nothing in and nothing out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Final

from escl import __version__
from escl.core.dimension import Dimension, Language
from escl.core.message import in_language
from escl.core.printable import printable
from escl.report.html import shown
from escl.report.html.section import Section
from escl.report.html.sections import SECTIONS
from escl.report.html.subject import Subject
from escl.report.html.words import words_of

if TYPE_CHECKING:
    from jinja2 import Environment

_POLICY: Final = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filled:
    """A section with what it shows."""

    section: Section
    shows: object


def render_page(subject: Subject, *, language: Language, made_utc: str) -> str:
    """Return the page about `subject` as HTML.

    Args:
        subject: What it is about.
        language: Of the page's own words; what models said stays as it is.
        made_utc: When, as the page says it.
    """
    words = words_of(language)
    environment = _environment(language)
    filled = [_Filled(section=section, shows=section.build(subject, words)) for section in SECTIONS]
    filled = [one for one in filled if one.shows is not None]
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    bodies = {
        one.section.key: environment.get_template(f"{one.section.key}.html").render(
            data=one.shows, t=words.section(one.section.key), key=one.section.key, subject=subject
        )
        for one in filled
    }
    return environment.get_template("page.html").render(
        subject=subject,
        t=words.section("page"),
        titles={key: words.section(key)["title"] for key in bodies},
        bodies=_safe(bodies),
        style=_safe({"": style})[""],
        policy=_POLICY.format(digest),
        lang=language.value,
        made_utc=made_utc,
        version=__version__,
    )


def _safe(made: Mapping[str, str]) -> dict[str, object]:
    """Return what our own templates and files made, marked as HTML that is not escaped again."""
    from markupsafe import Markup

    return {key: Markup(html) for key, html in made.items()}


@cache
def _environment(language: Language) -> Environment:
    """Return the templates with what they all use; they are compiled once."""
    # Deferred: most commands write no page.
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def clean(value: object) -> object:
        """Return text from anywhere without what could steer or hide; numbers and our own HTML as they are."""
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    words = words_of(language)
    environment = Environment(
        loader=PackageLoader("escl.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=clean,
    )
    tell = partial(in_language, language=language)
    environment.filters["tell"] = tell
    environment.globals |= {
        "say": words.known,
        "tell": tell,
        "page_language": words.language.value,
        "shares": shown.shares,
        "dimensions": list(Dimension),
        "common": words.section("common"),
        "number": shown.number,
        "signed": shown.signed,
        "correlation": shown.correlation,
        "clear_of_0": shown.clear_of_0,
        "interval": shown.interval,
        "percent": shown.percent,
        "p_value": shown.p_value,
        "mebibytes": shown.mebibytes,
        "moment": shown.moment,
        "svg": Markup,
    }
    return environment
