"""Signs records and statements of an audit, and verifies them."""

from collections.abc import Mapping

from auditor.domain.digests import Digest
from auditor.domain.json import Json, compute_digest, encode_canonical, parse_json
from auditor.domain.record_json import read_record
from auditor.domain.record_scope import find_bound_artifact
from auditor.errors import AuditorError, RecordError
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest, parse_statement
from auditor.trust.signatures.keys import Signer
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.verify import verify_exact_bundle
from auditor.trust.verification_result import (
    IssueCode,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
)

PREDICATE = "urn:auditor:record:v1"
RECORD = "record.json"


def sign_record(
    record: bytes,
    artifact_digest: str | None,
    name: str,
    signer: Signer,
    *,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """Sign a record's bytes, and return the bundle (``record.sigstore.json``).

    The statement's subjects are the record, under ``name`` the artifact if the record speaks for
    it, and the ``files`` that show the record. Its predicate repeats the verdict, the policy's
    digest and the record's id, so that a gate can read them without the record. Raises
    ``RecordError`` where the bytes are not a record.
    """
    subjects = [SubjectDigest(RECORD, compute_digest(record).hex)]
    if artifact_digest is not None:
        subjects.append(SubjectDigest(name, Digest(artifact_digest).hex))
    shown = sorted((files or {}).items())
    subjects += [SubjectDigest(file, compute_digest(raw).hex) for file, raw in shown]
    return sign_bundle(InTotoStatement(tuple(subjects), PREDICATE, _summary(record)).emit(), signer)


def verify_record(
    bundle: bytes, record: bytes, key_pem: bytes, *, files: frozenset[str] = frozenset()
) -> SignatureVerification:
    """Verify that the key signed exactly this record, and says nothing else of it than it says.

    ``files`` are the names of further files that may be signed with it; ``list_signed_files`` tells
    their digests.
    """
    opened = verify_exact_bundle(bundle, key_pem)
    if opened.payload is None:
        return opened
    try:
        found = _contradictions(parse_statement(opened.payload, PREDICATE), record, files)
    except VerificationError as refused:
        found = (refused.objection,)
    except RecordError as error:
        found = (VerificationIssue(IssueCode.CONTRADICTION, error.problem),)
    return SignatureVerification((*opened.objections, *found), opened.identity, opened.payload)


def list_signed_files(verification: SignatureVerification) -> Mapping[str, str]:
    """Return the digest of every file that a verified statement names, the record among them."""
    if verification.payload is None:
        return {}
    statement = parse_statement(verification.payload, PREDICATE)
    return {item.name: Digest.of_hex(item.sha256) for item in statement.subjects}


def sign_statement(statement: Mapping[str, Json], signer: Signer) -> bytes:
    """Sign an in-toto statement as it is, and return the bundle.

    Raises ``ValueError`` where it holds a number that has no canonical form.
    """
    return sign_bundle(encode_canonical(statement), signer)


def verify_statement(
    bundle: bytes, statement: Mapping[str, Json], key_pem: bytes
) -> SignatureVerification:
    """Verify that the key signed exactly this statement."""
    opened = verify_exact_bundle(bundle, key_pem)
    if opened.payload is None or opened.payload == encode_canonical(statement):
        return opened
    other = VerificationIssue(
        IssueCode.CONTRADICTION, "the key signed another statement than the one expected"
    )
    return SignatureVerification((*opened.objections, other), opened.identity, opened.payload)


def _contradictions(
    statement: InTotoStatement, record: bytes, files: frozenset[str]
) -> tuple[VerificationIssue, ...]:
    first, rest = statement.subjects[:1], statement.subjects[1:]
    if first != (SubjectDigest(RECORD, compute_digest(record).hex),):
        # Nothing that another document says is held against this statement.
        return (VerificationIssue(IssueCode.DIGEST_MISMATCH, f"{RECORD} is not what was signed"),)
    found = []
    artifact = _artifact(record)
    if rest[:1] != (artifact,) and _speaks_for_endpoint(record):
        artifact = None  # earlier versions named it all the same
    spoken_of = () if artifact is None else (artifact,)
    if rest[: len(spoken_of)] != spoken_of:
        text = "the signed artifact is not the one that the record speaks of"
        found.append(VerificationIssue(IssueCode.SUBJECT, text))
    names = [item.name for item in rest[len(spoken_of) :]]
    if len(set(names)) != len(names) or not files.issuperset(names):
        found.append(
            VerificationIssue(IssueCode.SUBJECT, "files are signed that belong to no record")
        )
    if dict(statement.predicate) != _summary(record):
        text = "the signed verdict, policy or id is not the one in the record"
        found.append(VerificationIssue(IssueCode.CONTRADICTION, text))
    return tuple(found)


def _summary(record: bytes) -> dict[str, object]:
    found = _read(record)
    policy = _mapping(_mapping(found, "request"), "policy")
    return {"verdict": found.get("verdict"), "policy": policy.get("digest"), "id": found.get("id")}


def _artifact(record: bytes) -> SubjectDigest | None:
    artifact = _mapping(_mapping(_read(record), "request"), "artifact")
    found, name = artifact.get("digest"), artifact.get("name")
    return SubjectDigest(str(name), Digest(found).hex) if isinstance(found, str) else None


def _speaks_for_endpoint(record: bytes) -> bool:
    try:
        return find_bound_artifact(read_record(record)) is None
    except AuditorError:
        return False  # a record that cannot be read is refused for that


def _read(record: bytes) -> Mapping[str, Json]:
    try:
        found = parse_json(record)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise RecordError(f"{RECORD} is not a JSON object", cure="Give the file as it was written.")
    return found


def _mapping(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = value.get(name)
    if not isinstance(found, Mapping):
        raise RecordError(f"{RECORD} has no {name}", cure="Give the file as it was written.")
    return found
