"""Runs an audit: registered, observed, judged, and concluded into a record."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol

from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.domain.audit_checkpoint import AuditCheckpoint
from auditor.domain.baselines import MeasurementConditions
from auditor.domain.evidence import Blob
from auditor.domain.evidence_levels import assess_evidence_levels
from auditor.domain.json import Json, digest_json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.provenance import build_lineage
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.source_locations import SourceLocations
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.waivers import SignedWaiver
from auditor.policy.evaluate.context import build_judging_context
from auditor.policy.evaluate.engine import judge_readings
from auditor.trust.disclosure import CommittedBlob, commit_observation
from auditor.workflows.engine.local import ProgressListener, observe_checks
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.target_session import FORGETFUL, open_check_subject, read_target_fingerprint


class RequestRegistrar(Protocol):
    """One transaction in which a request is registered."""

    def register(self, request: AuditRequest, at: str) -> int:
        """Write down that the request was made, and say how often before in that second."""


def ignore_commitment(_sealed: CommittedBlob) -> None:
    """Take no note of what a commitment stands for."""


@dataclass(frozen=True, slots=True)
class AuditEnvironment:
    """What an audit needs of the world: targets, a store, a clock, and who it runs as.

    ``note`` is told what each commitment of a record stands for, which the record does not say.
    """

    openers: TargetFactory
    unit_of_work: Callable[[], AbstractContextManager[RequestRegistrar]]
    keep: Callable[[Blob], None]
    clock: Callable[[], str]
    tool: Mapping[str, Json]
    signer: str
    assurance: AssuranceLevel = AssuranceLevel.A0
    note: Callable[[CommittedBlob], None] = ignore_commitment


@dataclass(frozen=True, slots=True)
class AuditResults:
    """What an audit found on all its targets together."""

    results: tuple[Result, ...]
    fingerprints: Mapping[str, Fingerprint]


@dataclass(frozen=True, slots=True)
class RecordOrigin:
    """Where a record comes from: when its measurements were registered, and what it re-judges.

    ``places`` say where what was asked is written; ``before`` is how often the same was registered
    earlier in that second.
    """

    registered: str
    derived_from: str | None = None
    places: SourceLocations | None = None
    before: int = 0


def run_audit(
    prepared: PreparedAudit,
    around: AuditEnvironment,
    watch: ProgressListener,
    memory: AuditCheckpoint = FORGETFUL,
) -> AuditRecord:
    """Run an audit and return its record, unsigned; parts that ``memory`` holds are not run again.

    Raises ``InvalidInputError`` for files that are not what they claim to be, ``CancelledError``
    when the user stops, ``StoreError`` when the request cannot be registered; whatever else goes
    wrong becomes a Gap.
    """
    registered = around.clock()
    with around.unit_of_work() as work:
        before = work.register(prepared.request, registered)
    results: list[Result] = []
    fingerprints: dict[str, Fingerprint] = {}
    for spec in prepared.request.targets:
        observed, fingerprint = _observe(prepared, spec, around, watch, memory)
        results.extend(observed)
        if fingerprint is not None:
            fingerprints[spec.name] = fingerprint
    found = AuditResults(_sealed(results, prepared.key, around), fingerprints)
    origin = RecordOrigin(registered, places=prepared.places, before=before)
    return conclude_audit(
        prepared.request, prepared.policy, found, around, origin,
        waivers=prepared.waivers, compared=prepared.compared,
    )  # fmt: skip


def _sealed(
    results: Sequence[Result], key: bytes | None, around: AuditEnvironment
) -> tuple[Result, ...]:
    """Let observations name commitments from here on, where the record has a key for that."""
    if key is None:
        return tuple(results)
    found: list[Result] = []
    for result in results:
        if not isinstance(result, ObservedCheck):
            found.append(result)
            continue
        sealed, parts = commit_observation(result, key)
        for part in parts:
            around.keep(Blob(part.commitment.digest, part.commitment.emit()))
            around.note(part)
        found.append(sealed)
    return tuple(found)


def _observe(
    prepared: PreparedAudit,
    spec: TargetSpec,
    around: AuditEnvironment,
    watch: ProgressListener,
    memory: AuditCheckpoint,
) -> tuple[tuple[Result, ...], Fingerprint | None]:
    with open_check_subject(prepared, spec, around.openers, memory) as subject:
        results = observe_checks(
            prepared.checks, subject, around.keep, watch, prepared.allowance(spec)
        )
        return results, read_target_fingerprint(subject)


def conclude_audit(  # noqa: PLR0913 -- what is judged, by what, and in which world
    request: AuditRequest,
    policy: Policy,
    found: AuditResults,
    around: AuditEnvironment,
    origin: RecordOrigin,
    *,
    waivers: Sequence[SignedWaiver] = (),
    compared: AuditRecord | None = None,
) -> AuditRecord:
    """Judge results by a policy and make the record, as it reads back from its own bytes.

    So nothing is shown or stored that is not in the bytes that are signed. ``waivers`` are those
    that the request names; limits may be taken from the record that is ``compared``.
    """
    results = found.results
    readings_at = cache(partial(compute_readings, results))
    finished, leave = around.clock(), tuple(item.waiver for item in waivers)
    record_id = compute_record_id(request, results, origin, finished)
    observations = tuple(item.observation for item in results if isinstance(item, ObservedCheck))
    levels = assess_evidence_levels(request.targets, found.fingerprints, readings_at(CONFIDENCE))
    fingerprints = {
        name: replace(item, evidence=levels.get(name)) for name, item in found.fingerprints.items()
    }
    known = build_judging_context(request, around.assurance, CONFIDENCE, leave, finished)
    under = MeasurementConditions.of(request, observations, fingerprints)
    record = AuditRecord(
        id=record_id,
        derived_from=origin.derived_from,
        assurance=around.assurance,
        request=request,
        confidence=CONFIDENCE,
        fingerprints=fingerprints,
        observations=observations,
        readings=readings_at(CONFIDENCE),
        findings=judge_readings(policy, readings_at, known.against(compared, under)),
        lineage=(),
        tool=around.tool,
        registered=origin.registered,
        finished=finished,
        places=origin.places,
    )
    edges = build_lineage(record, policy.catalogues, around.signer)
    return read_record(replace(record, lineage=edges).canonical())


def compute_record_id(
    request: AuditRequest, results: Sequence[Result], origin: RecordOrigin, finished: str
) -> str:
    """Return a record's id: a digest of what was asked, seen, and when.

    Audits that are equal even in their seconds have one each, by how many came before.
    """
    seen = [
        item.observation.to_json() if isinstance(item, ObservedCheck) else item.to_json()
        for item in results
    ]
    before = [origin.before] if origin.before else []
    parts = [request.digest, seen, origin.registered, origin.derived_from, finished, *before]
    return f"aud-{digest_json(parts).hex[:24]}"
