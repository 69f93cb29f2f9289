"""What judging knows of an audit besides its readings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.policies import Assurance
from auditor.domain.requests import AuditRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingContext:
    """The level that rules are judged at, the targets, the model, its claims, and the effort."""

    confidence: float
    targets: tuple[str, ...]
    name: str
    version: str
    tags: tuple[str, ...] = ()
    claims: Mapping[str, Json] = field(default_factory=dict)
    budget: Budget
    assurance: Assurance

    def bindings(self, params: Mapping[str, Json], target: str) -> dict[str, Json]:
        """Return what conditions may know before anything was measured."""
        return {
            "params": params,
            "model": {"name": self.name, "version": self.version, "tags": list(self.tags)},
            "claims": self.claims,
            "target": target,
        }


def context_of(request: AuditRequest, assurance: Assurance, confidence: float) -> JudgingContext:
    """Return what judging knows of an audit that was asked for by ``request``."""
    return JudgingContext(
        confidence=confidence,
        targets=tuple(target.name for target in request.targets),
        name=request.name,
        version=request.version,
        tags=request.tags,
        claims=request.claims,
        budget=request.budget,
        assurance=assurance,
    )
