"""Challenges as they are signed: an in-toto statement over the record, in a bundle."""

from collections.abc import Mapping

from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.challenges import SCHEMA, Challenge, read_challenge
from auditor.domain.json_parts import Part
from auditor.errors import RecordError, SignatureFormatError
from auditor.signatures.bundles import parse_bundle, seal
from auditor.signatures.keys import Signer
from auditor.signatures.opening import unseal
from auditor.signatures.statements import STATEMENT

PREDICATE = "urn:auditor:challenge:v1"
_CURE = "Take the challenge as `auditor challenge` wrote it, unchanged, or try it again."


def sign_challenge(challenge: Challenge, signer: Signer) -> bytes:
    """Sign a challenge, and return the bundle: the subjects are the record and the examples."""
    subjects: list[Json] = [
        {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
        for name, digest in (("record.json", challenge.record), ("examples", challenge.examples))
    ]
    statement: Mapping[str, Json] = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": challenge.to_json(),
    }
    return seal(canonical(statement), signer)


def open_challenge(bundle: bytes) -> Challenge:
    """Read a challenge, whoever signed it: it can only ever shut a gate.

    Raises ``RecordError`` for what is no challenge.
    """
    try:
        found = Part(parse(parse_bundle(bundle).envelope.payload), "the challenge")
        told = found.part("predicate")
    except (SignatureFormatError, ValueError, RecursionError) as error:
        raise RecordError(f"a challenge cannot be read: {error}", cure=_CURE) from None
    kinds = (found.value.get("predicateType"), told.value.get("schema"))
    if kinds != (PREDICATE, SCHEMA):
        raise RecordError(f"a signed document is no challenge of {SCHEMA}", cure=_CURE)
    return read_challenge(told)


def signed_with(bundle: bytes, key_pem: bytes) -> bool:
    """Whether the bundle's signature holds under a key."""
    return unseal(bundle, key_pem).verified
