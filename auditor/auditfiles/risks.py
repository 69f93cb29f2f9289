"""Read a file of risks: which hazards a system's owners see, and which rules evidence them."""

from collections.abc import Collection, Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from auditor.auditfiles.systems import refuse
from auditor.auditfiles.tasks import Mistake
from auditor.auditfiles.words import Names, Paragraphs, Prose, Section, Text
from auditor.documents import Place, read_document, validate
from auditor.domain.dossiers import RisksPaper
from auditor.domain.nearest import meant
from auditor.domain.policies import Severity
from auditor.domain.risks import Acceptance, Risk
from auditor.errors import DossierError

MOST_RISKS = 1_000


class RiskShape(Section):
    """One risk."""

    id: Text
    hazard: Prose
    affected: Prose
    severity: Severity
    likelihood: Text | None = None
    mitigations: Paragraphs = ()
    rules: Names = ()
    residual: Prose
    accepted_by: Text | None = None
    accepted_on: Text | None = None

    def risk(self) -> Risk:
        """Return the domain's form of a risk without mistakes."""
        by, on = self.accepted_by, self.accepted_on
        return Risk(
            id=self.id,
            hazard=self.hazard,
            affected=self.affected,
            severity=self.severity,
            residual=self.residual,
            likelihood=self.likelihood or "",
            mitigations=self.mitigations,
            rules=self.rules,
            accepted=None if by is None or on is None else Acceptance(by, on),
        )


def _some(value: object) -> object:
    if not value:
        raise PydanticCustomError("risks", "lists no risk; write at least one below it")
    return value


class RisksShape(Section):
    """A whole file of risks."""

    api_version: Literal["auditor/v1"] = Field(alias="apiVersion")
    kind: Literal["Risks"]
    risks: Annotated[tuple[RiskShape, ...], BeforeValidator(_some), Field(max_length=MOST_RISKS)]


def read_risks(raw: bytes, source: str, rules: Collection[str] | None = None) -> RisksPaper:
    """Parse the bytes of a file of risks; ``source`` is its name in messages.

    Where ``rules`` are given, those of the policy, a risk may name no other. Raises
    ``DossierError`` that names every mistake with file, line and cure.
    """
    document = read_document(raw, source, DossierError)
    shape = validate(document, RisksShape, DossierError)
    refuse(document, [*_mistakes(shape), *_other_rules(shape, rules)])
    return RisksPaper(document.content, tuple(item.risk() for item in shape.risks))


def _mistakes(shape: RisksShape) -> Iterator[Mistake]:
    ids = [item.id for item in shape.risks]
    for index, item in enumerate(shape.risks):
        place: Place = ("risks", index)
        if item.id in ids[:index]:
            yield (*place, "id"), f"is {item.id!r} a second time", "Give every risk its own id."
        if len(set(item.rules)) < len(item.rules):
            yield (*place, "rules"), "names a rule twice", "Name every rule once."
        if (item.accepted_by is None) is not (item.accepted_on is None):
            missing = "accepted_by" if item.accepted_by is None else "accepted_on"
            cure = "Say who accepts the residual risk and on which day, or neither."
            yield place, f"lacks {missing}, though the other is set", cure
        if item.accepted_on is not None and not _is_day(item.accepted_on):
            problem = f"is {item.accepted_on!r}, which is no day"
            yield (*place, "accepted_on"), problem, "Write it as 2026-11-30."


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _other_rules(shape: RisksShape, rules: Collection[str] | None) -> Iterator[Mistake]:
    if rules is None:
        return
    for index, item in enumerate(shape.risks):
        for at, rule in enumerate(item.rules):
            if rule not in rules:
                told = meant(rule, sorted(rules))
                problem = f"is {rule!r}, which is no rule of the policy; {told}"
                yield ("risks", index, "rules", at), problem, "Name one of the policy's rules."
