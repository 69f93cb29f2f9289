"""The hostile corpus: how its cases are made.

Each gives a bundle, the files that are there and, but for the forge's own key, whom to trust.
"""

import json
from collections.abc import Callable
from typing import Any

from signature_forge import FILES, Forge, file_digest

from auditor.domain.artifacts import FileDigest
from auditor.trust.signatures.model_signing import ModelFileDigests, verify_model
from auditor.trust.signatures.trusted_signers import TrustedSigners, VerificationTime
from auditor.trust.verification_result import IssueCode, SignatureVerification, VerificationProfile

Made = (
    tuple[bytes, tuple[FileDigest, ...] | ModelFileDigests]
    | tuple[bytes, tuple[FileDigest, ...] | ModelFileDigests, TrustedSigners]
)
Case = Callable[[Forge], Made]
CASES: dict[str, tuple[IssueCode, Case]] = {}
EXTRA = file_digest("hook.py", b"import os")
"""A file that was planted beside the signed ones."""


def register(name: str, code: IssueCode, build: Case) -> None:
    """Add a case; two of one name would hide each other."""
    assert name not in CASES, name
    CASES[name] = (code, build)


def looked_at(
    name: str,
    forge: Forge,
    moment: VerificationTime,
    profile: VerificationProfile = VerificationProfile.STRICT,
) -> SignatureVerification:
    """Build a case, and verify it."""
    bundle, files, *trusted = CASES[name][1](forge)
    trust = trusted[0] if trusted else TrustedSigners.key(forge.pem)
    return verify_model(bundle, trust, files, moment=moment, profile=profile)


def case(code: IssueCode) -> Callable[[Case], Case]:
    def decorate(function: Case) -> Case:
        register(function.__name__, code, function)
        return function

    return decorate


def statement_case(
    name: str,
    code: IssueCode,
    change: Callable[[dict[str, Any]], object],
    *,
    files: tuple[FileDigest, ...] = FILES,
) -> None:
    """A case that changes the signed statement."""

    def build(forge: Forge) -> Made:
        statement = forge.statement()
        change(statement)
        return forge.sign(statement), files

    register(name, code, build)


def bundle_case(name: str, code: IssueCode, change: Callable[[dict[str, Any]], object]) -> None:
    """A case that changes the bundle around a good statement."""

    def build(forge: Forge) -> Made:
        bundle = forge.bundle(json.dumps(forge.statement()).encode())
        change(bundle)
        return json.dumps(bundle).encode(), FILES

    register(name, code, build)


def name_case(name: str, spelled: str, code: IssueCode = IssueCode.RESOURCE_NAME) -> None:
    """A case in which one resource, root digest and order kept right, has a bad name."""

    def build(forge: Forge) -> Made:
        statement = forge.statement()
        resources = statement["predicate"]["resources"]
        resources[0]["name"] = spelled
        resources.sort(key=lambda item: item["name"])
        return forge.sign(forge.rooted(statement)), FILES

    register(name, code, build)


def serialization(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda statement: statement["predicate"]["serialization"].update({key: value})


def resources(change: Callable[[list[Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda statement: change(statement["predicate"]["resources"])


def envelope(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda bundle: change(bundle["dsseEnvelope"])


def material(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda bundle: change(bundle["verificationMaterial"])
