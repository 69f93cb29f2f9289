"""Parsers for supply-chain documents: CycloneDX, SLSA provenance, model cards, and Croissant.

CycloneDX ML-BOM 1.5 to 1.7 (https://cyclonedx.org/docs/1.7/json/): the model, its ancestors and its
datasets. Libraries and other software are counted but not compared, because an audit does not
receive them.

In-toto statements and SLSA provenance: https://github.com/in-toto/attestation (statement.md v1,
resource_descriptor.md), https://github.com/in-toto/attestation/tree/v0.1.0 (v0.1),
https://slsa.dev/spec/v1.1/provenance, https://slsa.dev/spec/v0.2/provenance and the OpenSSF Model
Signing specification 1.0.

Model cards (https://huggingface.co/docs/hub/model-cards): YAML front matter of a README, as the
Hugging Face Hub reads it. A card names datasets and base model without digests, so all its
statements are only claims. The YAML is composed and never constructed; tags, aliases and duplicate
keys are rejected.

Croissant (https://docs.mlcommons.org/croissant/docs/croissant-spec.html, 1.0 and 1.1): the files of
a dataset by digest, in the compact JSON-LD form that the specification recommends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import TypeVar

import yaml

from auditor.domain.json import Json, write_fields
from auditor.domain.supply_chain import DATASETS, SupplyPart
from auditor.trust.encoding.dsse import STATEMENT, is_sha256
from auditor.trust.signatures.model_signing import PREDICATE
from auditor.trust.verification_result import IssueGrade

MOST_DECLARED = 10_000
MOST_LISTED = 20
_SHOWN = 200
SHA256 = "sha256"
T = TypeVar("T")


class DocumentKind(StrEnum):
    """What a document is."""

    SLSA_V1 = "slsa-provenance-v1"
    SLSA_V0_2 = "slsa-provenance-v0.2"
    MODEL_SIGNATURE = "model-signature"
    IN_TOTO = "in-toto-statement"
    CYCLONEDX = "cyclonedx"
    CROISSANT = "croissant"
    MODEL_CARD = "model-card"
    UNKNOWN = "unknown"


class DocumentFault(StrEnum):
    """The stable name of what is wrong with a document, beside the codes of signatures."""

    TOO_LARGE = "TOO_LARGE"
    TOO_MANY = "TOO_MANY"
    FORMAT = "FORMAT"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    UNKNOWN_KIND = "UNKNOWN_KIND"
    VERSION = "VERSION"
    DIGEST_FORMAT = "DIGEST_FORMAT"
    NOTHING_DECLARED = "NOTHING_DECLARED"


@dataclass(frozen=True, slots=True)
class DocumentRemark:
    """One thing wrong with a document: an error means that it could not be read as a whole."""

    code: str
    text: str
    grade: IssueGrade = IssueGrade.ERROR

    to_json = write_fields


class MalformedDocumentError(Exception):
    """A document that cannot be read any further."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.remark = DocumentRemark(code, text)


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """One input that a document speaks of.

    ``part`` is what the document says that it is, ``None`` where it does not say; ``parts`` are
    those that it may be. ``digests`` maps an algorithm to hexadecimal digits; ``where`` is its
    place in the document.
    """

    where: str
    name: str
    digests: Mapping[str, str] = field(default_factory=dict)
    part: SupplyPart | None = None
    parts: frozenset[SupplyPart] = frozenset(SupplyPart)

    @classmethod
    def of(
        cls, part: SupplyPart, where: str, name: str, digests: Mapping[str, str] | None = None
    ) -> "DeclaredInput":
        """Return an input of which the document says what it is."""
        return cls(where, name, digests or {}, part, frozenset({part}))

    @classmethod
    def dataset(cls, where: str, name: str, digests: Mapping[str, str]) -> "DeclaredInput":
        """Return a dataset of which the document does not say what it was used for."""
        return cls(where, name, digests, None, DATASETS)


@dataclass(frozen=True, slots=True)
class DocumentDeclaration:
    """All that one document says: of which inputs, and ``about`` them in a few texts."""

    kind: DocumentKind
    declared: tuple[DeclaredInput, ...] = ()
    about: Mapping[str, Json] = field(default_factory=dict)
    remarks: tuple[DocumentRemark, ...] = ()


