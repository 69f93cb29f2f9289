"""Reads and drafts system files and risk files, the owners' declarations about an AI system."""

import json
from collections.abc import Callable, Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from auditor._yaml import Place, YamlDocument, read_yaml_document, validate_document
from auditor.domain.ai_system import (
    OWNERS,
    RISKS_TOPIC,
    TITLES,
    AiSystem,
    RiskAcceptance,
    RisksDocument,
    SystemDocument,
    SystemDossier,
    SystemModel,
    SystemRisk,
    SystemTopic,
)
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import AuditFile
from auditor.domain.name_suggestions import suggest_names
from auditor.domain.policies import Severity
from auditor.domain.requests import AuditRequest, InputFile
from auditor.errors import DossierError, RecordError
from auditor.inputs.auditfile.schema import Names, Paragraphs, Prose, SectionSchema, Settings, Text
from auditor.inputs.auditfile.task_mistakes import Mistake
from auditor.inputs.resolve import Locate, locate_setting, resolve_setting_path


class AffectedPeopleSchema(SectionSchema):
    """One group of people that the system affects, and how."""

    group: Text
    how: Prose


class SystemModelSchema(SectionSchema):
    """One model of the system, and what it does there."""

    name: Text
    role: Prose | None = None


class SystemProviderSchema(SectionSchema):
    """Who places the system on the market."""

    name: Paragraphs = ()
    contact: Paragraphs = ()


class HumanOversightSchema(SectionSchema):
    """How people oversee the system."""

    measures: Paragraphs = ()
    who: Paragraphs = ()
    qualifications: Paragraphs = ()


class MonitoringPlanSchema(SectionSchema):
    """What is watched after deployment."""

    plan: Paragraphs = ()
    frequency: Paragraphs = ()
    triggers: Paragraphs = ()
    who: Paragraphs = ()


class SystemFileSchema(SectionSchema):
    """A whole system file."""

    api_version: Literal["auditor/v1"] = Field(alias="apiVersion")
    kind: Literal["System"]
    name: Text
    version: Text
    models: Annotated[tuple[SystemModelSchema, ...], Field(min_length=1)]
    provider: SystemProviderSchema = SystemProviderSchema()
    purpose: Paragraphs = ()
    category: Paragraphs = ()
    people: tuple[AffectedPeopleSchema, ...] | None = None
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
    oversight: HumanOversightSchema = HumanOversightSchema()
    predetermined_changes: Paragraphs = ()
    responsible: Paragraphs = ()
    cybersecurity: Paragraphs = ()
    limits: Paragraphs = ()
    metrics: Paragraphs = ()
    lifecycle_changes: Paragraphs = ()
    standards: Paragraphs = ()
    declaration: Paragraphs = ()
    monitoring: MonitoringPlanSchema = MonitoringPlanSchema()
    owners: Settings = Field(default_factory=dict)


def read_system(raw: bytes, source: str, model: str | None = None) -> SystemDocument:
    """Parse the bytes of a system file; ``source`` is its name in messages.

    Where ``model`` is given, the system must hold a model of that name. Raises ``DossierError``
    that names every mistake with file, line and cure.
    """
    document = read_yaml_document(raw, source, DossierError)
    shape = validate_document(document, SystemFileSchema, DossierError)
    raise_mistakes(document, [*_mistakes(shape), *_other_model(shape, model)])
    system = AiSystem(
        name=shape.name,
        version=shape.version,
        models=tuple(SystemModel(item.name, item.role or "") for item in shape.models),
        told={topic: lines for topic in SystemTopic if (lines := _told(shape, topic))},
        owners=shape.owners,
    )
    return SystemDocument(document.content, system)


def raise_mistakes(document: YamlDocument, mistakes: list[Mistake]) -> None:
    """Raise ``DossierError`` that names every mistake, if there is one."""
    if mistakes:
        said = "; ".join(
            f"{document.where(place)}: {'.'.join(map(str, place))} {problem}"
            for place, problem, _ in mistakes
        )
        raise DossierError(said, cure=" ".join(dict.fromkeys(cure for _, _, cure in mistakes)))


def _told(shape: SystemFileSchema, topic: SystemTopic) -> tuple[str, ...]:
    found: Any = shape  # each step is a part of the shape above
    for name in topic.value.split("."):
        found = getattr(found, name)
    return tuple(
        f"{item.group}: {item.how}" if isinstance(item, AffectedPeopleSchema) else item
        for item in found or ()
    )


