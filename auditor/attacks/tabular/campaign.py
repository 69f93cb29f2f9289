"""Attacks tabular rows at growing budgets, then minimises the change of each success."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.judge import BestSoFar
from auditor.attacks.evasion.query_costs import BISECTION, QueryCost
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.attacks.tabular.attack import (
    Rows,
    TabularJudge,
    TabularSearch,
    TabularSetup,
    apply_move,
    list_single_moves,
)
from auditor.attacks.tabular.capgd import ConstrainedPgd
from auditor.attacks.tabular.constraints.minimal_changes import (
    MinimalCounterexamples,
    find_minimal_changes,
)
from auditor.attacks.tabular.constraints.reachable_box import Mask, ReachableBox
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.tasks import Array, Floats
from auditor.errors import PolicyError

REFINE = 6
"""Bisections of each success: the budget that it needs is then known to 1/64 of it."""


ALONE = 0.5
"""The largest share of a row's queries that goes to units moved alone."""


@dataclass(frozen=True, slots=True, eq=False)
class MinimalSuccesses:
    """Minimal counterexamples of ``rows``, and what the target said to them when asked again.

    In those that are ``certain`` no moved unit can be put back; the others ran out of queries.
    """

    rows: Rows
    minimal: MinimalCounterexamples
    probabilities: Floats
    certain: Mask


def first_reached_regions(regions: list[ReachableBox], reached: NDArray[np.bool_]) -> ReachableBox:
    """Return each row's region of the first budget that ``reached`` (``[budgets, n]``) marks.

    Rows that none marks get the last one.
    """
    place = np.where(reached.any(axis=0), reached.argmax(axis=0), len(regions) - 1)
    numbers = np.arange(len(place))
    lower = np.stack([region.lower for region in regions])[place, numbers]
    upper = np.stack([region.upper for region in regions])[place, numbers]
    return ReachableBox(regions[0].clean, lower, upper)


def bisect_quantities(judge: TabularJudge, rows: Rows) -> None:
    """Bisect the quantities of each success towards its clean row; its codes stay."""
    crafted = judge.standing.crafted[rows].astype(np.float64)
    clean, steps = judge.region.exact[rows], judge.table.steps
    near, far = np.zeros(len(rows)), np.ones(len(rows))
    for _round in range(REFINE if len(rows) else 0):
        middle = (near + far) / 2
        points = np.where(steps, clean + middle[:, None] * (crafted - clean), crafted)
        reached, _ = judge.submit(rows, judge.candidates(rows, points))
        near, far = np.where(reached, near, middle), np.where(reached, middle, far)


def minimise_successes(
    judge: TabularJudge, rows: Rows, most: int, tick: Callable[[], None]
) -> MinimalSuccesses:
    """Make the success of each of ``rows`` minimal, by at most ``most`` queries a row.

    Where one unit alone that goes to a limit or a code succeeds too, that is where it begins. The
    target is asked about each result once more, so that it counts by what was said to it.
    """
    asked = np.zeros(len(rows), dtype=np.int64)
    crafted = _by_one_unit(judge, rows, judge.standing.crafted[rows].copy(), most, asked)

    def broken(points: Array, places: NDArray[np.int64]) -> Mask:
        tick()
        # What was heard of a success need not be asked again.
        reached: Mask = np.asarray((points == crafted[places]).all(axis=1))
        asked[places[~reached]] += 1
        due = ~reached & (asked[places] < most)
        reached[due], _ = judge.submit(rows[places[due]], points[due])
        return reached

    region = judge.region.take(rows)
    found = find_minimal_changes(judge.table.constraints, region, crafted, broken)
    probabilities = judge.table.arena.probabilities[rows]
    if len(rows):
        _, probabilities = judge.ask(found.points)
    return MinimalSuccesses(rows, found, probabilities, asked < most)


def _by_one_unit(
    judge: TabularJudge, rows: Rows, crafted: Array, most: int, asked: NDArray[np.int64]
) -> Array:
    """Return the successes, those that move more than one unit by such that do not, if there are.

    Quantities come before codes and the cheap before the dear; ``asked`` counts the queries.
    """
    constraints, found = judge.table.constraints, crafted.copy()
    moves = list_single_moves(constraints, judge.region.take(rows))
    if len(moves) > ALONE * most:
        return found
    moves.sort(key=lambda move: (move.limit is None, constraints.units[move.unit].cost))
    due = np.flatnonzero(judge.table.units(judge.region.clean[rows], crafted) > 1)
    for move in moves:
        part = judge.region.take(rows[due])
        points = apply_move(move, constraints, part, part.exact)
        candidates = judge.candidates(rows[due], points)
        single = judge.table.units(part.clean, candidates) == 1
        due_now, candidates = due[single], candidates[single]
        asked[due_now] += 1
        reached, _ = judge.submit(rows[due_now], candidates)
        found[due_now[reached]] = candidates[reached]
        due = np.setdiff1d(due, due_now[reached])
    return found


Stage = ConstrainedPgd | TabularSearch
MINIMAL = "minimal change"
KINDS: Mapping[str, Callable[[int, int], tuple[Stage, ...]]] = {
    "capgd": lambda steps, count: (ConstrainedPgd(steps, count),),
    "search": lambda queries, count: (TabularSearch(queries),) * count,
}


