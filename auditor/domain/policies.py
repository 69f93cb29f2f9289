"""Policies: what is asked of a model, fixed by digest before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import cast

from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.inheritance import Dropped, Origin, Parent
from auditor.domain.isolation import Isolation
from auditor.domain.pins import Pins
from auditor.domain.readings import Scalar
from auditor.domain.targets import EvidenceLevel


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


class LeastEvidence(StrEnum):
    """How far figures have to speak of the declared target, the least first.

    ``any``: also by a simulation or an emulation of it. ``native``: neither of them. ``verified``:
    every operator is known to have run on a device of the kind that the target names.
    """

    ANY = "any"
    NATIVE = "native"
    VERIFIED = "verified"

    def accepts(self, level: EvidenceLevel | None) -> bool:
        """Whether a level is enough; ``None`` where nothing says what it is."""
        if self is LeastEvidence.VERIFIED:
            return level is EvidenceLevel.VERIFIED
        played = level in {EvidenceLevel.SIMULATED, EvidenceLevel.EMULATED}
        return self is LeastEvidence.ANY or not played


@dataclass(frozen=True, slots=True)
class Duty:
    """What a published framework asks that no measurement can show, and who has to see to it."""

    control: Control
    asks: str
    owner: str


@dataclass(frozen=True, slots=True)
class LegalDatum:
    """A fact of law that a policy rests on: where it stands, and when somebody last looked.

    ``verified`` and ``review_by`` are days; ``verified`` is ``unread`` where nobody has looked.
    """

    datum: str
    value: str
    source: str
    verified: str
    review_by: str


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


@dataclass(frozen=True, slots=True)
class Anchor:
    """A limit, with a margin, from a claim of the model or, without one, a baseline's figure."""

    claim: str | None
    margin: float = 0.0

    def number(self, claims: Mapping[str, Json]) -> float | None:
        """Return the limit under these claims; nothing where that claim is no number."""
        value = None if self.claim is None else claims.get(self.claim)
        known = isinstance(value, int | float) and not isinstance(value, bool)
        return float(cast("float", value)) + self.margin if known else None

    def words(self) -> str:
        """Say where the limit is taken from."""
        sign = "-" if self.margin < 0 else "+"
        source = "baseline" if self.claim is None else f"claims.{self.claim}"
        return source + (f" {sign} {abs(self.margin):g}" if self.margin else "")


@dataclass(frozen=True, slots=True)
class Anchored:
    """Limits of which one at least is taken from a claim or baseline; absent ones are ``None``."""

    least: float | Anchor | None = None
    most: float | Anchor | None = None

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """The ends that are taken from elsewhere."""
        return tuple(end for end in (self.least, self.most) if isinstance(end, Anchor))

    @property
    def sources(self) -> str:
        """The claims with their margins, as a phrase."""
        return " and ".join(end.words() for end in self.anchors)

    @property
    def relative(self) -> bool:
        """Whether a limit is taken from a baseline record."""
        return any(end.claim is None for end in self.anchors)

    def unclaimed(self, claims: Mapping[str, Json]) -> tuple[str, ...]:
        """Return the claims that are needed and not made as a number."""
        named = ((end.claim, end.number(claims)) for end in self.anchors)
        return tuple(claim for claim, number in named if claim is not None and number is None)

    def limits(self, claims: Mapping[str, Json]) -> Limits | None:
        """Return the limits as numbers; nothing where a claim is not made or a baseline decides."""
        if self.relative or self.unclaimed(claims):
            return None
        least, most = (
            end.number(claims) if isinstance(end, Anchor) else end
            for end in (self.least, self.most)
        )
        return Limits(least, most)

    def words(self) -> str:
        """Say the bound as a phrase."""
        least, most = (
            end.words() if isinstance(end, Anchor) else f"{end:g}" if end is not None else ""
            for end in (self.least, self.most)
        )
        if not most:
            return f"at least {least}"
        return f"within {least} and {most}" if least else f"at most {most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One bound (``limits``) or one CEL condition (``require``) on one metric of one check.

    ``threshold`` says how the bound was chosen.
    A bound that is taken from elsewhere is ``anchored``, and has limits once claims are known.
    ``for_each`` names coordinates: the rule is asked at each place by itself, not of the worst.
    """

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
    threshold: str = ""
    for_each: tuple[str, ...] = ()
    origin: Origin | None = None
    anchored: Anchored | None = None

    @property
    def measure(self) -> str:
        """The metric's full name, ``check/metric``."""
        return f"{self.check}/{self.metric}"

    def under(self, claims: Mapping[str, Json]) -> "Rule":
        """Return the rule with its limits as numbers, where claims give all that it needs."""
        limits = None if self.anchored is None else self.anchored.limits(claims)
        return self if limits is None else replace(self, limits=limits)

    @property
    def asks(self) -> str:
        """What the rule asks of its metric, as a phrase."""
        if self.limits is None:
            return f"`{self.require}`" if self.anchored is None else self.anchored.words()
        source = "" if self.anchored is None else f" ({self.anchored.sources})"
        return self.limits.words() + source


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A named, versioned list of rules; never empty.

    ``document`` is the whole policy as parsed, over which ``digest`` is taken; one that extends
    others is resolved there. ``source`` names the file for messages. ``catalogues`` are the digests
    of those that its rules cite, by framework. ``cannot_evidence`` is what it leaves to people,
    ``legal`` the law that it rests on. Gates ask for what is said of approvals and attempts.
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
    least_evidence: LeastEvidence = LeastEvidence.NATIVE
    least_isolation: Isolation | None = None
    valid_for_days: int | None = None
    approvals: int = 0
    blind_labels: int = 0
    require_sealed: bool = False
    most_attempts: int | None = None
    pins: Pins = field(default_factory=Pins)
    mode: Mode = Mode.ENFORCE
    catalogues: Mapping[str, str] = field(default_factory=dict)
    cannot_evidence: tuple[Duty, ...] = ()
    legal: tuple[LegalDatum, ...] = ()
    inherits: tuple[Parent, ...] = ()
    dropped: tuple[Dropped, ...] = ()
