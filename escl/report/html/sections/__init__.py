"""The sections of the page, in its order.

A section is a module here that says what it shows, a template of the same name, and a table of words in each language.
"""

from __future__ import annotations

from escl.report.html.section import Section
from escl.report.html.sections.arena import ARENA
from escl.report.html.sections.calibration import CALIBRATION
from escl.report.html.sections.categories import CATEGORIES
from escl.report.html.sections.comparison import COMPARISON
from escl.report.html.sections.crisis_track import CRISIS_TRACK
from escl.report.html.sections.failures import FAILURES
from escl.report.html.sections.figures import FIGURES
from escl.report.html.sections.labels import LABELS
from escl.report.html.sections.leaderboard import LEADERBOARD
from escl.report.html.sections.limits import LIMITS
from escl.report.html.sections.loads import LOADS
from escl.report.html.sections.metrics import METRICS_SECTION
from escl.report.html.sections.own_dimensions import OWN_DIMENSIONS
from escl.report.html.sections.provenance import PROVENANCE
from escl.report.html.sections.published import PUBLISHED
from escl.report.html.sections.summary import SUMMARY
from escl.report.html.sections.transcripts import TRANSCRIPTS
from escl.report.html.sections.validity import VALIDITY

SECTIONS: tuple[Section, ...] = (
    SUMMARY,
    LEADERBOARD,
    FIGURES,
    COMPARISON,
    ARENA,
    PUBLISHED,
    LABELS,
    OWN_DIMENSIONS,
    CALIBRATION,
    METRICS_SECTION,
    CATEGORIES,
    VALIDITY,
    CRISIS_TRACK,
    TRANSCRIPTS,
    FAILURES,
    LIMITS,
    PROVENANCE,
    LOADS,
)
