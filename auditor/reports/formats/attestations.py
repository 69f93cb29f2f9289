"""In-toto attestations of an audit: SLSA VSA v1, test-result v0.1, and SVR v0.2 statements.

Sources: https://slsa.dev/spec/v1.1/verification_summary, in-toto Statement v1, and the predicates
``test-result/v0.1`` and ``svr/v0.2`` of the in-toto attestation framework.

VSA: an inconclusive verdict is ``FAILED``, because the format has no third value and a gate must
stay closed. The extension fields, named by URIs as the format requires, distinguish the two.

Test result: consumers check that ``result`` is ``PASSED`` and ``failedTests`` is empty, so an
undecided rule must not look like a pass. A required rule that is unknown counts as failed, and
without a verdict there is always one failed test.

SVR: the format has no failures; a property that is not listed was not shown. The verdict's property
is present only on a pass, and a rule's property only if it passed on every target. A rule that
withstood attacks, was waived, or is unknown has none. The validity period is part of a property's
name. A pass that rests on waivers has a property for that and for each waived rule.

A pass of recorded predictions, and one that was judged again from known figures, are marked as such
in the VSA and the SVR.

A pass is valid until the policy's time is over or its first waiver ends, whichever is earlier.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import quote

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.evidence import decode_evidence
from auditor.domain.findings import KEPT, Finding, Outcome, Verdict
from auditor.domain.json import Json, compute_digest
from auditor.domain.policies import Policy, RuleEffect
from auditor.domain.readings import Measurement
from auditor.domain.record_scope import RecordScope, find_bound_artifact, find_record_scope
from auditor.domain.records import AuditRecord
from auditor.domain.targets import EvidenceLevel
from auditor.domain.waivers import parse_waiver_time
from auditor.errors import AuditorError
from auditor.reports.waiver_text import list_exceptions
from auditor.reports.wording import name_place
from auditor.trust.encoding.dsse import STATEMENT
from auditor.trust.policies.evidence import decode_evidence_bytes
from auditor.trust.signatures.decisions import open_waiver
from auditor.trust.signatures.sigstore_bundle import parse_bundle
from auditor.trust.verification_result import VerificationError, VerificationProfile

SIGNATURE = "provenance.signature"
LINEAGE = "provenance.lineage"
VERDICT = "urn:auditor:ext:verdict"
RECORD = "urn:auditor:ext:record"
PAYLOAD = "model.sig#payload"


@dataclass(frozen=True, slots=True)
class SupportingFiles:
    """What checks read beside the model, by digest: its signature file and its documents.

    ``payload`` is that of the statement which the model's signer signed, where the signature was
    found to hold: unlike a root over contents it binds the files' names. ``expires`` is when the
    first of the waivers ends that waive something.
    """

    signature: str | None = None
    payload: str | None = None
    documents: tuple[FileDigest, ...] = ()
    expires: datetime | None = None


NOTHING = SupportingFiles()


def find_supporting_files(record: AuditRecord, blob: Callable[[str], bytes]) -> SupportingFiles:
    """Return what the checks of a record read beside the model; ``blob`` gives their evidence.

    What no check looked at is not named, though it lay there: nothing rests on it.
    """
    named = next((item for item in record.observations if item.check == SIGNATURE), None)
    if named is None or named.committed:
        bundle = None  # what is committed may be withheld, and is named nowhere else
    else:
        seen = cast("Mapping[str, Json]", decode_evidence(blob(named.evidence["signature"])))
        bundle = decode_evidence_bytes(seen["bundle"])
    looked = {item.check for item in record.observations}
    return SupportingFiles(
        signature=None if bundle is None else compute_digest(bundle),
        payload=_payload(record, bundle),
        documents=record.request.documents if LINEAGE in looked else (),
        expires=find_first_waiver_end(record, blob),
    )


def find_first_waiver_end(record: AuditRecord, blob: Callable[[str], bytes]) -> datetime | None:
    """Return when the first waiver ends on which a pass rests, of those at hand."""
    used = {item.waiver for item in record.findings if item.outcome is Outcome.WAIVED}
    ends = []
    for ref in record.request.waivers if record.verdict is Verdict.PASS else ():
        try:
            waiver = open_waiver(blob(ref.digest), ref.file)
        except (KeyError, AuditorError):
            continue
        if waiver.digest in used:
            ends.append(parse_waiver_time(waiver.expires))
    return min((end for end in ends if end is not None), default=None)


def _payload(record: AuditRecord, bundle: bytes | None) -> str | None:
    holds = any(
        isinstance(item, Measurement) and (item.check, item.value) == (SIGNATURE, True)
        for item in record.readings
    )
    if bundle is None or not holds:
        return None
    try:
        return compute_digest(parse_bundle(bundle, VerificationProfile.COMPAT).envelope.payload)
    except VerificationError:
        return None


def build_subjects(record: AuditRecord, beside: SupportingFiles) -> Sequence[Json]:
    """Return what a statement speaks of: each deployed file, then the model as a whole.

    The whole is named by its OMS root (SHA-256 over the concatenated digests of its files,
    OpenSSF Model Signing 1.0), and by the payload of its own signature where that holds. A
    record that does not speak for the artifact on every target names itself alone: what a server
    answered is shown of no file.
    """
    artifact = find_bound_artifact(record)
    if artifact is None:
        return [{"name": "record.json", "digest": build_digest_set(record.digest)}]
    return build_artifact_subjects(record, artifact, beside)


def build_artifact_subjects(
    record: AuditRecord, artifact: Artifact, beside: SupportingFiles
) -> Sequence[Json]:
    """Return an artifact as the subjects of a statement."""
    files = sorted(artifact.files)
    root = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()
    whole = f"{record.request.name}@{record.request.version}"
    found: list[Json] = [{"name": file.name, "digest": {"sha256": file.sha256}} for file in files]
    found.append({"name": whole, "digest": {"sha256": root}})
    if beside.payload is not None:
        found.append({"name": PAYLOAD, "digest": build_digest_set(beside.payload)})
    return found


def build_verifier_id(record: AuditRecord) -> str:
    """Return the URI of who verified: the key that the record is attributed to."""
    named = next((edge.destination for edge in record.lineage if edge.role == "signer"), "unknown")
    return f"urn:auditor:key:{quote(named.removeprefix('key:'), safe=':')}"


def build_policy_uri(policy: Policy) -> str:
    """Return the URI of a policy: its name and version."""
    return f"urn:auditor:policy:{quote(policy.name, safe='')}:{quote(policy.version, safe='')}"


def build_digest_set(named: str) -> dict[str, Json]:
    """Return ``sha256:…`` as in-toto writes digests."""
    return {"sha256": named.removeprefix("sha256:")}  # a forged record names any text


def list_evidence_levels(record: AuditRecord) -> Mapping[str, EvidenceLevel]:
    """Return how far figures speak of each target that was opened, as the record says it."""
    prints = sorted(record.fingerprints.items())
    return {name: found.evidence for name, found in prints if found.evidence is not None}


def find_weakest_evidence_property(record: AuditRecord) -> Sequence[str]:
    """Return the property that names the weakest level of a record's targets, if each has one."""
    told = list_evidence_levels(record)
    if not told or len(told) < len(record.request.targets):
        return ()
    weakest = max(told.values(), key=list(EvidenceLevel).index)
    return (f"AUDITOR_EVIDENCE_{weakest.name}",)


