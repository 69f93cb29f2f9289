"""In-toto statements, and what SLSA provenance says of how their subjects were made.

Sources: https://github.com/in-toto/attestation (statement.md v1, resource_descriptor.md),
https://github.com/in-toto/attestation/tree/v0.1.0 (v0.1), https://slsa.dev/spec/v1.1/provenance,
https://slsa.dev/spec/v0.2/provenance and the OpenSSF Model Signing specification 1.0.
"""

from collections.abc import Mapping
from dataclasses import replace

from auditor.declaring.cyclonedx import read_bom
from auditor.declaring.declarations import (
    SHA256,
    Declaration,
    Declared,
    Fault,
    Kind,
    MalformedError,
    bounded,
    clean,
    items,
    member,
    sha256_of,
    told,
)
from auditor.domain.canonical import Json
from auditor.domain.supplies import Part
from auditor.signatures.claims import PREDICATE
from auditor.signatures.statements import STATEMENT

TYPES = (STATEMENT, "https://in-toto.io/Statement/v0.1")
SLSA_V1 = "https://slsa.dev/provenance/v1"
SLSA_V0_2 = "https://slsa.dev/provenance/v0.2"
CYCLONEDX = "https://cyclonedx.org/bom"
_KINDS = {
    SLSA_V1: Kind.SLSA_V1,
    SLSA_V0_2: Kind.SLSA_V0_2,
    PREDICATE: Kind.MODEL_SIGNATURE,
}
_ALGORITHM = 30


def read_statement(found: Mapping[str, object]) -> Declaration:
    """Read a statement. Raises ``MalformedError``.

    Its subjects are taken for the model's files. What was built from is an input of unsaid kind:
    SLSA names no role for a material. A bill of materials may be the predicate, as signing tools
    put it there.
    """
    if found.get("_type") not in TYPES:
        raise MalformedError(Fault.VERSION, f"_type is {clean(found.get('_type'))!a}")
    predicate_type = member(found, "predicateType", str, "statement")
    if not predicate_type:
        raise MalformedError(Fault.FORMAT, "predicateType is missing")
    predicate = member(found, "predicate", dict, "statement") or {}
    kind = _KINDS.get(predicate_type, Kind.IN_TOTO)
    if kind is Kind.MODEL_SIGNATURE:
        return Declaration(kind, bounded(_resources(predicate)))
    subjects = _subjects(found)
    if predicate_type.startswith(CYCLONEDX):
        bill = read_bom(predicate)
        return replace(bill, declared=bounded([*subjects, *bill.declared]))
    if kind is Kind.SLSA_V1:
        materials, about = _slsa_v1(predicate)
    elif kind is Kind.SLSA_V0_2:
        materials, about = _slsa_v0_2(predicate)
    else:
        materials, about = [], told(predicate_type=predicate_type)
    return Declaration(kind, bounded([*subjects, *materials]), about)


def _subjects(found: Mapping[str, object]) -> list[Declared]:
    subjects = items(found.get("subject"), "subject")
    if not subjects:
        raise MalformedError(Fault.FORMAT, "subject is missing: the statement speaks of nothing")
    return [
        Declared.of(Part.MODEL, place, _name(item), _digests(item, place))
        for place, item in subjects
    ]


def _resources(predicate: Mapping[str, object]) -> list[Declared]:
    """Return the files of a model signature, whose subject is a digest over digests."""
    return [
        Declared.of(
            Part.MODEL,
            place,
            _name(item),
            sha256_of(item.get("digest"), f"{place}.digest")
            if item.get("algorithm") == SHA256
            else {},
        )
        for place, item in items(predicate.get("resources"), "predicate.resources")
    ]


def _slsa_v1(predicate: Mapping[str, object]) -> tuple[list[Declared], dict[str, Json]]:
    definition = member(predicate, "buildDefinition", dict, "predicate") or {}
    details = member(predicate, "runDetails", dict, "predicate") or {}
    builder = member(details, "builder", dict, "predicate.runDetails") or {}
    metadata = member(details, "metadata", dict, "predicate.runDetails") or {}
    place = "predicate.buildDefinition.resolvedDependencies"
    about = told(
        builder=builder.get("id"),
        build_type=definition.get("buildType"),
        invocation=metadata.get("invocationId"),
        started=metadata.get("startedOn"),
        finished=metadata.get("finishedOn"),
    )
    return _materials(definition.get("resolvedDependencies"), place), _named(about)


def _slsa_v0_2(predicate: Mapping[str, object]) -> tuple[list[Declared], dict[str, Json]]:
    builder = member(predicate, "builder", dict, "predicate") or {}
    metadata = member(predicate, "metadata", dict, "predicate") or {}
    invocation = member(predicate, "invocation", dict, "predicate") or {}
    source = member(invocation, "configSource", dict, "predicate.invocation") or {}
    about = told(
        builder=builder.get("id"),
        build_type=predicate.get("buildType"),
        invocation=metadata.get("buildInvocationId"),
        started=metadata.get("buildStartedOn"),
        finished=metadata.get("buildFinishedOn"),
        config_source=source.get("uri"),
    )
    return _materials(predicate.get("materials"), "predicate.materials"), _named(about)


def _named(about: dict[str, Json]) -> dict[str, Json]:
    if "builder" not in about or "build_type" not in about:
        text = "the provenance names no builder id or no build type, which SLSA requires"
        raise MalformedError(Fault.FORMAT, text)
    return about


def _materials(value: object, place: str) -> list[Declared]:
    return [
        Declared(where, _name(item), _digests(item, where)) for where, item in items(value, place)
    ]


def _name(item: Mapping[str, object]) -> str:
    found = item.get("name") or item.get("uri") or item.get("downloadLocation") or ""
    return clean(found) if isinstance(found, str) else ""


def _digests(item: Mapping[str, object], place: str) -> dict[str, str]:
    found = member(item, "digest", dict, place) or {}
    known = {
        clean(name)[:_ALGORITHM]: clean(value)
        for name, value in found.items()
        if isinstance(value, str)
    }
    if SHA256 in found:
        known |= sha256_of(found[SHA256], f"{place}.digest.sha256")
    return known