def _mistakes(shape: SystemFileSchema) -> Iterator[Mistake]:
    names = [item.name for item in shape.models]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ("models", index, "name"), f"is {name!r} a second time", "Name every model once."
    known = [
        *dict.fromkeys(topic.head for topic in SystemTopic),
        *map(str, SystemTopic),
        RISKS_TOPIC,
    ]
    for topic, owner in shape.owners.items():
        place = ("owners", topic)
        if topic not in known:
            problem = f"is nothing that has an owner; {suggest_names(topic, known)}"
            yield place, problem, f"Name a setting of this file, or {RISKS_TOPIC}."
        elif not isinstance(owner, str) or not owner.strip() or not owner.isprintable():
            yield (
                place,
                "is not an owner",
                "Write a person or a role, as one line of text.",
            )


def _other_model(shape: SystemFileSchema, model: str | None) -> Iterator[Mistake]:
    names = [item.name for item in shape.models]
    if model is not None and model not in names:
        problem = f"holds {', '.join(names)}, and not {model}, which the audit file audits"
        yield ("models",), problem, f"Add {{name: {model}, role: …}}, or name the other file."


MOST_RISKS = 1_000


class RiskSchema(SectionSchema):
    """One risk."""

    id: Text
    hazard: Prose
    affected: Prose
    severity: Severity
    likelihood: Text | None = None
    mitigations: Paragraphs = ()
    rules: Names = ()
    residual: Prose
    accepted_by: Text | None = None
    accepted_on: Text | None = None

    def risk(self) -> SystemRisk:
        """Return the domain's form of a risk without mistakes."""
        by, on = self.accepted_by, self.accepted_on
        return SystemRisk(
            id=self.id,
            hazard=self.hazard,
            affected=self.affected,
            severity=self.severity,
            residual=self.residual,
            likelihood=self.likelihood or "",
            mitigations=self.mitigations,
            rules=self.rules,
            accepted=None if by is None or on is None else RiskAcceptance(by, on),
        )


def _some(value: object) -> object:
    if not value:
        raise PydanticCustomError("risks", "lists no risk; write at least one below it")
    return value


class RiskFileSchema(SectionSchema):
    """A whole file of risks."""

    api_version: Literal["auditor/v1"] = Field(alias="apiVersion")
    kind: Literal["Risks"]
    risks: Annotated[tuple[RiskSchema, ...], BeforeValidator(_some), Field(max_length=MOST_RISKS)]


def read_risks(raw: bytes, source: str, rules: Collection[str] | None = None) -> RisksDocument:
    """Parse the bytes of a file of risks; ``source`` is its name in messages.

    Where ``rules`` are given, those of the policy, a risk may name no other. Raises
    ``DossierError`` that names every mistake with file, line and cure.
    """
    document = read_yaml_document(raw, source, DossierError)
    shape = validate_document(document, RiskFileSchema, DossierError)
    raise_mistakes(document, [*_mistakes_risks(shape), *_other_rules(shape, rules)])
    return RisksDocument(document.content, tuple(item.risk() for item in shape.risks))


def _mistakes_risks(shape: RiskFileSchema) -> Iterator[Mistake]:
    ids = [item.id for item in shape.risks]
    for index, item in enumerate(shape.risks):
        place: Place = ("risks", index)
        if item.id in ids[:index]:
            yield (*place, "id"), f"is {item.id!r} a second time", "Give every risk its own id."
        if len(set(item.rules)) < len(item.rules):
            yield (*place, "rules"), "names a rule twice", "Name every rule once."
        if (item.accepted_by is None) is not (item.accepted_on is None):
            missing = "accepted_by" if item.accepted_by is None else "accepted_on"
            cure = "Say who accepts the residual risk and on which day, or neither."
            yield place, f"lacks {missing}, though the other is set", cure
        if item.accepted_on is not None and not _is_day(item.accepted_on):
            problem = f"is {item.accepted_on!r}, which is not a day"
            yield (*place, "accepted_on"), problem, "Write it as 2026-11-30."


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _other_rules(shape: RiskFileSchema, rules: Collection[str] | None) -> Iterator[Mistake]:
    if rules is None:
        return
    for index, item in enumerate(shape.risks):
        for at, rule in enumerate(item.rules):
            if rule not in rules:
                told = suggest_names(rule, sorted(rules))
                problem = f"is {rule!r}, which is not a rule of the policy; {told}"
                yield ("risks", index, "rules", at), problem, "Name one of the policy's rules."


Inputs = tuple[InputFile, ...]
MOST_DOSSIER_BYTES = 2**20
CURE = "Write it as docs/dossier.md says (`auditor init --system` begins one)"


