"""Policies: what is asked of a model, fixed by digest before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.readings import Scalar


class Severity(StrEnum):
    """How bad a broken rule is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Effect(StrEnum):
    """What a broken rule does: shuts the gate, warns, or only informs."""

    DENY = "deny"
    WARN = "warn"
    INFO = "info"


class Mode(StrEnum):
    """Whether a failing verdict fails the command (enforce), or is only shown."""

    OBSERVE = "observe"
    WARN = "warn"
    ENFORCE = "enforce"


class Assurance(IntEnum):
    """How a record came about: self-run, by a service, on a verified target, repeated."""

    A0 = 0
    A1 = 1
    A2 = 2
    A3 = 3


@dataclass(frozen=True, slots=True)
class Control:
    """One control of one published framework that a reading is evidence for."""

    framework: str
    ref: str

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {"framework": self.framework, "ref": self.ref}


@dataclass(frozen=True, slots=True)
class Limits:
    """A bound on one metric, by the whole interval; absent sides are ``None``.

    ``at_least`` is ``(x, None)``, ``at_most`` is ``(None, x)``, ``within`` has both.
    """

    least: float | None = None
    most: float | None = None

    def words(self) -> str:
        """Say the bound as a phrase."""
        if self.most is None:
            return f"at least {self.least:g}"
        if self.least is None:
            return f"at most {self.most:g}"
        return f"within {self.least:g} and {self.most:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One bound (``limits``) or one CEL condition (``require``) on one metric of one check."""

    id: str
    title: str
    severity: Severity
    effect: Effect
    check: str
    metric: str
    where: Mapping[str, Scalar] = field(default_factory=dict)
    limits: Limits | None = None
    require: str | None = None
    when: str | None = None
    accept_withstood: bool = False
    controls: tuple[Control, ...] = ()
    rationale: str = ""
    remediation: str = ""

    @property
    def measure(self) -> str:
        """The metric's full name, ``check/metric``."""
        return f"{self.check}/{self.metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A named, versioned list of rules; never empty.

    ``document`` is the whole policy as parsed, over which ``digest`` is taken; ``source`` names
    the file for messages and is no part of the digest. ``catalogues`` are the digests of the
    catalogues whose controls its rules cite, by framework.
    """

    name: str
    version: str
    owner: str
    digest: str
    document: Mapping[str, Json]
    source: str
    rules: tuple[Rule, ...]
    params: Mapping[str, Json] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    applies_to: str | None = None
    least_budget: Budget = Budget.SMOKE
    least_assurance: Assurance = Assurance.A0
    least_evidence: str = "native"
    valid_for_days: int | None = None
    mode: Mode = Mode.ENFORCE
    catalogues: Mapping[str, str] = field(default_factory=dict)
