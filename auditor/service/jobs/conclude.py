"""Concludes a submission: from check results to its record and the files of its folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.domain.baselines import load_compared_record
from auditor.domain.checks import Check
from auditor.domain.json import Json, encode_canonical
from auditor.domain.observed_checks import Result
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, GapReason
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.targets import Fingerprint
from auditor.errors import StoreError, SubmissionError
from auditor.reports.folder import BUNDLE
from auditor.reports.publish import build_report_files
from auditor.service.domain.submissions import ShardKey, Submission, SubmissionResult
from auditor.service.jobs.results import ShardResult, read_shard_result
from auditor.service.store.agents import LeaseStore
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.trends import TrendStore
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.workflows.audit import AuditEnvironment, AuditResults, RecordOrigin, conclude_audit
from auditor.workflows.ledger import append_record_with_proof
from auditor.workflows.prepare import Resolvers, choose_checks


@dataclass(frozen=True, slots=True, kw_only=True)
class ConclusionContext:
    """What a conclusion needs: the store, the world, and readers that know the policy."""

    service: ServiceStore
    around: AuditEnvironment
    signer: Signer
    readers: Resolvers


def conclude_submission(judgement: ConclusionContext, submission: Submission) -> None:
    """Judge, sign, enter and keep, and let the submission end: all of it once.

    Raises ``StoreError`` where a check's result is missing, ``SubmissionError`` where its checks
    were seen by other code than this.
    """
    service = judgement.service
    registered = service.registered(submission.id)
    request = registered.request
    policy = judgement.readers.load_policy(submission.order.policy)
    checks = choose_checks(judgement.readers.checks, policy, request.budget, request.only)
    found = _found(judgement, submission, request, checks)
    finished = service.finish(submission.id, judgement.around.clock())
    # By which keys agents signed what they saw, by target, where agents did
    seen = LeaseStore(service.store).saw(submission.id)
    told: dict[str, Json] = {
        target: sorted(read_public_key(key.encode()).identity for key in keys)
        for target, keys in seen.items()
    }
    agents = {"agents": told} if told else {}
    around = replace(
        judgement.around,
        clock=lambda: finished,
        tool={**judgement.around.tool, **agents},
    )
    origin = RecordOrigin(registered.at, places=submission.order.places)
    compared = load_compared_record(request, service.store.blobs.get)
    made = conclude_audit(request, policy, found, around, origin, compared=compared)
    try:
        ending = _entered(judgement, submission, made, policy)
    except StoreError:
        # Another submission of the same may have come to the same id in the same second.
        if _kept(service, made)[1] is None:
            raise
        ending = _entered(judgement, submission, made, policy)
    service.end(submission.id, ending)


def _entered(
    judgement: ConclusionContext, submission: Submission, made: AuditRecord, policy: Policy
) -> SubmissionResult:
    """Sign and enter a record, or take the one of its id that is there, and keep its folder."""
    service, store = judgement.service, judgement.service.store
    record, bundle = _kept(service, made)
    files = build_report_files(
        record, policy, judgement.readers.checks, store.blobs.get, judgement.signer
    )
    files |= {} if bundle is None else {BUNDLE: bundle}
    files |= append_record_with_proof(store, record, files[BUNDLE])
    names: dict[str, Json] = {name: store.blobs.put(files[name]) for name in sorted(files)}
    manifest = store.blobs.put(encode_canonical(names))
    TrendStore(store).note(submission.id, submission.project, record)
    return SubmissionResult(ended=record.finished, record=record.digest, files=manifest)


def _kept(service: ServiceStore, record: AuditRecord) -> tuple[AuditRecord, bytes | None]:
    """Return the record as an interrupted conclusion signed it, where one did, or as it is."""
    with service.store.unit_of_work() as unit:
        there = unit.find_record(record.id)
    return (record, None) if there is None else (there.read(), there.bundle)


def _found(
    judgement: ConclusionContext,
    submission: Submission,
    request: AuditRequest,
    checks: Sequence[Check],
) -> AuditResults:
    bodies = judgement.service.results(submission.id)
    blobs = judgement.service.store.blobs
    results: list[Result] = []
    fingerprints: dict[str, Fingerprint] = {}
    for spec in request.targets:
        seen = []
        for check in checks:
            key = ShardKey(submission=submission.id, target=spec.name, check=check.id)
            if key not in bodies:
                raise StoreError(
                    f"{submission.id} has no result of {check.id} on {spec.name}",
                    cure="Submit it again; if this repeats, report this line.",
                )
            seen.append(read_shard_result(bodies[key], check, blobs.get))
        code = str(judgement.around.tool["code"])
        if any(item.code != code for item in seen):
            raise SubmissionError(
                f"the checks of {submission.id} ran under another version of auditor",
                cure="Submit it again after all processes of the service have the same version.",
            )
        known = [item.fingerprint for item in seen if item.fingerprint is not None]
        if known:
            fingerprints[spec.name] = known[-1]
        results.extend(
            _on(item, check, spec.name, known) for item, check in zip(seen, checks, strict=True)
        )
    return AuditResults(tuple(results), fingerprints)


def _on(item: ShardResult, check: Check, target: str, known: Sequence[Fingerprint]) -> Result:
    """Return a result, or a Gap where it was seen on another machine than the last one."""
    if item.fingerprint is None or item.fingerprint.identity == known[-1].identity:
        return item.result
    return Gap(
        reason=GapReason.TARGET_CHANGED,
        detail=f"{check.id} ran on {item.fingerprint.identity}, but the last check of "
        f"the audit ran on {known[-1].identity}: the workers of {target} differ.",
        cure=(
            "Use identical machines for all workers of a target, or give them "
            "different target names."
        ),
        target=target,
        check=check.id,
    )
