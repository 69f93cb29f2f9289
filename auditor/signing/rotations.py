"""A key's word on which key follows it, so that who trusts the old one may trust the new."""

import hashlib

from auditor.signatures.bundles import seal
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.objections import Code, Objection, Refused, Verification
from auditor.signatures.opening import unseal
from auditor.signatures.statements import Statement, SubjectDigest, parse_statement

PREDICATE = "urn:auditor:key-rotation:v1"
_NEW, _OLD = "new key", "old key"


def sign_rotation(old: Signer, new_pem: bytes, role: str) -> bytes:
    """Sign, with the old key, that another key follows it in a role; return the bundle.

    Raises ``Refused`` where a key is none that can sign.
    """
    return seal(_statement(old.public_pem(), new_pem, role).emit(), old)


def verify_rotation(bundle: bytes, old_pem: bytes, new_pem: bytes, role: str) -> Verification:
    """Verify that the old key says that exactly the new one follows it in exactly that role."""
    opened = unseal(bundle, old_pem)
    if opened.payload is None:
        return opened
    try:
        same = parse_statement(opened.payload, PREDICATE) == _statement(old_pem, new_pem, role)
    except Refused as refused:
        return Verification((*opened.objections, refused.objection), opened.identity)
    if same:
        return opened
    text = "the old key speaks of another key or role"
    return Verification((*opened.objections, Objection(Code.SUBJECT, text)), opened.identity)


def _statement(old_pem: bytes, new_pem: bytes, role: str) -> Statement:
    subjects = (
        SubjectDigest(_NEW, hashlib.sha256(read_public_key(new_pem).der).hexdigest()),
        SubjectDigest(_OLD, hashlib.sha256(read_public_key(old_pem).der).hexdigest()),
    )
    return Statement(subjects, PREDICATE, {"role": role})
