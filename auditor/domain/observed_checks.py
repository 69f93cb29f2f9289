"""Results of checks: an observation with its evidence, or a gap in its place."""

from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap
from auditor.domain.records import CheckObservation


@dataclass(frozen=True, slots=True, eq=False)
class ObservedCheck:
    """One observation with its evidence at hand, so that figures can be had at any confidence."""

    observation: CheckObservation
    check: Check
    evidence: Evidence


Result: TypeAlias = ObservedCheck | Gap
