"""Annotations for GitHub Actions: what is not kept, each at its line, as workflow commands.

Source: docs.github.com, "Workflow commands for GitHub Actions"; a step may show ten of each kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from auditor.domain.findings import Finding
from auditor.rendering.cards import worst_first
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.locations import Location, location, verdict_location
from auditor.rendering.phrases import OUTCOMES
from auditor.rendering.sarif import ALERTS
from auditor.rendering.sarif_rules import cut, level_of
from auditor.rendering.verdicts import because, decided_by_silence

MOST_OF_A_KIND = 10
LONGEST_TITLE = 200
LONGEST_MESSAGE = 2_000


class Kind(StrEnum):
    """How bad an annotation is, worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


KINDS: Mapping[str, Kind] = MappingProxyType(
    {"error": Kind.ERROR, "warning": Kind.WARNING, "note": Kind.NOTICE}
)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One remark at one line; without a place it stands beside the job."""

    kind: Kind
    title: str
    message: str
    where: Location | None = None

    def command(self) -> str:
        """Write it as the one line that a runner obeys, whatever its words are."""
        named = {"file": self.where.path, "line": str(self.where.number)} if self.where else {}
        named["title"] = cut(self.title, LONGEST_TITLE)
        properties = ",".join(f"{name}={_property(value)}" for name, value in named.items())
        return f"::{self.kind} {properties}::{_data(cut(self.message, LONGEST_MESSAGE))}"


def annotations(inputs: RenderedInputs) -> Sequence[Annotation]:
    """Return what is not kept, and what an audit that decided nothing must say; worst first."""
    record = inputs.record
    shown = [item for item in worst_first(record.findings) if item.outcome in ALERTS]
    found = [_annotation(inputs, item) for item in shown]
    if decided_by_silence(record):
        verdict = f"auditor: {record.verdict.value}"
        found.append(Annotation(Kind.ERROR, verdict, because(record), verdict_location(inputs)))
    return found


def commands(found: Iterable[Annotation]) -> Sequence[str]:
    """Return workflow commands, no more of a kind than are shown; the last says how many more."""
    listed = tuple(found)
    lines: list[str] = []
    for kind in Kind:
        mine = [item for item in listed if item.kind is kind]
        most = MOST_OF_A_KIND if len(mine) <= MOST_OF_A_KIND else MOST_OF_A_KIND - 1
        lines += [item.command() for item in mine[:most]]
        if more := len(mine) - most if len(mine) > most else 0:
            rest = f"{more} more are in the job's summary and in the report."
            lines.append(Annotation(kind, f"auditor: and {more} more", rest).command())
    return lines


def _annotation(inputs: RenderedInputs, finding: Finding) -> Annotation:
    said = f"{OUTCOMES[finding.outcome]} on {finding.target}: {finding.message}"
    title = f"{finding.name}: {finding.title}"
    kind = KINDS[level_of(inputs, finding.effect)]
    return Annotation(kind, title, said, location(inputs, finding))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
