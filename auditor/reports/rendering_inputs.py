"""The inputs of every rendering of a report, which is a pure function of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from auditor.domain.ai_system import NOTHING, SystemDossier
from auditor.domain.checks import Check, Metric
from auditor.domain.evidence import Item, decode_evidence
from auditor.domain.policies import Policy, Rule
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.report_blocks import CheckOrigin
from auditor.domain.waivers import Waiver, WaiverRef
from auditor.errors import AuditorError
from auditor.trust.signatures.decisions import open_waiver
from auditor.trust.signatures.keys import read_public_key

OURS = "auditor.checks."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """A record with what is needed to show it.

    ``blob`` returns the bytes of an evidence blob by its digest and raises ``KeyError`` where
    they are not at hand; ``policy`` is the one that the record names; ``audit_file`` is the path
    that code-scanning results point at, relative to the repository; ``show_examples`` is the
    owner's leave to show rows; ``dossier`` is what owners declared of the system and its risks;
    ``origins`` name the packages that bring the checks which do not come with auditor.
    """

    record: AuditRecord
    policy: Policy
    checks: Mapping[str, type[Check]]
    blob: Callable[[str], bytes]
    show_examples: bool = False
    dossier: SystemDossier = NOTHING
    audit_file: str = "audit.yaml"
    origins: Mapping[str, CheckOrigin] = field(default_factory=dict)

    @property
    def signer(self) -> str:
        """Id of the key that the record is attributed to, or nothing where none is named."""
        edges = self.record.lineage
        named = next((edge.destination for edge in edges if edge.role == "signer"), "")
        return named.removeprefix("key:")

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """The waivers of the record, as far as they are at hand."""
        return tuple(filter(None, map(self._waiver, self.record.request.waivers)))

    @property
    def signed_waivers(self) -> tuple[tuple[Waiver, str], ...]:
        """The same, each with the id of the key that signed it."""
        return tuple((item, self.waiver_key(item)) for item in self.waivers)

    def _waiver(self, ref: WaiverRef) -> Waiver | None:
        try:
            return open_waiver(self.blob(ref.digest), ref.file)
        except (KeyError, AuditorError):
            return None

    def waiver_key(self, waiver: Waiver) -> str:
        """Return the id of the key that signed a waiver, or nothing where it is not at hand."""
        ref = next((it for it in self.record.request.waivers if it.waiver == waiver.digest), None)
        try:
            return "" if ref is None else read_public_key(self.blob(ref.key)).identity
        except (KeyError, AuditorError):
            return ""

    def rule(self, rule_id: str) -> Rule | None:
        """Return the policy's rule of that id; a rule split by slice keeps its own id."""
        found = next((rule for rule in self.policy.rules if rule.id == rule_id), None)
        return None if found is None else found.under(self.record.request.claims)

    def metric(self, check: str, metric: str) -> Metric | None:
        """Return what the check says of its metric, or ``None`` where it is not installed."""
        found = self.checks.get(check)
        return None if found is None else found.emits.get(metric)

    def evidence(self, observation: CheckObservation, name: str) -> "Item | None":
        """Return one item that an observation stored, or ``None`` where it is not at hand.

        Committed evidence never is: what shows a record stays true when rows are withheld.
        """
        digest = observation.evidence.get(name)
        if digest is None or observation.committed:
            return None
        try:
            return decode_evidence(self.blob(digest))
        except KeyError:
            return None


def is_ours(inputs: ReportInputs, check: type[Check]) -> bool:
    """Whether a check comes with auditor, so that what it shows may stand beside the findings."""
    return check.id not in inputs.origins and check.__module__.startswith(OURS)
