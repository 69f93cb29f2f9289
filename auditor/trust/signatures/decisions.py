"""Signed decisions (waivers, approvals, findings) and challenges as in-toto statements.

This module does not decide who may sign: the caller supplies only keys that it trusts for the
decision.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from auditor.domain.approvals import (
    APPROVAL_SCHEMA,
    Approval,
    HumanFinding,
    find_approval_mistakes,
    find_human_finding_mistakes,
)
from auditor.domain.approvals import HUMAN_FINDING_SCHEMA as FOUND
from auditor.domain.challenges import CHALLENGE_SCHEMA, Challenge
from auditor.domain.digests import Digest
from auditor.domain.json import (
    Json,
    JsonPart,
    compute_digest,
    encode_canonical,
    parse_json,
    read_json,
)
from auditor.domain.waivers import SignedWaiver, Waiver, WaiverRef, read_waiver
from auditor.errors import RecordError, SignatureFormatError, WaiverError
from auditor.trust.encoding.dsse import STATEMENT, InTotoStatement, SubjectDigest, parse_statement
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.signatures.sigstore_bundle import parse_bundle, sign_bundle
from auditor.trust.signatures.verify import verify_bundle
from auditor.trust.verification_result import IssueCode

WAIVER = "urn:auditor:waiver:v1"
APPROVAL = "urn:auditor:approval:v1"
FINDING = "urn:auditor:finding:v1"
RECORD = "record.json"
ANOTHER_KEY = "signed by another key"
_ENVELOPE = b"dsseEnvelope"
_CURE = "Take it as auditor wrote it, unchanged, or have it signed again."


def sign_waiver(waiver: Waiver, signer: Signer) -> bytes:
    """Sign a waiver, and return the bundle."""
    return sign_bundle(build_waiver_payload(waiver), signer)


def build_waiver_payload(waiver: Waiver) -> bytes:
    """Return the statement that is signed for a waiver."""
    return _emit(_waiver_statement(waiver))


def open_waiver(bundle: bytes, source: str) -> Waiver:
    """Read a waiver, whoever signed it. Raises ``WaiverError`` for what is none."""
    _refuse_unsigned(bundle, source)
    try:
        payload = parse_bundle(bundle).envelope.payload
    except SignatureFormatError as error:
        raise WaiverError(f"{source} is not a signed waiver: {error.problem}", cure=_CURE) from None
    return _waiver(payload, source)


def verify_waiver(bundle: bytes, key_pem: bytes, source: str) -> SignedWaiver:
    """Return a waiver that a key signed, with the key as every key is written.

    So no blank or word beside it makes one key look like another. Raises ``WaiverError`` that says
    why the key did not sign it.
    """
    waiver = _waiver(_opened(bundle, key_pem, source), source)
    pem = read_public_key(key_pem).pem
    ref = WaiverRef(compute_digest(bundle), waiver.digest, compute_digest(pem), source)
    return SignedWaiver(waiver, ref, bundle, pem)


def sign_approval(approval: Approval, signer: Signer) -> bytes:
    """Sign an approval, and return the bundle: the subject is the record."""
    return sign_bundle(build_approval_payload(approval), signer)


def build_approval_payload(approval: Approval) -> bytes:
    """Return the statement that is signed for an approval."""
    return _emit(_of_record(APPROVAL, approval.record, approval.to_json()))


def verify_approval(bundle: bytes, key_pem: bytes, source: str) -> Approval:
    """Return an approval that a key signed. Raises ``WaiverError`` that says why it did not."""
    title = f"approval of {APPROVAL_SCHEMA}"
    form = _DecisionFormat(APPROVAL, title, APPROVAL_SCHEMA, Approval, find_approval_mistakes)
    return _verified(bundle, key_pem, source, form)


def sign_finding(finding: HumanFinding, signer: Signer) -> bytes:
    """Sign a human finding, and return the bundle: the subject is the record."""
    return sign_bundle(build_finding_payload(finding), signer)


def build_finding_payload(finding: HumanFinding) -> bytes:
    """Return the statement that is signed for a human finding."""
    return _emit(_of_record(FINDING, finding.record, finding.to_json()))


def verify_finding(bundle: bytes, key_pem: bytes, source: str) -> HumanFinding:
    """Return a human finding that a key signed. Raises ``WaiverError`` that says why not."""
    title = f"finding of {FOUND}"
    form = _DecisionFormat(FINDING, title, FOUND, HumanFinding, find_human_finding_mistakes)
    return _verified(bundle, key_pem, source, form)


class _RecordDecision(Protocol):
    """What a person says of one record."""

    @property
    def record(self) -> str:
        """The record's digest."""

    def to_json(self) -> dict[str, Json]:
        """Return the document that is signed."""


D = TypeVar("D", bound=_RecordDecision)


@dataclass(frozen=True, slots=True)
class _DecisionFormat(Generic[D]):
    """How one kind of decision on a record is written."""

    kind: str
    title: str
    schema: str
    made: type[D]
    mistakes: Callable[[D], Iterator[tuple[str, str]]]


