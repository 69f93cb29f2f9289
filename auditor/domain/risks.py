"""Risks that a system's owners see, and which rules of a policy evidence how far they are held."""

from dataclasses import dataclass

from auditor.domain.policies import Severity


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who accepts a residual risk, and on which day; a declaration that nobody here checks."""

    by: str
    on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A hazard, whom it affects, and what holds it down; ``rules`` are ids of the policy."""

    id: str
    hazard: str
    affected: str
    severity: Severity
    residual: str
    likelihood: str = ""
    mitigations: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    accepted: Acceptance | None = None
