"""Read a system file: what the owners of a system declare of it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from auditor.auditfiles.tasks import Mistake
from auditor.auditfiles.words import Paragraphs, Prose, Section, Settings, Text
from auditor.documents import Document, read_document, validate
from auditor.domain.dossiers import SystemPaper
from auditor.domain.nearest import meant
from auditor.domain.systems import RISKS, System, SystemModel, Topic
from auditor.errors import DossierError


class PeopleShape(Section):
    """One group of people that the system affects, and how."""

    group: Text
    how: Prose


class SystemModelShape(Section):
    """One model of the system, and what it does there."""

    name: Text
    role: Prose | None = None


class ProviderShape(Section):
    """Who places the system on the market."""

    name: Paragraphs = ()
    contact: Paragraphs = ()


class OversightShape(Section):
    """How people oversee the system."""

    measures: Paragraphs = ()
    who: Paragraphs = ()
    qualifications: Paragraphs = ()


class MonitoringShape(Section):
    """What is watched after deployment."""

    plan: Paragraphs = ()
    frequency: Paragraphs = ()
    triggers: Paragraphs = ()
    who: Paragraphs = ()


class SystemShape(Section):
    """A whole system file."""

    api_version: Literal["auditor/v1"] = Field(alias="apiVersion")
    kind: Literal["System"]
    name: Text
    version: Text
    models: Annotated[tuple[SystemModelShape, ...], Field(min_length=1)]
    provider: ProviderShape = ProviderShape()
    purpose: Paragraphs = ()
    category: Paragraphs = ()
    people: tuple[PeopleShape, ...] | None = None
    deployers: Paragraphs = ()
    interactions: Paragraphs = ()
    software: Paragraphs = ()
    form: Paragraphs = ()
    hardware: Paragraphs = ()
    pictures: Paragraphs = ()
    interface: Paragraphs = ()
    instructions: Paragraphs = ()
    development: Paragraphs = ()
    components: Paragraphs = ()
    design: Paragraphs = ()
    architecture: Paragraphs = ()
    compute: Paragraphs = ()
    data_governance: Paragraphs = ()
    oversight: OversightShape = OversightShape()
    predetermined_changes: Paragraphs = ()
    responsible: Paragraphs = ()
    cybersecurity: Paragraphs = ()
    limits: Paragraphs = ()
    metrics: Paragraphs = ()
    lifecycle_changes: Paragraphs = ()
    standards: Paragraphs = ()
    declaration: Paragraphs = ()
    monitoring: MonitoringShape = MonitoringShape()
    owners: Settings = Field(default_factory=dict)


def read_system(raw: bytes, source: str, model: str | None = None) -> SystemPaper:
    """Parse the bytes of a system file; ``source`` is its name in messages.

    Where ``model`` is given, the system must hold a model of that name. Raises ``DossierError``
    that names every mistake with file, line and cure.
    """
    document = read_document(raw, source, DossierError)
    shape = validate(document, SystemShape, DossierError)
    refuse(document, [*_mistakes(shape), *_other_model(shape, model)])
    system = System(
        name=shape.name,
        version=shape.version,
        models=tuple(SystemModel(item.name, item.role or "") for item in shape.models),
        told={topic: lines for topic in Topic if (lines := _told(shape, topic))},
        owners=shape.owners,
    )
    return SystemPaper(document.content, system)


def refuse(document: Document, mistakes: list[Mistake]) -> None:
    """Raise ``DossierError`` that names every mistake, if there is one."""
    if mistakes:
        said = "; ".join(
            f"{document.where(place)}: {'.'.join(map(str, place))} {problem}"
            for place, problem, _ in mistakes
        )
        raise DossierError(said, cure=" ".join(dict.fromkeys(cure for _, _, cure in mistakes)))


def _told(shape: SystemShape, topic: Topic) -> tuple[str, ...]:
    found: Any = shape  # each step is a part of the shape above
    for name in topic.value.split("."):
        found = getattr(found, name)
    return tuple(
        f"{item.group}: {item.how}" if isinstance(item, PeopleShape) else item
        for item in found or ()
    )


def _mistakes(shape: SystemShape) -> Iterator[Mistake]:
    names = [item.name for item in shape.models]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ("models", index, "name"), f"is {name!r} a second time", "Name every model once."
    yield from _owner_mistakes(shape.owners)


def _owner_mistakes(owners: Mapping[str, object]) -> Iterator[Mistake]:
    known = [*dict.fromkeys(topic.head for topic in Topic), *map(str, Topic), RISKS]
    for topic, owner in owners.items():
        place = ("owners", topic)
        if topic not in known:
            problem = f"is nothing that has an owner; {meant(topic, known)}"
            yield place, problem, f"Name a setting of this file, or {RISKS}."
        elif not isinstance(owner, str) or not owner.strip() or not owner.isprintable():
            yield place, "is no name of an owner", "Write a person or a role, as one line of text."


def _other_model(shape: SystemShape, model: str | None) -> Iterator[Mistake]:
    names = [item.name for item in shape.models]
    if model is not None and model not in names:
        problem = f"holds {', '.join(names)}, and not {model}, which the audit file audits"
        yield ("models",), problem, f"Add {{name: {model}, role: …}}, or name the other file."
