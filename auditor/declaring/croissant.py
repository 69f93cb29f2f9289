"""Croissant: what a dataset is made of, by the digests of its files.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html (1.0, 1.1), in the compact
form of JSON-LD that the specification recommends.
"""

from collections.abc import Mapping

from auditor.declaring.declarations import (
    MOST_LISTED,
    SHA256,
    Declaration,
    Declared,
    Fault,
    Kind,
    MalformedError,
    bounded,
    clean,
    items,
    sha256_of,
    told,
)

CONFORMS = "mlcommons.org/croissant/"
VERSIONS = frozenset({"1.0", "1.1"})
FILE = "FileObject"
_OTHERS = ("md5", "sha1", "sha512")


def is_croissant(found: Mapping[str, object]) -> bool:
    """Whether a JSON-LD document describes a dataset."""
    return "@context" in found and "Dataset" in _types(found)


def read_croissant(found: Mapping[str, object]) -> Declaration:
    """Read a description of a dataset. Raises ``MalformedError``.

    Croissant does not say what a model used the dataset for.
    """
    conforms = found.get("conformsTo")
    version = conforms.rpartition("/")[2] if isinstance(conforms, str) else ""
    if not isinstance(conforms, str) or CONFORMS not in conforms or version not in VERSIONS:
        text = f"conformsTo is {clean(conforms)!a}; there are {', '.join(sorted(VERSIONS))}"
        raise MalformedError(Fault.VERSION, text)
    distribution = found.get("distribution")
    listed = [distribution] if isinstance(distribution, dict) else distribution
    declared = [
        Declared.dataset(place, _name(item), _digests(item, place))
        for place, item in items(listed, "distribution")
        if FILE in _types(item)
    ]
    responsible = sorted(clean(name) for name in found if name.startswith("rai:"))
    return Declaration(
        Kind.CROISSANT,
        bounded(declared),
        told(
            name=found.get("name"),
            version=found.get("version"),
            license=found.get("license"),
            conforms_to=conforms,
            responsible_ai=responsible[:MOST_LISTED] or None,
        ),
    )


def _types(found: Mapping[str, object]) -> frozenset[str]:
    """Return the types of a node, without the prefix of their vocabulary."""
    value = found.get("@type")
    listed = value if isinstance(value, list) else [value]
    texts = [item for item in listed if isinstance(item, str)]
    return frozenset(item.replace("/", ":").rpartition(":")[2] for item in texts)


def _name(item: Mapping[str, object]) -> str:
    found = item.get("name") or item.get("contentUrl") or item.get("@id") or ""
    return clean(found) if isinstance(found, str) else ""


def _digests(item: Mapping[str, object], place: str) -> dict[str, str]:
    found = {name: clean(item[name]) for name in _OTHERS if isinstance(item.get(name), str)}
    if item.get(SHA256) is not None:
        found |= sha256_of(item[SHA256], f"{place}.sha256", upper=True)
    return found
