"""What evidence keeps of a trust policy, so that anyone can judge by it again, at the same time."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import Json, JsonObject
from auditor.domain.trust import TrustGiven, read_binding, read_trust_given
from auditor.errors import KeyFileError
from auditor.signatures.bundles import parse_bundle
from auditor.signatures.keyless import verify_keyless
from auditor.signatures.material import KeylessMaterial
from auditor.signatures.objections import Code, Refused
from auditor.signatures.oms import Measured
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Hash, Serialisation
from auditor.signatures.trust import Moment, Trusted
from auditor.trusting.asking import Asked, Presented, When
from auditor.trusting.fields import Place
from auditor.trusting.papers import bundles_in
from auditor.trusting.policies import Claimed, TrustPolicy
from auditor.trusting.reading import read_trust_policy

EXTRA = "sigstore"


def write_bytes(raw: bytes | None) -> Json:
    """Keep bytes as text where they are text, so that people can read the evidence."""
    if raw is None:
        return None
    try:
        return {"text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def read_bytes(value: Json) -> bytes | None:
    """Return the bytes that evidence keeps."""
    if value is None:
        return None
    kept = cast("Mapping[str, str]", value)
    return kept["text"].encode() if "text" in kept else base64.b64decode(kept["base64"])


def policy_given(given: TrustGiven) -> TrustPolicy:
    """Return the policy of an audit. Raises ``TrustPolicyError`` for a document that is none."""
    return read_trust_policy(given.document, _in_evidence)


def asked_of(given: TrustGiven, name: str, version: str) -> Asked:
    """Return what a trust policy was asked in an audit: about its model, at its moment."""
    moment = None if given.moment is None else When(Moment.parse(given.moment).at)
    return Asked(policy_given(given), Claimed(name, version, given.tags), moment)


def papers_asked(asked: Asked, documents: Sequence[bytes | None]) -> list[Json]:
    """Return those documents, as evidence keeps them, in which a rule may find what it asks for."""
    if asked.rule is None or not asked.rule.beside:
        return []
    return [write_bytes(raw) for raw in documents if raw is not None and bundles_in(raw)]


def extra_lacking(bundle: bytes | None, documents: Sequence[bytes | None]) -> dict[str, Json]:
    """Say, as evidence does, that a keyless signature cannot be verified on this machine."""
    papers = [paper for raw in documents if raw is not None for paper in bundles_in(raw)]
    keyless = any(_is_keyless(item) for item in (bundle, *papers) if item is not None)
    return {"without": EXTRA} if keyless and find_spec(EXTRA) is None else {}


def verify_pinned(raw: bytes, trusted: Trusted) -> tuple[str, bytes]:
    """Verify a keyless bundle as ``verify_keyless`` does; a root that cannot be read refuses it."""
    try:
        return verify_keyless(raw, trusted)
    except KeyFileError as error:
        raise Refused(Code.KEYLESS, error.problem) from None


def read_measured(seen: JsonObject) -> tuple[tuple[FileDigest, ...], Measured]:
    """Return a model's files by SHA-256, and as their signer hashed them, from evidence."""
    listed = cast("Sequence[JsonObject]", seen["files"])
    files = tuple(
        FileDigest(str(item["name"]), int(cast("int", item["size"])), str(item["sha256"]))
        for item in listed
    )
    whole, found = Measured.of(files), seen.get("measured")
    if found is None:
        return files, whole
    told = _object(found)
    how = Serialisation(Hash(str(told["hash"])), cast("int | None", told["shard"]))
    return files, Measured(whole.sizes, cast("Mapping[str, str]", told["digests"]), how)


def read_presented(seen: JsonObject) -> Presented:
    """Return what stood beside a model, from the evidence of its signature."""
    papers = cast("Sequence[Json]", seen.get("papers") or ())
    bindings = cast("Sequence[JsonObject]", seen.get("bindings") or ())
    given = seen.get("trust")
    return Presented(
        bundle=read_bytes(seen["bundle"]),
        papers=tuple(raw for item in papers if (raw := read_bytes(item)) is not None),
        bindings=tuple(read_binding(item) for item in bindings),
        timestamps=read_bytes(seen.get("timestamps")),
        **({} if given is None else {"standing": read_trust_given(_object(given)).standing}),
    )


def read_asked(seen: JsonObject) -> Asked | None:
    """Return what a trust policy was asked, from the evidence of a check, if one was.

    Keyless signatures are verified, but where they could not be when the evidence was taken.
    """
    if seen.get("trust") is None:
        return None
    model = cast("Mapping[str, str]", seen["model"])
    given = read_trust_given(_object(seen["trust"]))
    asked = asked_of(given, model["name"], model["version"])
    return replace(asked, keyless=verify_pinned if seen.get("without") is None else None)


def _is_keyless(bundle: bytes) -> bool:
    try:
        material = parse_bundle(bundle, Profile.COMPAT).material
    except Refused:
        return False
    return isinstance(material, KeylessMaterial)


def _object(value: Json) -> JsonObject:
    return cast("JsonObject", value)


def _in_evidence(_: Place) -> str:
    return "the trust policy in the evidence"
