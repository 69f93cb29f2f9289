"""What a check gave: an observation with its evidence at hand, or the gap in its place."""

from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap
from auditor.domain.records import Observation


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One observation with its evidence at hand, so that figures can be had at any confidence."""

    observation: Observation
    check: Check
    evidence: Evidence


Result: TypeAlias = Seen | Gap
