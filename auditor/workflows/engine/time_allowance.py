"""The time allowance of an audit on a target: what comes first, what fits, and how many rows do."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from auditor.checks.measure import get_check_parameters
from auditor.checks.requirements import find_unmet_need
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check, Need, is_attack, uses_need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.model_instrumentation import NO_BENCH, ModelBench
from auditor.domain.models import Model, Twin
from auditor.domain.number_text import format_duration
from auditor.domain.observed_checks import Result
from auditor.domain.policies import Rule
from auditor.domain.readings import Gap, GapReason
from auditor.domain.row_limits import ALL_ROWS, ROWS_IN_TIME, FixedRows, RowLimit
from auditor.domain.target_spend import SpendCounter, TargetSpend
from auditor.domain.targets import TargetSpec
from auditor.metrics.stats.sequential import plan_looks
from auditor.workflows.engine.early_decision import EarlyDecision

ROWS_A_PASS = 3
"""Rows of the target that a pass of a twin, forward and backward, is taken to be worth."""
MOST_SLOWER = 2.0
"""Small batches and what goes on between them take longer than the fastest pace says, on a quiet
machine up to 1.8 times for pictures of 224 x 224: so much of it counts at most, for what a busy
machine takes besides must leave no row out."""
PARTS = 4
"""The first part of a check that time may cut short is so small that so many of them fit."""
FEWEST_AT_ONCE, MOST_AT_ONCE = 8, 64
"""Rows of a part: larger ones cost no less a row. Smaller ones cost more, up to three times as much
for pictures of 224 x 224, so that the first one has eight rows where twice as many fit."""
EPS = "eps"
SIZE = "min_breaking_eps"
"""Where a rule asks for the smallest change that breaks, no row is left at the first one found."""
LONGER = (
    "Allow more time (`--max-minutes`), use a larger budget, or run this check alone (`--only`)."
)
FASTER = "Raise the target's `seconds`, use a smaller budget, or run this check on a faster target."


@dataclass(frozen=True, slots=True)
class TimeMeter:
    """One limit of the seconds that an audit may take of a target, and how they are counted.

    ``read`` tells how many were spent so far. A row scored takes ``query`` of them, a pass of the
    twin ``twin_pass``, a row of the reference ``reference``.
    """

    limit: float
    allowed_for: str
    cure: str
    read: Callable[[], float]
    query: float
    twin_pass: float = 0.0
    reference: float = 0.0

    @property
    def left(self) -> float:
        """Seconds that are not spent."""
        return max(0.0, self.limit - self.read())

    def price(self, cost: CheckCost) -> float:
        """Return the seconds that a check takes at most."""
        return cost.price(self.query, self.twin_pass, self.reference)

    def after(self, cost: CheckCost) -> "TimeMeter":
        """Return what it will read when a check took its most."""
        spent = self.read() + self.price(cost)
        return replace(self, read=lambda: spent)

    def refuse(self, cost: CheckCost) -> Gap | None:
        """Return a Gap where a cost goes beyond what is left."""
        wanted, left = self.price(cost), self.left
        if wanted == 0 or wanted <= left:
            return None
        passes = f" and {cost.passes:,} gradients" if cost.passes and self.twin_pass else ""
        if cost.reference and self.reference:
            passes += f" and {cost.reference:,} of the reference"
        return Gap(
            reason=GapReason.OVER_BUDGET,
            detail=f"{cost.queries:,} queries{passes} at {self.query * 1000:.3g} ms a row would "
            f"take {format_duration(wanted)} at most; of the {format_duration(self.limit)} that "
            f"{self.allowed_for}, {format_duration(left)} are left.",
            cure=self.cure,
        )


@dataclass(slots=True)
class RowsInTime:
    """Lets parts of the rows follow while their mean time, as measured so far, still fits.

    ``ends`` holds each meter, what it may read at the end, and the seconds of the dearest row;
    ``first`` is how many rows the first part has, and ``least`` how many a check needs to say
    anything: where fewer would fit, it ends. ``decides`` says of evidence whether the rules on it
    are decided. A check that goes on has ``recalled`` parts; at ``starts`` it would have
    begun, had nothing else come between.
    """

    ends: tuple[tuple[TimeMeter, float, float], ...]
    first: int
    least: int = 0
    races: bool = False
    asked: tuple[float, ...] = ()
    decides: Callable[[Evidence], bool] | None = None
    recalled: tuple[int, ...] = ()
    starts: tuple[float, ...] = ()
    _last: int = 0
    _looks: tuple[int, ...] = ()

    @property
    def timed(self) -> bool:
        """Time may end these rows."""
        return True

    def take(self, done: int, most: int) -> int:
        """Return how many of at most ``most`` rows follow the ``done`` ones; 0 where none fits.

        Parts grow, up to twice the last one and half of what fits. A row is taken to cost what
        those before did, and one of the dearest besides. How many follow depends on what earlier
        ones cost, never on what they will show, and all that is begun counts. So the number of rows
        depends on the outcomes through their costs alone.
        """
        if seen := FixedRows(self.recalled).take(done, most):
            self._last = max(self._last, seen)
            return seen
        if not done:
            # Clean rows are scored by now
            self.starts = tuple(meter.read() for meter, *_ in self.ends)
            self._last = min(self.first, most)
            return self._last
        fits = self.fits(done)
        if fits < 1 or self.fits(done, spare=0) < min(self.least - done, most):
            return 0
        half = most if math.isinf(fits) else max(1, int(fits / 2))
        self._last = min(2 * self._last, MOST_AT_ONCE, half, most)
        return self._last

    def fits(self, done: int, *, spare: int = 1) -> float:
        """Return how many rows more fit after the ``done`` ones, of which one at least was seen.

        ``spare`` dear rows are taken to come besides.
        """
        return min(
            (end - at) / mean if mean else math.inf
            for start, (meter, end, dearest) in zip(self.starts, self.ends, strict=True)
            for at in [meter.read()]
            for mean in [(at - start + spare * dearest) / (done + spare)]
        )

    def spent(self) -> float:
        """Return the share of its time that is gone, of the meter that ends it first."""
        return max(
            ((meter.read() - start) / (end - start) if end > start else 1.0)
            for start, (meter, end, _) in zip(self.starts, self.ends, strict=True)
        )

    def plan_looks(self, asked: int) -> int:
        """Return how often it is asked whether some of ``asked`` rows have decided the rules."""
        self._looks = plan_looks(asked) if self.decides is not None else ()
        return len(self._looks)

    def is_decided(self, done: int, read: Callable[[], Evidence]) -> bool:
        """Look, where one of the planned numbers of rows is reached."""
        due = tuple(at for at in self._looks if at > done)
        if self.decides is None or len(due) == len(self._looks):
            return False
        self._looks = due
        return self.decides(read())


def _count_rows(shares: Sequence[tuple[TimeMeter, float]], first: CheckCost, row: CheckCost) -> int:
    """Return how many rows fit into every share, at their highest cost."""
    prices = ((share - meter.price(first), meter.price(row)) for meter, share in shares)
    fitting = (left / price for left, price in prices if price)
    return max(0, int(min(fitting, default=0.0)))


@dataclass(frozen=True, slots=True)
class TimeAllowance:
    """The seconds that one audit may keep a target busy, and how they are spent.

    The limit is ``seconds``, or else that of the budget; a target may declare one of its own.
    Without a limit every check is affordable. What is ``asked`` for by a rule comes first, then
    what is cheap. Time counts as it goes by, but at most ``MOST_SLOWER`` times what the fastest
    pace so far makes of the rows, so that a busy machine leaves little out; for a served model, as
    it was spent. A check whose
    ``rules`` are decided ends. ``repeats`` are the rows of a record by check, where one is run
    again, or its Gap for lack of time.
    """

    spec: TargetSpec
    size: AuditSize
    budget: Budget | None = None
    seconds: float | None = None
    checks: tuple[Check, ...] = ()
    asked: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    family: int = 1
    repeats: Mapping[str, FixedRows | Gap] = field(default_factory=dict)

    @property
    def _owned(self) -> bool:
        """Whether somebody else serves the model, and sets its limits."""
        return self.spec.served and self.spec.callable is None

    @property
    def _seconds(self) -> float | None:
        """The limit of the audit, if there is one: a server's owner has limits of their own."""
        if self.seconds is not None or self.budget is None or self._owned:
            return self.seconds
        return self.budget.seconds

    @property
    def _limited(self) -> bool:
        """Whether time is limited at all."""
        return self.spec.seconds is not None or self._seconds is not None

    def extend(self, seconds: float) -> "TimeAllowance":
        """Return the same with so many seconds more of each limit that there is."""
        own, limit = self.spec.seconds, self._seconds
        spec = self.spec if own is None else replace(self.spec, seconds=own + seconds)
        return replace(self, spec=spec, seconds=None if limit is None else limit + seconds)

    def cost(self, check: Check) -> CheckCost:
        """Return what a check spends on this target."""
        return check.cost(replace(self.size, served=self.spec.served))

    def in_order(self, checks: Sequence[Check]) -> tuple[Check, ...]:
        """Return the checks as they are given, or the most wanted first where time is limited.

        First what rules ask for, then what is no matter of more or fewer rows, then attacks that
        see gradients, which decide most rules soonest, then the cheapest.
        """
        if not self._limited:
            return tuple(checks)
        return tuple(sorted(checks, key=self._turn))

    def divide(self, checks: Sequence[Check]) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
        """Return the checks in order, and those that wait until rules have all that they can use.

        These are attacks that no rule asks for, and that can be cut short.
        """
        ordered = self.in_order(checks)
        if not self._limited:
            return ordered, ()
        late = {it.id for it in ordered if it.by_parts and it.id not in self.asked}
        return (
            tuple(it for it in ordered if it.id not in late),
            tuple(it for it in ordered if it.id in late),
        )

    def _turn(self, check: Check) -> tuple[bool, bool, bool, int]:
        cost = self.cost(check)
        rows = cost.queries + ROWS_A_PASS * cost.passes
        blind = check.by_parts and not uses_need(check, Need.TWIN)
        return check.id not in self.asked, check.by_parts, blind, rows

    def over(
        self,
        check: Check,
        model: Model | Gap,
        bench: ModelBench | Gap = NO_BENCH,
        twin: Twin | Gap | None = None,
        *,
        scored: bool = False,
    ) -> Gap | None:
        """Return a Gap where a check would go beyond what is left of a limit.

        Of a check that works in parts, one row at least has to fit. Sessions that a bench altered
        kept the same target busy. ``scored``: the evaluation rows need not be scored once more.
        """
        meters = self._meters(model, bench, twin, SpendCounter())
        return self._refuse(check, meters, scored=scored)

    def refuse(self, check: Check, subject: Subject) -> Gap | None:
        """Return what ``over`` does, where a subject may go on with an audit that was cut."""
        meters = self._meters(subject.model, subject.bench, subject.twin, subject.counter)
        return self._refuse(check, meters, scored=DatasetRole.EVALUATION in subject.clean)

    def _refuse(self, check: Check, meters: Iterator[TimeMeter], *, scored: bool) -> Gap | None:
        repeated = self.repeats.get(check.id)
        if repeated is not None:
            return repeated if isinstance(repeated, Gap) else None
        cost = self._spend(check, scored=scored, rows=1 if check.by_parts else None)
        found = (meter.refuse(cost) for meter in meters)
        return next((gap for gap in found if gap is not None), None)

    def limit_rows(self, check: Check, subject: Subject) -> RowLimit:
        """Return how many rows of a check go together, and until when, for its share of the time.

        What is left is shared equally with the checks that wait and can be cut short like it.
        """
        repeated = self.repeats.get(check.id)
        if isinstance(repeated, FixedRows):
            return repeated
        if not check.by_parts:
            return ALL_ROWS
        running = [it for it in self.checks if find_unmet_need(it, subject) is None]
        meters = list(self._meters(subject.model, subject.bench, subject.twin, subject.counter))
        shares = self._share(check, running, meters)
        scored = DatasetRole.EVALUATION in subject.clean
        fitting = self._fit_rows(check, shares, scored=scored)
        if fitting is None:
            return ALL_ROWS
        _, row = self._split(check, scored=scored)
        return self._until(check, shares, row, fitting)

    def may_go_on(self, check: Check, result: Result) -> bool:
        """Whether rules ask for a check of which rows are left, and no planned look ended it.

        Whether it goes on depends on planned looks and on costs alone. That its interval at the
        end of its time happens to decide is never asked: that would be a look that nobody planned,
        for which the spent error does not pay.
        """
        if check.id not in self.asked or check.id in self.repeats or isinstance(result, Gap):
            return False
        cut = cast("Mapping[str, int]", result.evidence.get(ROWS_IN_TIME, {}))
        return bool(cut) and not cut["decided"] and cut["rows"] < cut["of"]

    def extend_rows(
        self, check: Check, subject: Subject, seen: Evidence, waiting: int
    ) -> RowLimit | None:
        """Return how the rows of a check go on that were ``seen``; nothing where none fits.

        It has an equal share of what the whole audit left, as each of the ``waiting`` ones.
        """
        cut = cast("Mapping[str, Any]", seen[ROWS_IN_TIME])
        _, row = self._split(check, scored=True)
        meters = self._meters(subject.model, subject.bench, subject.twin, subject.counter)
        shares = [(meter, meter.left / waiting) for meter in meters]
        took = CheckCost(cut["queries"], cut["passes"])
        limit = replace(
            self._until(check, shares, row, 1),
            recalled=tuple(cut["parts"]),
            starts=tuple(meter.read() - meter.price(took) for meter, _ in shares),
        )
        return limit if limit.fits(cut["rows"]) >= 1 else None

    def _until(
        self, check: Check, shares: Sequence[tuple[TimeMeter, float]], row: CheckCost, fitting: int
    ) -> RowsInTime:
        """Return a limit of shares, in which so many rows fit if each costs its most."""
        return RowsInTime(
            tuple((meter, meter.read() + share, meter.price(row)) for meter, share in shares),
            max(1, min(MOST_AT_ONCE, max(fitting // PARTS, min(fitting // 2, FEWEST_AT_ONCE)))),
            least=check.fewest_rows,
            races=not any(it.check == check.id and it.metric == SIZE for it in self.rules),
            asked=self._list_asked_budgets(check),
            decides=EarlyDecision.of(check, self.rules, self.spec.name, self.family),
        )

    def _list_asked_budgets(self, check: Check) -> tuple[float, ...]:
        """Return the budgets of a check that rules name; nothing where a rule asks about all."""
        named = [rule.where.get(EPS) for rule in self.rules if rule.check == check.id]
        found = [float(eps) for eps in named if isinstance(eps, int | float)]
        return tuple(sorted(set(found))) if len(found) == len(named) else ()

    def count_looks(self, check: Check) -> int:
        """Return how often a check whose rows time may cut is judged before the last of them."""
        if EarlyDecision.of(check, self.rules, self.spec.name, self.family) is None:
            return 0
        return len(plan_looks(self._count_asked(check)))

    def foresee(self, checks: Sequence[Check], subject: Subject) -> Mapping[str, Gap | int]:
        """Return by id the checks that do not fit if each costs its most, or so many rows of them.

        The others fit whole. ``checks`` are those that can run.
        """
        found: dict[str, Gap | int] = {}
        meters = list(self._meters(subject.model, subject.bench, subject.twin, subject.counter))
        scored = DatasetRole.EVALUATION in subject.clean
        first, late = self.divide(checks)
        for check in (*first, *late):
            if check in late[:1]:
                meters = self._go_on(first, found, meters)
            rows = self._fit_rows(check, self._share(check, checks, meters), scored=scored)
            if rows is not None:
                found[check.id] = rows = max(1, rows)
            cost = self._spend(check, scored=scored, rows=rows)
            gap = next((gap for it in meters if (gap := it.refuse(cost)) is not None), None)
            if gap is not None:
                found[check.id] = gap
                continue
            meters = [it.after(cost) for it in meters]
            scored = scored or (bool(cost.clean) and subject.remembers)
        return found

    def _go_on(
        self, checks: Sequence[Check], cut: Mapping[str, Gap | int], meters: Sequence[TimeMeter]
    ) -> list[TimeMeter]:
        """Return what is left once checks that were cut went on, if each row costs its most."""
        for check in checks:
            if isinstance(rows := cut.get(check.id), int):
                _, row = self._split(check, scored=True)
                fitting = _count_rows([(it, it.left) for it in meters], CheckCost(), row)
                more = min(fitting, self._count_asked(check) - rows)
                cost = CheckCost(more * row.queries, more * row.passes)
                meters = [it.after(cost) for it in meters]
        return list(meters)

    def _share(
        self, check: Check, checks: Sequence[Check], meters: Sequence[TimeMeter]
    ) -> list[tuple[TimeMeter, float]]:
        """Return how many seconds of each meter a check may take, of ``checks`` that can run."""
        waiting = self._waiting(check, checks)
        return [(it, it.left / waiting) for it in meters]

    def _fit_rows(
        self, check: Check, shares: Sequence[tuple[TimeMeter, float]], *, scored: bool
    ) -> int | None:
        """Return how many rows fit into a check's share at their highest cost; none where all do.

        Plans and audits ask here alike.
        """
        cost = self._spend(check, scored=scored)
        if not check.by_parts or all(meter.price(cost) <= share for meter, share in shares):
            return None
        return _count_rows(shares, *self._split(check, scored=scored))

    def _spend(self, check: Check, *, scored: bool, rows: int | None = None) -> CheckCost:
        """Return what a check spends at most, or on so many rows of those that it looks at."""
        if rows is None:
            cost = self.cost(check)
            return cost.without_clean() if scored else cost
        first, row = self._split(check, scored=scored)
        return CheckCost(first.queries + rows * row.queries, rows * row.passes, clean=first.clean)

    def _waiting(self, check: Check, checks: Sequence[Check]) -> int:
        """Return how many checks share what is left: this one and the like that come after it."""
        if not check.by_parts:
            return 1
        like = [
            item.id
            for item in self.in_order([it for it in checks if it.by_parts])
            if (item.id in self.asked) == (check.id in self.asked)
        ]
        return len(like) - like.index(check.id) if check.id in like else 1

    def _split(self, check: Check, *, scored: bool = False) -> tuple[CheckCost, CheckCost]:
        """Return what a check that works in parts spends before its first row, and on each row.

        Before them, all evaluation rows are scored, unless that was done.
        """
        cost, many = self.cost(check), self._count_asked(check)
        row = CheckCost(-(-cost.without_clean().queries // many), -(-cost.passes // many))
        return CheckCost(0 if scored else cost.clean, clean=0 if scored else cost.clean), row

    def _count_asked(self, check: Check) -> int:
        """Return how many rows a check is to look at."""
        rows = get_check_parameters(check).get("rows")
        return max(1, min(rows if isinstance(rows, int) else 1, self.size.rows))

    def _meters(
        self,
        model: Model | Gap,
        bench: ModelBench | Gap,
        twin: Twin | Gap | None,
        counter: SpendCounter,
    ) -> Iterator[TimeMeter]:
        if isinstance(model, Gap):
            return

        def read() -> TargetSpend:
            return counter.read(TargetSpend.of_process(model, bench, twin))

        allowed_for = f"this audit may take on {self.spec.name}"
        limit, spent = self._seconds, read()
        pace = spent.pace
        if limit is not None and pace is not None and not self._owned:
            each = ROWS_A_PASS * pace if spent.twin_pace is None else spent.twin_pace

            def worth() -> float:
                now = read()
                least = (now.queries + now.altered) * pace + each * now.passes
                return max(least, min(now.elapsed, MOST_SLOWER * least))

            # A target with a limit of its own is slower than the reference, as one that is emulated
            beside = pace if self.spec.seconds is None else 0.0
            yield TimeMeter(limit, allowed_for, LONGER, worth, pace, each, beside)
        # Of a server its owner's limit holds, and one that the audit asks for
        for seconds, cure in (
            (self.spec.seconds, FASTER),
            (self.seconds if self._owned else None, LONGER),
        ):
            if seconds is not None and spent.queries:
                yield TimeMeter(
                    seconds,
                    allowed_for,
                    cure,
                    lambda: (now := read()).busy + now.altered_busy,
                    spent.busy / spent.queries,
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
