"""CycloneDX bills of materials of machine learning, 1.5 to 1.7: the model, its ancestors, its data.

Source: https://cyclonedx.org/docs/1.7/json/. Libraries and other software are counted and not
compared: an audit is given no such thing.
"""

from collections.abc import Iterator, Mapping

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

VERSIONS = ("1.5", "1.6", "1.7")
MODEL, DATA, FILE = "machine-learning-model", "data", "file"
MOST_DEPTH = 20


def read_bom(found: Mapping[str, object]) -> Declaration:
    """Read a bill of materials. Raises ``MalformedError``.

    The model is the component that the bill is about or, where that is none, the only model among
    its components; another model is an input of unsaid kind, unless the pedigree calls it an
    ancestor. Of datasets CycloneDX does not tell training from evaluation.
    """
    version = found.get("specVersion")
    if version not in VERSIONS:
        text = f"specVersion is {clean(version)!a}; there are {', '.join(VERSIONS)}"
        raise MalformedError(Fault.VERSION, text)
    metadata = member(found, "metadata", dict, "bom") or {}
    about = member(metadata, "component", dict, "metadata")
    listed = items(found.get("components"), "components")
    main = None if about is None else ("metadata.component", about)
    if main is None or main[1].get("type") != MODEL:
        models = [entry for entry in listed if entry[1].get("type") == MODEL]
        main = models[0] if len(models) == 1 else None
    others = [entry for entry in listed if main is None or entry[1] is not main[1]]
    declared = [item for place, component in others for item in _component(component, place)]
    mine = [] if main is None else _main(*main)
    return Declaration(
        Kind.CYCLONEDX,
        bounded([*mine, *declared]),
        {
            **told(spec_version=version, serial_number=found.get("serialNumber")),
            **({} if main is None else _told_of(main[1])),
            "other_components": sum(_is_other(item) for _, item in others),
        },
    )


def _main(place: str, component: Mapping[str, object]) -> list[Declared]:
    digests = [*_digests(component, place), *_distributed(component, place)]
    found = [Declared.of(Part.MODEL, where, _name(component), each) for where, each in digests]
    for where, inner in items(component.get("components"), f"{place}.components"):
        if inner.get("type") == FILE:
            found += [
                Declared.of(Part.MODEL, at, _name(inner), each) for at, each in _all(inner, where)
            ]
        else:
            found += _component(inner, where)
    pedigree = member(component, "pedigree", dict, place) or {}
    for where, ancestor in items(pedigree.get("ancestors"), f"{place}.pedigree.ancestors"):
        found += [
            Declared.of(Part.BASE_MODEL, at, _name(ancestor), each)
            for at, each in _all(ancestor, where)
        ]
    return [*found, *_card(component, place)]


def _card(component: Mapping[str, object], place: str) -> Iterator[Declared]:
    """Yield the datasets that a model card writes out; those that it refers to stand elsewhere."""
    card = member(component, "modelCard", dict, place) or {}
    parameters = member(card, "modelParameters", dict, f"{place}.modelCard") or {}
    where = f"{place}.modelCard.modelParameters.datasets"
    for at, dataset in items(parameters.get("datasets"), where):
        if "ref" not in dataset:
            yield Declared.dataset(at, _name(dataset), {})


def _component(component: Mapping[str, object], place: str, depth: int = 0) -> Iterator[Declared]:
    if depth > MOST_DEPTH:
        raise MalformedError(Fault.TOO_MANY, f"components nest deeper than {MOST_DEPTH}")
    kind = component.get("type")
    if kind == DATA:
        for at, digests in _all(component, place):
            yield Declared.dataset(at, _name(component), digests)
    elif kind in (MODEL, FILE):
        for at, digests in _all(component, place):
            yield Declared(at, _name(component), digests)
    for where, inner in items(component.get("components"), f"{place}.components"):
        yield from _component(inner, where, depth + 1)


def _all(component: Mapping[str, object], place: str) -> list[tuple[str, dict[str, str]]]:
    """Return every set of digests of a component, one that is empty where there is none."""
    found = [*_digests(component, place), *_distributed(component, place)]
    return found or [(place, {})]


def _digests(holder: Mapping[str, object], place: str) -> list[tuple[str, dict[str, str]]]:
    digests: dict[str, str] = {}
    for where, item in items(holder.get("hashes"), f"{place}.hashes"):
        named = member(item, "alg", str, where) or ""
        algorithm = clean(named).lower().replace("sha-", "sha")
        value = item.get("content")
        if algorithm == SHA256:
            read = sha256_of(value, f"{where}.content", upper=True)
            if digests.get(SHA256, read[SHA256]) != read[SHA256]:
                raise MalformedError(Fault.DIGEST_FORMAT, f"{where} is a second, other SHA-256")
            digests |= read
        elif isinstance(value, str):
            digests[algorithm] = clean(value)
    return [(f"{place}.hashes", digests)] if digests else []


def _distributed(component: Mapping[str, object], place: str) -> list[tuple[str, dict[str, str]]]:
    return [
        found
        for where, item in items(component.get("externalReferences"), f"{place}.externalReferences")
        if item.get("type") == "distribution"
        for found in _digests(item, where)
    ]


def _name(component: Mapping[str, object]) -> str:
    found = component.get("name")
    return clean(found) if isinstance(found, str) else ""


def _is_other(component: Mapping[str, object]) -> bool:
    return component.get("type") not in (MODEL, DATA, FILE)


def _told_of(component: Mapping[str, object]) -> dict[str, Json]:
    listed = component.get("licenses")
    choices = (
        [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    )
    inner = [item.get("license") for item in choices]
    named = [item.get("id") or item.get("name") for item in inner if isinstance(item, dict)]
    return told(
        name=component.get("name"),
        version=component.get("version"),
        license=[*named, *(item.get("expression") for item in choices)] or None,
    )
