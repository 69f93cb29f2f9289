"""The AI system and risk declarations of its owners.

All of it is declared by the owners; none of it is measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from auditor.domain.json import Json, digest_json, encode_canonical
from auditor.domain.policies import Severity


class SystemTopic(StrEnum):
    """Something that technical documentation asks of a system and no audit can see.

    The value is where it stands in a system file.
    """

    PROVIDER_NAME = "provider.name"
    PROVIDER_CONTACT = "provider.contact"
    PURPOSE = "purpose"
    CATEGORY = "category"
    PEOPLE = "people"
    DEPLOYERS = "deployers"
    INTERACTIONS = "interactions"
    SOFTWARE = "software"
    FORM = "form"
    HARDWARE = "hardware"
    PICTURES = "pictures"
    INTERFACE = "interface"
    INSTRUCTIONS = "instructions"
    DEVELOPMENT = "development"
    COMPONENTS = "components"
    DESIGN = "design"
    ARCHITECTURE = "architecture"
    COMPUTE = "compute"
    DATA_GOVERNANCE = "data_governance"
    OVERSIGHT_MEASURES = "oversight.measures"
    OVERSIGHT_WHO = "oversight.who"
    OVERSIGHT_QUALIFICATIONS = "oversight.qualifications"
    PREDETERMINED_CHANGES = "predetermined_changes"
    RESPONSIBLE = "responsible"
    CYBERSECURITY = "cybersecurity"
    LIMITS = "limits"
    METRICS = "metrics"
    LIFECYCLE_CHANGES = "lifecycle_changes"
    STANDARDS = "standards"
    DECLARATION = "declaration"
    MONITORING_PLAN = "monitoring.plan"
    MONITORING_FREQUENCY = "monitoring.frequency"
    MONITORING_TRIGGERS = "monitoring.triggers"
    MONITORING_WHO = "monitoring.who"

    @property
    def head(self) -> str:
        """The part of the system file that it stands in."""
        return self.value.partition(".")[0]


PROVIDER, DEPLOYER, MODEL_OWNER = "provider", "deployer", "model owner"
DATA_OWNER, SECURITY_OWNER, RISK_OWNER = "data owner", "security owner", "risk owner"

TITLES: Mapping[SystemTopic, str] = MappingProxyType(
    {
        SystemTopic.PROVIDER_NAME: "Provider",
        SystemTopic.PROVIDER_CONTACT: "How to reach the provider",
        SystemTopic.PURPOSE: "Intended purpose",
        SystemTopic.CATEGORY: "High-risk category",
        SystemTopic.PEOPLE: "People affected, and how",
        SystemTopic.DEPLOYERS: "Deployers and users",
        SystemTopic.INTERACTIONS: "Hardware and software around it",
        SystemTopic.SOFTWARE: "Software around the model, with versions",
        SystemTopic.FORM: "Form in which it is placed on the market",
        SystemTopic.HARDWARE: "Hardware on which it is intended to run",
        SystemTopic.PICTURES: "Pictures of products of which it is a part",
        SystemTopic.INTERFACE: "User interface",
        SystemTopic.INSTRUCTIONS: "Instructions for use",
        SystemTopic.DEVELOPMENT: "How it was developed",
        SystemTopic.COMPONENTS: "Third-party and pre-trained components",
        SystemTopic.DESIGN: "Design choices, and what it optimises",
        SystemTopic.ARCHITECTURE: "Architecture",
        SystemTopic.COMPUTE: "Computing resources for development and training",
        SystemTopic.DATA_GOVERNANCE: "Where the data come from, and how they were prepared",
        SystemTopic.OVERSIGHT_MEASURES: "Measures of human oversight",
        SystemTopic.OVERSIGHT_WHO: "Who oversees it",
        SystemTopic.OVERSIGHT_QUALIFICATIONS: "What overseers must know",
        SystemTopic.PREDETERMINED_CHANGES: "Changes planned beforehand",
        SystemTopic.RESPONSIBLE: "Person responsible for the tests",
        SystemTopic.CYBERSECURITY: "Security measures around the model",
        SystemTopic.LIMITS: "Limits and foreseeable unintended outcomes",
        SystemTopic.METRICS: "Why the metrics fit the purpose",
        SystemTopic.LIFECYCLE_CHANGES: "Changes made over its life",
        SystemTopic.STANDARDS: "Standards applied",
        SystemTopic.DECLARATION: "Declaration of conformity",
        SystemTopic.MONITORING_PLAN: "What is monitored after deployment",
        SystemTopic.MONITORING_FREQUENCY: "How often it is monitored",
        SystemTopic.MONITORING_TRIGGERS: "What triggers a new audit",
        SystemTopic.MONITORING_WHO: "Who monitors it",
    }
)
OWNERS: Mapping[SystemTopic, str] = MappingProxyType(
    {
        **dict.fromkeys(SystemTopic, PROVIDER),
        **dict.fromkeys(
            (SystemTopic.OVERSIGHT_WHO, SystemTopic.OVERSIGHT_QUALIFICATIONS), DEPLOYER
        ),
        **dict.fromkeys(
            (
                *(
                    SystemTopic.SOFTWARE,
                    SystemTopic.DEVELOPMENT,
                    SystemTopic.COMPONENTS,
                    SystemTopic.DESIGN,
                ),
                *(SystemTopic.ARCHITECTURE, SystemTopic.COMPUTE, SystemTopic.PREDETERMINED_CHANGES),
                *(
                    SystemTopic.RESPONSIBLE,
                    SystemTopic.LIMITS,
                    SystemTopic.METRICS,
                    SystemTopic.LIFECYCLE_CHANGES,
                ),
            ),
            MODEL_OWNER,
        ),
        SystemTopic.DATA_GOVERNANCE: DATA_OWNER,
        SystemTopic.CYBERSECURITY: SECURITY_OWNER,
    }
)
"""Who fills a topic where the system file names nobody else."""
RISKS_TOPIC = "risks"
"""What a system file calls the owner of the risks, which stand in a file of their own."""


@dataclass(frozen=True, slots=True)
class SystemModel:
    """A model that the system holds, and what it does there, or nothing where nobody says."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AiSystem:
    """A system as its system file declares it. What is not among ``told`` is missing.

    ``owners`` names who fills a topic, or all topics of a part, where it is not the usual role.
    """

    name: str
    version: str
    models: tuple[SystemModel, ...]
    told: Mapping[SystemTopic, tuple[str, ...]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def role_of(self, model: str) -> str | None:
        """Return what a model does in the system, or ``None`` where it is no part of it."""
        return next((item.role for item in self.models if item.name == model), None)


def find_topic_owner(topic: SystemTopic, system: AiSystem | None) -> str:
    """Return who fills a topic: whom the system file names, or else the usual role."""
    named = {} if system is None else system.owners
    return named.get(topic.value) or named.get(topic.head) or OWNERS[topic]


def find_risk_owner(system: AiSystem | None) -> str:
    """Return who writes down the risks."""
    return RISK_OWNER if system is None else system.owners.get(RISKS_TOPIC, RISK_OWNER)


@dataclass(frozen=True, slots=True)
class RiskAcceptance:
    """Who accepts a residual risk, and on which day; a declaration that nobody here checks."""

    by: str
    on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRisk:
    """A hazard, whom it affects, and what holds it down; ``rules`` are ids of the policy."""

    id: str
    hazard: str
    affected: str
    severity: Severity
    residual: str
    likelihood: str = ""
    mitigations: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    accepted: RiskAcceptance | None = None


@dataclass(frozen=True, slots=True)
class SystemDocument:
    """A system file as parsed: the document, over which the digest is taken, and what it says."""

    document: Mapping[str, Json]
    system: AiSystem


@dataclass(frozen=True, slots=True)
class RisksDocument:
    """A file of risks as parsed: the document, over which the digest is taken, and what it says."""

    document: Mapping[str, Json]
    risks: tuple[SystemRisk, ...]


@dataclass(frozen=True, slots=True)
class SystemDossier:
    """What was declared beside an audit, if anything."""

    system: SystemDocument | None = None
    risks: RisksDocument | None = None

    @property
    def digests(self) -> tuple[str | None, str | None]:
        """The digests of both documents, by which a request names them."""
        both = (self.system, self.risks)
        first, second = (None if item is None else digest_json(item.document) for item in both)
        return first, second

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The canonical bytes of the documents that are there."""
        both = (self.system, self.risks)
        return tuple(encode_canonical(item.document) for item in both if item is not None)


NOTHING = SystemDossier()
"""What is declared where neither file is named."""