def _verified(bundle: bytes, key_pem: bytes, source: str, form: _DecisionFormat[D]) -> D:
    payload = _opened(bundle, key_pem, source)
    try:
        statement = parse_statement(payload, form.kind)
        said = JsonPart(cast("Json", statement.predicate), source)
        if said.value.get("schema") != form.schema:
            raise WaiverError(f"{source} is no {form.title}", cure=_CURE)
        found = read_json(form.made, said.value, source)
        mistake = next((problem for problem, _ in form.mistakes(found)), "")
        if not mistake and statement != _of_record(form.kind, found.record, found.to_json()):
            mistake = "its subject is not the record that it speaks of"
    except (RecordError, SignatureFormatError) as error:
        raise WaiverError(f"{source} cannot be read: {error.problem}", cure=_CURE) from None
    if mistake:
        raise WaiverError(f"{source}: {mistake}", cure=_CURE)
    return found


def _opened(bundle: bytes, key_pem: bytes, source: str) -> bytes:
    _refuse_unsigned(bundle, source)
    found = verify_bundle(bundle, key_pem)
    if found.payload is not None:
        return found.payload
    if set(found.codes) & {IssueCode.KEY, IssueCode.KEY_HINT}:
        raise WaiverError(
            f"{source} is {ANOTHER_KEY} than the one given",
            cure="Name the public key of who signed it, if that is who may decide.",
        )
    said = "; ".join(f"{item.code}: {item.text}" for item in found.objections)
    raise WaiverError(f"the signature of {source} does not hold: {said}", cure=_CURE)


def _refuse_unsigned(bundle: bytes, source: str) -> None:
    if _ENVELOPE not in bundle:
        raise WaiverError(
            f"{source} is not signed",
            cure="A draft counts for nothing: sign it with `auditor waive --file DRAFT --key KEY`.",
        )


def _waiver(payload: bytes, source: str) -> Waiver:
    try:
        statement = parse_statement(payload, WAIVER)
    except SignatureFormatError as error:
        raise WaiverError(f"{source} is not a signed waiver: {error.problem}", cure=_CURE) from None
    waiver = read_waiver(cast("Mapping[str, Json]", statement.predicate), lambda _: source)
    if statement != _waiver_statement(waiver):
        raise WaiverError(f"{source}: its subjects are not those of the waiver", cure=_CURE)
    return waiver


def _waiver_statement(waiver: Waiver) -> InTotoStatement:
    subjects = [SubjectDigest("waiver", waiver.digest.hex)]
    if waiver.artifact is not None:
        subjects.append(SubjectDigest(waiver.model, Digest(waiver.artifact).hex))
    return InTotoStatement(tuple(subjects), WAIVER, waiver.to_json())


def _of_record(kind: str, record: str, said: Mapping[str, Json]) -> InTotoStatement:
    return InTotoStatement((SubjectDigest(RECORD, Digest(record).hex),), kind, dict(said))


def _emit(statement: InTotoStatement) -> bytes:
    """Return a statement's bytes; slices may hold numbers that ``InTotoStatement.emit`` does not
    know.
    """
    subjects: list[Json] = [
        {"name": item.name, "digest": {"sha256": item.sha256}} for item in statement.subjects
    ]
    said = cast("Mapping[str, Json]", statement.predicate)
    kind = statement.predicate_type
    return encode_canonical(
        {"_type": STATEMENT, "subject": subjects, "predicateType": kind, "predicate": said}
    )


PREDICATE = "urn:auditor:challenge:v1"
_CURE_CHALLENGES = "Take the challenge as `auditor challenge` wrote it, unchanged, or try it again."


def sign_challenge(challenge: Challenge, signer: Signer) -> bytes:
    """Sign a challenge, and return the bundle: the subjects are the record and the examples."""
    subjects: list[Json] = [
        {"name": name, "digest": {"sha256": Digest(digest).hex}}
        for name, digest in (("record.json", challenge.record), ("examples", challenge.examples))
    ]
    statement: Mapping[str, Json] = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": challenge.to_json(),
    }
    return sign_bundle(encode_canonical(statement), signer)


def open_challenge(bundle: bytes) -> Challenge:
    """Read a challenge, whoever signed it: it can only ever shut a gate.

    Raises ``RecordError`` for what is no challenge.
    """
    try:
        found = JsonPart(parse_json(parse_bundle(bundle).envelope.payload), "the challenge")
        told = found.part("predicate")
    except (SignatureFormatError, ValueError, RecursionError) as error:
        raise RecordError(f"a challenge cannot be read: {error}", cure=_CURE_CHALLENGES) from None
    kinds = (found.value.get("predicateType"), told.value.get("schema"))
    if kinds != (PREDICATE, CHALLENGE_SCHEMA):
        raise RecordError(
            f"a signed document is not a challenge of {CHALLENGE_SCHEMA}", cure=_CURE_CHALLENGES
        )
    return read_json(Challenge, told.value, told.place)


def is_signed_by(bundle: bytes, key_pem: bytes) -> bool:
    """Whether the bundle's signature holds under a key."""
    return verify_bundle(bundle, key_pem).verified
