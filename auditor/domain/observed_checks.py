"""Results of checks: an observation with its evidence, or a gap in its place."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence, Item
from auditor.domain.readings import Gap, Reading
from auditor.domain.records import CheckObservation


@dataclass(frozen=True, slots=True, eq=False)
class ObservedCheck:
    """One observation with its evidence at hand, so that figures can be had at any confidence."""

    observation: CheckObservation
    check: Check
    evidence: Evidence
    figured: dict[float, tuple[Reading, ...]] = field(default_factory=dict, init=False, repr=False)

    def figures(self, confidence: float) -> tuple[Reading, ...]:
        """Return what the check makes of its evidence, computed once for each confidence.

        A copy with other evidence knows none of it: ``replace`` begins anew.
        """
        if confidence not in self.figured:
            self.figured[confidence] = self.check.figures(self.evidence, confidence)
        return self.figured[confidence]

    def shared(self, held: MutableMapping[str, Item]) -> "ObservedCheck":
        """Return this with the items that ``held`` has under equal digests, and add the others.

        Checks keep the same labels, scores and ids: of a million rows each copy is many megabytes.
        """
        digests = self.observation.evidence
        own = {name: held.setdefault(digests[name], it) for name, it in self.evidence.items()}
        same = replace(self, evidence=own)
        same.figured.update(self.figured)
        return same


Result: TypeAlias = ObservedCheck | Gap
