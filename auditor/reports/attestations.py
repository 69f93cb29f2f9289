"""Attestation files beside a record: the signed statements, and whether a folder's hold."""

from collections.abc import Callable, Iterator, Mapping

from auditor.domain.json import Json, parse_json
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.folder import RESULTS, SVR, VERDICT, RecordFolder
from auditor.reports.formats.attestations import (
    BY_EXCEPTION,
    NOTHING,
    PAYLOAD,
    SupportingFiles,
    build_artifact_subjects,
    build_svr_statement,
    build_test_result_statement,
    build_vsa_statement,
    find_supporting_files,
)
from auditor.trust.signatures.records import verify_statement
from auditor.trust.verification_result import IssueCode, SignatureVerification

Write = Callable[[AuditRecord, Policy, SupportingFiles], Mapping[str, Json]]
WRITERS: Mapping[str, Write] = {
    VERDICT: build_vsa_statement,
    SVR: build_svr_statement,
    RESULTS: build_test_result_statement,
}
"""How the statement in each file is written."""
NAMES: Mapping[str, str] = {VERDICT: "verdict", SVR: "properties", RESULTS: "test result"}
"""What the step that verifies each file is called."""

DECIDED = ("verificationResult", "verifiedLevels", "policy", "properties", "result", "failedTests")
"""Members of the predicates that say what was decided."""
LATER = (BY_EXCEPTION, "AUDITOR_RULE_WAIVED:", "AUDITOR_VALID_FOR_")
"""How the items of those members begin that earlier versions left out or counted otherwise."""


def build_statements(
    record: AuditRecord, policy: Policy, blob: Callable[[str], bytes]
) -> Mapping[str, Mapping[str, Json]]:
    """Return the statement that each file has to carry: pure functions of what is signed."""
    beside = find_supporting_files(record, blob)
    return {name: write(record, policy, beside) for name, write in WRITERS.items()}


def check_attestations(
    folder: RecordFolder, record: AuditRecord, policy: Policy, key: bytes, *, same_code: bool
) -> Iterator[VerificationStep]:
    """Hold each statement in a folder against what the record has it say.

    Another version of auditor may word one otherwise, or not write it yet: then the step says
    that it was not checked, unless the signature is bad or it speaks of something else. Raises
    ``RecordError`` where a file is missing that this version writes.
    """
    for name, expected in build_statements(record, policy, folder.evidence).items():
        if name != VERDICT and not same_code and not folder.has(name):
            yield VerificationStep(
                NAMES[name], StepResult.NOT_PRESENT, f"the folder holds no {name}"
            )
            continue
        raw = folder.read(name)
        found = verify_statement(raw, expected, key)
        if (
            not same_code
            and found.codes == (IssueCode.CONTRADICTION,)
            and _agree(record, found, expected)
        ):
            detail = f"another version of auditor worded {name}; it speaks of the same and agrees"
            yield VerificationStep(NAMES[name], StepResult.NOT_CHECKED, detail)
            continue
        mistakes = [f"{name}: {item}" for item in find_signature_issues(found)]
        yield VerificationStep.of(NAMES[name], mistakes, f"{name} attests {record.verdict.value}")


def _agree(record: AuditRecord, found: SignatureVerification, expected: Mapping[str, Json]) -> bool:
    """Whether a signed statement is about this record, of the same kind, and decides the same."""
    raw = found.payload or b""
    try:
        said = parse_json(raw)
    except (ValueError, RecursionError):
        return False
    mine, theirs = expected["predicate"], said.get("predicate") if isinstance(said, Mapping) else 0
    if not (
        isinstance(said, Mapping) and isinstance(mine, Mapping) and isinstance(theirs, Mapping)
    ):
        return False
    same = said.get("predicateType") == expected["predicateType"]
    same = same and _subjects(said) in _known_subjects(record, expected)
    about = record.digest.hex.encode() in raw
    return same and about and all(_decided(theirs, it) == _decided(mine, it) for it in DECIDED)


def _decided(predicate: Mapping[str, Json], member: str) -> Json:
    said = predicate.get(member)
    if not isinstance(said, list):
        return said
    return [item for item in said if not (isinstance(item, str) and item.startswith(LATER))]


def _known_subjects(record: AuditRecord, expected: Mapping[str, Json]) -> list[list[Json]]:
    """Return what statements of any version speak of.

    Earlier ones named the artifact of every record, also of one that speaks for an endpoint. Gates
    ask the record for that, and not what a statement names.
    """
    artifact, known = record.request.artifact, [_subjects(expected)]
    if artifact is not None:
        known.append(_subjects({"subject": [*build_artifact_subjects(record, artifact, NOTHING)]}))
    return known


def _subjects(statement: Mapping[str, Json]) -> list[Json]:
    """Return what a statement speaks of, but for what not every version names."""
    named = statement.get("subject")
    listed = named if isinstance(named, list) else []
    return [
        item for item in listed if not (isinstance(item, Mapping) and item.get("name") == PAYLOAD)
    ]


def find_signature_issues(verification: SignatureVerification) -> list[str]:
    """Return what stands against a signature, with its codes; nothing when it holds."""
    found = [f"{item.code}: {item.text}" for item in verification.objections]
    return [] if verification.verified else found or ["no signature holds"]
