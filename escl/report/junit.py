"""A gate's outcome as JUnit XML, which CI systems show: one test case for each check."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from escl.core.printable import printable
from escl.evaluation.compare import GateCheck
from escl.report.compare import gate_name, n_unmoved, reserves_of
from escl.shelf.written import write_whole


def write_junit(path: Path, checks: Sequence[GateCheck], *, against: str, margin: float) -> None:
    """Write the checks to `path`; a file that is there is replaced whole.

    What is shown to be worse and what cannot be told are both failures, of different types.

    Raises:
        StorageError: The file cannot be written.
    """
    n_failed = sum(not check.outcome.passed for check in checks)
    counts = {"tests": str(len(checks)), "failures": str(n_failed), "errors": "0", "skipped": "0"}
    root = ET.Element("testsuites", {"name": "escl compare", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": f"not worse than {printable(against)}", **counts})
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", {"name": "margin_points_of_100", "value": f"{margin:g}"})
    blind = {"name": "passed_only_because_the_scorer_does_not_move", "value": str(n_unmoved(checks))}
    ET.SubElement(properties, "property", blind)
    for check in checks:
        case = ET.SubElement(
            suite, "testcase", {"classname": printable(check.supporter), "name": gate_name(check), "time": "0"}
        )
        said = printable("; ".join([check.outcome.reason, *reserves_of(check.comparison)]))
        if check.outcome.passed:
            ET.SubElement(case, "system-out").text = said
        else:
            kind = "worse" if check.outcome.is_worse else "not shown"
            ET.SubElement(case, "failure", {"type": kind, "message": said}).text = said
    ET.indent(root)
    content = ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
    write_whole(path, content, hint="name another file")
