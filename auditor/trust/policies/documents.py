"""Signed statements beside a model: whether those that a rule asks for speak of it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.signatures.bundles import MEDIA_TYPE, parse_bundle
from auditor.signatures.objections import Code, Grade, Objection, Refused, Verification, quoted
from auditor.signatures.opening import open_bundle
from auditor.signatures.profiles import Profile
from auditor.signatures.statements import parse_statement
from auditor.signatures.strict import read_object, write_object
from auditor.signatures.trust import Trusted
from auditor.trusting.asking import Asked
from auditor.trusting.policies import ModelRule, Requirement, TrustPolicy

ENVELOPE = "dsseEnvelope"
MOST_LINES = 1000


def alternatives(policy: TrustPolicy, rule: ModelRule, asked: Requirement) -> tuple[Trusted, ...]:
    """Return the signers of a requirement: an identity counts under its own root alone.

    Keys are one value, so that what holds under none of them is said once.
    """
    each = [policy.trusted(item, rule) for item in asked.any_of]
    keys = tuple(key for item in each for key in item.keys)
    joined = [replace(item, keys=keys) for item in each if item.keys][:1]
    return (*joined, *(item for item in each if not item.keys))


def open_paper(asked: Asked, rule: ModelRule, bundle: bytes, wanted: Requirement) -> Verification:
    """Open a signed statement: whose of the requirement's signers holds."""
    found = [
        open_bundle(
            bundle, trusted, moment=asked.moment, profile=rule.profile, keyless=asked.keyless
        )
        for trusted in alternatives(asked.policy, rule, wanted)
    ]
    return min(found, key=distance)


def distance(found: Verification) -> tuple[bool, bool, int]:
    """Order attempts: those that hold, then those of the method that the bundle has."""
    return not found.verified, Code.METHOD_UNTRUSTED in found.codes, len(found.mistakes)


def object_to_papers(
    asked: Asked,
    rule: ModelRule,
    papers: Sequence[bytes],
    files: Sequence[FileDigest],
    payload: bytes,
) -> Iterator[Objection]:
    """Yield which of the statements that a rule asks for beside the model's signature are missing.

    One counts that speaks of every file of the model, of the artifact's digest, or of the signed
    ``payload``: a file that two models share must not let the one's papers stand for the other's.
    """
    bundles = [bundle for raw in papers for bundle in bundles_in(raw)]
    whole = {
        digest_files(tuple(files)).removeprefix("sha256:"),
        hashlib.sha256(payload).hexdigest(),
    }
    for wanted in rule.beside:
        reasons = [_reason(asked, rule, bundle, wanted, files, whole) for bundle in bundles]
        if "" in reasons:
            continue
        # Statements of other types say nothing of why this one is missing.
        found = [reason for reason in reasons if reason is not None]
        said = f": {found[0]}" if found else ""
        text = f"there is no statement {quoted(wanted.predicate)} about this model{said}"
        grade = Grade.WARNING if wanted.optional and not found else Grade.ERROR
        yield Objection(Code.PREDICATE_MISSING, text, grade)


def bundles_in(raw: bytes) -> tuple[bytes, ...]:
    """Return every signed envelope of a document as a bundle; a document may be lines of JSON."""
    try:
        whole = as_bundle(read_object(raw, "the document"))
    except Refused:
        lines = [line for line in raw.split(b"\n") if line.strip()]
        several = lines if 1 < len(lines) <= MOST_LINES else []
        return tuple(bundle for line in several for bundle in bundles_in(line))
    return () if whole is None else (whole,)


def as_bundle(found: Mapping[str, object]) -> bytes | None:
    """Return a bundle as it is, and a bare DSSE envelope in one that names no key."""
    if ENVELOPE in found:
        return write_object(found)
    if "payloadType" not in found or "signatures" not in found:
        return None
    material = {"publicKey": {"hint": ""}}
    return write_object(
        {"mediaType": MEDIA_TYPE, "verificationMaterial": material, ENVELOPE: found}
    )


def predicate_of(bundle: bytes) -> str | None:
    """Return the type that an envelope says it is of, whoever signed it."""
    try:
        payload = parse_bundle(bundle, Profile.COMPAT).envelope.payload
        found = read_object(payload, "the payload").get("predicateType")
    except Refused:
        return None
    return found if isinstance(found, str) else None


def _reason(  # noqa: PLR0913, PLR0917 -- the last two are worked out once for all bundles
    asked: Asked,
    rule: ModelRule,
    bundle: bytes,
    wanted: Requirement,
    files: Sequence[FileDigest],
    whole: set[str],
) -> str | None:
    """Say why a statement does not count; nothing where it does, ``None`` for another type."""
    if predicate_of(bundle) != wanted.predicate:
        return None
    opened = open_paper(asked, rule, bundle, wanted)
    if opened.payload is None:
        return opened.mistakes[0]
    try:
        statement = parse_statement(opened.payload, wanted.predicate)
    except Refused as refused:
        return refused.problem
    digests = {item.sha256 for item in statement.subjects}
    signed = {item.sha256 for item in files if item.name not in rule.unsigned}
    if digests & whole or (signed and digests >= signed):
        return ""
    return "it speaks of other files"
