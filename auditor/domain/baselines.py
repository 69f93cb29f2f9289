"""Baselines: the record of another version, whose figures a policy compares with this one's."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditor.domain.artifacts import Artifact
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import digest_json
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Reading
from auditor.domain.record_isolation import read_isolation_levels
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.requests import AuditRequest
from auditor.domain.targets import EvidenceLevel, Fingerprint
from auditor.errors import AuditorError, RecordError

LAST = "last"
"""What is written where the newest record of the store is asked for, and no folder."""
RELATIVE = re.compile(r"(?<![\w.])baseline\b")
"""Stands in the limits of a finding that are taken from a baseline; claims have their dot before.

A condition that only speaks of one is counted too: rather one record too few is a baseline.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementConditions:
    """Under which figures were measured, as far as it decides which can be compared.

    ``data`` are the digests of datasets by role, ``params`` those of the parameters of checks by
    target and check, ``machines`` the identities of targets by name. ``evidence`` says how far
    figures speak of each target; it is empty for records that are older than such levels.
    ``isolation`` says how far each target's model was cut off (``read_isolation_levels``).
    """

    data: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[tuple[str, str], str] = field(default_factory=dict)
    machines: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, EvidenceLevel] = field(default_factory=dict)
    isolation: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        request: AuditRequest,
        observations: Iterable[CheckObservation],
        fingerprints: Mapping[str, Fingerprint],
    ) -> "MeasurementConditions":
        """Return those of an audit that has run."""
        return cls(
            data={item.role: item.digest for item in request.datasets},
            params={(item.target, item.check): digest_json(item.params) for item in observations},
            machines={name: item.identity for name, item in fingerprints.items()},
            evidence={
                name: item.evidence
                for name, item in fingerprints.items()
                if item.evidence is not None
            },
            isolation=read_isolation_levels(request, fingerprints),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The figures of another record, the model and version that it is of, and how they came."""

    name: str
    version: str
    digest: str
    budget: Budget
    readings: tuple[Reading, ...]
    under: MeasurementConditions = field(default_factory=MeasurementConditions)

    @classmethod
    def of(cls, record: AuditRecord) -> "Baseline":
        """Take a record as a baseline."""
        request = record.request
        return cls(
            name=request.name,
            version=request.version,
            digest=record.digest,
            budget=request.budget,
            readings=record.readings,
            under=MeasurementConditions.of(request, record.observations, record.fingerprints),
        )

    def __str__(self) -> str:
        """Name the model and its version."""
        return f"{self.name} {self.version}"


def load_compared_record(request: AuditRequest, blob: Callable[[str], bytes]) -> AuditRecord | None:
    """Return the record that a request names as its baseline, which lies among the evidence.

    Raises ``RecordError`` for what is no record, or is not there.
    """
    if request.baseline is None:
        return None
    try:
        return read_record(blob(request.baseline))
    except AuditorError as error:
        named = f"the baseline {request.baseline}"
        raise RecordError(f"{named}: {error.problem}", cure=error.cure) from None


def refuse_same_artifact(artifact: Artifact | None, baseline: AuditRecord) -> None:
    """Refuse to hold an artifact against a record of the same bytes, as ``refuse_same_files``."""
    refuse_same_files(None if artifact is None else artifact.contents, baseline)


def refuse_same_files(contents: Collection[str] | None, baseline: AuditRecord) -> None:
    """Raise ``RecordError`` for a baseline of these very files (SHA-256): a model keeps up with
    itself however bad it is. Predictions alone stand against predictions alone.
    """
    if contents is None:
        return
    named, before = f"the baseline {baseline.digest}", baseline.request.artifact
    if before is None:
        problem = f"{named} is of predictions alone, which any file may hold"
        raise RecordError(problem, cure="Name a record of an earlier version's artifact.")
    if before.contents == frozenset(contents):
        problem = f"{named} is of the same artifact: nothing is held against a record of itself"
        raise RecordError(problem, cure="Name a record of an earlier version.")


def list_rules_kept_by_baseline(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the denying rules that are kept by limits from a baseline: none without a good one."""
    kept = (Outcome.PASSED, Outcome.WITHSTOOD)
    return tuple(dict.fromkeys(item.name for item in _relative(findings) if item.outcome in kept))


def list_regressed_rules(record: AuditRecord) -> tuple[str, ...]:
    """Return the denying rules by which a record is no better than unknown against its baseline.

    Held against such a record instead, the same model would pass at the second try.
    """
    if record.request.baseline is None:
        return ()
    open_ = (Outcome.FAILED, Outcome.UNKNOWN)
    return tuple(item.name for item in _relative(record.findings) if item.outcome in open_)


def _relative(findings: Iterable[Finding]) -> Iterator[Finding]:
    for item in findings:
        if item.effect is RuleEffect.DENY and RELATIVE.search(item.limits):
            yield item