def stage_dossier(
    file: AuditFile, locate: Locate, rules: Collection[str] | None
) -> tuple[SystemDossier, Inputs]:
    """Read the system file and the file of risks, as far as the audit file names them.

    ``rules`` are the ids that risks may name, where that is held against a policy. Raises
    ``DossierError`` for a file that is missing or malformed, a system without the audited model,
    and a risk that names a rule that is none.
    """
    inputs: list[InputFile] = []
    system = risks = None
    if file.system is not None:
        raw = _bytes(file, "system", file.system, locate)
        inputs.append(InputFile(file.system, FileDigest.of(Path(file.system).name, raw)))
        system = read_system(raw, file.system, file.model.name)
    if file.risks is not None:
        raw = _bytes(file, "risks", file.risks, locate)
        inputs.append(InputFile(file.risks, FileDigest.of(Path(file.risks).name, raw)))
        risks = read_risks(raw, file.risks, rules)
    return SystemDossier(system, risks), tuple(inputs)


def load_dossier(request: AuditRequest, blob: Callable[[str], bytes]) -> SystemDossier:
    """Return what a request names of what owners declared, from among its evidence.

    Raises ``DossierError`` for what is no such document, or is not there.
    """
    system, risks = request.system, request.risks
    try:
        return SystemDossier(
            None if system is None else read_system(blob(system), "the system file"),
            None if risks is None else read_risks(blob(risks), "the file of risks"),
        )
    except RecordError as error:
        raise DossierError(error.problem, cure=error.cure) from None


def _bytes(file: AuditFile, name: str, written: str, locate: Locate) -> bytes:
    cure = f"{CURE}, or remove {name}."
    path = resolve_setting_path(file, (name,), written, locate, cure=cure, error=DossierError)
    with path.open("rb") as opened:
        raw = opened.read(MOST_DOSSIER_BYTES + 1)
    if len(raw) > MOST_DOSSIER_BYTES:
        raise DossierError(
            f"{locate_setting(file, name)}: {written} has more than {MOST_DOSSIER_BYTES} bytes",
            cure="Shorten it, and refer to other documents by their location.",
        )
    return raw


SYSTEM, RISKS = "system.yaml", "risks.yaml"
NAMING = f"""\
system: {SYSTEM}               # what you declare of the system that the model is a part of
risks: null                       # {RISKS}, once a risk stands in it
"""
EXAMPLES = {SystemTopic.PEOPLE: "[{group: applicants, how: a loan is granted or refused}]"}
BEGUN_RISKS = """\
# Hazards of the system, the people that they affect, and the policy rules that show that they are
# controlled. List at least one below `risks:`, and name this file in audit.yaml: risks: risks.yaml
apiVersion: auditor/v1
kind: Risks
risks:
#  - id: R-1
#    hazard: Applicants of one group are refused more often than others who repay alike
#    affected: applicants
#    severity: high                  # low | medium | high | critical
#    likelihood: possible            # in your own words
#    mitigations: [a second look by a person at every refusal]
#    rules: [fairness-gap]           # ids of rules: auditor policies show baseline
#    residual: Small groups cannot be told apart from chance
#    accepted_by: null               # a named person, with the day: accepted_on: 2026-11-30
"""


def draft_system_file(model: str) -> str:
    """Return a system file of one model that ``read_system`` accepts as it stands."""
    name = json.dumps(model, ensure_ascii=False)
    head = f"""\
# What you declare of the system that the model is a part of. The audit checks none of it. The
# report shows it by points of the EU AI Act's Annex IV, and names who must fill what is left out.
apiVersion: auditor/v1
kind: System
name: {name}
version: "0"
models:
  - {{name: {name}, role: null}}    # its name as in audit.yaml, and what it does here
"""
    return head + "\n".join(_settings()) + "\n" + OWNED


OWNED = """\
# owners: {monitoring: Jane Doe, risks: Risk committee}   # where it is not the usual role
"""


def _settings() -> Iterator[str]:
    """Yield a commented line a setting; parts that hold several come once, with theirs below."""
    width = max(len(topic.value) for topic in SystemTopic) + 8
    begun = ""
    for topic in SystemTopic:
        part, _, name = topic.value.partition(".")
        if name and part != begun:
            yield f"# {part}:"
        begun = part
        line = f"#   {name}: …" if name else f"# {part}: {EXAMPLES.get(topic, '…')}"
        yield f"{line:<{width}}  # {TITLES[topic]} ({OWNERS[topic]})"
