"""Operator placement: the device on which each operator of an opened model runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.json import write_fields


class PlacementSource(StrEnum):
    """Who says where operators run: the runtime's own assignment, a profile, or nobody."""

    ASSIGNMENT = "assignment_info"
    PROFILE = "profile"
    VENDOR = "vendor"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OperatorPlacement:
    """How many operators of each kind run on each provider, and who says so.

    ``nodes`` maps provider to operator to a number of nodes; it is empty where ``source`` is
    unknown. ``declared`` is the provider that the target names.
    """

    declared: str
    source: PlacementSource
    nodes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether somebody says where operators run."""
        return self.source is not PlacementSource.UNKNOWN and self.total > 0

    @property
    def total(self) -> int:
        """Nodes accounted for."""
        return sum(self.on(name) for name in self.nodes)

    def on(self, provider: str) -> int:
        """Nodes on one provider."""
        counts: Mapping[str, int] = self.nodes.get(provider) or {}
        return sum(counts.values())

    @property
    def share(self) -> float:
        """Share of the nodes that run on the declared provider; 0 where nothing is known."""
        return self.on(self.declared) / self.total if self.total else 0.0

    @property
    def elsewhere(self) -> dict[str, dict[str, int]]:
        """What runs on other providers than the declared one."""
        return {
            name: dict(counts)
            for name, counts in self.nodes.items()
            if name != self.declared and self.on(name)
        }

    to_json = write_fields
