"""In-toto Statements v1: which digests a predicate speaks of.

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.signatures.objections import Code, Refused, quoted
from auditor.signatures.strict import expect, read_object, write_object

STATEMENT = "https://in-toto.io/Statement/v1"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SubjectDigest:
    """One thing that a statement speaks of, by name and hexadecimal SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A predicate over subjects. The payload of every envelope that we sign."""

    subjects: tuple[SubjectDigest, ...]
    predicate_type: str
    predicate: Mapping[str, object]

    def emit(self) -> bytes:
        """Return the statement's bytes; equal statements give equal bytes."""
        return write_object(
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


def parse_statement(payload: bytes, predicate_type: str) -> Statement:
    """Read a statement of one predicate type. Raises ``Refused``.

    Members that the format does not know are ignored, as its specification asks.
    """
    found = read_object(payload, "the signed statement")
    if found.get("_type") != STATEMENT:
        raise Refused(Code.STATEMENT, f"the payload is not a statement of type {STATEMENT}")
    return read_statement(found, predicate_type)


def read_statement(found: Mapping[str, object], predicate_type: str) -> Statement:
    """Read the members of a statement, whose type the caller has looked at. Raises ``Refused``."""
    kind = found.get("predicateType")
    if kind != predicate_type:
        raise Refused(Code.PREDICATE, f"the predicate is {quoted(kind)}, not {predicate_type}")
    subjects = expect(found.get("subject"), list, "subject")
    return Statement(
        tuple(_parse_subject(item, f"subject[{index}]") for index, item in enumerate(subjects)),
        predicate_type,
        expect(found.get("predicate"), dict, "predicate"),
    )


def _parse_subject(value: object, place: str) -> SubjectDigest:
    found = expect(value, dict, place)
    name = expect(found.get("name"), str, f"{place}.name")
    digests = expect(found.get("digest"), dict, f"{place}.digest")
    sha256 = digests.get("sha256")
    if not name or not isinstance(sha256, str) or not is_sha256(sha256):
        raise Refused(Code.SUBJECT, f"{place} must have a name and a lower-case SHA-256")
    return SubjectDigest(name, sha256)
