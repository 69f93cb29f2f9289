"""Policies and their rules, limits, inheritance and legal basis.

A policy's digest is fixed before an audit runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import IntEnum, StrEnum
from typing import cast

from auditor.domain.budgets import Budget
from auditor.domain.isolation import IsolationLevel
from auditor.domain.json import Json, write_fields
from auditor.domain.pinned_settings import AuditPins
from auditor.domain.readings import Scalar
from auditor.domain.targets import EvidenceLevel


class StrictnessChange(StrEnum):
    """In which direction a change goes; what cannot be shown to tighten counts as loosened."""

    TIGHTENED = "tightened"
    LOOSENED = "loosened"
    CHANGED = "changed"


MOST_VALID_DAYS = 3 * 365
"""For how many days a record counts at most, whatever its policy says."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that comes out otherwise than in the policy that it is inherited from.

    ``by`` is the policy that changed it, ``reason`` why it may be looser; empty where it is not.
    """

    setting: str
    was: str
    now: str
    way: StrictnessChange
    by: str = ""
    reason: str = ""

    to_json = write_fields

    def __str__(self) -> str:
        """Say the setting with what it was and what it is."""
        return f"{self.setting}: {self.was or 'nothing'} → {self.now or 'nothing'}"


@dataclass(frozen=True, slots=True)
class RuleOrigin:
    """The policy that a rule was first written in, and what others changed of it since."""

    policy: str
    version: str
    changes: tuple[SettingChange, ...] = ()

    @property
    def loosened(self) -> tuple[SettingChange, ...]:
        """The changes by which the rule asks less than where it is inherited from."""
        return tuple(item for item in self.changes if item.way is StrictnessChange.LOOSENED)

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class ParentPolicy:
    """A policy that another extends, under the digest that it had then."""

    name: str
    version: str
    digest: str
    changes: tuple[SettingChange, ...] = ()

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class DroppedRule:
    """A rule of a parent that a policy does not ask, and why."""

    rule: str
    title: str
    policy: str
    by: str
    reason: str

    to_json = write_fields


class Severity(StrEnum):
    """How bad a broken rule is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class RuleEffect(StrEnum):
    """What a broken rule does: shuts the gate, warns, or only informs."""

    DENY = "deny"
    WARN = "warn"
    INFO = "info"


class EnforcementMode(StrEnum):
    """Whether a failing verdict fails the command (enforce), or is only shown."""

    OBSERVE = "observe"
    WARN = "warn"
    ENFORCE = "enforce"


class AssuranceLevel(IntEnum):
    """How a record came about: self-run, by a service, on a verified target, repeated."""

    A0 = 0
    A1 = 1
    A2 = 2
    A3 = 3


@dataclass(frozen=True, slots=True)
class FrameworkControl:
    """One control of one published framework that a reading is evidence for."""

    framework: str
    ref: str

    to_json = write_fields


class MinimumEvidence(StrEnum):
    """How far figures have to speak of the declared target, the least first.

    ``any``: also by a simulation or an emulation of it. ``native``: neither of them. ``verified``:
    every operator is known to have run on a device of the kind that the target names.
    """

    ANY = "any"
    NATIVE = "native"
    VERIFIED = "verified"

    def accepts(self, level: EvidenceLevel | None) -> bool:
        """Whether a level is enough; ``None`` where nothing says what it is."""
        if self is MinimumEvidence.VERIFIED:
            return level is EvidenceLevel.VERIFIED
        played = level in {EvidenceLevel.SIMULATED, EvidenceLevel.EMULATED}
        return self is MinimumEvidence.ANY or not played


@dataclass(frozen=True, slots=True)
class ManualDuty:
    """What a published framework asks that no measurement can show, and who has to see to it."""

    control: FrameworkControl
    asks: str
    owner: str


@dataclass(frozen=True, slots=True)
class LegalBasis:
    """A fact of law that a policy rests on: where it stands, and when somebody last looked.

    ``verified`` and ``review_by`` are days; ``verified`` is ``unread`` where nobody has looked.
    """

    datum: str
    value: str
    source: str
    verified: str
    review_by: str


@dataclass(frozen=True, slots=True)
class MetricLimits:
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
class LimitAnchor:
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
class AnchoredLimits:
    """Limits of which one at least is taken from a claim or baseline; absent ones are ``None``."""

    least: float | LimitAnchor | None = None
    most: float | LimitAnchor | None = None

    @property
    def anchors(self) -> tuple[LimitAnchor, ...]:
        """The ends that are taken from elsewhere."""
        return tuple(end for end in (self.least, self.most) if isinstance(end, LimitAnchor))

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

    def limits(self, claims: Mapping[str, Json]) -> MetricLimits | None:
        """Return the limits as numbers; nothing where a claim is not made or a baseline decides."""
        if self.relative or self.unclaimed(claims):
            return None
        least, most = (
            end.number(claims) if isinstance(end, LimitAnchor) else end
            for end in (self.least, self.most)
        )
        return MetricLimits(least, most)

    def words(self) -> str:
        """Say the bound as a phrase."""
        least, most = (
            end.words() if isinstance(end, LimitAnchor) else f"{end:g}" if end is not None else ""
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
    effect: RuleEffect
    check: str
    metric: str
    where: Mapping[str, Scalar] = field(default_factory=dict)
    limits: MetricLimits | None = None
    require: str | None = None
    when: str | None = None
    accept_withstood: bool = False
    controls: tuple[FrameworkControl, ...] = ()
    rationale: str = ""
    remediation: str = ""
    threshold: str = ""
    for_each: tuple[str, ...] = ()
    origin: RuleOrigin | None = None
    anchored: AnchoredLimits | None = None

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
    least_assurance: AssuranceLevel = AssuranceLevel.A0
    least_evidence: MinimumEvidence = MinimumEvidence.NATIVE
    least_isolation: IsolationLevel | None = None
    valid_for_days: int | None = None
    approvals: int = 0
    blind_labels: int = 0
    require_sealed: bool = False
    most_attempts: int | None = None
    pins: AuditPins = field(default_factory=AuditPins)
    mode: EnforcementMode = EnforcementMode.ENFORCE
    catalogues: Mapping[str, str] = field(default_factory=dict)
    cannot_evidence: tuple[ManualDuty, ...] = ()
    legal: tuple[LegalBasis, ...] = ()
    inherits: tuple[ParentPolicy, ...] = ()
    dropped: tuple[DroppedRule, ...] = ()


UNREAD = "unread"
"""Stands in place of a day where nobody has read the source."""
LONGEST_DAYS = 365
"""How long what was verified counts, where nothing says until when."""


def explain_legal_doubt(verified: str, review_by: str, today: date) -> str:
    """Say why a day of verification does not count on ``today``, or nothing.

    ``verified`` is a day or ``unread``, ``review_by`` a day or empty, both in ISO 8601.
    """
    if verified == UNREAD:
        return "was never read at its source"
    looked = date.fromisoformat(verified)
    if looked > today:
        return f"is said to be verified on {verified}, a day yet to come"
    if review_by and date.fromisoformat(review_by) < today:
        return f"was to be reviewed by {review_by}"
    if (today - looked).days > LONGEST_DAYS:
        return f"was last verified on {verified}, more than a year ago"
    return ""
