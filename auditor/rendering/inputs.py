"""What every rendering is a pure function of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from auditor.domain.checks import Check, Metric
from auditor.domain.evidence import Item, decode
from auditor.domain.policies import Policy, Rule
from auditor.domain.records import AuditRecord, Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedInputs:
    """A record with what is needed to show it.

    ``blob`` returns the bytes of an evidence blob by its digest and raises ``KeyError`` where
    they are not at hand; ``policy`` is the one that the record names; ``audit_file`` is the path
    that code-scanning results point at, relative to the repository; ``show_examples`` is the
    owner's leave to show rows.
    """

    record: AuditRecord
    policy: Policy
    checks: Mapping[str, type[Check]]
    blob: Callable[[str], bytes]
    show_examples: bool = False
    audit_file: str = "audit.yaml"

    @property
    def signer(self) -> str:
        """Id of the key that the record is attributed to, or nothing where none is named."""
        edges = self.record.lineage
        named = next((edge.destination for edge in edges if edge.role == "signer"), "")
        return named.removeprefix("key:")

    def rule(self, rule_id: str) -> Rule | None:
        """Return the policy's rule of that id; a rule split by slice keeps its own id."""
        return next((rule for rule in self.policy.rules if rule.id == rule_id), None)

    def metric(self, check: str, metric: str) -> Metric | None:
        """Return what the check says of its metric, or ``None`` where it is not installed."""
        found = self.checks.get(check)
        return None if found is None else found.emits.get(metric)

    def evidence(self, observation: Observation, name: str) -> "Item | None":
        """Return one item that an observation stored, or ``None`` where it is not at hand.

        Committed evidence never is: what shows a record stays true when rows are withheld.
        """
        digest = observation.evidence.get(name)
        if digest is None or observation.committed:
            return None
        try:
            return decode(self.blob(digest))
        except KeyError:
            return None
