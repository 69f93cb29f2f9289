"""The system that audited models are a part of, as its owners declare it: none of it measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Topic(StrEnum):
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

TITLES: Mapping[Topic, str] = MappingProxyType(
    {
        Topic.PROVIDER_NAME: "Provider",
        Topic.PROVIDER_CONTACT: "How to reach the provider",
        Topic.PURPOSE: "Intended purpose",
        Topic.CATEGORY: "High-risk category",
        Topic.PEOPLE: "People affected, and how",
        Topic.DEPLOYERS: "Deployers and users",
        Topic.INTERACTIONS: "Hardware and software around it",
        Topic.SOFTWARE: "Software around the model, with versions",
        Topic.FORM: "Form in which it is placed on the market",
        Topic.HARDWARE: "Hardware on which it is intended to run",
        Topic.PICTURES: "Pictures of products of which it is a part",
        Topic.INTERFACE: "User interface",
        Topic.INSTRUCTIONS: "Instructions for use",
        Topic.DEVELOPMENT: "How it was developed",
        Topic.COMPONENTS: "Third-party and pre-trained components",
        Topic.DESIGN: "Design choices, and what it optimises",
        Topic.ARCHITECTURE: "Architecture",
        Topic.COMPUTE: "Computing resources for development and training",
        Topic.DATA_GOVERNANCE: "Where the data come from, and how they were prepared",
        Topic.OVERSIGHT_MEASURES: "Measures of human oversight",
        Topic.OVERSIGHT_WHO: "Who oversees it",
        Topic.OVERSIGHT_QUALIFICATIONS: "What overseers must know",
        Topic.PREDETERMINED_CHANGES: "Changes planned beforehand",
        Topic.RESPONSIBLE: "Person responsible for the tests",
        Topic.CYBERSECURITY: "Security measures around the model",
        Topic.LIMITS: "Limits and foreseeable unintended outcomes",
        Topic.METRICS: "Why the metrics fit the purpose",
        Topic.LIFECYCLE_CHANGES: "Changes made over its life",
        Topic.STANDARDS: "Standards applied",
        Topic.DECLARATION: "Declaration of conformity",
        Topic.MONITORING_PLAN: "What is monitored after deployment",
        Topic.MONITORING_FREQUENCY: "How often it is monitored",
        Topic.MONITORING_TRIGGERS: "What triggers a new audit",
        Topic.MONITORING_WHO: "Who monitors it",
    }
)
OWNERS: Mapping[Topic, str] = MappingProxyType(
    {
        **dict.fromkeys(Topic, PROVIDER),
        **dict.fromkeys((Topic.OVERSIGHT_WHO, Topic.OVERSIGHT_QUALIFICATIONS), DEPLOYER),
        **dict.fromkeys(
            (
                *(Topic.SOFTWARE, Topic.DEVELOPMENT, Topic.COMPONENTS, Topic.DESIGN),
                *(Topic.ARCHITECTURE, Topic.COMPUTE, Topic.PREDETERMINED_CHANGES),
                *(Topic.RESPONSIBLE, Topic.LIMITS, Topic.METRICS, Topic.LIFECYCLE_CHANGES),
            ),
            MODEL_OWNER,
        ),
        Topic.DATA_GOVERNANCE: DATA_OWNER,
        Topic.CYBERSECURITY: SECURITY_OWNER,
    }
)
"""Who fills a topic where the system file names nobody else."""
RISKS = "risks"
"""What a system file calls the owner of the risks, which stand in a file of their own."""


@dataclass(frozen=True, slots=True)
class SystemModel:
    """A model that the system holds, and what it does there, or nothing where nobody says."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system as its system file declares it. What is not among ``told`` is missing.

    ``owners`` names who fills a topic, or all topics of a part, where it is not the usual role.
    """

    name: str
    version: str
    models: tuple[SystemModel, ...]
    told: Mapping[Topic, tuple[str, ...]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def role_of(self, model: str) -> str | None:
        """Return what a model does in the system, or ``None`` where it is no part of it."""
        return next((item.role for item in self.models if item.name == model), None)


def owner_of(topic: Topic, system: System | None) -> str:
    """Return who fills a topic: whom the system file names, or else the usual role."""
    named = {} if system is None else system.owners
    return named.get(topic.value) or named.get(topic.head) or OWNERS[topic]


def risk_owner(system: System | None) -> str:
    """Return who writes down the risks."""
    return RISK_OWNER if system is None else system.owners.get(RISKS, RISK_OWNER)
