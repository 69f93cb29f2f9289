"""How hard to look for masked gradients, and what that costs."""

from dataclasses import dataclass

from auditor.attacks.apgd import Apgd
from auditor.attacks.masking.probes import FromClean, OneStep
from auditor.attacks.norms import Norm
from auditor.attacks.suites import Suite, suite

REPEATS = 5
"""How often the same rows are scored, as AutoAttack does (Croce & Hein 2020, its flags)."""
UNBOUNDED_STEPS = 20
COPIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to look: budgets of the cascade under test, what stands against it, and how much."""

    eps: tuple[float, ...]
    stages: tuple[str, ...]
    rows: int
    queries: int
    corners: int
    neighbours: int
    steps: int
    near: float

    @property
    def cascade(self) -> Suite:
        """The attack under test."""
        return suite(self.stages, Norm.LINF)

    @property
    def unbounded(self) -> Suite:
        """The same gradient with all the room that there is, from the clean row."""
        climbs = (Apgd(UNBOUNDED_STEPS), Apgd(UNBOUNDED_STEPS, "difference", 1))
        return Suite(tuple(FromClean(climb) for climb in climbs))

    @property
    def passes(self) -> int:
        """Gradients of the twin a row, at most."""
        budgets = len(self.eps)
        swept = self.cascade.passes(budgets) + budgets * OneStep.passes + self.unbounded.passes(1)
        return swept + self.neighbours + 1 + self.steps

    @property
    def asked(self) -> int:
        """Queries a row, at most."""
        budgets = len(self.eps)
        bounded = self.cascade.queries(budgets) + budgets * (
            OneStep.queries + self.corners + self.queries
        )
        return REPEATS + self.neighbours + bounded + self.unbounded.queries(1) + COPIES
