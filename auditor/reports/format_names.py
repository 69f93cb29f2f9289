"""Names of the report formats, read without loading what renders them."""

import importlib
import re
from pathlib import Path

from auditor._resources import list_entry_points

GROUP = "auditor.formats"
FOLDER = Path(__file__).parent / "formats"
DECLARED = re.compile(r"^FORMATS = \(.*", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"\bReportFormat\(\s*\"([^\"]+)\"")


def list_format_names() -> list[str]:
    """Return the name of every format, in the order of ``discover_formats``.

    The formats of other packages are loaded for it: only they know their names.
    """
    if list_entry_points(GROUP):
        return list(importlib.import_module("auditor.reports.report_formats").discover_formats())
    texts = (path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py")))
    return [
        name for text in texts for found in DECLARED.findall(text) for name in NAME.findall(found)
    ]
