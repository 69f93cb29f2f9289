"""What an audit will cost and what it can decide, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.budgets import Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Need
from auditor.domain.policies import Effect
from auditor.domain.readings import Gap
from auditor.planning.tiers import Tier


class Prospect(StrEnum):
    """What a rule can come to with the rows at hand."""

    CERTAIN = "certain"
    LIKELY = "likely"
    OPEN = "open"
    NEVER = "cannot_pass"
    UNANSWERABLE = "unanswerable"
    UNFORESEEN = "unforeseen"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of one target before an audit runs.

    ``targets`` names all targets of the audit; ``missing`` says why a check cannot run, by its
    id, ``lacking`` what it needs or wants and has not, and ``absent`` why not; ``model`` and
    ``claims`` are what ``when`` may ask, ``baseline`` whether there is one to take limits from.
    Paces are seconds a row, ``None`` where nobody timed it.
    """

    size: Size
    target: str
    targets: tuple[str, ...] = ()
    missing: Mapping[str, Gap] = field(default_factory=dict)
    lacking: Mapping[str, frozenset[Need]] = field(default_factory=dict)
    absent: Mapping[Need, Gap] = field(default_factory=dict)
    model: Mapping[str, Json] = field(default_factory=dict)
    claims: Mapping[str, Json] = field(default_factory=dict)
    baseline: bool = False
    confidence: float = 0.95
    seconds_per_query: float | None = None
    seconds_per_pass: float | None = None
    price_per_hour: float | None = None
    price_per_query: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """What one check will spend, at most; ``seconds`` is ``None`` where the pace is not known.

    ``notes`` say what it does with the rows, and what they cannot carry.
    """

    check: str
    title: str
    queries: int
    passes: int
    seconds: float | None
    price: float | None
    missing: Gap | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the form that a plan prints."""
        return {
            "check": self.check,
            "title": self.title,
            "queries": self.queries,
            "passes": self.passes,
            "seconds": self.seconds,
            "price": self.price,
            "missing": None if self.missing is None else self.missing.to_json(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a rule can come to, and why.

    ``chance`` is that of passing if the truth lies half-way between ideal and limit; ``rows`` how
    many rows would make it good, or would let a perfect model pass where none can now.
    """

    prospect: Prospect
    message: str
    half_width: float | None = None
    chance: float | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class RulePlan:
    """One rule and what it can come to."""

    rule: str
    title: str
    measure: str
    effect: Effect
    foreseen: Foreseen

    def to_json(self) -> dict[str, Json]:
        """Return the form that a plan prints."""
        return {
            "rule": self.rule,
            "title": self.title,
            "measure": self.measure,
            "effect": self.effect.value,
            "prospect": self.foreseen.prospect.value,
            "message": self.foreseen.message,
            "half_width": self.foreseen.half_width,
            "chance": self.foreseen.chance,
            "rows": self.foreseen.rows,
        }


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What an audit of one target costs and can decide; totals leave out what cannot run.

    ``tiers`` says what each input unlocks of privacy and poisoning.
    """

    checks: tuple[CheckPlan, ...]
    rules: tuple[RulePlan, ...]
    tiers: tuple[Tier, ...] = ()

    @property
    def queries(self) -> int:
        """Rows scored on the target, at most: checks that look at the same rows share scores."""
        return sum(item.queries for item in self.checks if item.missing is None)

    @property
    def seconds(self) -> float | None:
        """Seconds of all checks, or nothing where the pace is not known."""
        return total([item.seconds for item in self.checks if item.missing is None])

    @property
    def price(self) -> float | None:
        """What the target's time costs, or nothing where it has no price."""
        return total([item.price for item in self.checks if item.missing is None])

    def to_json(self) -> dict[str, Json]:
        """Return the form that a plan prints."""
        return {
            "checks": [item.to_json() for item in self.checks],
            "rules": [item.to_json() for item in self.rules],
            "tiers": [item.to_json() for item in self.tiers],
            "queries": self.queries,
            "seconds": self.seconds,
            "price": self.price,
        }


def total(parts: Sequence[float | None]) -> float | None:
    """Add up what is known, or return nothing where a part is not."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
