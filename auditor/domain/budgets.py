"""Budgets of an audit, costs of checks, and the size of an audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

SECONDS_A_TRAINED_ROW = 3e-3
"""What the owner's recipe is taken to need, all passes over a row together: a guess."""

LEAST_SECONDS = 0.1
"""Every check encodes evidence and computes figures, also one that declares no cost."""


class Budget(StrEnum):
    """How much work an audit may spend: does it hang together, gate a merge, sign a release."""

    SMOKE = "smoke"
    CI = "ci"
    FULL = "full"

    @property
    def seconds(self) -> float:
        """Seconds of target time that an audit takes at most, unless it asks for another limit."""
        return {Budget.SMOKE: 120.0, Budget.CI: 900.0, Budget.FULL: 14_400.0}[self]

    def covers(self, least: "Budget") -> bool:
        """Whether this budget is at least ``least``."""
        order = list(Budget)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class AuditSize:
    """How much there is to audit, as far as data files and the request alone can tell.

    ``labels`` counts rows a class; ``groups`` maps column to group to ``{label: rows}``;
    ``favourable`` is the class that people hope for, where the task names one. ``beside`` counts
    the rows of the datasets that are not evaluated, by role; ``shadows`` counts ready shadow
    models, ``generator`` says whether one is given, and ``recipe`` whether the request names code
    that trains, with permission to run it. ``served`` says that a server or a cascade answers.
    """

    rows: int
    classes: int
    labels: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    favourable: str | None = None
    beside: Mapping[str, int] = field(default_factory=dict)
    shadows: int = 0
    generator: bool = False
    recipe: bool = False
    served: bool = False


@dataclass(frozen=True, slots=True)
class CheckCost:
    """What a check spends: rows scored on the target, forward-backward passes of the twin (rows),
    and seconds of its own arithmetic.

    ``trained`` counts the rows that all retrainings by the owner's recipe learn from together, if
    there is a recipe; a plan takes ``SECONDS_A_TRAINED_ROW`` each, for nobody timed it.
    ``clean`` counts the evaluation rows among the queries that are scored once for all checks.
    ``reference`` counts rows scored on the reference, which keeps the target's machine busy.
    A check that asks a slow model less often asks about ``least`` rows, and takes ``most_seconds``
    of the target beside, however slow it is.
    """

    queries: int = 0
    passes: int = 0
    seconds: float = 0.0
    trained: int = 0
    least: int = 0
    most_seconds: float | None = None
    reference: int = 0
    clean: int = 0

    def without_clean(self) -> "CheckCost":
        """Return what is spent where the evaluation rows are scored already."""
        return replace(self, queries=max(0, self.queries - self.clean), clean=0)

    def price(self, query: float, twin_pass: float, reference: float = 0.0) -> float:
        """Return the most seconds, where a row of the target, a pass and one of the reference take
        so many.
        """
        full = self.queries * query + self.passes * twin_pass + self.reference * reference
        if self.most_seconds is None:
            return full
        return min(full, self.least * query + self.most_seconds)


@dataclass(frozen=True, slots=True)
class RowShortage:
    """Why too few rows keep a metric from being measured, and how many evaluation rows would do.

    ``rows`` is ``None`` where no number of them would, at this budget.
    """

    why: str
    rows: int | None

    @property
    def cure(self) -> str:
        """What would let the metric be measured."""
        if self.rows is None:
            return "Audit with a larger budget."
        return f"It takes {self.rows:,} evaluation rows."


@dataclass(frozen=True, slots=True)
class CheckForecast:
    """What a check can say before it runs: of what it does with the rows, and what they lack.

    ``shortages`` are by metric.
    """

    notes: tuple[str, ...] = ()
    shortages: Mapping[str, RowShortage] = field(default_factory=dict)
