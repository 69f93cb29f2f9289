"""What a target can bear: the time that an audit may take there, and what a check would take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Need, is_attack, uses_need
from auditor.domain.model_bench import NO_BENCH, ModelBench
from auditor.domain.models import Model, Twin, compute_seconds_per_row
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec

SMOKE_SECONDS = 120.0
"""Target time that an audit at budget `smoke` may take, of what runs here."""
ROWS_A_PASS = 3
"""Rows of the target that a pass of a twin, forward and backward, is taken to be worth."""
LARGER = "Use budget `ci`, which has no such bound, or run this check alone (`--only`)."
FASTER = "Raise the target's `seconds`, use a smaller budget, or run this check on a faster target."


@dataclass(frozen=True, slots=True)
class TimeAllowance:
    """The seconds that one audit may keep a target busy, and how large the data are.

    Without a limit every check is affordable. What a check costs is judged by the pace of the
    rows that the target scored so far: under the budget `smoke` by the fastest of them, so that a
    busy machine leaves nothing out. Served models have the limits that their owner wrote.
    """

    spec: TargetSpec
    size: AuditSize
    budget: Budget | None = None

    def cost(self, check: Check) -> CheckCost:
        """Return what a check spends on this target."""
        return check.cost(replace(self.size, served=self.spec.served))

    def in_order(self, checks: Sequence[Check]) -> tuple[Check, ...]:
        """Return the checks as they are given, or the cheapest first where time is limited."""
        if self.spec.seconds is None and not self._smoke:
            return tuple(checks)
        return tuple(sorted(checks, key=lambda check: self.cost(check).queries))

    def over(
        self,
        check: Check,
        model: Model | Gap,
        bench: ModelBench | Gap = NO_BENCH,
        twin: Twin | Gap | None = None,
    ) -> Gap | None:
        """Return a Gap where a check would go beyond what is left of a limit.

        Sessions that a bench altered kept the same target busy.
        """
        return self._over_limit(check, model, bench) or self._over_smoke(check, model, bench, twin)

    @property
    def _smoke(self) -> bool:
        return self.budget is Budget.SMOKE and not self.spec.served

    def _over_smoke(
        self, check: Check, model: Model | Gap, bench: ModelBench | Gap, twin: Twin | Gap | None
    ) -> Gap | None:
        pace = None if isinstance(model, Gap) else compute_seconds_per_row(model)
        if not self._smoke or isinstance(model, Gap) or pace is None:
            return None
        cost = self.cost(check)
        rows, scored = cost.queries, model.queries
        scored += 0 if isinstance(bench, Gap) else bench.queries
        if twin is not None and not isinstance(twin, Gap):
            rows, scored = rows + ROWS_A_PASS * cost.passes, scored + ROWS_A_PASS * twin.passes
        spent, wanted = scored * pace, rows * pace
        if rows == 0 or spent + wanted <= SMOKE_SECONDS:
            return None
        return Gap(
            reason=GapReason.OVER_BUDGET,
            detail=f"It is worth {rows:,} rows at most, which take {wanted:.0f} s at "
            f"{pace * 1000:.3g} ms a row; of the {SMOKE_SECONDS:g} s that an audit at budget smoke "
            f"may take on {self.spec.name}, {max(0.0, SMOKE_SECONDS - spent):.0f} s are left.",
            cure=LARGER,
        )

    def _over_limit(self, check: Check, model: Model | Gap, bench: ModelBench | Gap) -> Gap | None:
        limit = self.spec.seconds
        if limit is None or isinstance(model, Gap) or not model.queries:
            return None
        cost = self.cost(check)
        pace = model.busy / model.queries
        spent = model.busy + (0.0 if isinstance(bench, Gap) else bench.busy)
        wanted = cost.queries * pace
        if cost.queries == 0 or spent + wanted <= limit:
            return None
        return Gap(
            reason=GapReason.OVER_BUDGET,
            detail=f"{cost.queries:,} queries at {pace * 1000:.3g} ms a row would take "
            f"{wanted:.0f} s; of the {limit:g} s that one audit may take on {self.spec.name}, "
            f"{max(0.0, limit - spent):.0f} s are left.",
            cure=FASTER,
        )

    def wants_twin(self, checks: Sequence[Check], model: Model) -> bool:
        """Whether an affordable check would use a twin."""
        return any(
            uses_need(check, Need.TWIN)
            and not self.over(check, model)
            # Examining a twin sends rows that no ordinary caller would send.
            and (self.spec.may_be_attacked or not is_attack(check))
            for check in checks
        )
