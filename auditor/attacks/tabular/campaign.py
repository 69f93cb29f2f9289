"""Attacks on a table at growing budgets, then the least that each broken row needs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from auditor.attacks.bills import BISECTION, Bill
from auditor.attacks.constraints.reaching import Mask, Reach
from auditor.attacks.frame import Standing
from auditor.attacks.tabular import Judge, Table
from auditor.attacks.tabular_capgd import Capgd
from auditor.attacks.tabular_closing import Closed, close, first_region, refine
from auditor.attacks.tabular_search import Search
from auditor.attacks.threats import within
from auditor.domain.subjects import Progress
from auditor.errors import PolicyError

Stage = Capgd | Search
MINIMAL = "minimal change"
KINDS: Mapping[str, Callable[[int, int], tuple[Stage, ...]]] = {
    "capgd": lambda steps, count: (Capgd(steps, count),),
    "search": lambda queries, count: (Search(queries),) * count,
}


def stages(texts: Sequence[str]) -> tuple[Stage, ...]:
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
class Campaign:
    """What came of all rows, as the target scored it.

    ``standing`` holds each row's success of the least budget, or its strongest candidate;
    ``closed`` the minimal counterexamples, each within the budget that first broke its row.
    ``movable`` counts the units that may move in any row, one entry a budget; ``skipped`` names
    the attacks that wanted a twin where there is none.
    """

    budgets: tuple[float, ...]
    standing: Standing
    closed: Closed
    movable: tuple[int, ...]
    log: tuple[Bill, ...]
    skipped: tuple[str, ...]


def campaign(  # noqa: PLR0913 -- an attack, where it goes, and who is told
    table: Table,
    attacks: Sequence[Stage],
    budgets: tuple[float, ...],
    seed: int,
    progress: Progress,
    *,
    minimising: int,
) -> Campaign:
    """Attack all rows at each budget, the smallest first, with what the twin allows.

    Each success is then bisected towards its clean row and made minimal, by at most ``minimising``
    queries a row. The same arguments give the same result. Raises ``CancelledError`` through
    ``progress``.
    """
    usable = [item for item in attacks if table.arena.twin is not None or not item.needs_twin]
    run = _Run(table, budgets, np.random.default_rng(seed), progress)
    run.total = len(budgets) * sum(attack.rounds for attack in usable) + 1
    for eps in budgets:
        run.attack(usable, eps)
    closed = run.close(minimising)
    return Campaign(
        budgets=budgets,
        standing=run.standing,
        closed=closed,
        movable=tuple(_movable(table, run.regions[eps]) for eps in budgets),
        log=tuple(run.log),
        skipped=tuple(item.name for item in attacks if item not in usable),
    )


def _movable(table: Table, region: Reach) -> int:
    free = np.asarray(region.movable.any(axis=0))
    return sum(bool(free[list(unit.columns)].any()) for unit in table.constraints.units)


@dataclass(slots=True, eq=False)
class _Run:
    table: Table
    budgets: tuple[float, ...]
    rng: np.random.Generator
    progress: Progress
    total: int = 0
    done: int = 0
    note: str = ""
    standing: Standing = field(init=False)
    wrong: Mask = field(init=False)
    regions: dict[float, Reach] = field(init=False)
    log: list[Bill] = field(default_factory=list)

    def __post_init__(self) -> None:
        arena = self.table.arena
        self.standing = Standing.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)
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

    def close(self, most: int) -> Closed:
        """Bisect every success, then make it minimal within the least budget that breaks it."""
        rows = np.flatnonzero(np.isfinite(self.standing.breaking) & ~self.wrong).astype(np.int64)
        judge = self._closing(BISECTION)
        refine(judge, rows)
        self._bill(BISECTION, judge, (len(rows), 0, 0), 0)
        judge = self._closing(MINIMAL)
        closed = close(judge, rows, most, self._tell)
        self._bill(MINIMAL, judge, (len(rows), 0, 0), 0)
        self.done = self.total
        self._tell()
        return closed

    def _closing(self, name: str) -> Judge:
        """Return a judge of each row's least budget that breaks it."""
        self.note = name
        self._tell()
        reached = [within(self.standing.breaking, eps) for eps in self.budgets]
        region = first_region(list(self.regions.values()), np.array(reached))
        return self._judge(region, self.budgets[-1])

    def _judge(self, region: Reach, eps: float) -> Judge:
        return Judge(table=self.table, region=region, standing=self.standing, eps=eps)

    def _tick(self) -> None:
        self.done = min(self.done + 1, self.total)
        self._tell()

    def _tell(self) -> None:
        self.progress(self.done, self.total, self.note)

    def _bill(self, name: str, judge: Judge, before: tuple[int, int, int], passes: int) -> None:
        """Write down what one attack brought and cost since the counts ``before`` it."""
        live, queries, refused = before
        closing = name in {BISECTION, MINIMAL}
        left = judge.live
        self.log.append(
            Bill(
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
