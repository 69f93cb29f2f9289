"""Results of checks: an observation with its evidence, or a gap in its place."""

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence, Item
from auditor.domain.readings import Gap
from auditor.domain.records import CheckObservation


@dataclass(frozen=True, slots=True, eq=False)
class ObservedCheck:
    """One observation with its evidence at hand, so that figures can be had at any confidence."""

    observation: CheckObservation
    check: Check
    evidence: Evidence

    def shared(self, held: MutableMapping[str, Item]) -> "ObservedCheck":
        """Return this with the items that ``held`` has under equal digests, and add the others.

        Checks keep the same labels, scores and ids: of a million rows each copy is many megabytes.
        """
        digests = self.observation.evidence
        own = {name: held.setdefault(digests[name], it) for name, it in self.evidence.items()}
        return replace(self, evidence=own)


Result: TypeAlias = ObservedCheck | Gap