VSA_PREDICATE = "https://slsa.dev/verification_summary/v1"
ARTIFACT = "urn:auditor:ext:artifact-digest"
WAIVED = "urn:auditor:ext:waived-rules"
ATTEMPT = "urn:auditor:ext:attempt"
SEALED = "urn:auditor:ext:sealed"
SEED_SEALED = "urn:auditor:ext:seed-sealed"
VALID_FOR = "urn:auditor:ext:valid-for-days"
EXCEPTION = "urn:auditor:ext:by-exception"
WAIVER_ENDS = "urn:auditor:ext:waivers-end"
BY_EXCEPTION = "AUDITOR_PASS_BY_EXCEPTION"
PREDICTIONS_ONLY = "AUDITOR_PREDICTIONS_ONLY"
JUDGED_AGAIN = "AUDITOR_JUDGED_AGAIN"
DERIVED_FROM = "urn:auditor:ext:judged-again-from"
EVIDENCE = "urn:auditor:ext:evidence"


def build_vsa_statement(
    record: AuditRecord, policy: Policy, beside: SupportingFiles = NOTHING
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned, about the subjects that ``build_subjects`` names.

    Its input attestations are the record, its waivers, and what was read beside the model: the
    model's signature, whether it holds or not, and the documents that came with it.
    """
    request = record.request
    named: dict[str, str] = {f"urn:auditor:record:{record.id}": record.digest}
    if beside.signature is not None:
        named["urn:auditor:model-signature"] = beside.signature
    inputs: list[Json] = [
        {"uri": uri, "digest": build_digest_set(item)} for uri, item in named.items()
    ]
    for waiver in record.request.waivers:
        uri = f"urn:auditor:waiver:{quote(waiver.file, safe='')}"
        inputs.append({"uri": uri, "digest": build_digest_set(waiver.digest)})
    for document in beside.documents:
        uri = f"urn:auditor:document:{quote(document.name, safe='')}"
        inputs.append({"uri": uri, "digest": {"sha256": document.sha256}})
    return {
        "_type": STATEMENT,
        "subject": build_subjects(record, beside),
        "predicateType": VSA_PREDICATE,
        "predicate": {
            "verifier": {
                "id": build_verifier_id(record),
                "version": {"auditor": str(record.tool.get("version", "unknown"))},
            },
            "timeVerified": record.finished,
            "resourceUri": _resource(record),
            "policy": {
                "uri": build_policy_uri(policy),
                "digest": build_digest_set(request.policy.digest),
            },
            "inputAttestations": inputs,
            "verificationResult": "PASSED" if record.verdict is Verdict.PASS else "FAILED",
            "verifiedLevels": _levels(record),
            "slsaVersion": "1.1",
            **_extensions(record, policy, beside),
        },
    }


def _resource(record: AuditRecord) -> str:
    """Return what was verified: the model, what answered in its place, or what it once said."""
    request = record.request
    named = f"{quote(request.name, safe='')}@{quote(request.version, safe='')}"
    scope = find_record_scope(record)
    bound = scope is RecordScope.ARTIFACT
    return f"pkg:generic/{named}" if bound else f"urn:auditor:{scope.value}:{named}"


def _levels(record: AuditRecord) -> list[Json]:
    if record.verdict is not Verdict.PASS:
        return ["FAILED"]
    return [
        f"AUDITOR_ASSURANCE_{record.assurance.name}",
        *find_weakest_evidence_property(record),
        *_list_reservations(record),
    ]


def _list_reservations(record: AuditRecord) -> Iterator[str]:
    """Yield what sets a pass apart from one of a model by rules older than its figures."""
    if list_exceptions(record):
        yield BY_EXCEPTION
    if record.request.predictions_only:
        yield PREDICTIONS_ONLY
    if record.derived_from is not None:
        yield JUDGED_AGAIN


def _count_valid_days(record: AuditRecord, policy: Policy, beside: SupportingFiles) -> int | None:
    """Return for how many whole days the verdict counts, or nothing where nothing ends it."""
    days = [] if policy.valid_for_days is None else [policy.valid_for_days]
    finished = parse_waiver_time(record.finished)
    if beside.expires is not None and finished is not None:
        days.append(max(0, (beside.expires - finished).days))
    return min(days, default=None)


def _name_end(beside: SupportingFiles) -> dict[str, Json]:
    """Say when the first waiver ends that the verdict rests on."""
    return {} if beside.expires is None else {WAIVER_ENDS: f"{beside.expires:%Y-%m-%dT%H:%M:%SZ}"}


def _extensions(record: AuditRecord, policy: Policy, beside: SupportingFiles) -> dict[str, Json]:
    artifact = find_bound_artifact(record)
    waived = sorted({item.rule for item in record.findings if item.outcome is Outcome.WAIVED})
    said: dict[str, Json] = {VERDICT: record.verdict.value, WAIVED: waived}
    if artifact is not None:
        said[ARTIFACT] = artifact.digest
    if list_exceptions(record):
        said[EXCEPTION] = True
    if record.derived_from is not None:
        # As text: the one-file verifier takes a digest set for the record that a statement is of
        said[DERIVED_FROM] = record.derived_from
    if (days := _count_valid_days(record, policy, beside)) is not None:
        said[VALID_FOR] = days
    said |= _name_end(beside)
    if levels := list_evidence_levels(record):
        said[EVIDENCE] = {name: level.value for name, level in levels.items()}
    if record.request.attempt is not None:
        said |= {
            ATTEMPT: record.request.attempt.number,
            SEALED: record.request.sealed,
        }
        if record.request.attempt.sealed and not record.request.sealed:
            said[SEED_SEALED] = True
    return said


TEST_RESULT_PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
UNDECIDED = "urn:auditor:ext:undecided-tests"
WITHSTOOD = "urn:auditor:ext:withstood-tests"
NO_VERDICT = "verdict"
"""The test that stands for a verdict that no single rule explains: nothing was judged."""
BROKEN = frozenset({Outcome.FAILED, Outcome.UNKNOWN})


def build_test_result_statement(
    record: AuditRecord, policy: Policy, beside: SupportingFiles = NOTHING
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned.

    Passed are rules that were kept, also by withstanding where the policy accepts that; warned
    are waived ones, and advisory ones that were broken or not decided.
    """
    found = record.findings
    passes = record.verdict is Verdict.PASS
    failed = _names(record, (item for item in found if item.outcome in BROKEN and _denies(item)))
    warned = _names(
        record,
        (
            item
            for item in found
            if item.outcome is Outcome.WAIVED or (item.outcome in BROKEN and not _denies(item))
        ),
    )
    kept = "WARNED" if warned else "PASSED"
    request = record.request
    named = [(build_policy_uri(policy), request.policy.digest), ("audit file", request.audit_file)]
    named += [(f"{item.role} data", item.digest) for item in request.datasets]
    return {
        "_type": STATEMENT,
        "subject": build_subjects(record, beside),
        "predicateType": TEST_RESULT_PREDICATE,
        "predicate": {
            "result": kept if passes else "FAILED",
            "configuration": [
                {"name": name, "digest": build_digest_set(digest)} for name, digest in named
            ],
            "passedTests": _names(record, (item for item in found if item.outcome in KEPT)),
            "warnedTests": warned,
            "failedTests": failed if passes or failed else [NO_VERDICT],
            **_name_end(beside),
            UNDECIDED: _names(record, (item for item in found if item.outcome is Outcome.UNKNOWN)),
            WITHSTOOD: _names(
                record, (item for item in found if item.outcome is Outcome.WITHSTOOD)
            ),
            VERDICT: record.verdict.value,
            RECORD: build_digest_set(record.digest),
        },
    }


def _denies(finding: Finding) -> bool:
    return finding.effect is RuleEffect.DENY


def _names(record: AuditRecord, findings: Iterable[Finding]) -> list[str]:
    return [f"{item.name} on {name_place(record, item.target)}" for item in findings]


SVR_PREDICATE = "https://in-toto.io/attestation/svr/v0.2"


def build_svr_statement(
    record: AuditRecord, policy: Policy, beside: SupportingFiles = NOTHING
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned."""
    digest = build_digest_set(record.request.policy.digest)
    return {
        "_type": STATEMENT,
        "subject": build_subjects(record, beside),
        "predicateType": SVR_PREDICATE,
        "predicate": {
            "verifier": {
                "id": build_verifier_id(record),
                "policies": [{"uri": build_policy_uri(policy), "digest": digest}],
            },
            "timeCreated": record.finished,
            "properties": list(_properties(record, policy, beside)),
            **_name_end(beside),
            VERDICT: record.verdict.value,
            RECORD: build_digest_set(record.digest),
        },
    }


def _properties(record: AuditRecord, policy: Policy, beside: SupportingFiles) -> Iterator[str]:
    if record.verdict is Verdict.PASS:
        yield "AUDITOR_VERDICT_PASS"
        yield f"AUDITOR_ASSURANCE_{record.assurance.name}"
        yield from find_weakest_evidence_property(record)
        if record.request.attempt is not None and record.request.attempt.sealed:
            yield "AUDITOR_SEALED" if record.request.sealed else "AUDITOR_SEED_SEALED"
        if (days := _count_valid_days(record, policy, beside)) is not None:
            yield f"AUDITOR_VALID_FOR_{days}_DAYS"
        yield from _list_reservations(record)
    outcomes: dict[str, set[Outcome]] = {}
    for item in record.findings:
        outcomes.setdefault(item.rule, set()).add(item.outcome)
    for rule, seen in sorted(outcomes.items()):
        if seen == {Outcome.PASSED}:
            yield f"AUDITOR_RULE_PASSED:{rule}"
        if Outcome.WAIVED in seen and record.verdict is Verdict.PASS:
            yield f"AUDITOR_RULE_WAIVED:{rule}"
