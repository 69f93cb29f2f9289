"""Evidence of a trust policy evaluation, from which anyone can evaluate it again."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.json import Json, JsonObject, JsonPart, read_json
from auditor.domain.trust_context import ModelBinding, TrustContext
from auditor.errors import KeyFileError
from auditor.trust.policies.fields import Place
from auditor.trust.policies.query import ModelAttestations, QueryTime, TrustQuery
from auditor.trust.policies.read import read_trust_policy
from auditor.trust.policies.signed_statements import read_bundles
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation
from auditor.trust.signatures.model_signing import ModelFileDigests
from auditor.trust.signatures.sigstore_bundle import KeylessMaterial, parse_bundle
from auditor.trust.signatures.trusted_signers import TrustedSigners, VerificationTime
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.verification_result import IssueCode, VerificationError, VerificationProfile

EXTRA = "sigstore"


def encode_evidence_bytes(raw: bytes | None) -> Json:
    """Keep bytes as text where they are text, so that people can read the evidence."""
    if raw is None:
        return None
    try:
        return {"text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def decode_evidence_bytes(value: Json) -> bytes | None:
    """Return the bytes that evidence keeps."""
    if value is None:
        return None
    kept = cast("Mapping[str, str]", value)
    return kept["text"].encode() if "text" in kept else base64.b64decode(kept["base64"])


def read_given_policy(given: TrustContext) -> TrustPolicy:
    """Return the policy of an audit. Raises ``TrustPolicyError`` for a document that is none."""
    return read_trust_policy(given.document, _in_evidence)


def build_trust_query(given: TrustContext, name: str, version: str) -> TrustQuery:
    """Return what a trust policy was asked in an audit: about its model, at its moment."""
    moment = None if given.moment is None else QueryTime(VerificationTime.parse(given.moment).at)
    return TrustQuery(read_given_policy(given), ModelClaim(name, version, given.tags), moment)


def list_requested_documents(asked: TrustQuery, documents: Sequence[bytes | None]) -> list[Json]:
    """Return those documents, as evidence keeps them, in which a rule may find what it asks for."""
    if asked.rule is None or not asked.rule.beside:
        return []
    return [
        encode_evidence_bytes(raw) for raw in documents if raw is not None and read_bundles(raw)
    ]


def describe_missing_extra(
    bundle: bytes | None, documents: Sequence[bytes | None]
) -> dict[str, Json]:
    """Say, as evidence does, that a keyless signature cannot be verified on this machine."""
    papers = [paper for raw in documents if raw is not None for paper in read_bundles(raw)]
    keyless = any(_is_keyless(item) for item in (bundle, *papers) if item is not None)
    return {"without": EXTRA} if keyless and find_spec(EXTRA) is None else {}


def verify_pinned_keyless(raw: bytes, trusted: TrustedSigners) -> tuple[str, bytes]:
    """Verify a keyless bundle as ``verify_keyless`` does; a root that cannot be read refuses it."""
    try:
        return verify_keyless(raw, trusted)
    except KeyFileError as error:
        raise VerificationError(IssueCode.KEYLESS, error.problem) from None


def read_model_digests(seen: JsonObject) -> tuple[tuple[FileDigest, ...], ModelFileDigests]:
    """Return a model's files by SHA-256, and as their signer hashed them, from evidence."""
    listed = cast("Sequence[JsonObject]", seen["files"])
    files = tuple(
        FileDigest(str(item["name"]), int(cast("int", item["size"])), str(item["sha256"]))
        for item in listed
    )
    whole, found = ModelFileDigests.of(files), seen.get("measured")
    if found is None:
        return files, whole
    told = cast("JsonObject", found)
    how = ModelSerialisation(HashAlgorithm(str(told["hash"])), cast("int | None", told["shard"]))
    return files, ModelFileDigests(whole.sizes, cast("Mapping[str, str]", told["digests"]), how)


def read_model_attestations(seen: JsonObject) -> ModelAttestations:
    """Return what stood beside a model, from the evidence of its signature."""
    papers = cast("Sequence[Json]", seen.get("papers") or ())
    part = JsonPart(seen, "signature")
    given = part.maybe("trust", TrustContext)
    return ModelAttestations(
        bundle=decode_evidence_bytes(seen["bundle"]),
        papers=tuple(raw for item in papers if (raw := decode_evidence_bytes(item)) is not None),
        bindings=part.maybe("bindings", tuple[ModelBinding, ...]) or (),
        timestamps=decode_evidence_bytes(seen.get("timestamps")),
        **({} if given is None else {"standing": given.standing}),
    )


def read_trust_query(seen: JsonObject) -> TrustQuery | None:
    """Return what a trust policy was asked, from the evidence of a check, if one was.

    Keyless signatures are verified, but where they could not be when the evidence was taken.
    """
    if seen.get("trust") is None:
        return None
    model = cast("Mapping[str, str]", seen["model"])
    given = read_json(TrustContext, seen["trust"], "trust")
    asked = build_trust_query(given, model["name"], model["version"])
    return replace(asked, keyless=verify_pinned_keyless if seen.get("without") is None else None)


def _is_keyless(bundle: bytes) -> bool:
    try:
        material = parse_bundle(bundle, VerificationProfile.COMPAT).material
    except VerificationError:
        return False
    return isinstance(material, KeylessMaterial)


def _in_evidence(_: Place) -> str:
    return "the trust policy in the evidence"
