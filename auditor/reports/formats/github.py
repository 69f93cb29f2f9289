"""GitHub Actions annotations: findings as workflow commands, each at its line.

Source: docs.github.com, "Workflow commands for GitHub Actions"; a step may show ten of each kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from auditor.reports.finding_locations import SourceLocation, locate_finding, locate_verdict
from auditor.reports.formats.sarif import ALERTS, choose_level, cut_text
from auditor.reports.html.findings import sort_worst_first
from auditor.reports.html.verdict import explain_verdict, is_decided_by_silence
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import OUTCOMES

MOST_OF_A_KIND = 10
LONGEST_TITLE = 200
LONGEST_MESSAGE = 2_000


class AnnotationLevel(StrEnum):
    """How bad an annotation is, worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


KINDS: Mapping[str, AnnotationLevel] = MappingProxyType(
    {
        "error": AnnotationLevel.ERROR,
        "warning": AnnotationLevel.WARNING,
        "note": AnnotationLevel.NOTICE,
    }
)


@dataclass(frozen=True, slots=True)
class CiAnnotation:
    """One remark at one line; without a place it stands beside the job."""

    kind: AnnotationLevel
    title: str
    message: str
    where: SourceLocation | None = None

    def command(self) -> str:
        """Write it as the one line that a runner obeys, whatever its words are."""
        named = {"file": self.where.path, "line": str(self.where.number)} if self.where else {}
        named["title"] = cut_text(self.title, LONGEST_TITLE)
        properties = ",".join(f"{name}={_property(value)}" for name, value in named.items())
        return f"::{self.kind} {properties}::{_data(cut_text(self.message, LONGEST_MESSAGE))}"


def build_annotations(inputs: ReportInputs) -> Sequence[CiAnnotation]:
    """Return what is not kept, and what an audit that decided nothing must say; worst first."""
    record = inputs.record
    shown = [item for item in sort_worst_first(record.findings) if item.outcome in ALERTS]
    found = []
    for item in shown:
        said = f"{OUTCOMES[item.outcome]} on {item.target}: {item.message}"
        title = f"{item.name}: {item.title}"
        kind = KINDS[choose_level(inputs, item.effect)]
        found.append(CiAnnotation(kind, title, said, locate_finding(inputs, item)))
    if is_decided_by_silence(record):
        verdict = f"auditor: {record.verdict.value}"
        found.append(
            CiAnnotation(
                AnnotationLevel.ERROR, verdict, explain_verdict(record), locate_verdict(inputs)
            )
        )
    return found


def format_workflow_commands(found: Iterable[CiAnnotation]) -> Sequence[str]:
    """Return workflow commands, no more of a kind than are shown; the last says how many more."""
    listed = tuple(found)
    lines: list[str] = []
    for kind in AnnotationLevel:
        mine = [item for item in listed if item.kind is kind]
        most = MOST_OF_A_KIND if len(mine) <= MOST_OF_A_KIND else MOST_OF_A_KIND - 1
        lines += [item.command() for item in mine[:most]]
        if more := len(mine) - most if len(mine) > most else 0:
            rest = f"{more} more are in the job's summary and in the report."
            lines.append(CiAnnotation(kind, f"auditor: and {more} more", rest).command())
    return lines


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
