"""What evidence keeps of a trust policy, so that anyone can judge by it again, at the same time."""

import base64
from collections.abc import Mapping, Sequence
from typing import cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import Json, JsonObject
from auditor.domain.trust import TrustGiven, read_binding, read_trust_given
from auditor.signatures.bundles import parse_bundle
from auditor.signatures.material import KeylessMaterial
from auditor.signatures.objections import Refused
from auditor.signatures.oms import Measured
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Hash, Serialisation
from auditor.signatures.trust import Moment
from auditor.trusting.asking import Asked, Presented, When
from auditor.trusting.fields import Place
from auditor.trusting.papers import bundles_in
from auditor.trusting.policies import Claimed, TrustPolicy
from auditor.trusting.reading import read_trust_policy


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


def is_keyless(bundle: bytes | None) -> bool:
    """Whether a signature is one of Sigstore without a lasting key."""
    try:
        material = None if bundle is None else parse_bundle(bundle, Profile.COMPAT).material
    except Refused:
        return False
    return isinstance(material, KeylessMaterial)


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
        **({} if given is None else {"standing": read_trust_given(_object(given)).standing}),
    )


def read_asked(seen: JsonObject) -> Asked | None:
    """Return what a trust policy was asked, from the evidence of a signature, if one was."""
    if seen.get("trust") is None:
        return None
    model = cast("Mapping[str, str]", seen["model"])
    return asked_of(read_trust_given(_object(seen["trust"])), model["name"], model["version"])


def _object(value: Json) -> JsonObject:
    return cast("JsonObject", value)


def _in_evidence(_: Place) -> str:
    return "the trust policy in the evidence"
