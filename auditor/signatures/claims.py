"""What a signed payload claims of a model's files: the format of today, or an older one."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.signatures.manifests import Manifest, Resource, read_manifest
from auditor.signatures.objections import Code, Objection, Refused
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Part
from auditor.signatures.soundness import object_to_manifest, object_to_resources
from auditor.signatures.statements import STATEMENT, Statement, read_statement
from auditor.signatures.strict import read_object

PREDICATE = "https://model_signing/signature/v1.0"
LEGACY_PREDICATE = "https://model_signing/Digests/v0.1"
"""Of version 0.2 of the reference: every file is a subject, and the predicate says nothing."""
LEGACY_STATEMENT = "https://in-toto.io/Statement/v0.1"


@dataclass(frozen=True, slots=True)
class Claim:
    """The manifest that a payload holds, if it can be read, and what speaks against it."""

    manifest: Manifest | None
    objections: tuple[Objection, ...]


def read_claim(payload: bytes, profile: Profile) -> Claim:
    """Read what was signed of a model, and object as the profile does."""
    try:
        found = read_object(payload, "the signed statement")
        doubts = _doubts_about_type(found, profile)
        if found.get("predicateType") == LEGACY_PREDICATE:
            doubts.append(profile.tolerate(Code.LEGACY_PREDICATE, _OLD_PREDICATE))
            manifest = _legacy_manifest(read_statement(found, LEGACY_PREDICATE))
            objections = object_to_resources(manifest)
        else:
            statement = read_statement(found, PREDICATE)
            manifest = read_manifest(statement)
            objections = [*object_to_manifest(manifest, statement)]
    except Refused as refused:
        return Claim(None, (refused.objection,))
    return Claim(manifest, profile.graded([*doubts, *objections]))


def _doubts_about_type(found: Mapping[str, object], profile: Profile) -> list[Objection]:
    kind = found.get("_type")
    if kind == LEGACY_STATEMENT:
        return [profile.tolerate(Code.LEGACY_STATEMENT, f"the statement is of type {kind}")]
    if kind != STATEMENT:
        raise Refused(Code.STATEMENT, f"the payload is not a statement of type {STATEMENT}")
    return []


def _legacy_manifest(statement: Statement) -> Manifest:
    if not statement.subjects:
        raise Refused(Code.EMPTY, "the signature covers no file at all")
    return Manifest(tuple(Resource(Part(item.name), item.sha256) for item in statement.subjects))


_OLD_PREDICATE = (
    f"the predicate is {LEGACY_PREDICATE}, which says neither how files were found nor hashed"
)