def parse_stages(texts: Sequence[str]) -> tuple[Stage, ...]:
    """Return the attacks that ``NAME:STEPS`` or ``NAME:STEPSxCOUNT`` name, in their order.

    Raises ``PolicyError`` that lists the names.
    """
    found: list[Stage] = []
    for text in texts:
        read = re.fullmatch(r"([a-z_]+):([1-9]\d*)(?:x([1-9]\d*))?", text)
        if read is None or read[1] not in KINDS:
            raise PolicyError(
                f"the stage {text!r} names no attack on tables",
                cure=f"Write NAME:STEPS or NAME:STEPSxCOUNT with one of {', '.join(KINDS)}.",
            )
        found += KINDS[read[1]](int(read[2]), int(read[3] or 1))
    if not found:
        raise PolicyError("an attack has no stages", cure=f"Give at least one of {list(KINDS)}.")
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TabularAttackResult:
    """What came of all rows, as the target scored it.

    ``standing`` holds each row's success of the least budget, or its strongest candidate;
    ``closed`` the minimal counterexamples, each within the budget that first broke its row.
    ``movable`` counts the units that may move in any row, one entry a budget; ``skipped`` names
    the attacks that wanted a twin where there is none.
    """

    budgets: tuple[float, ...]
    standing: BestSoFar
    closed: MinimalSuccesses
    movable: tuple[int, ...]
    log: tuple[QueryCost, ...]
    skipped: tuple[str, ...]


def attack_table(  # noqa: PLR0913 -- an attack, where it goes, and who is told
    table: TabularSetup,
    attacks: Sequence[Stage],
    budgets: tuple[float, ...],
    seed: int,
    progress: ProgressReporter,
    *,
    minimising: int,
) -> TabularAttackResult:
    """Attack all rows at each budget, the smallest first, with what the twin allows.

    Each success is then bisected towards its clean row and made minimal, by at most ``minimising``
    queries a row. The same arguments give the same result. Raises ``CancelledError`` through
    ``progress``.
    """
    usable = [item for item in attacks if table.arena.twin is not None or not item.needs_twin]
    run = _TabularAttackRun(table, budgets, np.random.default_rng(seed), progress)
    run.total = len(budgets) * sum(attack.rounds for attack in usable) + 1
    for eps in budgets:
        run.attack(usable, eps)
    closed = run.close(minimising)
    return TabularAttackResult(
        budgets=budgets,
        standing=run.standing,
        closed=closed,
        movable=tuple(_movable(table, run.regions[eps]) for eps in budgets),
        log=tuple(run.log),
        skipped=tuple(item.name for item in attacks if item not in usable),
    )


def _movable(table: TabularSetup, region: ReachableBox) -> int:
    free = np.asarray(region.movable.any(axis=0))
    return sum(bool(free[list(unit.columns)].any()) for unit in table.constraints.units)


@dataclass(slots=True, eq=False)
class _TabularAttackRun:
    table: TabularSetup
    budgets: tuple[float, ...]
    rng: np.random.Generator
    progress: ProgressReporter
    total: int = 0
    done: int = 0
    note: str = ""
    standing: BestSoFar = field(init=False)
    wrong: Mask = field(init=False)
    regions: dict[float, ReachableBox] = field(init=False)
    log: list[QueryCost] = field(default_factory=list)

    def __post_init__(self) -> None:
        arena = self.table.arena
        self.standing = BestSoFar.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)
        self.wrong = self.standing.broken.copy()
        self.regions = {eps: self.table.region(eps) for eps in self.budgets}

    def attack(self, attacks: Sequence[Stage], eps: float) -> None:
        """Throw the attacks at the rows that stand, one after the other."""
        judge = self._judge(self.regions[eps], eps)
        for attack in attacks:
            self.note, end = f"eps {eps:g}, {attack.name}", self.done + attack.rounds
            before = len(judge.live), judge.queries, judge.refused
            passes = attack.run(judge, self.table.arena.twin, self.rng, self._tick)
            self.done = end
            self._bill(attack.name, judge, before, passes)

    def close(self, most: int) -> MinimalSuccesses:
        """Bisect every success, then make it minimal within the least budget that breaks it."""
        rows = np.flatnonzero(np.isfinite(self.standing.breaking) & ~self.wrong).astype(np.int64)
        judge = self._closing(BISECTION)
        bisect_quantities(judge, rows)
        self._bill(BISECTION, judge, (len(rows), 0, 0), 0)
        judge = self._closing(MINIMAL)
        closed = minimise_successes(judge, rows, most, self._tell)
        self._bill(MINIMAL, judge, (len(rows), 0, 0), 0)
        self.done = self.total
        self._tell()
        return closed

    def _closing(self, name: str) -> TabularJudge:
        """Return a judge of each row's least budget that breaks it."""
        self.note = name
        self._tell()
        reached = [is_within_budget(self.standing.breaking, eps) for eps in self.budgets]
        region = first_reached_regions(list(self.regions.values()), np.array(reached))
        return self._judge(region, self.budgets[-1])

    def _judge(self, region: ReachableBox, eps: float) -> TabularJudge:
        return TabularJudge(table=self.table, region=region, standing=self.standing, eps=eps)

    def _tick(self) -> None:
        self.done = min(self.done + 1, self.total)
        self._tell()

    def _tell(self) -> None:
        self.progress(self.done, self.total, self.note)

    def _bill(
        self, name: str, judge: TabularJudge, before: tuple[int, int, int], passes: int
    ) -> None:
        """Write down what one attack brought and cost since the counts ``before`` it."""
        live, queries, refused = before
        closing = name in {BISECTION, MINIMAL}
        left = judge.live
        self.log.append(
            QueryCost(
                attack=name,
                eps=judge.eps,
                live=live,
                broken=0 if closing else live - len(left),
                phantoms=int(judge.claimed[left].sum()),
                queries=judge.queries - queries,
                passes=passes,
                refused=judge.refused - refused,
            )
        )