def clean_text(value: object) -> str:
    """Return an untrusted text in one short line that every reader can show."""
    text = value if isinstance(value, str) else type(value).__name__
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cut
    )


def clean_texts(value: object) -> list[Json]:
    """Return the texts of a text or a list, at most ``MOST_LISTED``, made fit to be shown."""
    listed = value if isinstance(value, list) else [value]
    return [clean_text(item) for item in listed[:MOST_LISTED] if isinstance(item, str)]


def drop_empty_values(**about: object) -> dict[str, Json]:
    """Return those of ``about`` that say anything; texts and lists of texts alone are kept."""
    found: dict[str, Json] = {}
    for name, value in about.items():
        said = clean_texts(value)
        if said:
            found[name] = said if isinstance(value, list) else said[0]
    return found


def list_objects(value: object, place: str) -> list[tuple[str, dict[str, object]]]:
    """Return the objects of a list with their places; a list that is not there has none.

    Raises ``MalformedDocumentError`` for what is no list of objects, and for a longer one than any
    real document has.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedDocumentError(DocumentFault.FORMAT, f"{place} must be a list of objects")
    if len(value) > MOST_DECLARED:
        raise MalformedDocumentError(
            DocumentFault.TOO_MANY, f"{place} has more than {MOST_DECLARED} entries"
        )
    return [(f"{place}[{index}]", item) for index, item in enumerate(value)]


def get_member(value: Mapping[str, object], name: str, kind: type[T], place: str) -> T | None:
    """Return a member of an object, ``None`` where it is not there. Raises
    ``MalformedDocumentError``.
    """
    found = value.get(name)
    if found is None or isinstance(found, kind):
        return found
    raise MalformedDocumentError(
        DocumentFault.FORMAT, f"{place}.{name} must be of type {kind.__name__}"
    )


def parse_sha256(value: object, place: str, *, upper: bool = False) -> dict[str, str]:
    """Return a SHA-256 by its algorithm. Raises ``MalformedDocumentError`` for what is none.

    ``upper`` is for formats that allow upper-case digits.
    """
    text = value.lower() if upper and isinstance(value, str) else value
    if isinstance(text, str) and is_sha256(text):
        return {SHA256: text}
    raise MalformedDocumentError(
        DocumentFault.DIGEST_FORMAT, f"{place} is not a SHA-256 in hexadecimal digits"
    )


def require_bounded(declared: Sequence[DeclaredInput]) -> tuple[DeclaredInput, ...]:
    """Return what a document declares. Raises ``MalformedDocumentError`` where that has no end."""
    if len(declared) > MOST_DECLARED:
        text = f"it declares more than {MOST_DECLARED} inputs"
        raise MalformedDocumentError(DocumentFault.TOO_MANY, text)
    return tuple(declared)


CYCLONEDX_VERSIONS = ("1.5", "1.6", "1.7")
MODEL, DATA, FILE = "machine-learning-model", "data", "file"
MOST_BOM_DEPTH = 20


def read_bom(found: Mapping[str, object]) -> DocumentDeclaration:
    """Read a bill of materials. Raises ``MalformedDocumentError``.

    The model is the component that the bill is about or, where that is none, the only model among
    its components; another model is an input of unsaid kind, unless the pedigree calls it an
    ancestor. Of datasets CycloneDX does not tell training from evaluation.
    """
    version = found.get("specVersion")
    if version not in CYCLONEDX_VERSIONS:
        text = f"specVersion is {clean_text(version)!a}; there are {', '.join(CYCLONEDX_VERSIONS)}"
        raise MalformedDocumentError(DocumentFault.VERSION, text)
    metadata = get_member(found, "metadata", dict, "bom") or {}
    about = get_member(metadata, "component", dict, "metadata")
    listed = list_objects(found.get("components"), "components")
    main = None if about is None else ("metadata.component", about)
    if main is None or main[1].get("type") != MODEL:
        models = [entry for entry in listed if entry[1].get("type") == MODEL]
        main = models[0] if len(models) == 1 else None
    others = [entry for entry in listed if main is None or entry[1] is not main[1]]
    declared = [item for place, component in others for item in _component(component, place)]
    mine = [] if main is None else _main(*main)
    return DocumentDeclaration(
        DocumentKind.CYCLONEDX,
        require_bounded([*mine, *declared]),
        {
            **drop_empty_values(spec_version=version, serial_number=found.get("serialNumber")),
            **({} if main is None else _told_of(main[1])),
            "other_components": sum(
                item.get("type") not in (MODEL, DATA, FILE) for _, item in others
            ),
        },
    )


def _main(place: str, component: Mapping[str, object]) -> list[DeclaredInput]:
    digests = [*_digests(component, place), *_distributed(component, place)]
    found = [
        DeclaredInput.of(SupplyPart.MODEL, where, _name(component), each) for where, each in digests
    ]
    for where, inner in list_objects(component.get("components"), f"{place}.components"):
        if inner.get("type") == FILE:
            found += [
                DeclaredInput.of(SupplyPart.MODEL, at, _name(inner), each)
                for at, each in _all(inner, where)
            ]
        else:
            found += _component(inner, where)
    pedigree = get_member(component, "pedigree", dict, place) or {}
    for where, ancestor in list_objects(pedigree.get("ancestors"), f"{place}.pedigree.ancestors"):
        found += [
            DeclaredInput.of(SupplyPart.BASE_MODEL, at, _name(ancestor), each)
            for at, each in _all(ancestor, where)
        ]
    return [*found, *_card(component, place)]


def _card(component: Mapping[str, object], place: str) -> Iterator[DeclaredInput]:
    """Yield the datasets that a model card writes out; those that it refers to stand elsewhere."""
    card = get_member(component, "modelCard", dict, place) or {}
    parameters = get_member(card, "modelParameters", dict, f"{place}.modelCard") or {}
    where = f"{place}.modelCard.modelParameters.datasets"
    for at, dataset in list_objects(parameters.get("datasets"), where):
        if "ref" not in dataset:
            yield DeclaredInput.dataset(at, _name(dataset), {})


def _component(
    component: Mapping[str, object], place: str, depth: int = 0
) -> Iterator[DeclaredInput]:
    if depth > MOST_BOM_DEPTH:
        raise MalformedDocumentError(
            DocumentFault.TOO_MANY, f"components nest deeper than {MOST_BOM_DEPTH}"
        )
    kind = component.get("type")
    if kind == DATA:
        for at, digests in _all(component, place):
            yield DeclaredInput.dataset(at, _name(component), digests)
    elif kind in (MODEL, FILE):
        for at, digests in _all(component, place):
            yield DeclaredInput(at, _name(component), digests)
    for where, inner in list_objects(component.get("components"), f"{place}.components"):
        yield from _component(inner, where, depth + 1)


def _all(component: Mapping[str, object], place: str) -> list[tuple[str, dict[str, str]]]:
    """Return every set of digests of a component, one that is empty where there is none."""
    found = [*_digests(component, place), *_distributed(component, place)]
    return found or [(place, {})]


def _digests(holder: Mapping[str, object], place: str) -> list[tuple[str, dict[str, str]]]:
    digests: dict[str, str] = {}
    for where, item in list_objects(holder.get("hashes"), f"{place}.hashes"):
        named = get_member(item, "alg", str, where) or ""
        algorithm = clean_text(named).lower().replace("sha-", "sha")
        value = item.get("content")
        if algorithm == SHA256:
            read = parse_sha256(value, f"{where}.content", upper=True)
            if digests.get(SHA256, read[SHA256]) != read[SHA256]:
                raise MalformedDocumentError(
                    DocumentFault.DIGEST_FORMAT, f"{where} is a second, other SHA-256"
                )
            digests |= read
        elif isinstance(value, str):
            digests[algorithm] = clean_text(value)
    return [(f"{place}.hashes", digests)] if digests else []


def _distributed(component: Mapping[str, object], place: str) -> list[tuple[str, dict[str, str]]]:
    return [
        found
        for where, item in list_objects(
            component.get("externalReferences"), f"{place}.externalReferences"
        )
        if item.get("type") == "distribution"
        for found in _digests(item, where)
    ]


def _name(component: Mapping[str, object]) -> str:
    found = component.get("name")
    return clean_text(found) if isinstance(found, str) else ""


def _told_of(component: Mapping[str, object]) -> dict[str, Json]:
    listed = component.get("licenses")
    choices = (
        [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    )
    inner = [item.get("license") for item in choices]
    named = [item.get("id") or item.get("name") for item in inner if isinstance(item, dict)]
    return drop_empty_values(
        name=component.get("name"),
        version=component.get("version"),
        license=[*named, *(item.get("expression") for item in choices)] or None,
    )


TYPES = (STATEMENT, "https://in-toto.io/Statement/v0.1")
SLSA_V1 = "https://slsa.dev/provenance/v1"
SLSA_V0_2 = "https://slsa.dev/provenance/v0.2"
CYCLONEDX = "https://cyclonedx.org/bom"
_KINDS = {
    SLSA_V1: DocumentKind.SLSA_V1,
    SLSA_V0_2: DocumentKind.SLSA_V0_2,
    PREDICATE: DocumentKind.MODEL_SIGNATURE,
}
_ALGORITHM = 30


def read_statement(found: Mapping[str, object]) -> DocumentDeclaration:
    """Read a statement. Raises ``MalformedDocumentError``.

    Its subjects are taken for the model's files. What was built from is an input of unsaid kind:
    SLSA names no role for a material. A bill of materials may be the predicate, as signing tools
    put it there.
    """
    if found.get("_type") not in TYPES:
        raise MalformedDocumentError(
            DocumentFault.VERSION, f"_type is {clean_text(found.get('_type'))!a}"
        )
    predicate_type = get_member(found, "predicateType", str, "statement")
    if not predicate_type:
        raise MalformedDocumentError(DocumentFault.FORMAT, "predicateType is missing")
    predicate = get_member(found, "predicate", dict, "statement") or {}
    kind = _KINDS.get(predicate_type, DocumentKind.IN_TOTO)
    if kind is DocumentKind.MODEL_SIGNATURE:
        return DocumentDeclaration(kind, require_bounded(_resources(predicate)))
    subjects = _subjects(found)
    if predicate_type.startswith(CYCLONEDX):
        bill = read_bom(predicate)
        return replace(bill, declared=require_bounded([*subjects, *bill.declared]))
    if kind is DocumentKind.SLSA_V1:
        definition = get_member(predicate, "buildDefinition", dict, "predicate") or {}
        details = get_member(predicate, "runDetails", dict, "predicate") or {}
        builder = get_member(details, "builder", dict, "predicate.runDetails") or {}
        metadata = get_member(details, "metadata", dict, "predicate.runDetails") or {}
        place = "predicate.buildDefinition.resolvedDependencies"
        about = drop_empty_values(
            builder=builder.get("id"),
            build_type=definition.get("buildType"),
            invocation=metadata.get("invocationId"),
            started=metadata.get("startedOn"),
            finished=metadata.get("finishedOn"),
        )
        materials, about = _materials(definition.get("resolvedDependencies"), place), _named(about)
    elif kind is DocumentKind.SLSA_V0_2:
        materials, about = _slsa_v0_2(predicate)
    else:
        materials, about = [], drop_empty_values(predicate_type=predicate_type)
    return DocumentDeclaration(kind, require_bounded([*subjects, *materials]), about)


def _subjects(found: Mapping[str, object]) -> list[DeclaredInput]:
    subjects = list_objects(found.get("subject"), "subject")
    if not subjects:
        raise MalformedDocumentError(
            DocumentFault.FORMAT, "subject is missing: the statement speaks of nothing"
        )
    return [
        DeclaredInput.of(
            SupplyPart.MODEL, place, _name_statements(item), _digests_statements(item, place)
        )
        for place, item in subjects
    ]


def _resources(predicate: Mapping[str, object]) -> list[DeclaredInput]:
    """Return the files of a model signature, whose subject is a digest over digests."""
    return [
        DeclaredInput.of(
            SupplyPart.MODEL,
            place,
            _name_statements(item),
            parse_sha256(item.get("digest"), f"{place}.digest")
            if item.get("algorithm") == SHA256
            else {},
        )
        for place, item in list_objects(predicate.get("resources"), "predicate.resources")
    ]


def _slsa_v0_2(predicate: Mapping[str, object]) -> tuple[list[DeclaredInput], dict[str, Json]]:
    builder = get_member(predicate, "builder", dict, "predicate") or {}
    metadata = get_member(predicate, "metadata", dict, "predicate") or {}
    invocation = get_member(predicate, "invocation", dict, "predicate") or {}
    source = get_member(invocation, "configSource", dict, "predicate.invocation") or {}
    about = drop_empty_values(
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
        raise MalformedDocumentError(DocumentFault.FORMAT, text)
    return about


def _materials(value: object, place: str) -> list[DeclaredInput]:
    return [
        DeclaredInput(where, _name_statements(item), _digests_statements(item, where))
        for where, item in list_objects(value, place)
    ]


def _name_statements(item: Mapping[str, object]) -> str:
    found = item.get("name") or item.get("uri") or item.get("downloadLocation") or ""
    return clean_text(found) if isinstance(found, str) else ""


def _digests_statements(item: Mapping[str, object], place: str) -> dict[str, str]:
    found = get_member(item, "digest", dict, place) or {}
    known = {
        clean_text(name)[:_ALGORITHM]: clean_text(value)
        for name, value in found.items()
        if isinstance(value, str)
    }
    if SHA256 in found:
        known |= parse_sha256(found[SHA256], f"{place}.digest.sha256")
    return known


FENCE = "---"
MOST_FRONT = 2**20
MOST_CARD_DEPTH = 30
_NULL = "tag:yaml.org,2002:null"
_PLAIN = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)


def parse_front_matter(raw: bytes) -> str | None:
    """Return the front matter of a Markdown text, ``None`` where it has none.

    Raises ``MalformedDocumentError`` for a front matter that never ends or is not UTF-8.
    """
    if not raw.removeprefix(b"\xef\xbb\xbf").startswith(FENCE.encode()):
        return None
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        text = f"the card is not UTF-8 (byte {error.start})"
        raise MalformedDocumentError(DocumentFault.FORMAT, text) from None
    if lines[0].rstrip() != FENCE:
        return None
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == FENCE:
            return "\n".join(lines[1:number])
    raise MalformedDocumentError(
        DocumentFault.FORMAT, "the front matter opens with --- and never closes"
    )


def read_model_card(front: str) -> DocumentDeclaration:
    """Read a card's front matter. Raises ``MalformedDocumentError``."""
    if len(front) > MOST_FRONT:
        raise MalformedDocumentError(
            DocumentFault.TOO_LARGE, f"the front matter has more than {MOST_FRONT} signs"
        )
    try:
        # Look for aliases before anything is built: a few lines of them stand for millions
        for event in yaml.parse(front, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise MalformedDocumentError(
                    DocumentFault.FORMAT, "the front matter holds an alias"
                )
        node = yaml.compose(front, Loader=yaml.SafeLoader)
        found = None if node is None else _plain(node, 0)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 2
        text = f"line {line} of the front matter is not YAML: {clean_text(error.problem or '')}"
        raise MalformedDocumentError(DocumentFault.FORMAT, text) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        text = f"the front matter is not YAML: {clean_text(str(error))}"
        raise MalformedDocumentError(DocumentFault.FORMAT, text) from None
    if found is None:
        found = {}
    elif not isinstance(found, dict):
        raise MalformedDocumentError(DocumentFault.FORMAT, "the front matter is not a mapping")
    named = [
        *_names(found, "datasets", SupplyPart.TRAINING),
        *_names(found, "base_model", SupplyPart.BASE_MODEL),
        *_results(found),
    ]
    return DocumentDeclaration(
        DocumentKind.MODEL_CARD,
        require_bounded(named),
        drop_empty_values(
            license=found.get("license"),
            license_name=found.get("license_name"),
            metrics=found.get("metrics"),
            library=found.get("library_name"),
            base_model_relation=found.get("base_model_relation"),
        ),
    )


def _names(found: Mapping[str, object], key: str, part: SupplyPart) -> Iterator[DeclaredInput]:
    value = found.get(key)
    listed = value if isinstance(value, list) else [value]
    for index, name in enumerate(listed):
        if isinstance(name, str) and name:
            yield DeclaredInput.of(part, f"{key}[{index}]", clean_text(name))
        elif name not in (None, ""):
            raise MalformedDocumentError(
                DocumentFault.FORMAT, f"{key} must be a name or a list of names"
            )


def _results(found: Mapping[str, object]) -> Iterator[DeclaredInput]:
    """Yield the data of every result that the card reports, once for each."""
    models = found.get("model-index")
    seen: set[str] = set()
    listed = models if isinstance(models, list) else []
    results = chain.from_iterable(
        item["results"]
        for item in listed
        if isinstance(item, dict) and isinstance(item.get("results"), list)
    )
    for result in results:
        dataset = result.get("dataset") if isinstance(result, dict) else None
        name = dataset.get("type") or dataset.get("name") if isinstance(dataset, dict) else None
        if isinstance(name, str) and name not in seen:
            seen.add(name)
            yield DeclaredInput.of(SupplyPart.EVALUATION, "model-index", clean_text(name))


def _plain(node: yaml.Node, depth: int) -> object:
    """Return a node as texts, lists and mappings; numbers and dates stay as they are written."""
    if depth > MOST_CARD_DEPTH:
        raise MalformedDocumentError(
            DocumentFault.FORMAT, f"the front matter nests deeper than {MOST_CARD_DEPTH}"
        )
    if node.tag not in _PLAIN:
        text = (
            f"line {node.start_mark.line + 2} of the front matter has the tag "
            f"{clean_text(node.tag)}"
        )
        raise MalformedDocumentError(DocumentFault.FORMAT, text)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return None if node.tag == _NULL else str(node.value)
    found: dict[str, object] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in found:
            text = f"{clean_text(name)} stands twice, at line {key.start_mark.line + 2} of the card"
            raise MalformedDocumentError(DocumentFault.DUPLICATE_KEY, text)
        found[name] = _plain(value, depth + 1)
    return found


CONFORMS = "mlcommons.org/croissant/"
CROISSANT_VERSIONS = frozenset({"1.0", "1.1"})
CROISSANT_FILE = "FileObject"
_OTHERS = ("md5", "sha1", "sha512")


def is_croissant(found: Mapping[str, object]) -> bool:
    """Whether a JSON-LD document describes a dataset."""
    return "@context" in found and "Dataset" in _types(found)


def read_croissant(found: Mapping[str, object]) -> DocumentDeclaration:
    """Read a description of a dataset. Raises ``MalformedDocumentError``.

    Croissant does not say what a model used the dataset for.
    """
    conforms = found.get("conformsTo")
    version = conforms.rpartition("/")[2] if isinstance(conforms, str) else ""
    if (
        not isinstance(conforms, str)
        or CONFORMS not in conforms
        or version not in CROISSANT_VERSIONS
    ):
        text = (
            f"conformsTo is {clean_text(conforms)!a}; there are "
            f"{', '.join(sorted(CROISSANT_VERSIONS))}"
        )
        raise MalformedDocumentError(DocumentFault.VERSION, text)
    distribution = found.get("distribution")
    listed = [distribution] if isinstance(distribution, dict) else distribution
    declared = [
        DeclaredInput.dataset(place, _name_croissant(item), _digests_croissant(item, place))
        for place, item in list_objects(listed, "distribution")
        if CROISSANT_FILE in _types(item)
    ]
    responsible = sorted(clean_text(name) for name in found if name.startswith("rai:"))
    return DocumentDeclaration(
        DocumentKind.CROISSANT,
        require_bounded(declared),
        drop_empty_values(
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


def _name_croissant(item: Mapping[str, object]) -> str:
    found = item.get("name") or item.get("contentUrl") or item.get("@id") or ""
    return clean_text(found) if isinstance(found, str) else ""


def _digests_croissant(item: Mapping[str, object], place: str) -> dict[str, str]:
    found = {name: clean_text(item[name]) for name in _OTHERS if isinstance(item.get(name), str)}
    if item.get(SHA256) is not None:
        found |= parse_sha256(item[SHA256], f"{place}.sha256", upper=True)
    return found
