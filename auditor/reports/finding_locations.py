"""The file and line in the owner's repository at which a finding is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.findings import Finding
from auditor.domain.source_locations import SourceFile, SourceLine
from auditor.reports.rendering_inputs import ReportInputs

POLICY = "policy"
CONCERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "data": ("data.evaluation", "data"),
        "fairness": ("data.evaluation", "data"),
        "hardware": ("targets",),
        "poisoning": ("data.training", "model.artifact"),
        "policy": ("budget", "policy"),
        "privacy": ("data.training", "model.artifact"),
        "provenance": ("model.signature", "model.artifact"),
    }
)
"""Settings of an audit file that the findings of a family of checks are about, the best first."""
MODEL = ("model.artifact", "model")


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """One line of a file, by its path from the root of the repository."""

    path: str
    line: SourceLine | None = None

    @property
    def number(self) -> int:
        """The line's number, which is 1 where no line is known."""
        return 1 if self.line is None else self.line.number


def locate_finding(inputs: ReportInputs, finding: Finding) -> SourceLocation:
    """Return where a finding stands: at its rule, where the policy is a file of the repository.

    Else at the ``policy`` of the audit file, or at what the finding is about where that names none.
    """
    places = inputs.record.places
    if places is None:
        return SourceLocation(inputs.audit_file)
    if places.policy is not None:
        return _at(places.policy, finding.rule)
    return _at(places.audit_file, POLICY, *list_concerned_settings(finding))


def locate_concern(inputs: ReportInputs, finding: Finding) -> SourceLocation | None:
    """Return where the audit file names what a finding is about, if that is another line."""
    places = inputs.record.places
    if places is None:
        return None
    found = _at(places.audit_file, *list_concerned_settings(finding))
    return None if found == locate_finding(inputs, finding) else found


def locate_verdict(inputs: ReportInputs) -> SourceLocation:
    """Return where the verdict as a whole stands: at the model that is audited."""
    places = inputs.record.places
    return SourceLocation(inputs.audit_file) if places is None else _at(places.audit_file, *MODEL)


def locate_policy(inputs: ReportInputs, asked: SourceFile | None) -> SourceLocation:
    """Return where the policy stands that a gate asks for: in its file, or where it is named."""
    if asked is not None:
        return SourceLocation(asked.path, asked.first)
    places = inputs.record.places
    return SourceLocation(inputs.audit_file) if places is None else _at(places.audit_file, POLICY)


def list_concerned_settings(finding: Finding) -> tuple[str, ...]:
    """Return the settings that a finding is about, the best first."""
    family = finding.measure.partition("/")[0].partition(".")[0]
    return (*CONCERNS.get(family, ()), *MODEL)


def _at(file: SourceFile, *parts: str) -> SourceLocation:
    return SourceLocation(file.path, file.line(*parts))
