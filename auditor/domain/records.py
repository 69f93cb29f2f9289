"""The audit record: all that was seen and decided; the document that is signed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from auditor.domain.digests import Digest
from auditor.domain.findings import Finding, Verdict
from auditor.domain.json import Json, OmitUnset, compute_digest, encode_canonical, write_fields
from auditor.domain.lineage import LineageEdge
from auditor.domain.policies import AssuranceLevel, RuleEffect
from auditor.domain.readings import Reading
from auditor.domain.requests import AuditRequest
from auditor.domain.source_locations import SourceLocations
from auditor.domain.targets import Fingerprint, LabelOutput

RECORD_SCHEMA = "auditor/record/v1"


@dataclass(frozen=True, slots=True)
class DuplicateRows:
    """So many evaluation ``rows`` are ``distinct`` ones again and again: more than may be."""

    rows: int
    distinct: int

    @property
    def doubt(self) -> str:
        """Why figures that are measured on them are doubted."""
        return (
            f"{self.rows - self.distinct:,} of {self.rows:,} evaluation rows repeat another row, "
            "and copies say no more than one row"
        )

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class CheckObservation:
    """What one check saw on one target: its parameters and its evidence, by name and digest.

    A model that is not ``deterministic`` gave other scores for the same rows: one lucky draw
    proves nothing, so all that was seen of it is doubted. One that gives ``labels_only`` says
    nothing of how sure it is. What was seen of ``copies`` is doubted, and all that was seen of a
    model that gives other ``labels`` than its scores do. Evidence that is
    ``committed`` is named by hiding commitments, whose rows can be withheld.
    """

    target: str
    check: str
    version: int
    params: Mapping[str, Json]
    seed: int
    evidence: Mapping[str, str]
    deterministic: bool = True
    labels_only: OmitUnset[bool] = False
    committed: OmitUnset[bool] = False
    copies: OmitUnset[DuplicateRows | None] = None
    labels: OmitUnset[LabelOutput | None] = None

    @property
    def basis(self) -> Digest:
        """Digest of what was seen: whatever is judged from this observation has it too."""
        return compute_digest(
            encode_canonical({"check": self.check, "evidence": dict(self.evidence)})
        )

    to_json = write_fields


FIRST_VERDICT = "first_verdict"
"""The name, in ``AuditRecord.tool``, of the first verdict on figures that are judged again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """All that was seen and decided. The verdict is a property; the bytes are canonical.

    ``derived_from`` is the record whose figures are judged again, however often that was done.
    ``places`` say where in a repository the audit file and the policy stand, where that is known.
    """

    schema: ClassVar[str] = RECORD_SCHEMA
    id: str
    derived_from: str | None
    assurance: AssuranceLevel
    request: AuditRequest
    confidence: float
    fingerprints: Mapping[str, Fingerprint]
    observations: tuple[CheckObservation, ...]
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    lineage: tuple[LineageEdge, ...]
    tool: Mapping[str, Json]
    registered: str
    finished: str
    places: OmitUnset[SourceLocations | None] = None
    _bytes: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """The fold of the denying rules' findings."""
        return Verdict.of(item.outcome for item in self.findings if item.effect is RuleEffect.DENY)

    @property
    def blobs(self) -> frozenset[str]:
        """Digests of all that lies beside the record as evidence, by which it can be checked."""
        seen = {name for item in self.observations for name in item.evidence.values()}
        return frozenset({*seen, *self.request.leave, *self.request.papers.values()})

    def to_json(self) -> dict[str, Json]:
        """Return the record as JSON, schema ``auditor/record/v1``."""
        edges = [edge.to_json() for edge in sorted(self.lineage)]
        return write_fields(self) | {"verdict": self.verdict.value, "lineage": edges}

    def canonical(self) -> bytes:
        """Return the bytes that are signed: made once, for a record does not change."""
        if not self._bytes:
            self._bytes.append(encode_canonical(self.to_json()))
        return self._bytes[0]

    @property
    def digest(self) -> Digest:
        """Digest of the canonical bytes."""
        return compute_digest(self.canonical())
