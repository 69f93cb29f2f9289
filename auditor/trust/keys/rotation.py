"""Key rotation statements, and checks that a key has one role and has not ended.

The old key signs which key follows it, so that a verifier who trusts the old key can trust the new
one.
"""

import hashlib
from pathlib import Path

from auditor.errors import AuditorError, KeyFileError
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest, parse_statement
from auditor.trust.keys.files import STEMS
from auditor.trust.ledger.key_events import KeyHistory, KeyStatus
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.verify import verify_bundle
from auditor.trust.verification_result import (
    IssueCode,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
)


def refuse_key_role(life: KeyHistory, role: str) -> None:
    """Raise ``KeyFileError`` where a key is one of another role."""
    if life.role != role:
        raise KeyFileError(
            f"the key {read_key_identity(life)} is the {life.role} key of leaf {life.begun.index} "
            f"of the ledger, and may not be the {role} key too",
            cure=f"Use a key of its own: `auditor keys new --role {role}`.",
        )


def refuse_ended_key(life: KeyHistory, role: str, at: str) -> None:
    """Raise ``KeyFileError`` where a key may not sign in a role at a time."""
    refuse_key_role(life, role)
    if life.status(at) is not KeyStatus.IN_USE:
        raise KeyFileError(
            f"the {role} key {read_key_identity(life)} may sign no more: it is {life.words(at)}",
            cure="Use the key that follows it, or make a new one; `auditor keys list` shows all.",
        )


def refuse_second_role(home: Path, role: str, public: bytes) -> None:
    """Raise ``KeyFileError`` where a key in PEM form is the one of another role in ``home``."""
    for other, stem in STEMS.items():
        path = home / f"{stem}.pub"
        if other != role and path.is_file() and path.read_bytes().strip() == public.strip():
            raise KeyFileError(
                f"{path} is the {other} key, and may not be the {role} key too",
                cure=f"Use a key of its own: `auditor keys new --role {role}`.",
            )


def read_key_identity(life: KeyHistory) -> str:
    """Return the name of a key: ``key:sha256:…``, or the name of a note's key."""
    try:
        return read_public_key(life.public.encode()).identity
    except AuditorError:
        return life.public.partition("+")[0][:200]


PREDICATE = "urn:auditor:key-rotation:v1"
_NEW, _OLD = "new key", "old key"


def sign_rotation(old: Signer, new_pem: bytes, role: str) -> bytes:
    """Sign, with the old key, that another key follows it in a role; return the bundle.

    Raises ``VerificationError`` where a key is none that can sign.
    """
    return sign_bundle(_statement(old.public_pem(), new_pem, role).emit(), old)


def verify_rotation(
    bundle: bytes, old_pem: bytes, new_pem: bytes, role: str
) -> SignatureVerification:
    """Verify that the old key says that exactly the new one follows it in exactly that role."""
    opened = verify_bundle(bundle, old_pem)
    if opened.payload is None:
        return opened
    try:
        same = parse_statement(opened.payload, PREDICATE) == _statement(old_pem, new_pem, role)
    except VerificationError as refused:
        return SignatureVerification((*opened.objections, refused.objection), opened.identity)
    if same:
        return opened
    text = "the old key speaks of another key or role"
    return SignatureVerification(
        (*opened.objections, VerificationIssue(IssueCode.SUBJECT, text)), opened.identity
    )


def _statement(old_pem: bytes, new_pem: bytes, role: str) -> InTotoStatement:
    subjects = (
        SubjectDigest(_NEW, hashlib.sha256(read_public_key(new_pem).der).hexdigest()),
        SubjectDigest(_OLD, hashlib.sha256(read_public_key(old_pem).der).hexdigest()),
    )
    return InTotoStatement(subjects, PREDICATE, {"role": role})
