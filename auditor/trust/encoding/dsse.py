"""DSSE envelopes and in-toto Statements v1: parsing, and the bytes that a signature covers.

Sources: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0, and
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.trust.encoding.strict_json import (
    read_base64,
    read_json_object,
    refuse_unknown_members,
    require_type,
    write_json_object,
)
from auditor.trust.verification_result import IssueCode, VerificationError, quote_value

STATEMENT = "https://in-toto.io/Statement/v1"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SubjectDigest:
    """One thing that a statement speaks of, by name and hexadecimal SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class InTotoStatement:
    """A predicate over subjects. The payload of every envelope that we sign."""

    subjects: tuple[SubjectDigest, ...]
    predicate_type: str
    predicate: Mapping[str, object]

    def emit(self) -> bytes:
        """Return the statement's bytes; equal statements give equal bytes."""
        return write_json_object(
            {
                "_type": STATEMENT,
                "subject": [
                    {"name": item.name, "digest": {"sha256": item.sha256}} for item in self.subjects
                ],
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            }
        )


def is_sha256(value: object) -> bool:
    """Whether a value is the lower-case hexadecimal form of a SHA-256."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def parse_statement(payload: bytes, predicate_type: str) -> InTotoStatement:
    """Read a statement of one predicate type. Raises ``VerificationError``.

    Members that the format does not know are ignored, as its specification asks.
    """
    found = read_json_object(payload, "the signed statement")
    if found.get("_type") != STATEMENT:
        raise VerificationError(
            IssueCode.STATEMENT, f"the payload is not a statement of type {STATEMENT}"
        )
    return read_statement(found, predicate_type)


def read_statement(found: Mapping[str, object], predicate_type: str) -> InTotoStatement:
    """Read the members of a statement, whose type the caller has looked at. Raises
    ``VerificationError``.
    """
    kind = found.get("predicateType")
    if kind != predicate_type:
        raise VerificationError(
            IssueCode.PREDICATE, f"the predicate is {quote_value(kind)}, not {predicate_type}"
        )
    subjects = require_type(found.get("subject"), list, "subject")
    made = []
    for index, item in enumerate(subjects):
        place = f"subject[{index}]"
        subject_found = require_type(item, dict, place)
        name = require_type(subject_found.get("name"), str, f"{place}.name")
        digests = require_type(subject_found.get("digest"), dict, f"{place}.digest")
        sha256 = digests.get("sha256")
        if not name or not isinstance(sha256, str) or not is_sha256(sha256):
            raise VerificationError(
                IssueCode.SUBJECT, f"{place} must have a name and a lower-case SHA-256"
            )
        made.append(SubjectDigest(name, sha256))
    return InTotoStatement(
        tuple(made),
        predicate_type,
        require_type(found.get("predicate"), dict, "predicate"),
    )


IN_TOTO = "application/vnd.in-toto+json"
_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"sig", "keyid"})


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: the pre-authentication encoding of protocol.md."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def legacy_pae(payload_type: str, payload: bytes) -> bytes:
    """Return what version 0.2 of ``model_signing`` signed instead: Python's way to write bytes."""
    return f"DSSEV1 {len(payload_type)} {payload_type} {len(payload)} {payload!r}".encode()


@dataclass(frozen=True, slots=True)
class DsseEnvelope:
    """A payload, its type, and the one signature over both."""

    payload_type: str
    payload: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return pae(self.payload_type, self.payload)

    def to_json(self) -> dict[str, object]:
        """Return the envelope's JSON form."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": "", "sig": base64.b64encode(self.signature).decode()}],
        }


def parse_envelope(value: object) -> DsseEnvelope:
    """Read an envelope strictly: exactly one signature, nothing unknown. Raises
    ``VerificationError``.
    """
    found = require_type(value, dict, "dsseEnvelope")
    refuse_unknown_members(found, _ENVELOPE, "dsseEnvelope")
    signatures = require_type(found.get("signatures"), list, "dsseEnvelope.signatures")
    if len(signatures) != 1:
        # With several, two verifiers may look at different ones.
        raise VerificationError(
            IssueCode.SIGNATURE_COUNT,
            f"the envelope must have one signature, and has {len(signatures)}",
        )
    payload_type = require_type(found.get("payloadType"), str, "dsseEnvelope.payloadType")
    if payload_type != IN_TOTO:
        raise VerificationError(
            IssueCode.PAYLOAD_TYPE,
            f"the payload's type is {quote_value(payload_type)}, not {IN_TOTO}",
        )
    return DsseEnvelope(
        payload_type,
        read_base64(found.get("payload"), "dsseEnvelope.payload"),
        _parse_signature(signatures[0]),
    )


def _parse_signature(value: object) -> bytes:
    place = "dsseEnvelope.signatures[0]"
    found = require_type(value, dict, place)
    refuse_unknown_members(found, _SIGNATURE, place)
    if found.get("keyid") is not None:
        require_type(found["keyid"], str, f"{place}.keyid")
    return read_base64(found.get("sig"), f"{place}.sig")
